//! The integral of a load's rate over time, and its inverse.
//!
//! Rates are whole thousandths of a request per hour and spans are whole nanoseconds, so levels and the boundaries
//! between segments are exact. Within a ramp the inverse solves a quadratic in floating point, accurate to a
//! nanosecond. It uses a square root, which is rounded the same on every platform.

use std::time::Duration;

use shakedown_scenarios::scenario::RateStage;
use shakedown_scenarios::value::{Rate, Ratio};

/// A request, in the unit of the integral: half a thousandth of a request per hour, for a nanosecond. Halves make the
/// area under a ramp, `(from + to) * length / 2`, a whole number.
pub(super) const EVENT: u128 = 2 * 1_000 * NANOS_PER_HOUR;
const NANOS_PER_HOUR: u128 = 3_600_000_000_000;

/// A rate over time, integrated.
#[derive(Debug)]
pub(super) struct Curve {
    stretches: Vec<Stretch>,
    /// The index of the segment of the last result. Results only move forward.
    at: usize,
}

/// A segment over which the rate is linear.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Start, ns.
    start: u64,
    /// Length, ns; `None` if unbounded.
    length: Option<u64>,
    /// The rate at its start.
    from: u128,
    /// The rate at its end.
    to: u128,
    /// The integral at its start.
    before: u128,
}

impl Curve {
    /// The integral of these stages. The rate at the end of the last stage continues after it.
    pub(super) fn new(stages: &[RateStage]) -> Curve {
        let mut stretches = Vec::with_capacity(stages.len() + 1);
        let mut level = 0;
        for stage in stages {
            let (from, to) = (
                thousandths_per_hour(stage.from),
                thousandths_per_hour(stage.to),
            );
            stretches.push(Stretch {
                start: 0,
                length: stage.length.map(nanos),
                from,
                to,
                before: 0,
            });
            level = to;
            if stage.length.is_none() {
                break;
            }
        }
        if stretches.last().is_none_or(|last| last.length.is_some()) {
            stretches.push(Stretch {
                start: 0,
                length: None,
                from: level,
                to: level,
                before: 0,
            });
        }
        let mut curve = Curve { stretches, at: 0 };
        curve.integrate();
        curve
    }

    /// Multiplies the rate between two times, counted from the curve's own start. Must be called before the first
    /// result.
    pub(super) fn multiply(&mut self, from: Duration, until: Option<Duration>, factor: Ratio) {
        let from = nanos(from);
        let until = until.map_or(u64::MAX, nanos);
        self.split(from);
        self.split(until);
        for stretch in &mut self.stretches {
            if (from..until).contains(&stretch.start) {
                stretch.from = times(stretch.from, factor);
                stretch.to = times(stretch.to, factor);
            }
        }
        self.integrate();
    }

    /// Splits the segment at this time.
    fn split(&mut self, at: u64) {
        let index = self.stretches.iter().position(|stretch| stretch.holds(at));
        let Some(index) = index else { return };
        let whole = self.stretches[index];
        let first = at - whole.start;
        if first == 0 {
            return;
        }
        let middle = whole.level_at(first);
        self.stretches[index] = Stretch {
            length: Some(first),
            to: middle,
            ..whole
        };
        let rest = Stretch {
            start: at,
            length: whole.length.map(|length| length - first),
            from: middle,
            ..whole
        };
        self.stretches.insert(index + 1, rest);
    }

    /// Computes the start of each segment, and the integral there.
    fn integrate(&mut self) {
        let (mut start, mut before) = (0u64, 0u128);
        for stretch in &mut self.stretches {
            (stretch.start, stretch.before) = (start, before);
            start = start.saturating_add(stretch.length.unwrap_or(0));
            before = before.saturating_add(stretch.area().unwrap_or(0));
        }
    }

    /// The first nanosecond at which the integral is `due` or more, rounded down; `None` if it never reaches it. `due`
    /// must not decrease from one call to the next.
    pub(super) fn reaches(&mut self, due: u128) -> Option<u64> {
        loop {
            let stretch = self.stretches.get(self.at)?;
            let wanted = due.saturating_sub(stretch.before);
            match stretch.area() {
                // A request that is due at the end of a segment belongs to the next one, which may start with a jump.
                Some(area) if wanted >= area => self.at += 1,
                _ => {
                    return stretch
                        .reaches(wanted)
                        .map(|offset| stretch.start.saturating_add(offset));
                }
            }
        }
    }
}

impl Stretch {
    fn holds(&self, at: u64) -> bool {
        let end = self.length.map(|length| self.start.saturating_add(length));
        at >= self.start && end.is_none_or(|end| at < end)
    }

    /// The rate at this offset from its start.
    fn level_at(&self, offset: u64) -> u128 {
        let Some(length) = self.length else {
            return self.from;
        };
        let part = |span: u128| span.saturating_mul(u128::from(offset)) / u128::from(length);
        if self.to >= self.from {
            self.from + part(self.to - self.from)
        } else {
            self.from - part(self.from - self.to)
        }
    }

    /// The integral over the whole segment; `None` if unbounded.
    fn area(&self) -> Option<u128> {
        self.length
            .map(|length| (self.from + self.to).saturating_mul(u128::from(length)))
    }

    /// The offset in ns at which the integral over this segment reaches `wanted`.
    fn reaches(&self, wanted: u128) -> Option<u64> {
        match self.length {
            Some(length) if self.from != self.to => Some(self.ramp_reaches(wanted, length)),
            _ if self.from == 0 => None,
            _ => u64::try_from(wanted / (2 * self.from)).ok(),
        }
    }

    /// Solves `2 * from * x + (to - from) * x^2 / length = wanted` in the form without cancellation.
    fn ramp_reaches(&self, wanted: u128, length: u64) -> u64 {
        let (from, to, wanted) = (self.from as f64, self.to as f64, wanted as f64);
        let slope = (to - from) / length as f64;
        let root = libm::sqrt((from * from + slope * wanted).max(0.0));
        let sum = from + root;
        // `wanted` is 0 at the start of a ramp from zero, so the request is due immediately.
        let offset = if sum > 0.0 { wanted / sum } else { 0.0 };
        (offset as u64).min(length)
    }
}

/// Exact, because the language writes rates per second, minute or hour, and a reduced span still divides an hour.
fn thousandths_per_hour(rate: Rate) -> u128 {
    u128::from(rate.milli()) * NANOS_PER_HOUR / u128::from(rate.span_ns())
}

/// A rate times a factor, which is not negative.
fn times(rate: u128, factor: Ratio) -> u128 {
    let by = |part: i128| u128::try_from(part).unwrap_or(0);
    rate.saturating_mul(by(factor.numerator())) / by(factor.denominator()).max(1)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
