use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Distribution;

const DRAWS: usize = 200_000;

fn draw(text: &str) -> Vec<f64> {
    let distribution = Distribution::parse_duration(text).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..DRAWS)
        .map(|_| distribution.sample_ns(&mut rng) as f64 / 1e6)
        .collect()
}

/// The mean (in ms) and the coefficient of variation.
fn moments(text: &str) -> (f64, f64) {
    let draws = draw(text);
    let mean = draws.iter().sum::<f64>() / DRAWS as f64;
    let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / DRAWS as f64;
    (mean, variance.sqrt() / mean)
}

fn percentile(text: &str, percent: f64) -> f64 {
    let mut draws = draw(text);
    draws.sort_by(f64::total_cmp);
    draws[(DRAWS as f64 * percent / 100.0) as usize]
}

fn near(observed: f64, expected: f64, tolerance: f64) {
    assert!(
        (observed - expected).abs() <= tolerance * expected.abs(),
        "{observed} is not {expected}"
    );
}

#[test]
fn means_and_variances_are_those_of_the_closed_forms() {
    for (text, mean, cv) in [
        ("exp(4ms)", 4.0, 1.0),
        ("uniform(1ms..3ms)", 2.0, 2.0 / 12f64.sqrt() / 2.0),
        ("normal(4ms sd 1ms)", 4.0, 0.25),
        ("lognormal(4ms cv 0.5)", 4.0, 0.5),
        ("hyperexp(4ms cv2 3)", 4.0, 3f64.sqrt()),
        ("hyperexp(1ms cv2 1.21)", 1.0, 1.1),
        ("erlang(4ms k 3)", 4.0, 1.0 / 3f64.sqrt()),
        // Mean alpha / (alpha - 1), coefficient of variation 1 / sqrt(alpha (alpha - 2)).
        ("pareto(min 1ms alpha 5)", 1.25, 1.0 / 15f64.sqrt()),
        // Gamma(1 + 1/2) and its variance.
        (
            "weibull(scale 4ms shape 2)",
            4.0 * 0.886_226_925,
            0.522_723_2,
        ),
    ] {
        let (observed_mean, observed_cv) = moments(text);
        near(observed_mean, mean, 0.01);
        near(observed_cv, cv, 0.02);
    }
}

#[test]
fn percentiles_are_those_that_were_asked_for() {
    near(percentile("lognormal(p50 3ms p99 40ms)", 50.0), 3.0, 0.02);
    near(percentile("lognormal(p50 3ms p99 40ms)", 99.0), 40.0, 0.05);
    let empirical = "empirical(p0 1ms p50 3ms p99 40ms p100 90ms)";
    near(percentile(empirical, 25.0), 2.0, 0.02);
    near(percentile(empirical, 50.0), 3.0, 0.02);
    near(percentile(empirical, 99.5), 65.0, 0.05);
}

#[test]
fn a_maximum_cuts_the_tail_without_piling_up_at_it() {
    let draws = draw("pareto(min 1ms alpha 1.5 max 10s)");
    assert!(draws.iter().all(|d| (1.0..=10_000.0).contains(d)));
    let near_top = draw("pareto(min 1ms alpha 1 max 2ms)");
    // P(X > 1.5) = (1/1.5 - 1/2) / (1 - 1/2) = 1/3.
    near(
        near_top.iter().filter(|d| **d > 1.5).count() as f64 / DRAWS as f64,
        1.0 / 3.0,
        0.02,
    );
}

#[test]
fn a_mix_draws_each_member_by_its_share() {
    let draws = draw("mix(99% 10ms | 1% 1s)");
    let slow = draws.iter().filter(|d| **d == 1000.0).count();
    assert!((1_800..2_200).contains(&slow), "{slow}");
    assert_eq!(draws.iter().filter(|d| **d == 10.0).count() + slow, DRAWS);
}

#[test]
fn a_normal_draw_below_zero_is_drawn_again() {
    let draws = draw("normal(1ms sd 1ms)");
    // The mean of a normal truncated one deviation below its mean is 1 + phi(1) / Phi(1), and no values pile up at
    // zero.
    near(draws.iter().sum::<f64>() / DRAWS as f64, 1.2876, 0.01);
    let none = draws.iter().filter(|d| **d == 0.0).count();
    assert!(none < 5, "{none}");
}

