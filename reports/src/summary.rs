//! Converts a Journal to the results document, record by record. Memory does not grow with the number of
//! requests: it consists of histograms, one row per second, pair of participants and service version, and a
//! bounded list of events.
//!
//! A request counts if it was due after the warm-up and before the end of the load. Its end may be in the
//! drain, so that the counts of caller and callee agree.

mod edges;
mod events;
mod loads;
mod outage;
mod overflows;
mod series;
mod services;

use std::collections::BTreeMap;

use shakedown_results::{
    Answer, CheckResult, Digest, Document, Engine, Event, Fate, NotModelled, ParticipantId,
    ParticipantKind, Participants, Record, SCHEMA, Verdict,
};

use edges::Edges;
use events::Events;
use loads::Loads;
use overflows::Overflows;
use series::SeriesFold;
use services::Services;

/// The part of a results document that describes the run, not its figures.
#[derive(Clone, Debug)]
pub struct SummaryHeader {
    pub scenario: String,
    /// Name of the variant; `base` without one.
    pub variant: String,
    /// Package version and journal number.
    pub version: String,
    /// Identity of the run.
    pub digest: Digest,
    pub labels: RunLabels,
}

/// The properties of a run that neither its scenario nor its Journal contains.
#[derive(Clone, Debug)]
pub struct RunLabels {
    /// Description of the scenario, from its file.
    pub story: String,
    /// The `--set` edits, in order.
    pub set: Vec<String>,
    pub seed: u64,
    /// Backend of the run, from which its execution mode follows.
    pub engine: Engine,
    /// Command that repeats the run.
    pub replay: String,
    /// Time from 0 s to the end of the drain, ns.
    pub elapsed_ns: i64,
    /// Time at which the user stopped the run, ns from 0 s; `None` if it was completed.
    pub cut_ns: Option<i64>,
    /// Parts of the configuration that are not modelled.
    pub not_modelled: Vec<NotModelled>,
}

/// The result of judging a run.
#[derive(Clone, Debug)]
pub struct JudgedChecks {
    /// Results of the checks, in the file's order.
    pub checks: Vec<CheckResult>,
    /// Reasons why the run is invalid; empty if it is valid.
    pub invalid: Vec<String>,
    pub verdict: Verdict,
}

/// Converts a run's Journal to a [`Document`], record by record.
#[derive(Clone, Debug)]
pub struct Summary {
    warm_up_ns: i64,
    duration_ns: i64,
    /// Name and versions of each participant.
    participants: Vec<(String, Vec<String>)>,
    loads: Loads,
    edges: Edges,
    services: Services,
    events: Events,
    over: SeriesFold,
    overflows: Overflows,
    /// The service that each entry of a load calls.
    entries: BTreeMap<(ParticipantId, u16), ParticipantId>,
    /// Number of calls that have started and not ended.
    in_flight: u64,
}

impl Summary {
    /// Creates the summary of a run with these participants, before its first record.
    pub fn new(participants: &Participants) -> Summary {
        let of_kind = |kind| {
            participants
                .iter()
                .filter(move |(_, participant)| participant.kind == kind)
        };
        Summary {
            warm_up_ns: participants.warm_up_ns,
            duration_ns: participants.duration_ns,
            participants: participants
                .list
                .iter()
                .map(|participant| (participant.name.clone(), participant.versions.clone()))
                .collect(),
            loads: Loads::new(of_kind(ParticipantKind::Load), participants.duration_ns),
            edges: Edges::default(),
            services: Services::new(of_kind(ParticipantKind::Service), participants),
            events: Events::default(),
            over: SeriesFold::new(participants),
            overflows: Overflows::default(),
            entries: BTreeMap::new(),
            in_flight: 0,
        }
    }

