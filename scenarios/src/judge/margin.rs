//! The distance of a sweep's seeds to the limit of a check: the least, the median and the worst measured value.

use shakedown_results::{Measured, MeasuredUnit, Number};

use crate::check::{Check, Op, Relation, Temporal};
use crate::value::{Ratio, Unit};

/// The measured values of a check under the seeds of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Margin {
    /// A summary: minimum, median, maximum and the worst seed.
    pub words: String,
    /// The seeds with a value, the worst first. Ties are ordered by seed.
    pub worst_first: Vec<u64>,
}

/// The direction in which values get worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worse {
    Greater,
    Less,
    /// Away from the limit.
    Further,
}

/// Compares the measured values of a check under several seeds. `None` if there are none.
pub fn margin(check: &Check, values: &[(u64, Measured)]) -> Option<Margin> {
    let first = values.first()?.1;
    // A `recovers` check measures a time in seeds that recover and a value in the others. Values of another unit are
    // ignored.
    let values: Vec<(u64, Measured)> = values
        .iter()
        .filter(|(_, measured)| measured.unit == first.unit)
        .copied()
        .collect();
    let worse = worse(check);
    let badness = |measured: &Measured| {
        let value = measured.value.millionths();
        match (worse, measured.limit) {
            (Worse::Greater, _) => value,
            (Worse::Less, _) => -value,
            (Worse::Further, Some(limit)) => (value - limit.millionths()).abs(),
            (Worse::Further, None) => 0,
        }
    };
    let mut ordered: Vec<Number> = values.iter().map(|(_, measured)| measured.value).collect();
    ordered.sort_unstable();
    let mut worst_first = values.clone();
    worst_first.sort_by_key(|(seed, measured)| (std::cmp::Reverse(badness(measured)), *seed));
    let show = |value: Number| shown(first.unit, value);
    let (least, greatest) = (*ordered.first()?, *ordered.last()?);
    let worst = worst_first.first()?.0;
    let words = if least == greatest {
        format!("always {}", show(least))
    } else {
        format!(
            "min {}, median {}, max {}; worst seed {worst}",
            show(least),
            show(ordered[(ordered.len() - 1) / 2]),
            show(greatest)
        )
    };
    Some(Margin {
        words,
        worst_first: worst_first.into_iter().map(|(seed, _)| seed).collect(),
    })
}

fn worse(check: &Check) -> Worse {
    let greater = match (check.temporal, check.relation) {
        // A later recovery is worse.
        (Temporal::Recovers, _) => true,
        (_, Relation::Compare(Op::Less | Op::AtMost)) => true,
        (_, Relation::Compare(Op::More | Op::AtLeast)) => false,
        (_, Relation::Compare(Op::Equal | Op::Differs) | Relation::Near(_)) => {
            return Worse::Further;
        }
    };
    if greater != (check.temporal == Temporal::Never) {
        Worse::Greater
    } else {
        Worse::Less
    }
}

fn shown(unit: MeasuredUnit, value: Number) -> String {
    let (unit, divisor) = match unit {
        MeasuredUnit::Nanoseconds => (Unit::Duration, 1),
        MeasuredUnit::Percent => (Unit::Share, 100),
        MeasuredUnit::PerSecond => (Unit::Rate, 1),
        MeasuredUnit::Count => (Unit::Count, 1),
        MeasuredUnit::Bytes => (Unit::Size, 1),
    };
    let ratio = Ratio::new(value.millionths(), divisor * 1_000_000);
    unit.format(ratio.unwrap_or(Ratio::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tests::small_scenario;

    fn new(check: &str, unit: MeasuredUnit, limit: i128, values: &[i128]) -> Margin {
        let number = |whole: i128| Number::from_millionths(whole * 1_000_000);
        let values: Vec<(u64, Measured)> = (1..)
            .zip(values)
            .map(|(seed, value)| {
                let measured = Measured {
                    value: number(*value),
                    unit,
                    limit: Some(number(limit)),
                    samples: None,
                };
                (seed, measured)
            })
            .collect();
        margin(&small_scenario(&[check]).checks[0], &values).unwrap()
    }

    #[test]
    fn the_worst_seed_is_nearest_to_the_limit_or_furthest_beyond_it() {
        let ns = MeasuredUnit::Nanoseconds;
        let ms = |values: [i128; 4]| values.map(|ms| ms * 1_000_000);
        let margin = new("p99(users) < 250ms", ns, 250_000_000, &ms([20, 90, 40, 10]));
        assert_eq!(
            margin.words,
            "min 10ms, median 20ms, max 90ms; worst seed 2"
        );
        assert_eq!(margin.worst_first, [2, 3, 1, 4]);
        let percent = MeasuredUnit::Percent;
        let margin = new("success(users) >= 99%", percent, 99, &[100, 99, 100]);
        assert_eq!(margin.worst_first, [2, 1, 3]);
        let margin = new("never success(users) < 10% per 1s", percent, 10, &[50, 20]);
        assert_eq!(margin.worst_first, [2, 1]);
        let count = MeasuredUnit::Count;
        let margin = new("count(users) ~= 10 within 50%", count, 10, &[9, 12, 10]);
        assert_eq!(margin.worst_first, [2, 1, 3]);
        let margin = new("count(users) == 10", count, 10, &[10, 10]);
        assert_eq!(margin.words, "always 10");
    }
}
