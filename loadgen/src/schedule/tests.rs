use std::time::Duration;

use shakedown_env::stream_seed;
use shakedown_scenarios::scenario::{Arrivals, LoadSpec, RateStage};
use shakedown_scenarios::value::{Rate, Ratio};

use super::{Schedule, ScheduledArrival, Surge};
use crate::scene::{self, entry, level};

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

fn ramp(seconds: u64, from: &str, to: &str) -> RateStage {
    RateStage {
        length: Some(Duration::from_secs(seconds)),
        from: rate(from),
        to: rate(to),
    }
}

/// A load with these stages for this many seconds.
fn load(arrivals: Arrivals, stages: Vec<RateStage>, seconds: u64) -> LoadSpec {
    LoadSpec {
        arrivals,
        stages,
        ..scene::load("1/s", seconds)
    }
}

fn schedule(load: &LoadSpec, seed: u64) -> Vec<ScheduledArrival> {
    let rng = |label| stream_seed(seed, "test", label);
    Schedule::new(load, &[], rng("arrivals"), rng("mix")).collect()
}

fn surged(load: &LoadSpec, surges: &[Surge]) -> Vec<ScheduledArrival> {
    let rng = |label| stream_seed(1, "test", label);
    Schedule::new(load, surges, rng("arrivals"), rng("mix")).collect()
}

fn surge(from: u64, until: Option<u64>, factor: i128) -> Surge {
    Surge {
        from: Duration::from_secs(from),
        until: until.map(Duration::from_secs),
        factor: Ratio::whole(factor),
    }
}

/// The number of requests that are due in each whole second.
fn by_second(arrivals: &[ScheduledArrival], seconds: usize) -> Vec<usize> {
    let mut counts = vec![0; seconds];
    for arrival in arrivals {
        counts[usize::try_from(arrival.at.as_secs()).unwrap()] += 1;
    }
    counts
}

#[test]
fn a_surge_multiplies_the_rate_while_it_lasts_and_overlaps_multiply() {
    let load = load(Arrivals::Constant, vec![level("100/s")], 6);
    let surges = [surge(1, Some(4), 2), surge(3, Some(5), 3)];
    let counts = by_second(&surged(&load, &surges), 6);
    assert_eq!(counts, [100, 200, 200, 600, 300, 100]);
}

#[test]
fn a_surge_without_an_end_lasts_and_one_of_zero_silences() {
    let load = load(Arrivals::Constant, vec![level("100/s")], 4);
    let counts = by_second(&surged(&load, &[surge(2, None, 0)]), 4);
    assert_eq!(counts, [100, 100, 0, 0]);
}

#[test]
fn a_surge_within_a_ramp_bends_it() {
    let load = load(Arrivals::Constant, vec![ramp(4, "0/s", "400/s")], 4);
    let counts = by_second(&surged(&load, &[surge(1, Some(3), 2)]), 4);
    assert_eq!(counts, [50, 300, 500, 350]);
}

#[test]
fn a_surge_is_scheduled_from_time_zero_not_from_the_load_start() {
    let mut load = load(Arrivals::Constant, vec![level("100/s")], 4);
    load.start = Duration::from_secs(1);
    let counts = by_second(&surged(&load, &[surge(2, Some(3), 5)]), 4);
    assert_eq!(counts, [0, 100, 500, 100]);
}

#[test]
fn a_surge_leaves_what_comes_before_it_alone() {
    let load = load(Arrivals::Poisson, vec![level("100/s")], 4);
    let (calm, surged) = (schedule(&load, 1), surged(&load, &[surge(2, None, 2)]));
    let before = |arrivals: &[ScheduledArrival]| {
        let early = arrivals.iter().filter(|a| a.at < Duration::from_secs(2));
        early.copied().collect::<Vec<_>>()
    };
    assert_eq!(before(&calm), before(&surged));
    assert!(surged.len() > calm.len() + 100);
}

fn seconds(arrivals: &[ScheduledArrival]) -> Vec<f64> {
    arrivals
        .iter()
        .map(|arrival| arrival.at.as_secs_f64())
        .collect()
}

#[test]
fn a_constant_load_is_evenly_spaced_from_its_start_on() {
    let mut load = load(Arrivals::Constant, vec![level("200/s")], 3);
    load.start = Duration::from_secs(1);
    let arrivals = schedule(&load, 1);
    assert_eq!(arrivals.len(), 400);
    for (seq, arrival) in arrivals.iter().enumerate() {
        assert_eq!(
            arrival.at,
            Duration::from_secs(1) + Duration::from_millis(5) * seq as u32
        );
        assert_eq!(arrival.seq, seq as u64);
    }
}

#[test]
fn a_rate_that_divides_no_second_does_not_drift() {
    let arrivals = schedule(&load(Arrivals::Constant, vec![level("7/m")], 86_400), 1);
    assert_eq!(arrivals.len(), 7 * 60 * 24);
    let last = arrivals.last().unwrap();
    assert_eq!(
        last.at.as_nanos(),
        u128::from(last.seq) * 60_000_000_000 / 7
    );
}

