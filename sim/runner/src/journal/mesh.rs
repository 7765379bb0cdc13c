//! Translates events of the mesh into events of the run.

use std::net::SocketAddr;
use std::sync::Arc;

use shakedown_env::Time;
use shakedown_loadgen::decode;
use shakedown_results::{
    Answer, Event, Outcome, ParticipantId, ParticipantKind, Participants, PodId,
};
use shakedown_types::{AttemptEvent, GrpcStatus, MeshEvent, RequestEvent, ResponseFlags, Side};

use super::{Journal, JournalState};
use crate::layout::APP_PORT;

/// Parts per million in a hundredth.
const PPM_PER_PERCENT: u32 = 10_000;

impl Journal {
    /// Records an event of the mesh on `pod`.
    pub(crate) fn receive(&self, now: Time, pod: PodId, fact: MeshEvent) {
        let mut state = self.lock();
        if state.closing {
            return;
        }
        if let MeshEvent::ConfigInForce { .. } = fact {
            state.in_force.insert(pod);
            state.wake_watchers();
        }
        if let MeshEvent::Weights { name, percent } = &fact {
            for (version, percent) in percent.iter() {
                let weight = self.weight(name, version, *percent);
                weight
                    .into_iter()
                    .for_each(|event| state.record(now, event));
            }
            return;
        }
        if let MeshEvent::Routed { header, cluster } = &fact {
            let event = state.reroute(&self.participants, header, cluster);
            event.into_iter().for_each(|event| state.record(now, event));
            return;
        }
        if let Some(event) = self.translate(&mut state, pod, fact) {
            state.record(now, event);
        }
    }

    fn weight(&self, name: &str, version: &str, percent: u32) -> Option<Event> {
        let service = self.service(name)?;
        Some(Event::Weight {
            service,
            version: self.version(service, version)?,
            ppm: percent.saturating_mul(PPM_PER_PERCENT),
        })
    }

    /// Returns the service that a `Canary` document is named after.
    fn service(&self, name: &str) -> Option<ParticipantId> {
        let participant = self.participants.find(name.split('.').next()?)?;
        (self.participants.get(participant).kind == ParticipantKind::Service).then_some(participant)
    }

    fn version(&self, service: ParticipantId, name: &str) -> Option<u16> {
        let versions = &self.participants.get(service).versions;
        let at = versions.iter().position(|version| version == name)?;
        u16::try_from(at).ok()
    }

    fn translate(&self, state: &mut JournalState, pod: PodId, fact: MeshEvent) -> Option<Event> {
        Some(match fact {
            MeshEvent::Request(request) if request.side == Side::Outbound => {
                self.proxied(state, pod, &request)
            }
            // The app itself records its inbound requests, so only those that the proxy has flagged are
            // recorded.
            MeshEvent::Request(request) if request.flags == ResponseFlags::empty() => return None,
            MeshEvent::Request(request) => flagged(state, pod, &request),
            MeshEvent::Attempt(attempt) => return self.attempt(state, pod, &attempt),
            MeshEvent::ConfigInForce { version } => Event::ConfigInForce { pod, version },
            MeshEvent::ConfigRefused {
                kind,
                resource,
                reason,
            } => Event::ConfigRefused {
                pod,
                resource: format!("{kind} {resource}"),
                reason: reason.to_string(),
            },
            MeshEvent::ConfigChanged { version } => Event::ConfigChanged { version },
            MeshEvent::Canary {
                name,
                phase,
                weight_percent,
                version,
                reason,
            } => {
                let service = self.service(&name)?;
                let version = self.version(service, &version);
                Event::Canary {
                    service,
                    phase,
                    weight_ppm: weight_percent.saturating_mul(PPM_PER_PERCENT),
                    version,
                    reason: reason.to_string(),
                }
            }
            MeshEvent::Ejected { host, by, .. } => Event::Ejected {
                at: pod,
                pod: state.pod_of(host)?,
                by,
            },
            MeshEvent::EjectionOverflow { host, by, .. } => Event::EjectionOverflow {
                at: pod,
                pod: state.pod_of(host)?,
                by,
            },
            MeshEvent::Returned { host, .. } => Event::Returned {
                at: pod,
                pod: state.pod_of(host)?,
            },
            MeshEvent::Breaker {
                cluster,
                limit,
                open,
            } => Event::Breaker {
                at: pod,
                to: state.participant_of(&self.participants, &cluster)?,
                limit,
                open,
            },
            // Already handled by `receive`.
            MeshEvent::Weights { .. } | MeshEvent::Routed { .. } => return None,
            MeshEvent::DocumentRefused { document, reason } => Event::DocumentRefused {
                document: document.to_string(),
                reason: reason.to_string(),
            },
        })
    }

