//! The run's events as rows: faults, crashes, configuration. Simultaneous events of many pods share a row,
//! and the number of rows is limited.

use std::collections::BTreeMap;

use shakedown_results::{Event, EventRow, ParticipantId, Participants, PodId, Record};
use shakedown_types::BreakerLimit;

use crate::units;

/// Maximum number of rows. Further rows are only counted.
const ROWS_MAX: usize = 10_000;
/// Maximum time between two pods that apply the same configuration and share a row.
const TOGETHER_NS: i64 = 1_000_000_000;
/// Maximum number of pods that a row names individually.
const NAMED_MAX: usize = 6;

/// The rows so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    rows: Vec<EventRow>,
    left_out: u64,
    /// Pods that were ready before 0 s, and their row.
    started: Option<EventGroup>,
    /// Proxies that have applied a configuration, by its version number.
    in_force: BTreeMap<u64, EventGroup>,
    /// Circuit breakers that reached their limit, by proxy, callee and limit, with their last row.
    breakers: BTreeMap<(PodId, ParticipantId, BreakerLimit), EventGroup>,
}

#[derive(Clone, Copy, Debug)]
struct EventGroup {
    row: usize,
    count: u64,
    first_ns: i64,
    last_ns: i64,
}

impl Events {
    pub(super) fn record(&mut self, participants: &Participants, record: &Record) {
        let at_ns = record.at_ns;
        let text = match &record.event {
            Event::Ready { pod } => return self.ready(at_ns, participants.pod_name(*pod)),
            Event::ConfigInForce { pod, version } => {
                return self.config_in_force(at_ns, *version, participants.pod_name(*pod));
            }
            Event::Breaker {
                at,
                to,
                limit,
                open,
            } => return self.breaker(participants, at_ns, (*at, *to, *limit), *open),
            event => of_pods(participants, event).or_else(|| of_mesh(participants, event)),
        };
        let Some((kind, subject, detail)) = text else {
            return;
        };
        self.push(EventRow {
            at_ns,
            kind: kind.to_owned(),
            subject,
            detail,
        });
    }

    pub(super) fn finish(mut self) -> Vec<EventRow> {
        if self.left_out > 0 {
            let at_ns = self.rows.last().map_or(0, |row| row.at_ns);
            let subject = format!("{} more", units::counted(self.left_out, "event"));
            let detail = format!(
                "only the first {} are listed",
                units::count(ROWS_MAX as u64)
            );
            self.rows.push(EventRow {
                at_ns,
                kind: "left-out".to_owned(),
                subject,
                detail,
            });
        }
        self.rows
    }

    /// Adds a row and returns its index; `None` if the limit is reached.
    fn push(&mut self, row: EventRow) -> Option<usize> {
        if self.rows.len() == ROWS_MAX {
            self.left_out += 1;
            return None;
        }
        self.rows.push(row);
        Some(self.rows.len() - 1)
    }

    fn ready(&mut self, at_ns: i64, pod: String) {
        let kind = "ready".to_owned();
        if at_ns > 0 {
            self.push(EventRow {
                at_ns,
                kind,
                subject: pod,
                detail: String::new(),
            });
            return;
        }
        match &mut self.started {
            Some(group) => {
                group.add(at_ns);
                let row = &mut self.rows[group.row];
                row.subject = units::counted(group.count, "pod");
                row.detail = group.spread();
            }
            None => {
                let row = self.push(EventRow {
                    at_ns,
                    kind,
                    subject: pod,
                    detail: String::new(),
                });
                self.started = row.map(|row| EventGroup::new(row, at_ns));
            }
        }
    }

    /// Adds a change of a circuit breaker. At its limit it opens and closes with every request, so repeated
    /// changes share a row.
    fn breaker(
        &mut self,
        participants: &Participants,
        at_ns: i64,
        (at, to, limit): (PodId, ParticipantId, BreakerLimit),
        open: bool,
    ) {
        let key = (at, to, limit);
        let again = self
            .breakers
            .get_mut(&key)
            .filter(|group| !open || at_ns - group.last_ns <= TOGETHER_NS);
        if let Some(group) = again {
            group.last_ns = at_ns;
            group.count += u64::from(open);
            let span = units::duration(at_ns - group.first_ns);
            self.rows[group.row].detail = match group.count {
                1 => format!("{limit}, for {span}"),
                times => format!("{limit}, {} times in {span}", units::count(times)),
            };
        } else if open {
            let row = self.push(EventRow {
                at_ns,
                kind: "breaker-open".to_owned(),
                subject: format!(
                    "{} -> {}",
                    participants.pod_name(at),
                    participant_name(participants, to)
                ),
                detail: limit.name().to_owned(),
            });
            if let Some(row) = row {
                self.breakers.insert(key, EventGroup::new(row, at_ns));
            }
        }
    }

