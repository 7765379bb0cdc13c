use super::*;

fn of(values: impl IntoIterator<Item = i64>) -> Histogram {
    let mut histogram = Histogram::new();
    values.into_iter().for_each(|value| histogram.record(value));
    histogram
}

#[test]
fn percentiles_of_small_values_are_exact() {
    // Below 2,048 each bucket of a three-digit histogram contains one value.
    let histogram = of(1..=1_000);
    for ppm in [
        1, 1_000, 10_000, 500_000, 900_000, 990_000, 999_000, 1_000_000,
    ] {
        let rank = (1_000 * u64::from(ppm)).div_ceil(1_000_000);
        assert_eq!(
            histogram.percentile_ns(ppm),
            i64::try_from(rank).ok(),
            "{ppm} ppm"
        );
    }
}

#[test]
fn a_percentile_is_the_smallest_value_with_its_share_at_or_below() {
    let histogram = of([1, 2]);
    assert_eq!(histogram.percentile_ns(500_000), Some(1));
    assert_eq!(histogram.percentile_ns(500_001), Some(2));
    assert_eq!(of([7]).percentile_ns(0), Some(7));
}

#[test]
fn large_percentiles_are_within_a_thousandth_and_never_outside_the_extremes() {
    let values: Vec<i64> = (1..=10_000).map(|i| i * 1_234_567).collect();
    let histogram = of(values.iter().copied());
    for ppm in [100_000, 500_000, 990_000, 999_900] {
        let exact = values[(ppm / 100) as usize - 1];
        let seen = histogram.percentile_ns(ppm).expect("not empty");
        assert!(
            (seen - exact).abs() <= exact / 1_000,
            "{ppm} ppm: {seen} is not {exact}"
        );
    }
    assert_eq!(histogram.percentile_ns(1_000_000), Some(12_345_670_000));
    assert_eq!(of([1_234_567_891]).percentile_ns(1), Some(1_234_567_891));
}

#[test]
fn mean_minimum_and_maximum_are_exact() {
    let histogram = of([1_234_567_891, 3, 98_765_432_101]);
    assert_eq!(histogram.min_ns(), Some(3));
    assert_eq!(histogram.max_ns(), Some(98_765_432_101));
    assert_eq!(histogram.sum_ns(), 99_999_999_995);
    assert_eq!(histogram.mean_ns(), Some(33_333_333_331));
}

#[test]
fn nothing_has_no_figures() {
    let empty = Histogram::new();
    assert_eq!(
        (
            empty.count(),
            empty.percentile_ns(500_000),
            empty.mean_ns(),
            empty.min_ns(),
            empty.max_ns()
        ),
        (0, None, None, None, None)
    );
}

#[test]
fn a_negative_value_counts_as_zero() {
    let histogram = of([-5]);
    assert_eq!(
        (histogram.count(), histogram.min_ns(), histogram.max_ns()),
        (1, Some(0), Some(0))
    );
    assert_eq!(histogram.percentile_ns(990_000), Some(0));
}

#[test]
fn a_merge_is_as_if_all_had_been_recorded_in_one() {
    let (a, b): (Vec<i64>, Vec<i64>) = (1..2_000).map(|i| i * i * 1_009).partition(|i| i % 3 == 0);
    let mut merged = of(a.clone());
    merged.merge(&of(b.clone()));
    assert_eq!(merged, of(a.into_iter().chain(b)));
    let mut with_nothing = merged.clone();
    with_nothing.merge(&Histogram::new());
    assert_eq!(with_nothing, merged);
}

#[test]
fn buckets_come_in_order_and_hold_every_value() {
    let histogram = of((0..5_000).map(|i| i * i));
    let buckets: Vec<(i64, u64)> = histogram.buckets().collect();
    assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(buckets.iter().map(|(_, n)| n).sum::<u64>(), 5_000);
}

#[test]
fn base64_gives_back_every_bucket() {
    let histogram = of((0..5_000).map(|i| i * i * 977));
    let read = Histogram::from_base64(&histogram.to_base64()).expect("what was written reads back");
    assert!(read.buckets().eq(histogram.buckets()));
    assert_eq!(read.to_base64(), histogram.to_base64());
    let empty = Histogram::from_base64(&Histogram::new().to_base64()).expect("nothing reads back");
    assert_eq!(empty, Histogram::new());
}

#[test]
fn what_is_no_histogram_is_an_error() {
    assert!(matches!(
        Histogram::from_base64("?"),
        Err(HistogramError::Base64(_))
    ));
    assert!(matches!(
        Histogram::from_base64("AAAA"),
        Err(HistogramError::Hdr(_))
    ));
    let mut cut = of(1..100).to_base64();
    cut.truncate(cut.len() / 8 * 4);
    assert!(Histogram::from_base64(&cut).is_err());
}
