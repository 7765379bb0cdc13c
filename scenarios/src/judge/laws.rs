//! Invariants of every run, independent of its scenario. A violation is a bug in this project, and the run proves
//! nothing.

use std::collections::BTreeMap;

use shakedown_results::{Answer, Event, Fate, Participants, PodId, Record};

use super::board::PodBoard;
use crate::scenario::ResolvedScenario;

/// The counters behind the invariants.
#[derive(Clone, Debug)]
pub(super) struct Laws {
    participants: Vec<ParticipantCounters>,
    queues: BTreeMap<PodId, QueueCounters>,
    /// The names of chaos items that must happen, each with true if it did.
    items: BTreeMap<String, bool>,
    faults: Vec<String>,
    said: Vec<String>,
    /// True if a request may end before it was sent, such as one on a real server that waits for its connection.
    may_end_unsent: bool,
}

#[derive(Clone, Debug, Default)]
struct ParticipantCounters {
    name: String,
    sent: u64,
    finished_sent: u64,
    /// Dropped requests that were sent, or other requests that were not.
    contradictions: u64,
    arrived: u64,
    served: u64,
    ok_attempts: u64,
}

/// The queue of a pod with workers or cores, for Little's law: the total time that requests spend in the queue equals
/// the integral of its length.
#[derive(Clone, Debug, Default)]
struct QueueCounters {
    length: u32,
    since_ns: i64,
    integral: i128,
    waits: i128,
    served: i128,
    /// True if a request in the queue died with its pod. The recorded end is then not exact.
    disturbed: bool,
}

impl Laws {
    pub(super) fn new(scenario: &ResolvedScenario, participants: &Participants) -> Laws {
        let must_happen = scenario.chaos.iter().filter(|item| !item.may_miss);
        Laws {
            participants: participants
                .list
                .iter()
                .map(|p| ParticipantCounters {
                    name: p.name.clone(),
                    ..ParticipantCounters::default()
                })
                .collect(),
            queues: BTreeMap::new(),
            items: must_happen.map(|item| (item.name.clone(), false)).collect(),
            faults: participants
                .faults
                .iter()
                .map(|fault| fault.name.clone())
                .collect(),
            said: Vec::new(),
            may_end_unsent: false,
        }
    }

    pub(super) fn allow_unsent(&mut self) {
        self.may_end_unsent = true;
    }

    /// Records an event that the board has already recorded.
    pub(super) fn record(&mut self, record: &Record, board: &PodBoard) {
        match &record.event {
            Event::Sent { root } => {
                if let Some(load) = self.participants.get_mut(usize::from(root.load.0)) {
                    load.sent += 1;
                }
            }
            Event::Finished {
                root,
                sent_ns,
                outcome,
                ..
            } => {
                if let Some(load) = self.participants.get_mut(usize::from(root.load.0)) {
                    let dropped = outcome.answer == Answer::Dropped;
                    let sent = sent_ns.is_some() || self.may_end_unsent && !dropped;
                    load.finished_sent += u64::from(sent);
                    let contradicts = dropped == sent || outcome.answer == Answer::Cancelled;
                    load.contradictions += u64::from(contradicts);
                }
            }
            Event::Attempt {
                to_participant,
                outcome,
                ..
            } => {
                if let Some(participant) = self.participants.get_mut(usize::from(to_participant.0))
                {
                    participant.ok_attempts += u64::from(outcome.answer == Answer::Ok);
                }
            }
            Event::Arrived { pod, .. } => {
                if let Some(participant) = self.participant_of(*pod, board) {
                    participant.arrived += 1;
                }
                self.queue(*pod, record.at_ns, board);
            }
            Event::Queued { pod, .. } | Event::Dequeued { pod, .. } => {
                self.queue(*pod, record.at_ns, board);
            }
            Event::Served {
                pod,
                queue_wait_ns,
                fate,
                ..
            } => {
                if let Some(participant) = self.participant_of(*pod, board) {
                    participant.served += 1;
                }
                self.queue(*pod, record.at_ns, board);
                if let Some(queue) = self.queues.get_mut(pod) {
                    queue.waits += i128::from(*queue_wait_ns);
                    queue.served += 1;
                    queue.disturbed |= *fate == Fate::Crashed;
                }
            }
            Event::Crashed { pod } => {
                if let Some(queue) = self.queues.get_mut(pod) {
                    queue.disturbed = true;
                }
            }
            Event::FaultStarted { fault, .. } => {
                let name = self.faults.get(usize::from(*fault));
                if let Some(happened) = name.and_then(|name| self.items.get_mut(name)) {
                    *happened = true;
                }
            }
            Event::Invalid { reason } if !self.said.contains(reason) => {
                self.said.push(reason.clone())
            }
            _ => {}
        }
    }

    fn participant_of(&mut self, pod: PodId, board: &PodBoard) -> Option<&mut ParticipantCounters> {
        let participant = board.participant_of(pod)?;
        self.participants.get_mut(usize::from(participant.0))
    }

    fn queue(&mut self, pod: PodId, at_ns: i64, board: &PodBoard) {
        if board.limits(pod) == (None, None) {
            return;
        }
        let queue = self.queues.entry(pod).or_insert_with(|| QueueCounters {
            since_ns: at_ns,
            ..QueueCounters::default()
        });
        queue.integral += i128::from(queue.length) * i128::from(at_ns - queue.since_ns);
        queue.since_ns = at_ns;
        queue.length = board.waiting(pod);
    }

    /// Returns a message for each violated invariant.
    pub(super) fn broken(self) -> Vec<String> {
        let mut broken = self.said;
        for participant in &self.participants {
            let name = &participant.name;
            if participant.sent != participant.finished_sent {
                broken.push(format!(
                    "{name}: {} requests were sent, {} of them ended",
                    participant.sent, participant.finished_sent
                ));
            }
            if participant.contradictions > 0 {
                broken.push(format!(
                    "{name}: {} requests have an end that contradicts their start",
                    participant.contradictions
                ));
            }
            if participant.arrived != participant.served {
                broken.push(format!(
                    "{name}: {} requests arrived, {} have a recorded end",
                    participant.arrived, participant.served
                ));
            }
            if participant.ok_attempts > participant.arrived {
                broken.push(format!(
                    "{name}: {} attempts succeeded, but {} arrived",
                    participant.ok_attempts, participant.arrived
                ));
            }
        }
        for (pod, queue) in &self.queues {
            // Exact in simulation. A real run reads its clock twice for each request.
            let slack = queue.waits / 100 + queue.served * 200_000;
            if !queue.disturbed && queue.length == 0 && (queue.integral - queue.waits).abs() > slack
            {
                broken.push(format!(
                    "pod {}: Little's law is violated: requests waited {} ns in total, but the integral of the queue's length is {} ns",
                    pod.0, queue.waits, queue.integral
                ));
            }
        }
        for (name, _) in self.items.iter().filter(|(_, happened)| !**happened) {
            broken.push(format!("chaos item `{name}` never started"));
        }
        broken
    }
}