    fn config_in_force(&mut self, at_ns: i64, version: u64, pod: String) {
        if let Some(group) = self.in_force.get_mut(&version)
            && at_ns - group.last_ns <= TOGETHER_NS
        {
            group.add(at_ns);
            let spread = group.spread();
            self.rows[group.row].detail =
                format!("at {} proxies, {spread}", units::count(group.count));
            return;
        }
        let kind = "config-in-force".to_owned();
        let row = EventRow {
            at_ns,
            kind,
            subject: configuration(version),
            detail: format!("at {pod}"),
        };
        if let Some(row) = self.push(row) {
            self.in_force.insert(version, EventGroup::new(row, at_ns));
        }
    }
}

impl EventGroup {
    fn new(row: usize, at_ns: i64) -> EventGroup {
        EventGroup {
            row,
            count: 1,
            first_ns: at_ns,
            last_ns: at_ns,
        }
    }

    fn add(&mut self, at_ns: i64) {
        self.count += 1;
        self.last_ns = at_ns;
    }

    fn spread(&self) -> String {
        match self.last_ns - self.first_ns {
            0 => "at the same time".to_owned(),
            ns => format!("the last {} after the first", units::duration(ns)),
        }
    }
}

/// Kind, subject and detail of a row.
type EventText = (&'static str, String, String);

/// Faults, and pods that are added, crash or stop.
fn of_pods(participants: &Participants, event: &Event) -> Option<EventText> {
    Some(match event {
        Event::FaultStarted { fault, pods } => {
            let (name, what) = fault_words(participants, *fault);
            ("fault-started", name, with_pods(what, participants, pods))
        }
        Event::FaultEnded { fault, hits } => {
            let (name, _) = fault_words(participants, *fault);
            let hits = match hits {
                0 => "affected nothing".to_owned(),
                n => format!("affected {}", units::count(*n)),
            };
            ("fault-ended", name, hits)
        }
        Event::PodAdded { pod } => ("pod-added", participants.name(pod), String::new()),
        Event::Crashed { pod } => ("crashed", participants.pod_name(*pod), String::new()),
        Event::Stopped { pod } => ("stopped", participants.pod_name(*pod), String::new()),
        Event::Scaled {
            service,
            version,
            replicas,
        } => (
            "scaled",
            version_name(participants, *service, *version),
            format!("to {}", units::counted(u64::from(*replicas), "replica")),
        ),
        Event::Invalid { reason } => ("invalid", "run".to_owned(), reason.clone()),
        _ => return None,
    })
}

/// Events of the control plane and the proxies.
fn of_mesh(participants: &Participants, event: &Event) -> Option<EventText> {
    Some(match event {
        Event::ConfigChanged { version } => {
            ("config-changed", configuration(*version), String::new())
        }
        Event::ConfigRefused {
            pod,
            resource,
            reason,
        } => (
            "config-refused",
            participants.pod_name(*pod),
            format!("{resource}: {reason}"),
        ),
        Event::Canary {
            service,
            phase,
            weight_ppm,
            version,
            reason,
        } => {
            let subject = version.map_or_else(
                || participant_name(participants, *service),
                |version| version_name(participants, *service, version),
            );
            let weight = units::share(u64::from(*weight_ppm), 1_000_000);
            ("canary", subject, format!("{phase} at {weight}: {reason}"))
        }
        Event::Weight {
            service,
            version,
            ppm,
        } => (
            "weight",
            version_name(participants, *service, *version),
            units::share(u64::from(*ppm), 1_000_000),
        ),
        Event::Ejected { at, pod, by } => (
            "ejected",
            participants.pod_name(*pod),
            format!("by {}: {by}", participants.pod_name(*at)),
        ),
        Event::Returned { at, pod } => (
            "returned",
            participants.pod_name(*pod),
            format!("at {}", participants.pod_name(*at)),
        ),
        Event::DocumentRefused { document, reason } => {
            ("document-refused", document.clone(), reason.clone())
        }
        _ => return None,
    })
}

fn participant_name(participants: &Participants, participant: ParticipantId) -> String {
    let participant = participants.list.get(usize::from(participant.0));
    participant.map_or(String::new(), |participant| participant.name.clone())
}

/// Formats a version as `reviews/v2`.
fn version_name(participants: &Participants, participant: ParticipantId, version: u16) -> String {
    let versions = participants.list.get(usize::from(participant.0));
    let name = versions.and_then(|participant| participant.versions.get(usize::from(version)));
    match name {
        Some(name) => format!("{}/{name}", participant_name(participants, participant)),
        None => participant_name(participants, participant),
    }
}

fn configuration(version: u64) -> String {
    format!("configuration {version}")
}

/// Returns name and description of a fault.
fn fault_words(participants: &Participants, fault: u16) -> (String, String) {
    match participants.faults.get(usize::from(fault)) {
        Some(planned) => (planned.name.clone(), planned.what.clone()),
        None => (format!("chaos.{fault}"), String::new()),
    }
}

fn with_pods(what: String, participants: &Participants, pods: &[PodId]) -> String {
    if pods.is_empty() {
        return what;
    }
    let mut names: Vec<String> = pods
        .iter()
        .take(NAMED_MAX)
        .map(|pod| participants.pod_name(*pod))
        .collect();
    if pods.len() > NAMED_MAX {
        names.push(format!("{} more", pods.len() - NAMED_MAX));
    }
    format!("{what} (affects {})", names.join(", "))
}
