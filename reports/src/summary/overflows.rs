//! Outlier detections that could not eject, by caller and service.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_results::{EjectionOverflow, Event, ParticipantId, Participants, PodId, Record};

/// All pairs with an overflow, in the order of participants.
#[derive(Clone, Debug, Default)]
pub(super) struct Overflows {
    by_pair: BTreeMap<(ParticipantId, ParticipantId), OverflowFold>,
}

#[derive(Clone, Debug)]
struct OverflowFold {
    count: u64,
    pods: BTreeSet<PodId>,
    from_ns: i64,
    to_ns: i64,
}

impl Overflows {
    pub(super) fn record(&mut self, participants: &Participants, record: &Record) {
        let Event::EjectionOverflow { at, pod, .. } = &record.event else {
            return;
        };
        let pair = (
            participants.participant_of(*at),
            participants.participant_of(*pod),
        );
        let fold = self.by_pair.entry(pair).or_insert_with(|| OverflowFold {
            count: 0,
            pods: BTreeSet::new(),
            from_ns: record.at_ns,
            to_ns: record.at_ns,
        });
        fold.count += 1;
        fold.pods.insert(*pod);
        fold.to_ns = record.at_ns;
    }

    pub(super) fn finish(self, participants: &[(String, Vec<String>)]) -> Vec<EjectionOverflow> {
        let name = |id: ParticipantId| participants[usize::from(id.0)].0.clone();
        let row = |((from, to), fold): (_, OverflowFold)| EjectionOverflow {
            source: name(from),
            destination: name(to),
            count: fold.count,
            pods: fold.pods.len() as u64,
            from_ns: fold.from_ns,
            to_ns: fold.to_ns,
        };
        self.by_pair.into_iter().map(row).collect()
    }
}
