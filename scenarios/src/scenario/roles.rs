//! Look-ups by id, and the mapping between the elements of a scenario and the participants of a run.

use shakedown_results::ParticipantId;

use super::ids::{Callee, ExternalHostId, LoadId, ParticipantRole, ServiceId, VersionId};
use super::{DrawId, ExternalHost, LoadSpec, Protocol, ResolvedScenario, ServiceSpec, Version};

impl ResolvedScenario {
    pub fn service(&self, id: ServiceId) -> &ServiceSpec {
        &self.services[id.index()]
    }

    pub fn version(&self, service: ServiceId, version: VersionId) -> &Version {
        &self.service(service).versions[version.index()]
    }

    /// Returns the path of a source location that draws, which labels its random stream.
    pub fn draw_path(&self, id: DrawId) -> &str {
        &self.draw_paths[id.0 as usize]
    }

    pub fn load(&self, id: LoadId) -> &LoadSpec {
        &self.loads[id.index()]
    }

    pub fn host(&self, id: ExternalHostId) -> &ExternalHost {
        &self.hosts[id.index()]
    }

    /// Services with their ids.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &ServiceSpec)> {
        (0..).map(ServiceId::new).zip(&self.services)
    }

    /// Loads with their ids.
    pub fn loads(&self) -> impl Iterator<Item = (LoadId, &LoadSpec)> {
        (0..).map(LoadId::new).zip(&self.loads)
    }

    /// The protocol of requests to a callee.
    pub fn protocol(&self, callee: Callee) -> Protocol {
        let service = callee.service();
        service.map_or(Protocol::Http, |service| self.service(service).protocol)
    }

    /// The participant with a role. The order is that of [`Participants::list`](shakedown_results::Participants::list):
    /// services, loads, the control plane, hosts.
    pub fn participant(&self, role: impl Into<ParticipantRole>) -> ParticipantId {
        let loads = self.services.len();
        let control = loads + self.loads.len();
        let index = match role.into() {
            ParticipantRole::Service(service) => return service.participant(),
            ParticipantRole::Load(load) => loads + load.index(),
            ParticipantRole::Control => control,
            ParticipantRole::Host(host) => control + 1 + host.index(),
        };
        ParticipantId(u16::try_from(index).expect("bounded by the reader of scenarios"))
    }

    /// The role of a participant. The inverse of [`participant`](Self::participant).
    ///
    /// # Panics
    /// If the participant belongs to another scenario.
    pub fn role(&self, participant: ParticipantId) -> ParticipantRole {
        let index = usize::from(participant.0);
        let loads = self.services.len();
        let control = loads + self.loads.len();
        if index < loads {
            ParticipantRole::Service(ServiceId::from_index(index))
        } else if index < control {
            ParticipantRole::Load(LoadId::from_index(index - loads))
        } else if index == control {
            ParticipantRole::Control
        } else {
            let host = index - control - 1;
            assert!(host < self.hosts.len(), "a participant of this scenario");
            ParticipantRole::Host(ExternalHostId::from_index(host))
        }
    }
}

impl ServiceSpec {
    /// Versions with their ids.
    pub fn versions(&self) -> impl Iterator<Item = (VersionId, &Version)> {
        (0..).map(VersionId::new).zip(&self.versions)
    }

    /// The version with a name.
    pub fn version_named(&self, name: &str) -> Option<VersionId> {
        let named = self.versions().find(|(_, version)| version.name == name);
        named.map(|(id, _)| id)
    }
}
