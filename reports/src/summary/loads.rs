//! Loads: totals and histograms over the window, and every second of the run.

use std::collections::BTreeMap;

use shakedown_results::{
    Answer, Histogram, Latency, Load, Outcome, Party, PartyId, Second, StatusCount,
};

const SECOND_NS: i64 = 1_000_000_000;

/// All loads, in the cast's order.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    by_party: BTreeMap<PartyId, Fold>,
}

#[derive(Clone, Debug, Default)]
struct Fold {
    name: String,
    scheduled: u64,
    sent: u64,
    dropped: u64,
    ok: u64,
    errors: u64,
    timeouts: u64,
    statuses: BTreeMap<u16, u64>,
    latency: Histogram,
    ok_latency: Histogram,
    failed_latency: Histogram,
    uncorrected: Histogram,
    send_lag: Histogram,
    seconds: Vec<Second>,
    /// Index of the second that `ended` belongs to.
    second: usize,
    /// Latencies of the requests that ended in that second: bounded by what one second can hold, and exact.
    ended: Vec<i64>,
}

impl Loads {
    pub(super) fn new<'a>(
        parties: impl Iterator<Item = (usize, &'a Party)>,
        duration_ns: i64,
    ) -> Loads {
        let seconds = usize::try_from(duration_ns.max(0).unsigned_abs().div_ceil(1_000_000_000))
            .expect("the seconds of a run fit into memory's range");
        let fold = |(at, party): (usize, &Party)| {
            let id = PartyId(u16::try_from(at).expect("a cast has at most 65,536 parties"));
            let seconds = vec![Second::default(); seconds];
            (
                id,
                Fold {
                    name: party.name.clone(),
                    seconds,
                    ..Fold::default()
                },
            )
        };
        Loads {
            by_party: parties.map(fold).collect(),
        }
    }

    /// A scheduled request came to its end; `counts`: its clock started after the warm-up.
    pub(super) fn finished(
        &mut self,
        load: PartyId,
        at_ns: i64,
        intended_ns: i64,
        sent_ns: Option<i64>,
        outcome: Outcome,
        counts: bool,
    ) {
        let answer = outcome.answer;
        let fold = self
            .by_party
            .get_mut(&load)
            .expect("a root names a load of the cast");
        fold.second_of(intended_ns).offered += 1;
        fold.ended_at(at_ns, at_ns - intended_ns, answer);
        if !counts {
            return;
        }
        fold.scheduled += 1;
        match answer {
            Answer::Dropped => {
                fold.dropped += 1;
                return;
            }
            Answer::Ok => fold.ok += 1,
            Answer::Timeout => fold.timeouts += 1,
            Answer::Error | Answer::Cancelled => fold.errors += 1,
        }
        if outcome.status != 0 {
            *fold.statuses.entry(outcome.status).or_default() += 1;
        }
        fold.latency.record(at_ns - intended_ns);
        match answer {
            Answer::Ok => fold.ok_latency.record(at_ns - intended_ns),
            _ => fold.failed_latency.record(at_ns - intended_ns),
        }
        // One that ended while it waited for a connection has no clock but that of its intention.
        if let Some(sent_ns) = sent_ns {
            fold.sent += 1;
            fold.uncorrected.record(at_ns - sent_ns);
            fold.send_lag.record(sent_ns - intended_ns);
        }
    }

    /// The first app took up a try of this load.
    pub(super) fn admitted(&mut self, load: PartyId, at_ns: i64) {
        if let Some(fold) = self.by_party.get_mut(&load) {
            fold.second_of(at_ns).admitted += 1;
        }
    }

    pub(super) fn finish(self) -> Vec<Load> {
        self.by_party.into_values().map(Fold::finish).collect()
    }
}

impl Fold {
    fn second_of(&mut self, ns: i64) -> &mut Second {
        let at = usize::try_from(ns.max(0) / SECOND_NS).expect("not negative");
        if at >= self.seconds.len() {
            self.seconds.resize(at + 1, Second::default());
        }
        &mut self.seconds[at]
    }

    fn ended_at(&mut self, at_ns: i64, latency_ns: i64, answer: Answer) {
        let second = usize::try_from(at_ns.max(0) / SECOND_NS).expect("not negative");
        if second != self.second {
            self.close_second();
            self.second = second;
        }
        match answer {
            Answer::Ok => self.second_of(at_ns).ok += 1,
            _ => self.second_of(at_ns).failed += 1,
        }
        if answer != Answer::Dropped {
            self.ended.push(latency_ns.max(0));
        }
    }

    /// Records come in order of time, so a second is over when the next one's first record comes.
    fn close_second(&mut self) {
        let Some(second) = self.seconds.get_mut(self.second) else {
            return;
        };
        if self.ended.is_empty() {
            return;
        }
        second.p50_ns = exact_percentile(&mut self.ended, 50);
        second.p99_ns = exact_percentile(&mut self.ended, 99);
        self.ended.clear();
    }

    fn finish(mut self) -> Load {
        self.close_second();
        Load {
            name: self.name,
            scheduled: self.scheduled,
            sent: self.sent,
            unsent: self.scheduled - self.dropped - self.sent,
            dropped: self.dropped,
            ok: self.ok,
            errors: self.errors,
            timeouts: self.timeouts,
            statuses: self
                .statuses
                .into_iter()
                .map(|(status, count)| StatusCount { status, count })
                .collect(),
            latency_ns: Latency::of(self.latency),
            ok_latency_ns: Latency::of(self.ok_latency),
            failed_latency_ns: Latency::of(self.failed_latency),
            uncorrected_ns: Latency::of(self.uncorrected),
            send_lag_ns: Latency::of(self.send_lag),
            real: None,
            seconds: self.seconds,
        }
    }
}

/// The smallest value with at least `percent` of all at or below it.
fn exact_percentile(values: &mut [i64], percent: usize) -> i64 {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    *values.select_nth_unstable(rank - 1).1
}
