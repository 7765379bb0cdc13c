//! Axes: the position of a value between 0 and 1, and the ticks.

use crate::units;

const SECOND: i64 = 1_000_000_000;

/// A scale from values to [0, 1], with its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    scale: AxisScale,
    low: f64,
    high: f64,
    /// Position in [0, 1] and label; an empty label draws a line only.
    pub(crate) ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, Debug)]
enum AxisScale {
    Linear,
    Log,
}

impl Axis {
    /// A time axis from 0 s to `end_ns`, with at most `ticks_max` ticks, labelled as in the scenario
    /// language.
    pub(crate) fn time(end_ns: i64, ticks_max: i64) -> Axis {
        let end_ns = end_ns.max(1);
        let step = time_steps()
            .find(|step| end_ns / step < ticks_max)
            .unwrap_or(end_ns);
        let mut axis = Axis {
            scale: AxisScale::Linear,
            low: 0.0,
            high: end_ns as f64,
            ticks: vec![],
        };
        let ticks = (0..=end_ns / step).map(|i| (axis.place(i * step), units::written(i * step)));
        axis.ticks = ticks.collect();
        axis
    }

    /// An axis of counts from 0 to at least `max`, in round steps.
    pub(crate) fn linear(max: u64, ticks_max: u64) -> Axis {
        let max = max.max(1);
        let step = (0..19)
            .flat_map(|decade| [1, 2, 5].map(|m| m * 10u64.pow(decade)))
            .find(|step| max.div_ceil(*step) < ticks_max)
            .unwrap_or(max);
        let top = max.div_ceil(step);
        let ticks = (0..=top)
            .map(|i| (i as f64 / top as f64, units::count(i.saturating_mul(step))))
            .collect();
        Axis {
            scale: AxisScale::Linear,
            low: 0.0,
            high: top as f64 * step as f64,
            ticks,
        }
    }

    /// An axis of shares from 0% to 100%, in parts per million.
    pub(crate) fn share() -> Axis {
        Axis {
            scale: AxisScale::Linear,
            low: 0.0,
            high: 1_000_000.0,
            ticks: [0u32, 50, 100]
                .map(|percent| (f64::from(percent) / 100.0, format!("{percent}%")))
                .to_vec(),
        }
    }

    /// A logarithmic axis of durations, from a round value at or below `min_ns` to one at or above `max_ns`.
    pub(crate) fn log(min_ns: i64, max_ns: i64, labels_max: usize) -> Axis {
        let (min, max) = (min_ns.max(1), max_ns.max(min_ns).max(1));
        let rungs: Vec<i64> = (0..19)
            .flat_map(|decade| [1, 2, 5].map(|m: i64| m.saturating_mul(10i64.pow(decade))))
            .collect();
        let first = rungs.iter().rposition(|rung| *rung <= min).unwrap_or(0);
        let last = rungs
            .iter()
            .position(|rung| *rung >= max)
            .unwrap_or(rungs.len() - 1)
            .max(first + 1);
        let rungs = &rungs[first..=last.min(rungs.len() - 1)];
        let mut axis = Axis {
            scale: AxisScale::Log,
            low: (rungs[0] as f64).log10(),
            high: (rungs[rungs.len() - 1] as f64).log10(),
            ticks: vec![],
        };
        // Labels are at 1-2-5 steps if there is room, else at every n-th decade.
        let every = if rungs.len() <= labels_max {
            None
        } else {
            Some(
                (rungs.len() as u32)
                    .div_ceil(3)
                    .div_ceil(labels_max.max(1) as u32),
            )
        };
        let labelled = |rung: i64| match every {
            None => true,
            Some(every) => rung == 10i64.pow(rung.ilog10()) && rung.ilog10().is_multiple_of(every),
        };
        let label = |rung| {
            if labelled(rung) {
                round(rung)
            } else {
                String::new()
            }
        };
        axis.ticks = rungs
            .iter()
            .map(|rung| (axis.place(*rung), label(*rung)))
            .collect();
        axis
    }

    /// Returns the position of a value. Values beyond an end are placed at that end.
    pub(crate) fn place(&self, value: i64) -> f64 {
        let value = match self.scale {
            AxisScale::Linear => value as f64,
            AxisScale::Log => (value.max(1) as f64).log10(),
        };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Returns the value at a position, rounded down.
    pub(crate) fn value_at(&self, place: f64) -> i64 {
        let value = self.low + (self.high - self.low) * place;
        match self.scale {
            AxisScale::Linear => value as i64,
            AxisScale::Log => 10f64.powf(value).round() as i64,
        }
    }
}

/// The nines axis. A quantile q is placed at log10(1 / (1 - q)), so that 90%, 99% and 99.9% are evenly spaced
/// and the tail gets as much room as the rest. The axis ends at the sample's resolution, one in `count`, but
/// never before 99%.
#[derive(Clone, Debug)]
pub(crate) struct Nines {
    span: f64,
    count: u64,
    /// Position in [0, 1] and label.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Nines {
    /// Creates the axis of `count` samples.
    pub(crate) fn new(count: u64) -> Nines {
        let span = (count.max(100) as f64).log10();
        let mut nines = Nines {
            span,
            count,
            ticks: vec![],
        };
        let tick =
            |above: u64, of: u64, label: &str| (nines.place_above(above, of), label.to_owned());
        let mut ticks = vec![
            tick(1, 1, "0%"),
            tick(1, 2, "50%"),
            tick(1, 10, "90%"),
            tick(1, 100, "99%"),
        ];
        let mut of = 1_000u64;
        while of <= count {
            let label = format!("99.{}%", "9".repeat(of.ilog10() as usize - 2));
            ticks.push(tick(1, of, &label));
            of = of.saturating_mul(10);
        }
        nines.ticks = ticks;
        nines
    }

    /// Returns the position of the quantile with `at_or_below` of the samples at or below it.
    pub(crate) fn place(&self, at_or_below: u64) -> f64 {
        self.place_above(self.count.saturating_sub(at_or_below), self.count)
    }

    fn place_above(&self, above: u64, of: u64) -> f64 {
        if above == 0 || of == 0 {
            return 1.0;
        }
        ((of as f64 / above as f64).log10() / self.span).clamp(0.0, 1.0)
    }
}

/// Formats a round duration without decimals: `4 ms`, `500 µs`.
fn round(ns: i64) -> String {
    let (unit, name) = [(SECOND, "s"), (1_000_000, "ms"), (1_000, "µs")]
        .into_iter()
        .find(|(unit, _)| ns >= *unit)
        .unwrap_or((1, "ns"));
    format!("{} {name}", units::count((ns / unit).unsigned_abs()))
}

/// Steps of a time axis: 1, 2 and 5 below a second, then the usual units of clocks and calendars.
fn time_steps() -> impl Iterator<Item = i64> {
    let below = (0..9).flat_map(|decade| [1, 2, 5].map(|m: i64| m * 10i64.pow(decade)));
    let seconds = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200,
        86_400,
    ];
    let days = (1..=12).map(|power| 86_400i64 << power);
    below.chain(
        seconds
            .into_iter()
            .chain(days)
            .map(|seconds| seconds * SECOND),
    )
}
