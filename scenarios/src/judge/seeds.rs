//! Checks over seeds. The only module in which floats decide, with textbook statistics.

use shakedown_results::{CheckResult, Measured};

use super::sample::SeedSample;
use super::words::measured;
use crate::check::{Check, Op, Relation, Seeds};
use crate::scenario::ResolvedScenario;
use crate::value::{Ratio, Share, Unit};

/// The tail of all intervals: 99% confidence, two-sided.
const TAIL: f64 = 0.005;
/// The 99.5th percentile of the standard normal distribution.
const Z: f64 = 2.575_829_303_548_901;

/// Judges the checks over seeds of a sweep. `samples` contains the [`RunJudgement::samples`](super::RunJudgement::samples) of
/// each seed.
pub fn over_seeds(
    scenario: &ResolvedScenario,
    samples: &[(u64, Vec<SeedSample>)],
) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for (index, check) in scenario.checks.iter().enumerate() {
        let Some(rule) = check.seeds else { continue };
        let of_check: Vec<(u64, &SeedSample)> = samples
            .iter()
            .filter_map(|(seed, samples)| {
                Some((*seed, samples.iter().find(|sample| sample.check == index)?))
            })
            .collect();
        let (pass, observed) = match rule {
            Seeds::Over => mean(check, &of_check),
            Seeds::In { op, share } => portion(op, share, &of_check),
        };
        let measured = match rule {
            Seeds::Over => measured_mean(check, &of_check),
            Seeds::In { share, .. } => measured_portion(share, &of_check),
        };
        let expected = match rule {
            Seeds::Over => in_words(check),
            Seeds::In { op, share } => format!("{op} {share} of seeds"),
        };
        results.push(CheckResult {
            name: check.name.clone(),
            check: check.text.clone(),
            pass,
            over_seeds: true,
            observed,
            measured: measured.filter(|_| pass.is_some()),
            expected,
        });
    }
    results
}

/// `over seeds`: the t-interval of the mean of left minus right side, paired by seed.
fn mean(check: &Check, samples: &[(u64, &SeedSample)]) -> (Option<bool>, String) {
    let mut sides = Vec::new();
    for (seed, sample) in samples {
        match sample.sides {
            Some((left, right)) => sides.push((left.to_f64(), right.to_f64())),
            None => return (None, format!("not judged: seed {seed}: {}", sample.reason)),
        }
    }
    if sides.len() < 2 {
        return (
            None,
            "not judged: an interval needs at least two seeds".to_owned(),
        );
    }
    let count = sides.len() as f64;
    let target = sides.iter().map(|(_, right)| right).sum::<f64>() / count;
    let differences: Vec<f64> = sides.iter().map(|(left, right)| left - right).collect();
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences
        .iter()
        .map(|d| (d - mean) * (d - mean))
        .sum::<f64>()
        / (count - 1.0);
    let half = t_quantile(TAIL, count - 1.0) * libm::sqrt(variance / count);
    let (low, high) = (mean - half, mean + half);
    let holds = match check.relation {
        Relation::Near(tolerance) => {
            low <= 0.0 && 0.0 <= high && half <= tolerance.ratio().to_f64() * libm::fabs(target)
        }
        Relation::Compare(op) => match op {
            Op::Less => high < 0.0,
            Op::AtMost => high <= 0.0,
            Op::More => low > 0.0,
            Op::AtLeast => low >= 0.0,
            Op::Equal => low == 0.0 && high == 0.0,
            Op::Differs => low > 0.0 || high < 0.0,
        },
    };
    let show = |value: f64| shown(check.unit, value + target);
    let observed = format!(
        "{} ({} to {} at 99%, {} seeds; half width {})",
        show(mean),
        show(low),
        show(high),
        sides.len(),
        percent(half / libm::fabs(target)),
    );
    (Some(holds), observed)
}

/// `in >= 99% of seeds`: decides by the observed share. Wilson's interval is for information only.
fn portion(op: Op, share: Share, samples: &[(u64, &SeedSample)]) -> (Option<bool>, String) {
    if samples.is_empty() {
        return (None, "not judged: no seed was run".to_owned());
    }
    let mut held = 0i128;
    let mut missed = Vec::new();
    for (seed, sample) in samples {
        match sample.holds {
            Some(true) => held += 1,
            Some(false) => missed.push(seed.to_string()),
            None => return (None, format!("not judged: seed {seed}: {}", sample.reason)),
        }
    }
    let count = samples.len();
    let observed = Ratio::new(held, count as i128).expect("there is at least one seed");
    let (low, high) = wilson(held as f64, count as f64);
    let mut words = format!(
        "{} ({held} of {count} seeds; {} to {} at 99%)",
        Unit::Share.format(observed),
        percent(low),
        percent(high)
    );
    if !missed.is_empty() {
        missed.truncate(10);
        words.push_str(&format!("; not in seed {}", missed.join(", ")));
    }
    (Some(op.holds(&observed, &share.ratio())), words)
}

