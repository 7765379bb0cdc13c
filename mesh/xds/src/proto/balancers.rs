//! Balancing policies that Envoy does not have, as messages of our own: they travel in a cluster's `load_balancing_policy`,
//! where Envoy looks for extensions. An Envoy that gets one refuses the cluster, as it must.

use prost::{Message, Name};

use super::protobuf;

const PACKAGE: &str = "shakedown.balancers.v1";

/// Of all hosts the one with the fewest active requests for its weight.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct LeastLoaded {}

/// Of two hosts drawn at random the one that is expected to answer sooner.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct PeakEwma {
    /// After this time without a new one, an observation counts for 1/e; 10 s if it is not set.
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