#[test]
fn rates_hold_within_half_a_percent() {
    for (text, per_second) in [("100/s", 100.0), ("1k/s", 1_000.0), ("10k/s", 10_000.0)] {
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            // Long enough that half a percent is more than four standard deviations of a Poisson count.
            let span = (4.0f64 / 0.005).powi(2) / per_second;
            let load = load(arrivals, vec![level(text)], span.ceil() as u64 + 1);
            let count = schedule(&load, 7).len() as f64;
            let expected = per_second * load.stop.as_secs_f64();
            assert!(
                (count / expected - 1.0).abs() < 0.005,
                "{text} {arrivals:?}: {count}"
            );
        }
    }
}

#[test]
fn poisson_gaps_pass_a_kolmogorov_smirnov_test() {
    let times = seconds(&schedule(
        &load(Arrivals::Poisson, vec![level("1k/s")], 20),
        3,
    ));
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let distance = gaps.iter().enumerate().map(|(rank, gap)| {
        let theory = 1.0 - (-gap * 1_000.0).exp();
        let (below, above) = (rank as f64 / n, (rank as f64 + 1.0) / n);
        (theory - below).abs().max((above - theory).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    // The critical value at 1%.
    assert!(distance < 1.63 / n.sqrt(), "D = {distance}");
}

#[test]
fn evenly_spaced_gaps_fail_the_same_test() {
    let times = seconds(&schedule(
        &load(Arrivals::Constant, vec![level("1k/s")], 20),
        3,
    ));
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let below = gaps.iter().filter(|gap| **gap < 0.000_9).count();
    assert_eq!(below, 0, "of an exponential, 59% lie below 0.9 means");
}

#[test]
fn a_ramp_sends_the_integral_of_its_rate() {
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let load = load(arrivals, vec![ramp(60, "0/s", "2k/s")], 60);
        let times = seconds(&schedule(&load, 5));
        for until in [15.0f64, 30.0, 45.0, 60.0] {
            let count = times.iter().filter(|time| **time < until).count() as f64;
            let integral = 2_000.0 / 60.0 * until * until / 2.0;
            // For Poisson the noise of the count is added: four standard deviations.
            let noise = if arrivals == Arrivals::Poisson {
                4.0 * integral.sqrt()
            } else {
                1.0
            };
            assert!(
                (count - integral).abs() < 0.005 * integral + noise,
                "{until} s: {count}"
            );
        }
    }
}

#[test]
fn a_constant_ramp_is_even_in_the_integral() {
    let load = load(Arrivals::Constant, vec![ramp(10, "100/s", "0/s")], 10);
    let arrivals = schedule(&load, 1);
    assert_eq!(arrivals.len(), 500);
    for arrival in arrivals {
        // 100 t - 5 t^2 = k
        let expected = 10.0 - (100.0 - arrival.seq as f64 / 5.0).sqrt();
        assert!(
            (arrival.at.as_secs_f64() - expected).abs() < 2e-9,
            "{arrival:?}: {expected}"
        );
    }
}

#[test]
fn after_the_last_stage_its_level_holds() {
    let stages = vec![
        ramp(10, "100/s", "100/s"),
        ramp(10, "0/s", "0/s"),
        ramp(10, "0/s", "50/s"),
    ];
    let times = seconds(&schedule(&load(Arrivals::Constant, stages, 40), 1));
    let between = |from: f64, to: f64| times.iter().filter(|t| (from..to).contains(*t)).count();
    assert_eq!(between(0.0, 10.0), 1_000);
    assert_eq!(between(10.0, 20.0), 0);
    assert_eq!(between(20.0, 30.0), 250);
    assert_eq!(between(30.0, 40.0), 500);
}

#[test]
fn a_load_of_rate_zero_sends_nothing() {
    assert_eq!(
        schedule(&load(Arrivals::Poisson, vec![level("0/s")], 10), 1),
        []
    );
    assert_eq!(
        schedule(&load(Arrivals::Constant, vec![level("0/s")], 10), 1),
        []
    );
}

#[test]
fn the_same_seed_gives_the_same_schedule_and_another_another() {
    let mut load = load(Arrivals::Poisson, vec![level("100/s")], 10);
    load.entries = vec![entry(1), entry(1)];
    assert_eq!(schedule(&load, 1), schedule(&load, 1));
    assert_ne!(schedule(&load, 1), schedule(&load, 2));
}

#[test]
fn the_mix_follows_its_weights_and_leaves_the_times_alone() {
    let mut load = load(Arrivals::Poisson, vec![level("1k/s")], 30);
    let plain = seconds(&schedule(&load, 1));
    load.entries = vec![entry(1), entry(0), entry(9)];
    let mixed = schedule(&load, 1);
    assert_eq!(seconds(&mixed), plain);
    let count = |entry| {
        mixed
            .iter()
            .filter(|arrival| arrival.entry == entry)
            .count() as f64
    };
    assert_eq!(count(1), 0.0);
    assert!((count(0) / mixed.len() as f64 - 0.1).abs() < 0.01);
}
