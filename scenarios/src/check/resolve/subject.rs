//! Resolves subjects: names to indices, and the figures that each kind of subject has.

use shakedown_results::ParticipantId;
use shakedown_yaml::suggest;

use super::condition::measured;
use super::joins;
use super::resolver::Resolver;
use crate::check::names::{ChaosSpan, ParticipantNames};
use crate::check::syntax::{Expr, WrittenMetric, WrittenParticipant};
use crate::check::{Condition, Figure, Gauge, Happening, ParticipantSelector, Subject};
use crate::scenario::EndpointId;

/// The kind of a subject, for messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Load,
    Service,
    Edge,
    Control,
    Fault,
}

impl Is {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Is::Load => "a load",
            Is::Service => "a service",
            Is::Edge => "an edge",
            Is::Control => "the control plane",
            Is::Fault => "a chaos item",
        }
    }
}

impl Resolver<'_> {
    /// Resolves the subject and conditions of a metric and checks them against its figure. `figure` is `None` if the
    /// figure is unknown, which was reported.
    pub(super) fn subject(
        &mut self,
        expr: &Expr,
        metric: &WrittenMetric,
        figure: Option<Figure>,
    ) -> Option<(Subject, Vec<Condition>)> {
        // An unknown figure may have any subject.
        let figure = figure?;
        let subject = match &metric.second {
            None if is_control(&metric.first, figure) => Subject::Control,
            None if figure == Figure::Hits => self.fault(&metric.first, "hits", |_| true)?,
            None if figure == Figure::Events(Happening::Refusal) => {
                self.fault(&metric.first, "refused", |item| item.applies)?
            }
            Some(second) => {
                let first = self.participant(&metric.first)?;
                let to = self.participant(second)?;
                self.edge(metric, second, first, to, figure)?
            }
            None => {
                let first = self.participant(&metric.first)?;
                self.single(first)
            }
        };
        let is = match &subject {
            Subject::Load(_) => Is::Load,
            Subject::Service(_) => Is::Service,
            Subject::Edge { .. } => Is::Edge,
            Subject::Control => Is::Control,
            Subject::Fault(_) => Is::Fault,
        };
        let mut conditions = Vec::new();
        let mut complete = true;
        for written in &metric.conditions {
            match self.condition(written, is, &subject) {
                Some(condition) => conditions.push(condition),
                None => complete = false,
            }
        }
        complete &= self.fits(expr, metric, figure, is);
        complete &= self.joins(metric, figure, &subject, &conditions);
        complete.then_some((subject, conditions))
    }

    /// Finds a chaos item by name, among those that have the figure.
    fn fault(
        &mut self,
        written: &WrittenParticipant,
        figure: &str,
        has: impl Fn(&ChaosSpan) -> bool,
    ) -> Option<Subject> {
        let name = written.name.as_deref().unwrap_or("*");
        let bare = written.entry.is_none()
            && written.version.is_none()
            && written.endpoint.is_none()
            && written.zone.is_none();
        let items = self.names.chaos.iter().filter(|item| has(item));
        let known: Vec<&str> = items.map(|item| item.name.as_str()).collect();
        if bare && known.contains(&name) {
            return Some(Subject::Fault(name.to_owned()));
        }
        let (of, all) = match figure {
            "refused" => ("an `apply` item, or of `control`", known.len()),
            _ => ("a chaos item", self.names.chaos.len()),
        };
        let hint = match all {
            0 => "the scenario has none".to_owned(),
            _ => suggest::hint(name, known),
        };
        self.refuse(
            written.at,
            format!("`{figure}` is a figure of {of}: no item `{name}`: {hint}"),
        )
    }

    fn single(&self, participant: ParticipantSelector) -> Subject {
        match participant.participant {
            Some(id) if self.names.get(id).is_load => Subject::Load(participant),
            _ => Subject::Service(participant),
        }
    }

    fn edge(
        &mut self,
        metric: &WrittenMetric,
        second: &WrittenParticipant,
        from: ParticipantSelector,
        to: ParticipantSelector,
        figure: Figure,
    ) -> Option<Subject> {
        let Some(callee) = to.participant else {
            return self.refuse(second.at, "an edge must end at a service: name the service");
        };
        if self.names.get(callee).is_load {
            let message = format!(
                "`{}` is a load, which cannot be called",
                self.names.get(callee).name
            );
            return self.refuse(second.at, message);
        }
        if from.endpoint.is_some() {
            return self.refuse(
                metric.first.at,
                "not supported yet: calls of one endpoint of the caller",
            );
        }
        if let Some(caller) = from.participant {
            let caller = self.names.get(caller);
            let any = caller.is_load && figure == Figure::Amplification;
            let is_called = caller.calls.contains(&callee) || caller.routed.contains(&callee);
            if !any && !is_called && !self.names.incomplete {
                let calls: Vec<&str> = caller
                    .calls
                    .iter()
                    .chain(caller.routed.iter().filter(|at| !caller.calls.contains(at)))
                    .map(|service| self.names.get(*service).name.as_str())
                    .collect();
                let calls = if calls.is_empty() {
                    "it makes no calls".to_owned()
                } else {
                    format!("it calls {}", calls.join(", "))
                };
                let message = format!(
                    "{} never calls `{}`; {calls}",
                    caller.name,
                    self.names.get(callee).name
                );
                return self.refuse(second.at, message);
            }
        }
        let is_routed = |caller: &ParticipantNames| caller.routed.contains(&callee);
        let routed = match from.participant {
            Some(caller) => is_routed(self.names.get(caller)),
            None => self.names.participants.iter().any(is_routed),
        };
        Some(Subject::Edge { from, to, routed })
    }

    /// Resolves the names of a service, load or part to indices.
    pub(super) fn participant(
        &mut self,
        written: &WrittenParticipant,
    ) -> Option<ParticipantSelector> {
        let zone = match &written.zone {
            Some((name, at)) => Some(self.zone(name, *at)?),
            None => None,
        };
        let Some(name) = &written.name else {
            if written.endpoint.is_some() {
                return self.refuse(written.at, "`*` has no endpoints: name a service");
            }
            return Some(ParticipantSelector {
                zone,
                ..ParticipantSelector::default()
            });
        };
        let Some(id) = self.names.find(name) else {
            return self.unknown_participant(written.at, name);
        };
        let names = self.names.get(id);
        let entry = match &written.entry {
            Some(_) if !names.is_load => {
                return self.refuse(written.at, "only a load has a mix with named entries");
            }
            Some(entry) => {
                let Some(at) = names.entries.iter().position(|known| known == entry) else {
                    let message = format!(
                        "`{name}` has no entry `{entry}`: {}",
                        suggest::hint(
                            entry,
                            names.entries.iter().map(String::as_str).collect::<Vec<_>>()
                        )
                    );
                    return self.refuse(written.at, message);
                };
                Some(narrow(at))
            }
            None => None,
        };
        let version = match &written.version {
            Some(version) => Some(self.version(written, id, version)?),
            None => None,
        };
        let endpoint = match &written.endpoint {
            Some((method, path)) => Some(self.endpoint(written.at, id, method, path)?),
            None => None,
        };
        Some(ParticipantSelector {
            participant: Some(id),
            entry,
            version,
            replica: written.replica,
            endpoint,
            zone,
        })
    }

    fn unknown_participant(&mut self, at: usize, name: &str) -> Option<ParticipantSelector> {
        if self.names.incomplete {
            self.silent = true;
            return None;
        }
        if self.names.chaos.iter().any(|item| item.name == name) {
            return self.refuse(
                at,
                format!("`{name}` is a chaos item: it can be a window, or the subject of `hits`"),
            );
        }
        if name == "control" {
            return self.refuse(at, "not supported yet: figures of `control`");
        }
        let known: Vec<&str> = self
            .names
            .participants
            .iter()
            .map(|participant| participant.name.as_str())
            .collect();
        self.refuse(
            at,
            format!(
                "no load or service `{name}`: {}",
                suggest::hint(name, known)
            ),
        )
    }

    fn version(
        &mut self,
        written: &WrittenParticipant,
        participant: ParticipantId,
        version: &str,
    ) -> Option<u16> {
        let names = self.names.get(participant);
        let Some(at) = names
            .versions
            .iter()
            .position(|(known, _)| known == version)
        else {
            if self.names.incomplete {
                self.silent = true;
                return None;
            }
            let hint = if names.is_load {
                "a load has no versions".to_owned()
            } else {
                suggest::hint(
                    version,
                    names
                        .versions
                        .iter()
                        .map(|(name, _)| name.as_str())
                        .collect::<Vec<_>>(),
                )
            };
            return self.refuse(
                written.at,
                format!("{} has no version `{version}`: {hint}", names.name),
            );
        };
        let replicas = names.versions[at].1;
        if let Some(replica) = written.replica.filter(|replica| *replica >= replicas) {
            let count = crate::scenario::replicas(replicas);
            let message = format!(
                "{}/{version} has {count}, numbered from 0: no replica `{replica}`",
                names.name
            );
            return self.refuse(written.at, message);
        }
        Some(narrow(at))
    }

    fn endpoint(
        &mut self,
        at: usize,
        participant: ParticipantId,
        method: &str,
        path: &str,
    ) -> Option<u16> {
        let names = self.names.get(participant);
        if names.is_load {
            return self.refuse(
                at,
                format!("`{}` is a load: it has no endpoints", names.name),
            );
        }
        let found = names
            .endpoints
            .iter()
            .position(|known| known.method.as_str() == method && known.path == path)
            .or_else(|| {
                let found = crate::scenario::find_endpoint(&names.endpoints, method, path);
                found.map(EndpointId::index)
            });
        let Some(found) = found else {
            let wanted = format!("{method} {path}");
            let known: Vec<String> = names.endpoints.iter().map(ToString::to_string).collect();
            let hint = suggest::hint(
                &wanted,
                known.iter().map(String::as_str).collect::<Vec<_>>(),
            );
            return self.refuse(
                at,
                format!("{} has no endpoint `{wanted}`: {hint}", names.name),
            );
        };
        Some(narrow(found))
    }

    pub(super) fn zone(&mut self, name: &str, at: usize) -> Option<u16> {
        let zone = self.names.zone(name);
        if zone.is_none() {
            let known: Vec<&str> = self.names.zones.iter().map(String::as_str).collect();
            self.error(
                at,
                format!("no zone `{name}`: {}", suggest::hint(name, known)),
            );
        }
        zone
    }

    /// Checks that the kind of subject has the figure.
    fn fits(&mut self, expr: &Expr, metric: &WrittenMetric, figure: Figure, is: Is) -> bool {
        let allowed: &[Is] = match figure {
            Figure::Success
            | Figure::Errors
            | Figure::Count
            | Figure::Share
            | Figure::Offered
            | Figure::Rate
            | Figure::Goodput
            | Figure::Gauge(Gauge::InFlight, _) => &[Is::Load, Is::Edge, Is::Service],
            Figure::Statistic(measure, _) => measured(measure),
            Figure::Attempts | Figure::Retries | Figure::Hedges => &[Is::Edge, Is::Load],
            Figure::Amplification | Figure::Gauge(Gauge::Breaker, _) => &[Is::Edge],
            Figure::Gauge(Gauge::Ejected, _) => &[Is::Edge, Is::Service],
            Figure::Busy | Figure::Gauge(..) => &[Is::Service],
            Figure::Events(Happening::Push | Happening::Nack) => &[Is::Service, Is::Control],
            Figure::Events(Happening::Refusal) => &[Is::Fault, Is::Control],
            Figure::Events(_) => &[Is::Service],
            Figure::Hits => &[Is::Fault],
        };
        let name = metric.measure.as_ref().unwrap_or(&metric.name);
        if !allowed.contains(&is) {
            let of: Vec<&str> = allowed.iter().map(|is| is.words()).collect();
            let message = format!(
                "`{name}` is a figure of {}, not of {}",
                of.join(" or "),
                is.words()
            );
            self.error(expr.at, message);
            return false;
        }
        true
    }

    /// Refuses combinations that the journal cannot distinguish.
    fn joins(
        &mut self,
        metric: &WrittenMetric,
        figure: Figure,
        subject: &Subject,
        conditions: &[Condition],
    ) -> bool {
        let from_load = match subject {
            Subject::Edge { from, .. } => from
                .participant
                .is_some_and(|id| self.names.get(id).is_load),
            _ => false,
        };
        let refused = joins::refused(figure, subject, conditions, from_load);
        if let Some(message) = refused {
            self.error(metric.first.at, message);
        }
        refused.is_none()
    }
}

/// Returns true if the subject is `control` and the figure applies to the control plane.
fn is_control(written: &WrittenParticipant, figure: Figure) -> bool {
    written.name.as_deref() == Some("control")
        && matches!(
            figure,
            Figure::Events(Happening::Push | Happening::Nack | Happening::Refusal)
        )
}

/// Converts an index into the tables of participants, which have at most 65,536 entries each.
fn narrow(index: usize) -> u16 {
    u16::try_from(index).expect("tables are bounded when the scenario is read")
}
