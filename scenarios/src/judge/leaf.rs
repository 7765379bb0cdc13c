//! A metric of a check: the events it receives, the requests it counts, and its value.

mod counting;
mod meter;

use shakedown_results::{Answer, Event, PodId, Record};

use super::board::{ALL_PPM, CountChange, PodBoard};
use super::fact::{Class, RequestFacts};
use super::slots::{Cell, CellKind, Slots};
use super::via::Via;
use crate::check::{
    Figure, Gauge, Metric, ParticipantSelector, Reduction, Statistic, Subject, Test,
};
use crate::value::Ratio;
use counting::{classes, happens, holds, is_root_of, matches, measured};

/// A metric and its accumulators.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    metric: Metric,
    slots: Slots,
    /// The class of events that form the total.
    all: Option<Class>,
    /// The class of events that may count.
    hit: Option<Class>,
    /// The class of events that record retries by an app or a load's client.
    tries: Option<Class>,
    via: Option<Via>,
    /// The value of a gauge since `since_ns`.
    value: i64,
    since_ns: i64,
    /// True if the metric has a window of its own, which is not divided into slices.
    own: bool,
}

/// The value of a metric, and the counts that it was computed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) value: Ratio,
    /// The numerator and denominator of a share.
    pub(super) parts: Option<(u64, u64)>,
    /// The number of requests or values; `None` if the figure is not computed from a sample.
    pub(super) samples: Option<u64>,
}

impl Leaf {
    pub(super) fn new(metric: &Metric, slots: Slots, own: bool) -> Leaf {
        let (all, hit) = classes(metric);
        let participants: Vec<(ParticipantSelector, bool)> = metric
            .conditions
            .iter()
            .filter_map(|condition| match &condition.test {
                Test::Via(participant) => Some((participant.clone(), condition.not)),
                _ => None,
            })
            .collect();
        Leaf {
            metric: metric.clone(),
            slots,
            all,
            hit,
            tries: match (metric.figure, &metric.subject) {
                (Figure::Retries, Subject::Load(_)) => Some(Class::Load),
                (Figure::Retries | Figure::Hedges, Subject::Edge { to, .. }) if !to.is_part() => {
                    Some(Class::Call)
                }
                _ => None,
            },
            via: (!participants.is_empty()).then(|| Via::new(participants)),
            value: 0,
            since_ns: i64::MIN,
            own,
        }
    }

    /// The storage that the cells of a metric need.
    pub(super) fn kind(metric: &Metric) -> CellKind {
        match metric.figure {
            Figure::Statistic(_, Statistic::Percentile(_)) => CellKind::Values,
            _ => CellKind::Plain,
        }
    }

    /// Returns true if the value is tracked over time as events change it.
    pub(super) fn is_meter(&self) -> bool {
        matches!(self.metric.figure, Figure::Gauge(..) | Figure::Busy)
    }

    /// The value of a gauge, in its unit.
    pub(super) fn value(&self) -> Ratio {
        self.in_unit(Ratio::whole(i128::from(self.value)))
    }