#[test]
fn between_two_points_a_draw_is_rounded_to_the_nearest() {
    let distribution = Distribution::parse_duration("empirical(p0 0ns p100 1ns)").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let ones = (0..DRAWS)
        .filter(|_| distribution.sample_ns(&mut rng) == 1)
        .count();
    near(ones as f64 / DRAWS as f64, 0.5, 0.02);
}

#[test]
fn parameters_at_their_bounds_make_sense_and_beyond_them_do_not() {
    for (within, beyond, message) in [
        (
            "erlang(4ms k 1000)",
            "erlang(4ms k 1001)",
            "`k` must be from 1 to 1000",
        ),
        (
            "erlang(4ms k 1)",
            "erlang(4ms k 0)",
            "`k` must be from 1 to 1000",
        ),
        (
            "pareto(min 1ms alpha 2 max 1000001ns)",
            "pareto(min 1ms alpha 2 max 1ms)",
            "`max` must be greater than `min`",
        ),
        (
            "empirical(p0 1ms p50 3ms p100 3ms)",
            "empirical(p0 1ms p50 3ms p50 4ms p100 9ms)",
            "percentiles must increase and values must not decrease",
        ),
        (
            "lognormal(1ns cv 1)",
            "lognormal(0s cv 1)",
            "the parameters must be greater than zero",
        ),
        (
            "pareto(min 1ms alpha 0.1)",
            "pareto(min 1ms alpha 0)",
            "the parameters must be greater than zero",
        ),
        (
            "weibull(scale 4ms shape 0.1)",
            "weibull(scale 4ms shape 0)",
            "the parameters must be greater than zero",
        ),
        (
            "empirical(p0 3ms p100 3ms)",
            "empirical(p0 3ms p100 2ms)",
            "percentiles must increase and values must not decrease",
        ),
        (
            "empirical(p0 1ms p100 2ms)",
            "empirical(p1 1ms p100 2ms)",
            "the points must start at p0 and end at p100",
        ),
        (
            "empirical(p0 1ms p100 2ms)",
            "empirical(p0 1ms p100 2ms p100)",
            "an empirical distribution is written",
        ),
        (
            "mix(50% mix(50% 1ms | 50% 2ms) | 50% 3ms)",
            "mix(50% empirical(file a.csv) | 50% 3ms)",
            "a file cannot be a member of a mix",
        ),
        (
            "hyperexp(4ms cv2 1)",
            "hyperexp(4ms cv2 0.999)",
            "`cv2` of a hyperexponential distribution must be at least 1",
        ),
        (
            "lognormal(p50 3ms p99 3ms)",
            "lognormal(p50 3ms p99 2ms)",
            "`p99` must be at least `p50`",
        ),
    ] {
        Distribution::parse_duration(within).unwrap_or_else(|error| panic!("{error}"));
        let error = Distribution::parse_duration(beyond)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn mixes_nest_eight_deep() {
    let nested = |deep: usize| {
        let text = (0..deep).fold("1ms".to_owned(), |inner, _| format!("mix(100% {inner})"));
        Distribution::parse_duration(&text).map_err(|error| error.to_string())
    };
    assert!(nested(8).is_ok());
    let error = nested(9).unwrap_err();
    assert!(
        error.ends_with("mixes may be nested at most 8 levels deep"),
        "{error}"
    );
}

#[test]
fn a_mean_of_counts_need_not_be_whole() {
    assert!(Distribution::parse_count("exp(2.5)").is_ok());
    assert!(Distribution::parse_count("uniform(1..2.5)").is_err());
}

#[test]
fn a_file_without_a_line_gives_nothing_to_draw() {
    let distribution = Distribution::parse_duration("empirical(file lat.csv)").unwrap();
    let error = distribution.with_values("\n \n").unwrap_err().to_string();
    assert_eq!(error, "`empirical(file lat.csv)`: the file has no values");
}

/// A random stream of ones: the lowest number that the choice of a member of a mix does not reject.
struct Ones;

impl rand::TryRng for Ones {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(1)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(1)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(1);
        Ok(())
    }
}

#[test]
fn a_member_without_a_share_is_never_drawn() {
    let distribution = Distribution::parse_duration("mix(0% 7ms | 100% 1ms)").unwrap();
    assert_eq!(distribution.sample_ns(&mut Ones), 1_000_000);
}

#[test]
fn a_uniform_count_takes_both_ends() {
    let distribution = Distribution::parse_count("uniform(1..3)").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut seen = [0usize; 5];
    for _ in 0..30_000 {
        seen[usize::try_from(distribution.sample_count(&mut rng)).unwrap()] += 1;
    }
    assert_eq!((seen[0], seen[4]), (0, 0));
    assert!(
        seen[1..4].iter().all(|n| (9_500..10_500).contains(n)),
        "{seen:?}"
    );
}

#[test]
fn a_constant_draws_nothing_from_its_stream() {
    use rand::Rng;
    let (mut rng, mut same) = (ChaCha8Rng::seed_from_u64(5), ChaCha8Rng::seed_from_u64(5));
    assert_eq!(
        Distribution::parse_duration("3.333ms")
            .unwrap()
            .sample_ns(&mut rng),
        3_333_000
    );
    assert_eq!(rng.next_u64(), same.next_u64());
}

#[test]
fn a_file_gives_one_of_its_lines() {
    let distribution = Distribution::parse_duration("empirical(file lat.csv)").unwrap();
    assert_eq!(distribution.file(), Some("lat.csv"));
    let distribution = distribution.with_values("1ms\n2ms\n\n").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let ones = (0..10_000)
        .filter(|_| distribution.sample_ns(&mut rng) == 1_000_000)
        .count();
    assert!((4_800..5_200).contains(&ones), "{ones}");
}

#[test]
fn what_is_no_distribution_is_refused_in_words() {
    for (text, message) in [
        (
            "lognormal(4ms, cv 0.5)",
            "arguments are separated by spaces: `lognormal(4ms cv 0.5)`",
        ),
        (
            "5",
            "`5` has no unit: a duration is written `5s`, `250ms`, `1m30s`",
        ),
        (
            "exp(5)",
            "`5` has no unit: a duration is written `5s`, `250ms`, `1m30s`",
        ),
        (
            "lognormal(4ms",
            "missing `)` in `lognormal(4ms`: separate arguments by spaces, not commas, as in `lognormal(4ms cv 0.5)`",
        ),
        (
            "lognormall(4ms cv 1)",
            "unknown distribution `lognormall`: did you mean `lognormal`?",
        ),
        (
            "mix(99% 10ms | 2% 1s)",
            "`mix(99% 10ms | 2% 1s)`: the shares of a mix must sum to 100%",
        ),
        (
            "uniform(3ms..1ms)",
            "`uniform(3ms..1ms)`: the lower end of a range must not exceed the upper end",
        ),
        (
            "hyperexp(4ms cv2 0.5)",
            "`hyperexp(4ms cv2 0.5)`: `cv2` of a hyperexponential distribution must be at least 1; for less variation, use `erlang(4ms k 3)`",
        ),
        (
            "empirical(p0 1ms p50 3ms)",
            "`empirical(p0 1ms p50 3ms)`: the points must start at p0 and end at p100",
        ),
        (
            "exp(4ms 5ms)",
            "`exp(4ms 5ms)`: an exponential distribution is written `exp(4ms)`",
        ),
    ] {
        assert_eq!(
            Distribution::parse_duration(text).unwrap_err().to_string(),
            message
        );
    }
}

#[test]
fn every_distribution_of_the_language_is_shown_as_it_is_written() {
    for text in [
        "4ms",
        "exp(4ms)",
        "uniform(1ms..3ms)",
        "normal(4ms sd 1ms)",
        "lognormal(4ms cv 0.5)",
        "lognormal(p50 3ms p99 40ms)",
        "pareto(min 1ms alpha 1.5 max 10s)",
        "hyperexp(4ms cv2 3)",
        "erlang(4ms k 3)",
        "weibull(scale 4ms shape 0.7)",
        "mix(99% 10ms | 1% exp(1s))",
        "empirical(p0 1ms p50 3ms p99 40ms p100 90ms)",
        "empirical(file lat.csv)",
    ] {
        assert_eq!(
            Distribution::parse_duration(text).unwrap().to_string(),
            text
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z0-9 .%|(),]{0,40}") {
        let _ = Distribution::parse_duration(&text);
        let _ = Distribution::parse_count(&text);
    }
}
