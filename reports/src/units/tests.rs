use super::*;

#[test]
fn thousandths_and_bytes_are_written_to_three_digits() {
    for (thousandths, wanted) in [
        (0, "0"),
        (250, "0.25"),
        (33_333, "33.3"),
        (1_234_567, "1,235"),
    ] {
        assert_eq!(milli(thousandths), wanted);
    }
    for (n, wanted) in [
        (0, "0 B"),
        (850, "850 B"),
        (4_210_000, "4.21 MB"),
        (12_000_000_000, "12.0 GB"),
    ] {
        assert_eq!(bytes(n), wanted);
    }
}

#[test]
fn durations_have_three_digits_and_the_unit_that_fits() {
    let cases = [
        (0, "0 s"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (4_214_999, "4.21 ms"),
        (4_215_000, "4.22 ms"),
        (9_994_999, "9.99 ms"),
        (9_995_000, "10.0 ms"),
        (99_949_999, "99.9 ms"),
        (99_950_000, "100 ms"),
        (999_499_999, "999 ms"),
        (999_500_000, "1.00 s"),
        (59_000_000_000, "59.0 s"),
        (119_499_999_999, "119 s"),
        (120_000_000_000, "2m00s"),
        (183_500_000_000, "3m04s"),
        (7_200_000_000_000, "2h00m"),
        (-4_210_000, "-4.21 ms"),
    ];
    for (ns, words) in cases {
        assert_eq!(duration(ns), words, "{ns}");
    }
}

#[test]
fn written_durations_are_exact() {
    let cases = [
        (0, "0s"),
        (250_000, "250us"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (60_000_000_000, "1m"),
        (3_600_000_000_000, "1h"),
        (1_000_000_001, "1.000000001s"),
        (-600_000_000_000, "-10m"),
    ];
    for (ns, words) in cases {
        assert_eq!(written(ns), words, "{ns}");
    }
}

#[test]
fn instants_count_down_to_zero() {
    assert_eq!(instant(12_345_999_999), "12.345 s");
    assert_eq!(instant(184_345_000_000), "3m04.345s");
    assert_eq!(instant(3_784_345_000_000), "1h03m04.345s");
    assert_eq!(instant(-120_000_000), "-0.120 s");
    assert_eq!(instant(-1), "-0.001 s");
}

#[test]
fn a_share_short_of_all_never_reads_as_all() {
    assert_eq!(share(0, 5), "0%");
    assert_eq!(share(5, 5), "100%");
    assert_eq!(share(1, 3), "33.33%");
    assert_eq!(share(999_999, 1_000_000), "99.9999%");
    assert_eq!(share(99_999_999, 100_000_000), ">99.9999%");
    assert_eq!(share(1, 1_000_000), "0.0001%");
    assert_eq!(share(1, 1_000_000_000), "<0.0001%");
    assert_eq!(share(0, 0), "-");
    assert_eq!(share(u64::MAX - 1, u64::MAX), ">99.9999%");
}

#[test]
fn rates_and_counts_read_naturally() {
    assert_eq!(rate(4_000, 20_000_000_000), "200/s");
    assert_eq!(rate(1, 3_000_000_000), "0.33/s");
    assert_eq!(rate(100, 3_000_000_000), "33.3/s");
    assert_eq!(rate(123_456_789, 10_000_000_000), "12,345,679/s");
    assert_eq!(rate(1, 0), "-");
    assert_eq!(count(0), "0");
    assert_eq!(count(999), "999");
    assert_eq!(count(1_234_567), "1,234,567");
    assert_eq!(ratio(243, 1), "243.00");
    assert_eq!(ratio(1, 0), "-");
    assert_eq!(counted(1, "check"), "1 check");
}
