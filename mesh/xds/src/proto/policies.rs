//! Messages for policies that have no Envoy resource.
//!
//! Policies of the caller are sent in a cluster's metadata, which a real Envoy ignores. Policies that a workload
//! applies before its application are sent as an optional HTTP filter, which a real Envoy skips.

use prost::{Message, Name};

use super::protobuf;

const PACKAGE: &str = "shakedown.policies.v1";

/// The key of a cluster's metadata under which [`UpstreamPolicy`] is stored.
pub const UPSTREAM_POLICY: &str = "shakedown.dev";
/// The name of the HTTP filter configured by [`Shed`].
pub const SHED: &str = "shakedown.dev/shed";

/// The policies that callers of a cluster apply.
#[derive(Clone, PartialEq, Message)]
pub struct UpstreamPolicy {
    #[prost(message, optional, tag = "1")]
    pub hedge: Option<Hedge>,
    #[prost(message, optional, tag = "2")]
    pub throttle: Option<AdaptiveThrottle>,
}

/// Request hedging: a further attempt starts before the first one has failed.
#[derive(Clone, PartialEq, Message)]
pub struct Hedge {
    /// The time without a response after which the next attempt starts.
    #[prost(message, optional, tag = "1")]
    pub after: Option<protobuf::Duration>,
    /// The maximum number of additional attempts.
    #[prost(uint32, tag = "2")]
    pub times: u32,
    /// The maximum share of hedged requests, in parts per million of all requests. Unlimited if unset.
    #[prost(message, optional, tag = "3")]
    pub budget_ppm: Option<protobuf::UInt32Value>,
}

/// Adaptive client-side throttling.
#[derive(Clone, PartialEq, Message)]
pub struct AdaptiveThrottle {
    /// The number of requests sent per accepted request, in thousandths. 0 means 2000.
    #[prost(uint32, tag = "1")]
    pub k_milli: u32,
    /// The length of the window of past requests. Default if unset: 2 minutes.
    #[prost(message, optional, tag = "2")]
    pub window: Option<protobuf::Duration>,
}

/// A queue in front of the application that sheds requests that have waited too long.
#[derive(Clone, PartialEq, Message)]
pub struct Shed {
    /// The maximum number of requests at the application at once.
    #[prost(uint32, tag = "1")]
    pub concurrency: u32,
    /// The maximum queue length. Default if unset: 1024.
    #[prost(message, optional, tag = "2")]
    pub queue: Option<protobuf::UInt32Value>,
    /// The maximum wait while the queue is congested. Default if unset: 5 ms.
    #[prost(message, optional, tag = "3")]
    pub target: Option<protobuf::Duration>,
    /// The maximum wait otherwise, and the time without an empty queue after which the queue counts as congested.
    /// Default if unset: 100 ms.
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
