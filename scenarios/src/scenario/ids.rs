//! Typed indices into the tables of a [`ResolvedScenario`], and the mapping between them and the participants of a run.

use shakedown_results::ParticipantId;

use super::{ExternalHost, LoadSpec, Protocol, ResolvedScenario, ServiceSpec, Version};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl From<u16> for $name {
            fn from(number: u16) -> $name {
                $name(u32::from(number))
            }
        }

        impl $name {
            /// The id of the element at an index.
            pub const fn new(index: u32) -> $name {
                $name(index)
            }

            /// The id of the element at an index.
            ///
            /// # Panics
            /// If the index exceeds the range, which the reader of scenarios prevents.
            pub fn from_index(index: usize) -> $name {
                $name(u32::try_from(index).expect("bounded by the reader of scenarios"))
            }

            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The index as the journal records it.
            ///
            /// # Panics
            /// If the index exceeds 16 bits, which the reader of scenarios prevents.
            pub fn number(self) -> u16 {
                u16::try_from(self.0).expect("bounded by the reader of scenarios")
            }
        }
    )*};
}

ids! {
    /// Index into [`ResolvedScenario::services`].
    ServiceId;
    /// Index into [`ResolvedScenario::loads`].
    LoadId;
    /// Index into [`ResolvedScenario::hosts`].
    ExternalHostId;
    /// Index into [`ServiceSpec::versions`].
    VersionId;
    /// Index into [`ServiceSpec::endpoints`].
    EndpointId;
}

impl VersionId {
    /// The stable version at 0 s.
    pub const FIRST: VersionId = VersionId(0);
}

impl ServiceId {
    /// The service as a participant. Services are the first participants of a run.
    ///
    /// # Panics
    /// If there are more participants than the reader of scenarios permits.
    pub fn participant(self) -> ParticipantId {
        ParticipantId(self.number())
    }
}

/// The destination of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Callee {
    Service(ServiceId),
    /// A host without a service. Routes may redirect the request.
    Host(ExternalHostId),
}

impl Callee {
    /// The service, unless the callee is a host without one.
    pub const fn service(self) -> Option<ServiceId> {
        match self {
            Callee::Service(service) => Some(service),
            Callee::Host(_) => None,
        }
    }
}

/// The role of a participant in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Service(ServiceId),
    Load(LoadId),
    Control,
    Host(ExternalHostId),
}

impl From<Callee> for Role {
    fn from(callee: Callee) -> Role {
        match callee {
            Callee::Service(service) => Role::Service(service),
            Callee::Host(host) => Role::Host(host),
        }
    }
}

impl ResolvedScenario {
    pub fn service(&self, id: ServiceId) -> &ServiceSpec {
        &self.services[id.index()]
    }

    pub fn version(&self, service: ServiceId, version: VersionId) -> &Version {
        &self.service(service).versions[version.index()]
    }

    pub fn load(&self, id: LoadId) -> &LoadSpec {
        &self.loads[id.index()]
    }

    pub fn host(&self, id: ExternalHostId) -> &ExternalHost {
        &self.hosts[id.index()]
    }

    /// Services with their ids.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &ServiceSpec)> {
        (0..).map(ServiceId).zip(&self.services)
    }

    /// Loads with their ids.
    pub fn loads(&self) -> impl Iterator<Item = (LoadId, &LoadSpec)> {
        (0..).map(LoadId).zip(&self.loads)
    }

    /// The protocol of requests to a callee.
    pub fn protocol(&self, callee: Callee) -> Protocol {
        let service = callee.service();
        service.map_or(Protocol::Http, |service| self.service(service).protocol)
    }

    /// The participant with a role. The order is that of [`Participants::list`](shakedown_results::Participants::list):
    /// services, loads, the control plane, hosts.
    pub fn participant(&self, role: impl Into<Role>) -> ParticipantId {
        let loads = self.services.len();
        let control = loads + self.loads.len();
        let index = match role.into() {
            Role::Service(service) => return service.participant(),
            Role::Load(load) => loads + load.index(),
            Role::Control => control,
            Role::Host(host) => control + 1 + host.index(),
        };
        ParticipantId(u16::try_from(index).expect("bounded by the reader of scenarios"))
    }

    /// The role of a participant. The inverse of [`participant`](Self::participant).
    ///
    /// # Panics
    /// If the participant belongs to another scenario.
    pub fn role(&self, participant: ParticipantId) -> Role {
        let index = usize::from(participant.0);
        let loads = self.services.len();
        let control = loads + self.loads.len();
        if index < loads {
            Role::Service(ServiceId::from_index(index))
        } else if index < control {
            Role::Load(LoadId::from_index(index - loads))
        } else if index == control {
            Role::Control
        } else {
            let host = index - control - 1;
            assert!(host < self.hosts.len(), "a participant of this scenario");
            Role::Host(ExternalHostId::from_index(host))
        }
    }
}

impl ServiceSpec {
    /// Versions with their ids.
    pub fn versions(&self) -> impl Iterator<Item = (VersionId, &Version)> {
        (0..).map(VersionId).zip(&self.versions)
    }

    /// The version with a name.
    pub fn version_named(&self, name: &str) -> Option<VersionId> {
        let named = self.versions().find(|(_, version)| version.name == name);
        named.map(|(id, _)| id)
    }
}
