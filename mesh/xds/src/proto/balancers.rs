//! Messages for load balancing policies that Envoy does not have.
//!
//! They are sent in a cluster's `load_balancing_policy`, where Envoy expects extensions. A real Envoy that receives
//! one rejects the cluster, which is the intended result.

use prost::{Message, Name};

use super::protobuf;

const PACKAGE: &str = "shakedown.balancers.v1";

/// Selects, among all hosts, the one with the fewest active requests relative to its weight.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct LeastLoaded {}

/// Selects, of two random hosts, the one with the lower expected latency.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct PeakEwma {
    /// The time after which an observation's weight has decayed to 1/e, if no newer one arrives. Default if unset: 10
    /// s.
    #[prost(message, optional, tag = "1")]
    pub decay: Option<protobuf::Duration>,
}

impl Name for LeastLoaded {
    const NAME: &'static str = "LeastLoaded";
    const PACKAGE: &'static str = PACKAGE;

    fn type_url() -> String {
        url(Self::NAME)
    }
}

impl Name for PeakEwma {
    const NAME: &'static str = "PeakEwma";
    const PACKAGE: &'static str = PACKAGE;

    fn type_url() -> String {
        url(Self::NAME)
    }
}

fn url(name: &str) -> String {
    format!("shakedown.dev/{PACKAGE}.{name}")
}
