//! Edges: pairs of caller and callee with at least one call.

use std::collections::BTreeMap;

use shakedown_results::{Answer, AskedHost, Edge, Histogram, Latency, ParticipantId};

/// All edges by caller, then callee, in the order of participants.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    by_pair: BTreeMap<(ParticipantId, ParticipantId), EdgeFold>,
}

#[derive(Clone, Debug, Default)]
struct EdgeFold {
    requests: u64,
    attempts: u64,
    retried: u64,
    errors: u64,
    latency: Histogram,
    /// Number of calls by called host, if it differs from the callee.
    requested: BTreeMap<ParticipantId, u64>,
}

impl Edges {
    /// Counts a call. `requested` is the called host, if it differs from the callee.
    pub(super) fn call(
        &mut self,
        pair: (ParticipantId, ParticipantId),
        requested: Option<ParticipantId>,
        latency_ns: i64,
        answer: Answer,
    ) {
        let fold = self.by_pair.entry(pair).or_default();
        if let Some(requested) = requested {
            *fold.requested.entry(requested).or_default() += 1;
        }
        fold.requests += 1;
        fold.errors += u64::from(answer != Answer::Ok);
        if answer != Answer::Dropped {
            fold.latency.record(latency_ns);
        }
    }

    pub(super) fn attempt(&mut self, pair: (ParticipantId, ParticipantId)) {
        self.by_pair.entry(pair).or_default().attempts += 1;
    }

    /// Counts retries of a load's client. Each of its attempts is also counted as a call.
    pub(super) fn retried(&mut self, pair: (ParticipantId, ParticipantId), times: u64) {
        self.by_pair.entry(pair).or_default().retried += times;
    }

    pub(super) fn finish(self, participants: &[(String, Vec<String>)]) -> Vec<Edge> {
        let name = |id: ParticipantId| participants[usize::from(id.0)].0.clone();
        let edge = |((from, to), fold): (_, EdgeFold)| Edge {
            source: name(from),
            destination: name(to),
            asked: fold
                .requested
                .into_iter()
                .map(|(host, requests)| AskedHost {
                    host: name(host),
                    requests,
                })
                .collect(),
            requests: fold.requests,
            attempts: fold.attempts,
            retried: fold.retried,
            errors: fold.errors,
            latency_ns: Latency::from_histogram(fold.latency),
        };
        self.by_pair.into_iter().map(edge).collect()
    }
}
