//! The times at which the requests of a load are due: pure, and the same for the same seed.
//!
//! The rate over time is integrated once. Request k is due when the integral reaches k (constant) or the sum of k + 1
//! unit exponentials (Poisson: a time change of the unit process). Both apply to ramps without a special case.

mod curve;

use std::time::Duration;

use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use shakedown_env::Rng;
use shakedown_scenarios::scenario::{Arrivals, LoadSpec};
use shakedown_scenarios::value::{Ratio, exponential};

use curve::{Curve, EVENT};

/// A request of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledArrival {
    /// The number of the request, from 0, in order of time.
    pub seq: u64,
    /// The intended time of sending, since 0 s.
    pub at: Duration,
    /// The index of the entry in the load's mix.
    pub entry: u16,
}

/// An interval in which a load's rate is multiplied. Overlapping intervals multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surge {
    /// Start, since 0 s.
    pub from: Duration,
    /// End, since 0 s; `None` if unbounded.
    pub until: Option<Duration>,
    /// The factor of the rate.
    pub factor: Ratio,
}

/// The requests of a load in order of time. Ends when the load stops.
#[derive(Debug)]
pub struct Schedule {
    curve: Curve,
    arrivals: Arrivals,
    start: Duration,
    stop: Duration,
    /// The value of the integral of the rate at which the next request is due, in parts of a request.
    due: u128,
    seq: u64,
    gaps: Rng,
    choices: Rng,
    /// The weights of the mix. `None` if nothing is drawn: for a single entry, or if all weights are zero.
    weights: Option<WeightedIndex<u64>>,
}

impl Schedule {
    /// The schedule of `load` under these surges. `gaps` draws its arrivals, `choices` the entries of its mix.
    pub fn new(load: &LoadSpec, surges: &[Surge], gaps: Rng, choices: Rng) -> Schedule {
        let weights = WeightedIndex::new(load.entries.iter().map(|entry| entry.weight));
        let weights = weights.ok().filter(|_| load.entries.len() > 1);
        let mut curve = Curve::new(&load.stages);
        for surge in surges {
            // The curve starts when the load does.
            let from = surge.from.saturating_sub(load.start);
            let until = surge.until.map(|until| until.saturating_sub(load.start));
            curve.multiply(from, until, surge.factor);
        }
        let mut schedule = Schedule {
            curve,
            arrivals: load.arrivals,
            start: load.start,
            stop: load.stop,
            due: 0,
            seq: 0,
            gaps,
            choices,
            weights,
        };
        if load.arrivals == Arrivals::Poisson {
            schedule.due = schedule.gap();
        }
        schedule
    }

    /// The time at which the load stops, since 0 s.
    pub(crate) fn end(&self) -> Duration {
        self.stop
    }

    /// Draws the increase of the integral of the rate from one request to the next.
    fn gap(&mut self) -> u128 {
        match self.arrivals {
            Arrivals::Constant => EVENT,
            Arrivals::Poisson => (exponential(&mut self.gaps) * EVENT as f64) as u128,
        }
    }

    fn choose(&mut self) -> u16 {
        let entry = self
            .weights
            .as_ref()
            .map(|weights| weights.sample(&mut self.choices));
        u16::try_from(entry.unwrap_or(0)).unwrap_or(u16::MAX)
    }
}

impl Iterator for Schedule {
    type Item = ScheduledArrival;

    fn next(&mut self) -> Option<ScheduledArrival> {
        let at = self.start + Duration::from_nanos(self.curve.reaches(self.due)?);
        if at >= self.stop {
            return None;
        }
        let gap = self.gap();
        self.due = self.due.saturating_add(gap);
        let seq = self.seq;
        self.seq += 1;
        Some(ScheduledArrival {
            seq,
            at,
            entry: self.choose(),
        })
    }
}

#[cfg(test)]
mod tests;
