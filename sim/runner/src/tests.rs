//! Small scenarios that are run to their end.

mod app;
mod app_faults;
mod build;
mod chaos;
mod deadlines;
mod grpc;
mod hedging;
mod judged;
mod memory;
mod mesh;
mod real;
mod references;
mod retries;
mod rollout;
mod routing;

use shakedown_results::{Answer, Event, Fate, Outcome, ParticipantId, PodId, Record};
use shakedown_scenarios::scenario::ResolvedScenario;

use crate::{FinishedRun, RunnerOptions, run};
use shakedown_results::Engine;

/// The result and the records of a run.
struct Played {
    ended: FinishedRun,
    records: Vec<Record>,
}

/// The end of a request of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Finish {
    load: ParticipantId,
    seq: u64,
    intended_ns: i64,
    end_ns: i64,
    outcome: Outcome,
}

impl Finish {
    fn latency_ns(&self) -> i64 {
        self.end_ns - self.intended_ns
    }
}

fn play_with(scenario: &ResolvedScenario, options: RunnerOptions, engine: Engine) -> Played {
    let mut records = Vec::new();
    let ended = run(scenario, options, engine, &mut |_, record| {
        records.push(record.clone())
    })
    .unwrap();
    Played { ended, records }
}

fn play(scenario: &ResolvedScenario) -> Played {
    play_with(
        scenario,
        RunnerOptions {
            seed: 1,
            ..RunnerOptions::default()
        },
        Engine::Native,
    )
}

impl Played {
    fn count(&self, pick: impl Fn(&Event) -> bool) -> usize {
        self.records
            .iter()
            .filter(|record| pick(&record.event))
            .count()
    }

    /// The times of all matching events, ns.
    fn times(&self, pick: impl Fn(&Event) -> bool) -> Vec<i64> {
        let picked = self.records.iter().filter(|record| pick(&record.event));
        picked.map(|record| record.at_ns).collect()
    }

    /// The number of hits of each fault, in order of their ends.
    fn hits(&self) -> Vec<u64> {
        let ended = self.records.iter().map(|record| &record.event);
        let hits = ended.filter_map(|event| match event {
            Event::FaultEnded { hits, .. } => Some(*hits),
            _ => None,
        });
        hits.collect()
    }

    fn finished(&self) -> Vec<Finish> {
        let ends = self
            .records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Finished {
                    root,
                    intended_ns,
                    outcome,
                    ..
                } => Some(Finish {
                    load: root.load,
                    seq: root.seq,
                    intended_ns: *intended_ns,
                    end_ns: record.at_ns,
                    outcome: *outcome,
                }),
                _ => None,
            });
        let mut ends: Vec<Finish> = ends.collect();
        ends.sort_by_key(|finish| (finish.load, finish.seq));
        ends
    }

    fn answers(&self, answer: Answer) -> usize {
        self.finished()
            .iter()
            .filter(|finish| finish.outcome.answer == answer)
            .count()
    }

    fn served(&self, fate: Fate) -> usize {
        self.count(|event| matches!(event, Event::Served { fate: had, .. } if *had == fate))
    }

    /// Latencies at a pod's app, from arrival to response, in order of completion.
    fn stays_ns(&self, pod: PodId) -> Vec<i64> {
        let stays = self
            .records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Served {
                    pod: at,
                    arrived_ns,
                    ..
                } if *at == pod => Some(record.at_ns - arrived_ns),
                _ => None,
            });
        stays.collect()
    }

    /// Asserts the invariants of every run: everything that begins ends once, and time never decreases.
    fn check_laws(&self) {
        let count = |pick: fn(&Event) -> bool| self.count(pick);
        let arrived = count(|event| matches!(event, Event::Arrived { .. }));
        assert_eq!(
            arrived,
            count(|event| matches!(event, Event::Served { .. })),
            "served"
        );
        let started = count(|event| matches!(event, Event::CallStarted { .. }));
        assert_eq!(
            started,
            count(|event| matches!(event, Event::CallEnded { .. })),
            "calls"
        );
        let faults = count(|event| matches!(event, Event::FaultStarted { .. }));
        assert_eq!(
            faults,
            count(|event| matches!(event, Event::FaultEnded { .. })),
            "faults"
        );
        for pair in self.finished().windows(2) {
            let next = if pair[0].load == pair[1].load {
                pair[0].seq + 1
            } else {
                0
            };
            assert_eq!(pair[1].seq, next, "each scheduled request has one end");
        }
        let sent = count(|event| matches!(event, Event::Sent { .. }));
        assert_eq!(
            sent + self.answers(Answer::Dropped),
            self.finished().len(),
            "sent"
        );
        assert!(
            self.records.is_sorted_by_key(|record| record.at_ns),
            "order of time"
        );
    }
}