    fn proxied(&self, state: &mut JournalState, pod: PodId, request: &RequestEvent) -> Event {
        Event::Proxied {
            root: request.id.and_then(decode),
            from: pod,
            to: state.participant_of(&self.participants, &request.cluster),
            start_ns: state.nanos(request.started),
            outcome: outcome(request.status, request.grpc, request.flags),
            flags: request.flags,
            tries: u16::try_from(request.attempts).unwrap_or(u16::MAX),
            proxy_ns: i64::try_from(request.own.as_nanos()).unwrap_or(i64::MAX),
        }
    }

    fn attempt(
        &self,
        state: &mut JournalState,
        pod: PodId,
        attempt: &AttemptEvent,
    ) -> Option<Event> {
        let to = state.pod_of(attempt.upstream);
        // A proxy's attempts at its own app do not leave the pod.
        if to == Some(pod) && attempt.upstream.port() >= APP_PORT {
            return None;
        }
        let participant = state.participant_of(&self.participants, &attempt.cluster);
        let to_participant =
            participant.or_else(|| to.map(|to| state.participants[to.0 as usize]))?;
        Some(Event::Attempt {
            root: attempt.id.and_then(decode),
            from: pod,
            to,
            to_participant,
            start_ns: state.nanos(attempt.started),
            outcome: outcome(attempt.status, attempt.grpc, attempt.flags),
            flags: attempt.flags,
            number: u16::try_from(attempt.number).unwrap_or(u16::MAX),
            hedge: attempt.hedge,
            plaintext: attempt.plaintext,
        })
    }
}

fn flagged(state: &JournalState, pod: PodId, request: &RequestEvent) -> Event {
    Event::Flagged {
        root: request.id.and_then(decode),
        pod,
        start_ns: state.nanos(request.started),
        outcome: outcome(request.status, request.grpc, request.flags),
        flags: request.flags,
        turned_away: request.attempts == 0,
    }
}

impl JournalState {
    /// Records a translated event of the mesh.
    fn record(&mut self, now: Time, event: Event) {
        match self.zero {
            Some(_) => self.push(now, event),
            None => self.early.push((now, event)),
        }
    }

    /// Moves a call to the service of the cluster that its caller's proxy has chosen. `None` if the call is
    /// already in flight to that service.
    fn reroute(
        &mut self,
        participants: &Participants,
        call: &str,
        cluster: &Arc<str>,
    ) -> Option<Event> {
        let to = self.participant_of(participants, cluster)?;
        let call = self.calls.get_mut(call)?;
        let left = std::mem::replace(&mut call.to, to);
        (left != to).then_some(Event::CallRouted {
            root: call.root,
            from: call.from,
            left,
            to,
        })
    }

    fn pod_of(&self, address: SocketAddr) -> Option<PodId> {
        self.addresses.get(&address.ip()).copied()
    }

    /// Returns the service of a cluster, from its name: `outbound|9080|v2|reviews.default.svc.cluster.local`.
    fn participant_of(
        &mut self,
        participants: &Participants,
        cluster: &Arc<str>,
    ) -> Option<ParticipantId> {
        if let Some(known) = self.clusters.get(cluster) {
            return *known;
        }
        let host = cluster
            .strip_prefix("outbound|")
            .and_then(|rest| rest.split('|').nth(2));
        let name = host.and_then(|host| host.split('.').next());
        let participant = name
            .and_then(|name| participants.find(name))
            .filter(|participant| participants.get(*participant).kind == ParticipantKind::Service);
        self.clusters.insert(Arc::clone(cluster), participant);
        participant
    }
}

/// Converts status and response flags to an outcome. An attempt that exceeded the proxy's timeout has timed
/// out. One that its caller left, or that another attempt has beaten, is cancelled.
fn outcome(status: u16, grpc: Option<GrpcStatus>, flags: ResponseFlags) -> Outcome {
    let from_status = Outcome::of_status(status, grpc);
    let answer = if flags.contains(ResponseFlags::DC)
        || (status == 0 && flags.contains(ResponseFlags::LR))
    {
        Answer::Cancelled
    } else if flags.contains(ResponseFlags::UT) {
        Answer::Timeout
    } else {
        from_status.answer
    };
    Outcome {
        answer,
        ..from_status
    }
}
