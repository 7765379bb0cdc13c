//! The sender of a request.

use std::net::{IpAddr, Ipv4Addr};

use shakedown_istio::registry::Registry;
use shakedown_translate::Caller;

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderWorkload {
    /// The properties by which documents select callers.
    pub caller: Caller,
    /// The address of its pod, which determines its locality and the name of its listener.
    pub address: IpAddr,
}

impl SenderWorkload {
    /// The pod at an address, with the properties that the registry knows.
    pub fn at(registry: &Registry, address: IpAddr) -> SenderWorkload {
        SenderWorkload {
            caller: Caller::at(registry, address),
            address,
        }
    }
}

impl Default for SenderWorkload {
    /// A pod without a service in the namespace `default`.
    fn default() -> SenderWorkload {
        SenderWorkload::at(&Registry::new(), Ipv4Addr::UNSPECIFIED.into())
    }
}