/// The exact means of both sides.
fn measured_mean(check: &Check, samples: &[(u64, &SeedSample)]) -> Option<Measured> {
    let count = samples.len() as u64;
    let mean = |side: fn((Ratio, Ratio)) -> Ratio| {
        let sides = samples.iter().map(|(_, sample)| Some(side(sample.sides?)));
        let mut sum = Ratio::ZERO;
        for value in sides {
            sum = sum.checked_add(value?)?;
        }
        sum.checked_div(Ratio::whole(i128::from(count)))
    };
    let (left, right) = (mean(|(left, _)| left)?, mean(|(_, right)| right));
    measured(check.unit, left, right, Some(count))
}

/// The share of seeds in which the check is true.
fn measured_portion(share: Share, samples: &[(u64, &SeedSample)]) -> Option<Measured> {
    let holding = samples
        .iter()
        .filter(|(_, sample)| sample.holds == Some(true));
    let value = Ratio::new(holding.count() as i128, samples.len() as i128)?;
    let samples = samples.len() as u64;
    measured(Unit::Share, value, Some(share.ratio()), Some(samples))
}

fn in_words(check: &Check) -> String {
    let right = match &check.right {
        crate::check::Expression::Constant(value) => check.unit.format(*value),
        _ => "the right side".to_owned(),
    };
    match check.relation {
        Relation::Near(share) => format!("{right} in the interval, its half width within {share}"),
        Relation::Compare(op) => format!("the whole interval {op} {right}"),
    }
}

fn shown(unit: Unit, value: f64) -> String {
    // Six digits are more than an interval of few seeds supports.
    let scaled = if unit == Unit::Duration {
        (value, 1)
    } else {
        (value * 1e6, 1_000_000)
    };
    let whole = libm::rint(scaled.0);
    if !whole.is_finite() || libm::fabs(whole) > 1e30 {
        return format!("{value}");
    }
    unit.format(Ratio::new(whole as i128, scaled.1).unwrap_or(Ratio::ZERO))
}

fn percent(value: f64) -> String {
    if value.is_finite() {
        format!("{:.2}%", value * 100.0)
    } else {
        "undefined".to_owned()
    }
}

/// Wilson's score interval. Source: Wilson, "Probable inference", JASA 22, 1927.
fn wilson(held: f64, count: f64) -> (f64, f64) {
    let (p, z2) = (held / count, Z * Z);
    let centre = p + z2 / (2.0 * count);
    let spread = Z * libm::sqrt(p * (1.0 - p) / count + z2 / (4.0 * count * count));
    let scale = 1.0 + z2 / count;
    (
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    )
}

/// The upper quantile of Student's t, i.e. the value that is exceeded with probability `tail`. Computed by bisection.
fn t_quantile(tail: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if t_tail(middle, freedom) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The probability that Student's t exceeds a nonnegative `t`: half the incomplete beta function.
fn t_tail(t: f64, freedom: f64) -> f64 {
    beta_regularised(freedom / (freedom + t * t), freedom / 2.0, 0.5) / 2.0
}

/// The regularised incomplete beta function. Source: Press et al., Numerical Recipes, section 6.4.
fn beta_regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let log = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
        + a * libm::log(x)
        + b * libm::log1p(-x);
    let front = libm::exp(log);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

/// Lentz's continued fraction for the incomplete beta function.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| {
        if libm::fabs(value) < TINY {
            TINY
        } else {
            value
        }
    };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for step in 1..=500 {
        let m = f64::from(step);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / guard(1.0 + numerator * d);
            c = guard(1.0 + numerator / c);
            h *= d * c;
        }
        if libm::fabs(d * c - 1.0) < 1e-15 {
            break;
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::{t_quantile, wilson};

    /// The values are in any printed table of Student's t, column 0.995.
    #[test]
    fn the_quantiles_of_t_are_those_of_the_table() {
        for (freedom, value) in [
            (1.0, 63.657),
            (2.0, 9.925),
            (9.0, 3.250),
            (29.0, 2.756),
            (120.0, 2.617),
        ] {
            let ours = t_quantile(0.005, freedom);
            assert!((ours - value).abs() < 0.0006, "{freedom}: {ours}");
        }
    }

    #[test]
    fn the_interval_of_a_share_stays_within_nothing_and_all() {
        let (low, high) = wilson(30.0, 30.0);
        assert!(low > 0.8 && low < 0.83 && high == 1.0, "{low} {high}");
        let (low, _) = wilson(0.0, 30.0);
        assert!(low.abs() < 1e-12, "{low}");
    }
}
