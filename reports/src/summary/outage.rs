//! The intervals in which proxies kept traffic away from pods: ejections, and circuit breakers at their
//! limit. Overlapping intervals of several proxies are one.

use std::collections::BTreeMap;

use shakedown_results::series::Stretches;
use shakedown_results::{Event, ParticipantId, Participants, PodId, Record};
use shakedown_types::BreakerLimit;

/// Maximum number of rows per kind.
const ROWS_MAX: usize = 64;
/// Gaps shorter than this fraction of the run are ignored, because no chart could show them. This bounds the
/// number of intervals.
const GAPS: i64 = 2_000;

#[derive(Clone, Debug, Default)]
pub(super) struct OutageFold {
    gap_ns: i64,
    /// By ejected pod.
    ejected: BTreeMap<PodId, OutageRow>,
    /// By caller, callee and limit.
    breakers: BTreeMap<(ParticipantId, ParticipantId, BreakerLimit), OutageRow>,
}

/// A condition that several proxies may report at the same time.
#[derive(Clone, Debug, Default)]
struct OutageRow {
    /// Number of open reports of the condition, by proxy.
    held: BTreeMap<PodId, u32>,
    /// Start and end of each interval; the last one may be open.
    spans: Vec<(i64, i64)>,
}

impl OutageFold {
    pub(super) fn new(participants: &Participants) -> OutageFold {
        OutageFold {
            gap_ns: participants.duration_ns / GAPS,
            ..OutageFold::default()
        }
    }

    pub(super) fn record(&mut self, participants: &Participants, record: &Record) {
        let (at_ns, gap_ns) = (record.at_ns, self.gap_ns);
        match &record.event {
            Event::Ejected { at, pod, .. } => {
                self.ejected
                    .entry(*pod)
                    .or_default()
                    .take(*at, at_ns, gap_ns);
            }
            Event::Returned { at, pod } => {
                if let Some(row) = self.ejected.get_mut(pod) {
                    row.give(*at, at_ns);
                }
            }
            Event::Breaker {
                at,
                to,
                limit,
                open,
            } => {
                let key = (participants.participant_of(*at), *to, *limit);
                let row = self.breakers.entry(key).or_default();
                if *open {
                    row.take(*at, at_ns, gap_ns)
                } else {
                    row.give(*at, at_ns)
                }
            }
            // A crash ends the ejection of the pod, and its proxy loses its state.
            Event::Crashed { pod } | Event::Stopped { pod } => {
                if let Some(row) = self.ejected.get_mut(pod) {
                    row.clear(at_ns);
                }
                let rows = self.ejected.values_mut().chain(self.breakers.values_mut());
                rows.for_each(|row| row.forget(*pod, at_ns));
            }
            _ => {}
        }
    }

    /// Returns ejections by pod, in order of services, versions and replicas, and breakers by edge and limit.
    /// Open intervals end at `end_ns`.
    pub(super) fn finish(
        self,
        names: &BTreeMap<PodId, PodName>,
        participant: impl Fn(ParticipantId) -> String,
        end_ns: i64,
    ) -> (Vec<Stretches>, Vec<Stretches>) {
        let mut pods: Vec<(PodName, OutageRow)> = self
            .ejected
            .into_iter()
            .filter_map(|(pod, row)| Some((names.get(&pod)?.clone(), row)))
            .collect();
        pods.sort_by_key(|(pod, _)| pod.order);
        let pods = pods
            .into_iter()
            .map(|(pod, row)| row.finish(pod.name, end_ns));
        let breakers = self.breakers.into_iter().map(|((from, to, limit), row)| {
            row.finish(
                format!("{} -> {} ({limit})", participant(from), participant(to)),
                end_ns,
            )
        });
        let some = |row: &Stretches| !row.spans.is_empty();
        (
            pods.filter(some).take(ROWS_MAX).collect(),
            breakers.filter(some).take(ROWS_MAX).collect(),
        )
    }
}

/// A pod's name, and its position in the order of all pods.
#[derive(Clone, Debug)]
pub(super) struct PodName {
    pub(super) name: String,
    pub(super) order: (ParticipantId, u16, u32),
}

impl OutageRow {
    fn take(&mut self, by: PodId, at_ns: i64, gap_ns: i64) {
        if self.held.is_empty() {
            match self.spans.last_mut() {
                Some(last) if at_ns - last.1 <= gap_ns => last.1 = i64::MAX,
                _ => self.spans.push((at_ns, i64::MAX)),
            }
        }
        *self.held.entry(by).or_default() += 1;
    }

    fn give(&mut self, by: PodId, at_ns: i64) {
        let Some(times) = self.held.get_mut(&by) else {
            return;
        };
        *times -= 1;
        if *times == 0 {
            self.forget(by, at_ns);
        }
    }

    fn forget(&mut self, by: PodId, at_ns: i64) {
        if self.held.remove(&by).is_some() && self.held.is_empty() {
            self.close(at_ns);
        }
    }

    fn clear(&mut self, at_ns: i64) {
        if !self.held.is_empty() {
            self.held.clear();
            self.close(at_ns);
        }
    }

    fn close(&mut self, at_ns: i64) {
        if let Some(last) = self.spans.last_mut() {
            last.1 = at_ns;
        }
    }

    fn finish(self, name: String, end_ns: i64) -> Stretches {
        let spans = self.spans.into_iter();
        let spans = spans.map(|(from, to)| (from, to.min(end_ns.max(from))));
        Stretches {
            name,
            spans: spans.collect(),
        }
    }
}
