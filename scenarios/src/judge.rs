//! The judge: decides the checks of a scenario incrementally from the events of the journal.
//!
//! Each metric of each check is a leaf with one accumulator per slice of its window, and a leaf receives only events of
//! its own class. Memory grows with checks and slices, not with the length of the run. The exception is `via`: requests
//! of a load that never reached the named service are kept, because a descendant that arrives late still counts. All
//! arithmetic is exact.

mod board;
mod fact;
mod instant;
mod laws;
mod leaf;
mod margin;
mod outage;
mod refusals;
mod sample;
mod seeds;
mod slots;
mod span;
mod trial;
mod variant_outcome;
mod via;
mod words;

pub use margin::{Margin, margin};
pub use sample::SeedSample;
pub use seeds::over_seeds;
pub use variant_outcome::{VariantOutcome, not_judged, verdict};

use shakedown_results::{CheckResult, Event, Participants, Record};

use crate::scenario::ResolvedScenario;
use board::PodBoard;
use fact::Class;
use laws::Laws;
use refusals::Refusals;
use trial::CheckTrial;

/// Records the events of a run and decides its checks.
#[derive(Clone, Debug)]
pub struct Judge {
    board: PodBoard,
    trials: Vec<CheckTrial>,
    laws: Laws,
    refusals: Refusals,
    /// The time of the last record.
    now_ns: i64,
    duration_ns: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunJudgement {
    /// The results of all checks, in file order.
    pub checks: Vec<CheckResult>,
    /// The samples of checks over seeds under this seed.
    pub samples: Vec<SeedSample>,
    /// The reasons why the run is invalid regardless of its checks: broken invariants, and refused configuration that
    /// no check counts.
    pub invariants: Vec<String>,
}

impl Judge {
    /// A judge for a run of this scenario with these participants.
    pub fn new(scenario: &ResolvedScenario, participants: &Participants) -> Judge {
        let board = PodBoard::new(scenario, participants);
        Judge {
            trials: scenario
                .checks
                .iter()
                .map(|check| CheckTrial::new(check, scenario, participants, &board))
                .collect(),
            board,
            laws: Laws::new(scenario, participants),
            refusals: Refusals::default(),
            now_ns: i64::MIN,
            duration_ns: participants.duration_ns,
        }
    }

    /// Configures the judge for loads on real servers, whose requests may end before they were sent.
    #[must_use]
    pub fn of_real_servers(mut self) -> Judge {
        self.laws.allow_unsent();
        self
    }

    /// Records the next event. Events must be in order of time.
    pub fn record(&mut self, record: &Record) {
        self.now_ns = self.now_ns.max(record.at_ns);
        let change = self.board.record(record);
        self.laws.record(record, &self.board);
        for trial in &mut self.trials {
            trial.change(record, change, &self.board);
        }
        match &record.event {
            Event::Worked {
                pod,
                since_ns,
                core_ns,
            } => {
                for trial in &mut self.trials {
                    trial.worked(*pod, *since_ns, record.at_ns, *core_ns, &self.board);
                }
            }
            Event::Crashed { .. }
            | Event::Ready { .. }
            | Event::ConfigChanged { .. }
            | Event::ConfigInForce { .. }
            | Event::ConfigRefused { .. }
            | Event::DocumentRefused { .. }
            | Event::Ejected { .. }
            | Event::FaultEnded { .. } => {
                let mut counted = false;
                for trial in &mut self.trials {
                    counted |= trial.happened(record, change, &self.board);
                }
                if !counted {
                    self.refusals.record(record, &self.board);
                }
            }
            Event::Arrived { .. } => self.fact(record, Class::Arrival),
            Event::Served { .. } => self.fact(record, Class::Service),
            Event::Finished { .. } => self.fact(record, Class::Load),
            Event::CallEnded { .. } => self.fact(record, Class::Call),
            Event::Attempt { .. } => self.fact(record, Class::Attempt),
            Event::Proxied { .. } => self.fact(record, Class::Proxied),
            Event::Flagged { .. } => self.fact(record, Class::Flagged),
            _ => {}
        }
    }

    fn fact(&mut self, record: &Record, class: Class) {
        let Some(fact) = fact::from_record(record) else {
            return;
        };
        for trial in &mut self.trials {
            trial.fact(class, &fact, &self.board);
        }
    }

    /// Finishes the run and decides all checks.
    pub fn conclude(self) -> RunJudgement {
        let end_ns = self.now_ns.max(self.duration_ns);
        let mut judgement = RunJudgement {
            checks: Vec::new(),
            samples: Vec::new(),
            invariants: self.laws.broken(),
        };
        judgement.invariants.extend(self.refusals.reasons());
        for (index, trial) in self.trials.into_iter().enumerate() {
            let (check, sample) = trial.conclude(index, end_ns, &self.board);
            judgement.checks.push(check);
            judgement.samples.extend(sample);
        }
        judgement
    }
}

#[cfg(test)]
mod tests;
