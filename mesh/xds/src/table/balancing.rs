//! Load balancing settings of a cluster: the policy, and the options that apply to every policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The policy by which a host is chosen among those of one priority.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LbPolicy {
    /// The host with the fewest active requests among a few random ones. Istio's default.
    LeastRequest(LeastRequest),
    RoundRobin(RoundRobin),
    /// A random host. Weights are ignored.
    Random,
    /// Consistent hashing of the request on a ring of hosts.
    RingHash(RingHash),
    /// Consistent hashing of the request in a Maglev table.
    Maglev(Maglev),
    /// The host with the fewest active requests relative to its weight. Not an Envoy policy.
    LeastLoaded,
    /// Of two random hosts, the one with the lower expected latency. Not an Envoy policy.
    PeakEwma(PeakEwma),
}

impl LbPolicy {
    /// LEAST_REQUEST with Envoy's defaults.
    pub const LEAST_REQUEST: LbPolicy = LbPolicy::LeastRequest(LeastRequest::ENVOY);
    /// ROUND_ROBIN with Envoy's defaults.
    pub const ROUND_ROBIN: LbPolicy = LbPolicy::RoundRobin(RoundRobin { slow_start: None });

    /// Returns true if the policy uses the request's hash.
    pub fn is_hashing(&self) -> bool {
        matches!(self, LbPolicy::RingHash(_) | LbPolicy::Maglev(_))
    }

    /// The policy's name: Istio's, or that of a ProxyPolicy's `balancer`.
    pub fn name(&self) -> &'static str {
        match self {
            LbPolicy::LeastRequest(_) => "LEAST_REQUEST",
            LbPolicy::RoundRobin(_) => "ROUND_ROBIN",
            LbPolicy::Random => "RANDOM",
            LbPolicy::RingHash(_) => "RING_HASH",
            LbPolicy::Maglev(_) => "MAGLEV",
            LbPolicy::LeastLoaded => "leastLoaded",
            LbPolicy::PeakEwma(_) => "peakEwma",
        }
    }

    /// The slow start of new hosts, if configured.
    pub fn slow_start(&self) -> Option<SlowStart> {
        match self {
            LbPolicy::LeastRequest(LeastRequest { slow_start, .. })
            | LbPolicy::RoundRobin(RoundRobin { slow_start }) => *slow_start,
            _ => None,
        }
    }
}

/// Settings of LEAST_REQUEST.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeastRequest {
    /// The number of random hosts to choose from if all weights are equal. At least 2.
    pub choices: u32,
    /// The exponent used if weights differ: a host's effective weight is `weight / (active + 1)^bias`. At least 0.
    pub bias: f64,
    pub slow_start: Option<SlowStart>,
}

impl LeastRequest {
    /// Envoy's defaults. Source: Envoy, `LeastRequestLbConfig`.
    pub const ENVOY: LeastRequest = LeastRequest {
        choices: 2,
        bias: 1.0,
        slow_start: None,
    };
}

/// Settings of ROUND_ROBIN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundRobin {
    pub slow_start: Option<SlowStart>,
}

/// The slow start of a new host: its weight is multiplied by `max(min, (age / window)^(1 / aggression))`. Source:
/// Envoy, `SlowStartConfig`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// The duration of the slow start. More than 0.
    pub window: Duration,
    /// The shape of the increase. 1 is linear, a higher value is faster at first. More than 0.
    pub aggression: f64,
    /// The minimum share of the weight, from 0 to 1.
    pub min_weight: f64,
}

/// The hash function that places hosts on a ring. Requests are always hashed by XXH64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RingFunction {
    /// XXH64.
    #[default]
    XxHash,
    /// MurmurHash64A.
    MurmurHash2,
}

/// Settings of RING_HASH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingHash {
    pub function: RingFunction,
    /// The minimum number of entries on the ring.
    pub min_size: u64,
    /// The maximum number of entries on the ring.
    pub max_size: u64,
}

impl RingHash {
    /// Envoy's defaults. Source: Envoy, `RingHashLbConfig`.
    pub const ENVOY: RingHash = RingHash {
        function: RingFunction::XxHash,
        min_size: 1024,
        max_size: RingHash::MAX_SIZE,
    };
    /// The largest ring that Envoy accepts: 8 Mi entries.
    pub const MAX_SIZE: u64 = 8 * 1024 * 1024;
}

/// Settings of MAGLEV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maglev {
    /// The number of table entries. Must be prime.
    pub table_size: u64,
}

impl Maglev {
    /// Envoy's default. Source: Envoy, `MaglevLbConfig`.
    pub const ENVOY: Maglev = Maglev { table_size: 65_537 };
    /// The largest table that Envoy accepts.
    pub const MAX_SIZE: u64 = 5_000_011;
}

/// Settings of the peak-sensitive moving average of latency. Source: Finagle, `PeakEwma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakEwma {
    /// The time after which an observation's weight has decayed to 1/e, if no newer one arrives. More than 0.
    pub decay: Duration,
}

impl PeakEwma {
    /// Finagle's default.
    pub const FINAGLE: PeakEwma = PeakEwma {
        decay: Duration::from_secs(10),
    };
}

/// The balancing options that apply to every policy. Source: Envoy, `CommonLbConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbOptions {
    /// The panic threshold: below this percentage of healthy hosts, all hosts are used.
    pub panic_percent: u32,
    /// True if requests fail in panic mode instead of using all hosts.
    pub fail_on_panic: bool,
    /// True if a locality is chosen by locality weight first.
    pub by_locality: bool,
    pub subsets: Option<Arc<Subsets>>,
}

impl Default for LbOptions {
    /// Envoy's defaults.
    fn default() -> Self {
        LbOptions {
            panic_percent: 50,
            fail_on_panic: false,
            by_locality: false,
            subsets: None,
        }
    }
}

/// Metadata of the `envoy.lb` namespace, by name: the labels of an endpoint, or those that a route requires.
pub type Labels = BTreeMap<Arc<str>, Label>;

/// A metadata value that subsets are selected by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    Null,
    Bool(bool),
    /// The bits of an `f64`, because numbers are only compared for equality.
    Number(u64),
    Text(Arc<str>),
}

/// The subsets of a cluster, formed by the labels of its hosts. Source: Envoy, `LbSubsetConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// The label names that form subsets, with their fallback.
    pub selectors: Vec<Selector>,
    /// The fallback if no selector has exactly the requested names, or if the selector sets none.
    pub fallback: Fallback,
    /// The labels of the subset used by [`Fallback::Default`].
    pub default_subset: Labels,
}

/// A set of label names. Each combination of their values forms a subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The names, sorted.
    pub keys: Vec<Arc<str>>,
    /// The fallback if no host has the requested values. `None`: [`Subsets::fallback`] applies.
    pub fallback: Option<SelectorFallback>,
}

/// The treatment of a request that matches no subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The request fails.
    None,
    /// Any host of the cluster is eligible.
    Any,
    /// The default subset is used.
    Default,
}

/// The treatment of a request if no host has the labels requested by its selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorFallback {
    /// A cluster-wide fallback.
    To(Fallback),
    /// The subset of these names only, a subset of the selector's. If no host matches that either, the fallback of
    /// the selector with these names applies.
    Keys(Vec<Arc<str>>),
}