    /// Adds the next record. `participants` must contain all pods added so far.
    ///
    /// # Panics
    /// If a record names a pod that is not in `participants`, which is a bug of the run.
    pub fn record(&mut self, participants: &Participants, record: &Record) {
        let at_ns = record.at_ns;
        match &record.event {
            Event::Finished { .. } => self.finished(participants, record),
            Event::CallStarted { .. } => self.in_flight += 1,
            Event::CallRouted { .. } => {}
            Event::CallEnded { .. } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.called(participants, record);
            }
            Event::Attempt { .. } => self.tried(participants, record),
            Event::Arrived { pod, queued, .. } => {
                self.over.arrived(participants, at_ns, *pod, *queued);
            }
            Event::Queued { pod, .. } => self.over.queued(participants, at_ns, *pod),
            Event::Dequeued { pod, .. } => self.over.dequeued(participants, at_ns, *pod),
            Event::Served { .. } => self.served(participants, record),
            Event::Worked {
                pod,
                since_ns,
                core_ns,
            } => {
                self.services.worked(
                    &participants.pods[pod.0 as usize],
                    *since_ns,
                    at_ns,
                    *core_ns,
                );
            }
            Event::EjectionOverflow { .. } => self.overflows.record(participants, record),
            Event::PodAdded { pod } => {
                self.services.added(pod, at_ns);
                self.events.record(participants, record);
            }
            Event::Stopped { pod } => {
                self.services
                    .stopped(&participants.pods[pod.0 as usize], at_ns);
                self.over.event(participants, record);
                self.events.record(participants, record);
            }
            _ => {
                self.over.event(participants, record);
                self.events.record(participants, record);
            }
        }
    }

    /// Adds the end of a load's request.
    fn finished(&mut self, participants: &Participants, record: &Record) {
        let Event::Finished {
            root,
            pod,
            intended_ns,
            sent_ns,
            outcome,
            tries,
        } = &record.event
        else {
            return;
        };
        let at_ns = record.at_ns;
        let counts = *intended_ns >= self.warm_up_ns;
        if outcome.answer != Answer::Dropped {
            self.over.ended(root.load, at_ns, at_ns - *intended_ns);
        }
        if *tries > 1
            && let Some(to) = self.entries.get(&(root.load, root.entry))
        {
            let (pair, times) = ((root.load, *to), u64::from(*tries) - 1);
            // Without a sidecar each attempt has its own event.
            if participants.pods[pod.0 as usize].meshed {
                self.over.retried(pair, at_ns, times);
            }
            if counts {
                self.edges.retried(pair, times);
            }
        }
        self.loads
            .finished(root.load, at_ns, *intended_ns, *sent_ns, *outcome, counts);
    }

    /// Adds the end of a call.
    fn called(&mut self, participants: &Participants, record: &Record) {
        let Event::CallEnded {
            root,
            from,
            to,
            asked,
            start_ns,
            outcome,
            tries,
            hedges,
            ..
        } = &record.event
        else {
            return;
        };
        let at_ns = record.at_ns;
        let caller = &participants.pods[from.0 as usize];
        let pair = (caller.participant, *to);
        if let Some(root) = root
            && root.load == caller.participant
        {
            self.entries.insert((root.load, root.entry), *to);
        }
        // A sidecar counts its own attempts only, starting from 1 for each attempt of its app.
        let again = tries.saturating_sub(1).saturating_sub(*hedges);
        if caller.meshed && again > 0 {
            self.over.retried(pair, at_ns, u64::from(again));
        }
        if caller.meshed && *hedges > 0 {
            self.over.hedged(pair, at_ns, u64::from(*hedges));
        }
        if *start_ns >= self.warm_up_ns {
            self.edges
                .call(pair, *asked, at_ns - start_ns, outcome.answer);
        }
    }

    /// Adds the end of an attempt.
    fn tried(&mut self, participants: &Participants, record: &Record) {
        let Event::Attempt {
            from,
            to_participant,
            start_ns,
            number,
            hedge,
            ..
        } = &record.event
        else {
            return;
        };
        let at_ns = record.at_ns;
        let pair = (participants.participant_of(*from), *to_participant);
        if *hedge {
            self.over.hedged(pair, at_ns, 1);
        } else if *number > 1 {
            self.over.retried(pair, at_ns, 1);
        }
        if *start_ns >= self.warm_up_ns {
            self.edges.attempt(pair);
        }
    }

    /// Adds the end of a request at an app.
    fn served(&mut self, participants: &Participants, record: &Record) {
        let Event::Served {
            root,
            pod,
            from,
            arrived_ns,
            queue_wait_ns,
            outcome,
            fate,
            copy,
            ..
        } = &record.event
        else {
            return;
        };
        let at_ns = record.at_ns;
        self.over.served(participants, at_ns, *pod);
        let sender = from.map(|from| participants.participant_of(from));
        let taken_up = !copy && !matches!(fate, Fate::Refused | Fate::Shed);
        if let Some(root) = root
            && sender == Some(root.load)
            && taken_up
        {
            self.loads.admitted(root.load, arrived_ns + queue_wait_ns);
        }
        let pod = &participants.pods[pod.0 as usize];
        self.services.served(
            pod,
            at_ns,
            *arrived_ns,
            *queue_wait_ns,
            outcome.answer,
            *fate,
        );
    }

    /// Number of calls that have started and not ended.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Completes the document of the whole run.
    pub fn finish(self, header: SummaryHeader, judgement: JudgedChecks) -> Document {
        let labels = header.labels;
        Document {
            schema: SCHEMA,
            scenario: header.scenario,
            story: labels.story,
            variant: header.variant,
            set: labels.set,
            mode: labels.engine.mode(),
            seed: labels.seed,
            engine: labels.engine,
            version: header.version,
            digest: header.digest,
            replay: labels.replay,
            verdict: judgement.verdict,
            invalid: judgement.invalid,
            checks: judgement.checks,
            elapsed_ns: labels.elapsed_ns,
            cut_ns: labels.cut_ns,
            in_flight_at_cut: labels.cut_ns.map(|_| self.in_flight),
            not_modelled: labels.not_modelled,
            warm_up_ns: self.warm_up_ns,
            duration_ns: self.duration_ns,
            loads: self.loads.finish(),
            edges: self.edges.finish(&self.participants),
            ejection_overflows: self.overflows.finish(&self.participants),
            services: self.services.finish(),
            events: self.events.finish(),
            series: self.over.finish(&self.participants),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
