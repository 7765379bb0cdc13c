//! How a host of a cluster is chosen: the policy, and what holds for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How a host is chosen among those of one priority.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LbPolicy {
    /// Of some drawn at random the one with the fewest active requests. Istio's default.
    LeastRequest(LeastRequest),
    /// One after another.
    RoundRobin(RoundRobin),
    /// Any, whatever its weight.
    Random,
    /// By the request's hash, on a ring of hosts.
    RingHash(RingHash),
    /// By the request's hash, in a table of hosts.
    Maglev(Maglev),
    /// Of all hosts the one with the fewest active requests for its weight. Not Envoy's.
    LeastLoaded,
    /// Of two drawn at random the one that is expected to answer sooner. Not Envoy's.
    PeakEwma(PeakEwma),
}

impl LbPolicy {
    /// LEAST_REQUEST with Envoy's defaults.
    pub const LEAST_REQUEST: LbPolicy = LbPolicy::LeastRequest(LeastRequest::ENVOY);
    /// ROUND_ROBIN with Envoy's defaults.
    pub const ROUND_ROBIN: LbPolicy = LbPolicy::RoundRobin(RoundRobin { slow_start: None });

    /// Whether it looks at the request's hash.
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

    /// How hosts that are new come to their full share, if slowly.
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
    /// How many hosts are drawn where all have one weight; 2 or more.
    pub choices: u32,
    /// Where weights differ, a host's is `weight / (active + 1)^bias`; 0 or more.
    pub bias: f64,
    /// How new hosts come to their share.
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
    /// How new hosts come to their share.
    pub slow_start: Option<SlowStart>,
}

/// How a new host comes to its full share: its weight is multiplied by `max(min, (age / window)^(1 / aggression))`.
/// Source: Envoy, `SlowStartConfig`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes; more than 0.
    pub window: Duration,
    /// 1: linear; more: faster at first. More than 0.
    pub aggression: f64,
    /// The share that it has at once, from 0 to 1.
    pub min_weight: f64,
}

/// By which hash hosts are put on a ring. Requests are hashed by XXH64 in either case.
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
    /// By which hash hosts are put on it.
    pub function: RingFunction,
    /// The ring has at least so many places.
    pub min_size: u64,
    /// The ring has at most so many places.
    pub max_size: u64,
}

impl RingHash {
    /// Envoy's defaults. Source: Envoy, `RingHashLbConfig`.
    pub const ENVOY: RingHash = RingHash {
        function: RingFunction::XxHash,
        min_size: 1024,
        max_size: RingHash::MAX_SIZE,
    };
    /// The greatest ring that Envoy takes: 8 Mi.
    pub const MAX_SIZE: u64 = 8 * 1024 * 1024;
}

/// Settings of MAGLEV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maglev {
    /// The places of its table: a prime.
    pub table_size: u64,
}

impl Maglev {
    /// Envoy's default. Source: Envoy, `MaglevLbConfig`.
    pub const ENVOY: Maglev = Maglev { table_size: 65_537 };
    /// The greatest table that Envoy takes.
    pub const MAX_SIZE: u64 = 5_000_011;
}

/// Settings of the peak-sensitive moving average of latency. Source: Finagle, `PeakEwma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakEwma {
    /// After this time without a new one, an observation counts for 1/e; more than 0.
    pub decay: Duration,
}

impl PeakEwma {
    /// Finagle's default.
    pub const FINAGLE: PeakEwma = PeakEwma {
        decay: Duration::from_secs(10),
    };
}

/// What holds for a cluster whatever its policy. Source: Envoy, `CommonLbConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbOptions {
    /// With fewer healthy hosts than this percentage, all are used.
    pub panic_percent: u32,
    /// Whether requests fail in that case instead.
    pub fail_on_panic: bool,
    /// Whether localities are chosen by their weights first.
    pub by_locality: bool,
    /// Parts of the cluster that routes may name.
    pub subsets: Option<Arc<Subsets>>,
}

impl Default for LbOptions {
    /// Envoy's.
    fn default() -> Self {
        LbOptions {
            panic_percent: 50,
            fail_on_panic: false,
            by_locality: false,
            subsets: None,
        }
    }
}

/// Values by name, as endpoints have and routes ask for under `envoy.lb`.
pub type Labels = BTreeMap<Arc<str>, Label>;

/// A value that subsets are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number, by its bits: it is compared for being the same and no more.
    Number(u64),
    /// A text.
    Text(Arc<str>),
}

/// Parts of a cluster, by the labels of its hosts. Source: Envoy, `LbSubsetConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// The sets of names that make subsets, and what happens where one has no host.
    pub selectors: Vec<Selector>,
    /// What happens where no selector has the names asked for, or the selector leaves it to this.
    pub fallback: Fallback,
    /// The subset of [`Fallback::Default`].
    pub default_subset: Labels,
}

/// Names that together make subsets: one for each combination of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The names, sorted.
    pub keys: Vec<Arc<str>>,
    /// What happens where no host has the values; `None`: what [`Subsets::fallback`] says.
    pub fallback: Option<SelectorFallback>,
}

/// Where a request goes that no subset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nowhere.
    None,
    /// To any host.
    Any,
    /// To the default subset.
    Default,
}

/// Where a request goes whose subset no host has, as its selector says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorFallback {
    /// As it would of the cluster.
    To(Fallback),
    /// To the subset of these names alone, which are some of the selector's; and if no host has that, as the selector of
    /// these names says.
    Keys(Vec<Arc<str>>),
}
