//! Loads: totals and histograms over the counted time, and one row per second with any event.
//!
//! Memory is bounded by the number of such seconds, and in long runs by [`LOAD_ROWS_MAX`] rows per load.

use std::collections::BTreeMap;

use shakedown_results::{
    Answer, Histogram, LOAD_ROWS_MAX, Latency, Load, Outcome, Participant, ParticipantId, Second,
    StatusCount,
};

const SECOND_NS: i64 = 1_000_000_000;

/// All loads, in the order of participants.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    by_participant: BTreeMap<ParticipantId, LoadRowFold>,
}

#[derive(Clone, Debug, Default)]
struct LoadRowFold {
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
    seconds_each: u64,
    /// By row number.
    rows: BTreeMap<u64, Second>,
    /// The second that `ended` belongs to.
    second: u64,
    /// Exact latencies of the requests that ended in that second; bounded by the requests of one second.
    ended: Vec<i64>,
}

impl Loads {
    pub(super) fn new<'a>(
        loads: impl Iterator<Item = (ParticipantId, &'a Participant)>,
        duration_ns: i64,
    ) -> Loads {
        let seconds_each = seconds_each(duration_ns);
        let fold = |(id, load): (ParticipantId, &Participant)| {
            let fold = LoadRowFold {
                name: load.name.clone(),
                seconds_each,
                ..LoadRowFold::default()
            };
            (id, fold)
        };
        Loads {
            by_participant: loads.map(fold).collect(),
        }
    }

    /// Adds the end of a scheduled request. `counts` is true if it was due after the warm-up.
    pub(super) fn finished(
        &mut self,
        load: ParticipantId,
        at_ns: i64,
        intended_ns: i64,
        sent_ns: Option<i64>,
        outcome: Outcome,
        counts: bool,
    ) {
        let answer = outcome.answer;
        let fold = self
            .by_participant
            .get_mut(&load)
            .expect("a root names a load of the run");
        fold.row_at(second_of(intended_ns)).offered += 1;
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
        // A request that ended while it waited for a connection has only an intended send time.
        if let Some(sent_ns) = sent_ns {
            fold.sent += 1;
            fold.uncorrected.record(at_ns - sent_ns);
            fold.send_lag.record(sent_ns - intended_ns);
        }
    }

    /// Counts an attempt of this load that the first app admitted.
    pub(super) fn admitted(&mut self, load: ParticipantId, at_ns: i64) {
        if let Some(fold) = self.by_participant.get_mut(&load) {
            fold.row_at(second_of(at_ns)).admitted += 1;
        }
    }

    pub(super) fn finish(self) -> Vec<Load> {
        self.by_participant
            .into_values()
            .map(LoadRowFold::finish)
            .collect()
    }
}

impl LoadRowFold {
    /// Returns the row that contains a second.
    fn row_at(&mut self, second: u64) -> &mut Second {
        let each = self.seconds_each;
        let row = second / each;
        self.rows.entry(row).or_insert_with(|| Second {
            from_s: row * each,
            ..Second::default()
        })
    }

    fn ended_at(&mut self, at_ns: i64, latency_ns: i64, answer: Answer) {
        let second = second_of(at_ns);
        if second != self.second {
            self.close_second();
            self.second = second;
        }
        match answer {
            Answer::Ok => self.row_at(second).ok += 1,
            _ => self.row_at(second).failed += 1,
        }
        if answer != Answer::Dropped {
            self.ended.push(latency_ns.max(0));
        }
    }

    /// Computes the percentiles of a second. Called with the first record of a later second, since records
    /// are in order of time.
    fn close_second(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let p50_ns = exact_percentile(&mut self.ended, 50);
        let p99_ns = exact_percentile(&mut self.ended, 99);
        self.ended.clear();
        let row = self.row_at(self.second);
        row.p50_ns = row.p50_ns.max(p50_ns);
        row.p99_ns = row.p99_ns.max(p99_ns);
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
            latency_ns: Latency::from_histogram(self.latency),
            ok_latency_ns: Latency::from_histogram(self.ok_latency),
            failed_latency_ns: Latency::from_histogram(self.failed_latency),
            uncorrected_ns: Latency::from_histogram(self.uncorrected),
            send_lag_ns: Latency::from_histogram(self.send_lag),
            real: None,
            seconds_each: self.seconds_each,
            seconds: self.rows.into_values().collect(),
        }
    }
}

fn second_of(ns: i64) -> u64 {
    (ns.max(0) / SECOND_NS).unsigned_abs()
}

/// Returns the number of seconds per row for which at most [`LOAD_ROWS_MAX`] rows cover the run, rounded up
/// to a readable number.
fn seconds_each(duration_ns: i64) -> u64 {
    let seconds = duration_ns
        .max(0)
        .unsigned_abs()
        .div_ceil(SECOND_NS.unsigned_abs());
    let least = seconds.div_ceil(LOAD_ROWS_MAX).max(1);
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600]
        .into_iter()
        .find(|each| *each >= least)
        .unwrap_or_else(|| least.next_multiple_of(3_600))
}

/// Returns the smallest value with at least `percent` of all values at or below it.
fn exact_percentile(values: &mut [i64], percent: usize) -> i64 {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    *values.select_nth_unstable(rank - 1).1
}
