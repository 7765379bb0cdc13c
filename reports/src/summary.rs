//! The streaming fold of a Journal into the results document. Memory does not grow with the number of requests: histograms,
//! one row a second, a pair of parties and a service version, and a bounded list of events.
//!
//! A request counts where its clock starts, from the end of the warm-up on; the window ends with the load, and takes in the
//! drain, so that counts of caller and callee agree.

mod edges;
mod events;
mod loads;
mod services;

use shakedown_results::{
    Cast, CheckResult, Digest, Document, Event, Mode, PartyKind, Record, SCHEMA, Verdict,
};

use edges::Edges;
use events::Events;
use loads::Loads;
use services::Services;

/// What a results document says about a run before its figures.
#[derive(Clone, Debug)]
pub struct Header {
    /// The scenario's name.
    pub scenario: String,
    /// Its story.
    pub story: String,
    /// `base`, or the variant's name.
    pub variant: String,
    /// The `--set` edits, in order.
    pub set: Vec<String>,
    /// Simulated or real.
    pub mode: Mode,
    /// The seed.
    pub seed: u64,
    /// `native`, `real`, ...
    pub engine: String,
    /// Package version and journal number.
    pub version: String,
    /// The run's identity.
    pub digest: Digest,
    /// The command that runs it again.
    pub replay: String,
    /// From 0 s to the end of the drain, ns.
    pub simulated_ns: i64,
}

/// What the judge makes of a run.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The checks, in the file's order.
    pub checks: Vec<CheckResult>,
    /// Why the run is invalid; empty otherwise.
    pub invalid: Vec<String>,
    /// How it ended.
    pub verdict: Verdict,
}

/// Folds a run's Journal, record by record, into a [`Document`].
#[derive(Clone, Debug)]
pub struct Summary {
    warm_up_ns: i64,
    duration_ns: i64,
    names: Vec<String>,
    loads: Loads,
    edges: Edges,
    services: Services,
    events: Events,
}

impl Summary {
    /// A fold of a run of this cast, as it is before the first record.
    pub fn new(cast: &Cast) -> Summary {
        let of_kind = |kind| {
            cast.parties
                .iter()
                .enumerate()
                .filter(move |(_, party)| party.kind == kind)
        };
        Summary {
            warm_up_ns: cast.warm_up_ns,
            duration_ns: cast.duration_ns,
            names: cast
                .parties
                .iter()
                .map(|party| party.name.clone())
                .collect(),
            loads: Loads::new(of_kind(PartyKind::Load), cast.duration_ns),
            edges: Edges::default(),
            services: Services::new(of_kind(PartyKind::Service), cast),
            events: Events::default(),
        }
    }

    /// Takes in the next record. `cast` holds all pods added so far.
    ///
    /// # Panics
    /// When a record names a pod that is not in the cast, which is a bug of the run.
    pub fn record(&mut self, cast: &Cast, record: &Record) {
        let at_ns = record.at_ns;
        match &record.event {
            Event::Finished {
                root,
                intended_ns,
                sent_ns,
                outcome,
                ..
            } => {
                let counts = *intended_ns >= self.warm_up_ns;
                self.loads.finished(
                    root.load,
                    at_ns,
                    *intended_ns,
                    *sent_ns,
                    outcome.answer,
                    counts,
                );
            }
            Event::CallEnded {
                from,
                to,
                start_ns,
                outcome,
                ..
            } if *start_ns >= self.warm_up_ns => {
                self.edges.call(
                    (cast.party_of(*from), *to),
                    at_ns - start_ns,
                    outcome.answer,
                );
            }
            Event::Attempt {
                from,
                to_party,
                start_ns,
                ..
            } if *start_ns >= self.warm_up_ns => {
                self.edges.attempt((cast.party_of(*from), *to_party));
            }
            Event::Served {
                pod,
                arrived_ns,
                queue_wait_ns,
                outcome,
                fate,
                ..
            } => {
                let pod = &cast.pods[pod.0 as usize];
                self.services.served(
                    pod,
                    at_ns,
                    *arrived_ns,
                    *queue_wait_ns,
                    outcome.answer,
                    *fate,
                );
            }
            Event::Worked {
                pod,
                since_ns,
                core_ns,
            } => {
                self.services
                    .worked(&cast.pods[pod.0 as usize], *since_ns, at_ns, *core_ns);
            }
            Event::PodAdded { pod } => {
                self.services.added(pod, at_ns);
                self.events.record(cast, record);
            }
            _ => self.events.record(cast, record),
        }
    }

    /// The document of the whole run.
    pub fn finish(self, header: Header, judgement: Judgement) -> Document {
        Document {
            schema: SCHEMA,
            scenario: header.scenario,
            story: header.story,
            variant: header.variant,
            set: header.set,
            mode: header.mode,
            seed: header.seed,
            engine: header.engine,
            version: header.version,
            digest: header.digest,
            replay: header.replay,
            verdict: judgement.verdict,
            invalid: judgement.invalid,
            checks: judgement.checks,
            simulated_ns: header.simulated_ns,
            warm_up_ns: self.warm_up_ns,
            duration_ns: self.duration_ns,
            loads: self.loads.finish(),
            edges: self.edges.finish(&self.names),
            services: self.services.finish(),
            events: self.events.finish(),
        }
    }
}

#[cfg(test)]
mod tests;
