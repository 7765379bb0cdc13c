//! Typed indices into the tables of a scenario.

use shakedown_results::ParticipantId;

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
    /// Index into [`ResolvedScenario::services`](super::ResolvedScenario::services).
    ServiceId;
    /// Index into [`ResolvedScenario::loads`](super::ResolvedScenario::loads).
    LoadId;
    /// Index into [`ResolvedScenario::hosts`](super::ResolvedScenario::hosts).
    ExternalHostId;
    /// Index into [`ServiceSpec::versions`](super::ServiceSpec::versions).
    VersionId;
    /// Index into [`ServiceSpec::endpoints`](super::ServiceSpec::endpoints).
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
pub enum ParticipantRole {
    Service(ServiceId),
    Load(LoadId),
    Control,
    Host(ExternalHostId),
}

impl From<Callee> for ParticipantRole {
    fn from(callee: Callee) -> ParticipantRole {
        match callee {
            Callee::Service(service) => ParticipantRole::Service(service),
            Callee::Host(host) => ParticipantRole::Host(host),
        }
    }
}
