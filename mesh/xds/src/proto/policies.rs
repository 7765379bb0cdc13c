//! What Envoy has no resource for, as messages of our own. What callers do travels in a cluster's metadata, of which an
//! Envoy takes no notice; what a workload does before its app travels as an HTTP filter that is optional, and so skipped
//! by an Envoy.

use prost::{Message, Name};

use super::protobuf;

const PACKAGE: &str = "shakedown.policies.v1";

/// The key of a cluster's metadata under which [`UpstreamPolicy`] stands.
pub const UPSTREAM_POLICY: &str = "shakedown.dev";
/// The name of the HTTP filter that [`Shed`] sets up.
pub const SHED: &str = "shakedown.dev/shed";

/// What a cluster's callers do.
#[derive(Clone, PartialEq, Message)]
pub struct UpstreamPolicy {
    /// When a request is sent again.
    #[prost(message, optional, tag = "1")]
    pub hedge: Option<Hedge>,
    /// How many requests are held back.
    #[prost(message, optional, tag = "2")]
    pub throttle: Option<AdaptiveThrottle>,
}

/// A second try before the first has failed.
#[derive(Clone, PartialEq, Message)]
pub struct Hedge {
    /// If there is no answer by then.
    #[prost(message, optional, tag = "1")]
    pub after: Option<protobuf::Duration>,
    /// How many more tries at the most.
    #[prost(uint32, tag = "2")]
    pub times: u32,
    /// The most of these as a share of requests, parts per million; any number if it is not set.
    #[prost(message, optional, tag = "3")]
    pub budget_ppm: Option<protobuf::UInt32Value>,
}

/// Requests that are held back.
#[derive(Clone, PartialEq, Message)]
pub struct AdaptiveThrottle {
    /// How many are sent for each that is accepted, in thousandths; 2000 if it is 0.
    #[prost(uint32, tag = "1")]
    pub k_milli: u32,
    /// How far back it looks; two minutes if it is not set.
    #[prost(message, optional, tag = "2")]
    pub window: Option<protobuf::Duration>,
}

/// A queue before the app that gives up in time.
#[derive(Clone, PartialEq, Message)]
pub struct Shed {
    /// How many requests may be at the app at once.
    #[prost(uint32, tag = "1")]
    pub concurrency: u32,
    /// How many may wait; 1024 if it is not set.
    #[prost(message, optional, tag = "2")]
    pub queue: Option<protobuf::UInt32Value>,
    /// How long one may wait in a queue that stands; 5 ms if it is not set.
    #[prost(message, optional, tag = "3")]
    pub target: Option<protobuf::Duration>,
    /// How long one may wait otherwise, and how long a queue must stand; 100 ms if it is not set.
    #[prost(message, optional, tag = "4")]
    pub interval: Option<protobuf::Duration>,
}

impl Name for UpstreamPolicy {
    const NAME: &'static str = "UpstreamPolicy";
    const PACKAGE: &'static str = PACKAGE;

    fn type_url() -> String {
        url(Self::NAME)
    }
}

impl Name for Shed {
    const NAME: &'static str = "Shed";
    const PACKAGE: &'static str = PACKAGE;

    fn type_url() -> String {
        url(Self::NAME)
    }
}

fn url(name: &str) -> String {
    format!("shakedown.dev/{PACKAGE}.{name}")
}