    fn in_unit(&self, value: Ratio) -> Ratio {
        match self.metric.figure {
            Figure::Gauge(Gauge::Weight, _) => value
                .checked_div(Ratio::whole(i128::from(ALL_PPM)))
                .expect("a share in parts per million is small"),
            _ => value,
        }
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Accumulates a reduced gauge up to a time, then changes it by `delta`.
    pub(super) fn step(&mut self, at_ns: i64, delta: i64) {
        if self.since_ns < at_ns {
            if self.since_ns == i64::MIN {
                // Nothing changed before the first event.
                self.slots.hold(0, at_ns, self.value);
            } else {
                self.slots.hold(self.since_ns, at_ns, self.value);
            }
            self.since_ns = at_ns;
        }
        self.value += delta;
    }

    /// Adds core time for `busy` of a service without workers.
    pub(super) fn worked(
        &mut self,
        pod: PodId,
        since_ns: i64,
        at_ns: i64,
        core_ns: i64,
        board: &PodBoard,
    ) {
        if let (Figure::Busy, Subject::Service(participant)) =
            (self.metric.figure, &self.metric.subject)
            && board.is_of(pod, participant)
            && board.limits(pod).0.is_none()
        {
            self.slots.spread(since_ns, at_ns, core_ns);
        }
    }

    /// Counts an event that does not belong to a request. Returns false if the metric does not count such events.
    pub(super) fn happened(
        &mut self,
        record: &Record,
        change: Option<CountChange>,
        board: &PodBoard,
    ) -> bool {
        let at_ns = record.at_ns;
        let (cell, by) = match (self.metric.figure, &self.metric.subject, &record.event) {
            (Figure::Hits, Subject::Fault(name), Event::FaultEnded { fault, hits }) => {
                match board.fault(*fault) {
                    Some((known, start_ns)) if known == name => {
                        (self.slots.by_start(start_ns), *hits)
                    }
                    _ => return false,
                }
            }
            (Figure::Events(happening), subject, _) => {
                if !happens(happening, subject, record, change, board) {
                    return false;
                }
                (self.slots.by_time(at_ns), 1)
            }
            _ => return false,
        };
        let Some(cell) = cell else {
            // Windows cannot include times before 0 s.
            return at_ns < 0;
        };
        cell.hits += by;
        true
    }

    pub(super) fn fact(&mut self, class: Class, fact: &RequestFacts, board: &PodBoard) {
        if class == Class::Arrival
            && let (Some(via), Some(root), Subject::Load(participant)) =
                (&mut self.via, fact.root, &self.metric.subject)
            && is_root_of(root, participant)
            && let Some((request, true)) = via.arrived(root.seq, fact, board)
        {
            self.count(&request);
        }
        if self.tries == Some(class) && matches(&self.metric, class, fact, board) {
            self.again(fact, board);
        }
        // A request that the callee's proxy turned away never reached the app, but belongs to the total, too.
        let missed = class == Class::Flagged && fact.turned_away && self.hit == Some(class);
        let (all, hit) = (self.all == Some(class) || missed, self.hit == Some(class));
        if !(all || hit) || !matches(&self.metric, class, fact, board) {
            return;
        }
        if all
            && matches!(self.metric.figure, Figure::Share | Figure::Amplification)
            && let Some(cell) = self.slots.by_start(fact.start_ns)
        {
            cell.all += 1;
        }
        if !hit {
            return;
        }
        let counts = self
            .metric
            .conditions
            .iter()
            .all(|condition| holds(condition, fact, board));
        let counts = match (&mut self.via, fact.root) {
            (Some(via), Some(root)) if class == Class::Load => {
                // A dropped request was never sent, so that no descendant can arrive.
                let sent = fact.outcome.answer != Answer::Dropped;
                match via.ended(
                    root.seq,
                    fact,
                    counts && self.slots.by_start(fact.start_ns).is_some(),
                ) {
                    None if sent => false,
                    None => via.give_up(root.seq),
                    Some(holds) => holds,
                }
            }
            (Some(_), _) => false,
            (None, _) => counts,
        };
        if counts {
            self.count(fact);
        }
    }

    /// Counts retries by an app or a load's client. With a sidecar, attempt events do not show them, because the
    /// sidecar restarts its numbering for each of them. The same applies to hedges.
    fn again(&mut self, fact: &RequestFacts, board: &PodBoard) {
        let tries = match self.metric.figure {
            Figure::Hedges => fact.hedges,
            _ => fact.number.saturating_sub(1),
        };
        if fact.from.is_some_and(|pod| board.is_meshed(pod))
            && let Some(cell) = self.slots.by_start(fact.start_ns)
        {
            cell.hits += u64::from(tries);
        }
    }

    /// Counts a request that meets the conditions.
    fn count(&mut self, fact: &RequestFacts) {
        let figure = self.metric.figure;
        let cell = match figure {
            Figure::Rate | Figure::Goodput => self.slots.by_time(fact.end_ns),
            Figure::Offered => self.slots.by_time(fact.start_ns),
            _ => self.slots.by_start(fact.start_ns),
        };
        let Some(cell) = cell else { return };
        match figure {
            Figure::Success | Figure::Errors if fact.is_beaten() => {}
            Figure::Success | Figure::Errors => {
                cell.all += 1;
                cell.hits += u64::from(fact.is_ok());
            }
            Figure::Count
            | Figure::Share
            | Figure::Offered
            | Figure::Attempts
            | Figure::Amplification => cell.hits += 1,
            Figure::Retries => cell.hits += u64::from(fact.number > 1),
            Figure::Hedges => cell.hits += u64::from(fact.hedge),
            Figure::Rate => cell.hits += u64::from(fact.outcome.status != 0),
            Figure::Goodput => cell.hits += u64::from(fact.is_ok() && fact.in_time),
            Figure::Statistic(measure, _) => {
                if let Some(value) = measured(measure, fact) {
                    cell.value(value);
                }
            }
            Figure::Busy | Figure::Gauge(..) | Figure::Events(_) | Figure::Hits => {}
        }
    }

    /// Ends the run at `end_ns`.
    pub(super) fn finish(&mut self, end_ns: i64) {
        let rest = self.via.as_mut().map(Via::rest).unwrap_or_default();
        for (fact, holds) in rest {
            if holds {
                self.count(&fact);
            }
        }
        if self.is_meter() {
            self.step(end_ns, 0);
        }
    }

    /// Measures amplification of a load's requests where they arrive rather than where they are sent.
    pub(super) fn descends_from_load(mut self) -> Leaf {
        if self.metric.figure == Figure::Amplification {
            (self.all, self.hit) = (Some(Class::Load), Some(Class::Arrival));
        }
        self
    }

    /// Returns the value in a slice.
    ///
    /// # Errors
    /// The reason why the value is undefined.
    pub(super) fn read(&self, slice: usize, board: &PodBoard) -> Result<Reading, String> {
        let slice = if self.own { 0 } else { slice };
        let empty = Cell::default();
        let cell = self.slots.read(slice).unwrap_or(&empty);
        let slice_ns = i128::from(self.slots.slice_ns());
        let nothing = || format!("`{}` has no matching requests", self.metric.text);
        let whole = |count: u64| Ratio::whole(i128::from(count));
        let plain = |value| {
            Ok(Reading {
                value,
                parts: None,
                samples: None,
            })
        };
        let of = |samples, value| {
            Ok(Reading {
                value,
                parts: None,
                samples: Some(samples),
            })
        };
        let part = |hits: u64| {
            let value = Ratio::new(i128::from(hits), i128::from(cell.all)).ok_or_else(nothing)?;
            Ok(Reading {
                value,
                parts: Some((hits, cell.all)),
                samples: Some(cell.all),
            })
        };
        let over_time = |amount: i128, per: i128| {
            Ratio::new(amount, slice_ns)
                .and_then(|r| r.checked_mul(Ratio::whole(per)))
                .ok_or_else(|| "out of range".to_owned())
        };
        match self.metric.figure {
            Figure::Success | Figure::Share => part(cell.hits),
            Figure::Errors => part(cell.all - cell.hits),
            Figure::Amplification => of(cell.all, part(cell.hits)?.value),
            Figure::Count
            | Figure::Attempts
            | Figure::Retries
            | Figure::Hedges
            | Figure::Events(_)
            | Figure::Hits => plain(whole(cell.hits)),
            Figure::Offered | Figure::Rate | Figure::Goodput => {
                of(cell.hits, over_time(i128::from(cell.hits), 1_000_000_000)?)
            }
            Figure::Statistic(_, statistic) => {
                of(cell.values, cell.statistic(statistic).ok_or_else(nothing)?)
            }
            Figure::Busy => {
                let Subject::Service(participant) = &self.metric.subject else {
                    return Err(nothing());
                };
                let capacity = board
                    .capacity(participant, self.slots.bounds(slice))
                    .ok_or_else(|| {
                        format!(
                            "`{}`: `busy` requires a service with `workers` or `cores`",
                            self.metric.text
                        )
                    })?;
                plain(Ratio::new(cell.integral, capacity).ok_or_else(nothing)?)
            }
            Figure::Gauge(_, reduction) => {
                let (min, max) = cell.range.ok_or_else(nothing)?;
                plain(self.in_unit(match reduction {
                    Some(Reduction::Min) => Ratio::whole(i128::from(min)),
                    Some(Reduction::Max) => Ratio::whole(i128::from(max)),
                    Some(Reduction::Mean) | None => over_time(cell.integral, 1)?,
                }))
            }
        }
    }
}
