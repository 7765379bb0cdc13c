//! Values over the time of a run, for charts and their cursor: integers in bins of equal width, and steps.
//! The number of bins is at most [`BINS_MAX`], for a run of any length.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of bins. Beyond it bins are merged in pairs.
pub const BINS_MAX: usize = 480;

/// All values over time. Bin `i` covers the time from `i * bin_ns` up to `(i + 1) * bin_ns`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Width of a bin, ns.
    pub bin_ns: i64,
    /// Latency of the requests that ended in each bin: one entry per load, in the order of the loads.
    pub heat: Vec<Heat>,
    /// Retries after a failed attempt that ended in each bin, of mesh and app, for the edges with the most of
    /// them.
    pub retries: Vec<Counts>,
    /// Hedged attempts that ended in each bin, of mesh and app, for the edges with the most of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hedges: Vec<Counts>,
    /// Maximum number of requests queued at once, over all replicas, for the services with the longest
    /// queues.
    pub queued: Vec<Counts>,
    /// Maximum number of requests in progress at once, over all replicas, for services limited by their
    /// cores. There requests wait for a core at each step.
    pub in_hand: Vec<Counts>,
    /// Minimum number of ready pods, for versions in which it changed after 0 s.
    pub ready: Vec<Counts>,
    /// Weights that changed, from the time at which all proxies had acknowledged them.
    pub weights: Vec<Weights>,
    /// Steps of canaries.
    pub canaries: Vec<Canary>,
    /// Pods that outlier detection had ejected at one proxy or more, in order of services, versions and
    /// replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ejected: Vec<Stretches>,
    /// Circuit breakers at their limit at one of the caller's proxies or more, by edge and limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<Stretches>,
}

/// The intervals during which a condition was true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretches {
    /// The object of the condition: `api/v1/3`, `web -> api (requests)`.
    pub name: String,
    /// Start and end of each interval, ns from 0 s, in order and without overlaps.
    pub spans: Vec<(i64, i64)>,
}

/// A series of numbers, one per bin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The object that is counted: `api`, `api/v2`, `web -> api`.
    pub name: String,
    /// The numbers, by bin.
    pub bins: Vec<u64>,
}

/// A load's latencies over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// Name of the load.
    pub load: String,
    /// A list per bin: empty, or the index of the first non-empty bucket, followed by the counts from it to
    /// the last non-empty one.
    pub bins: Vec<Vec<u64>>,
}

/// The weight of one version of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Name of the service.
    pub service: String,
    /// Name of the version.
    pub version: String,
    /// Time of each change, ns from 0 s, and the new weight, in parts per million.
    pub steps: Vec<(i64, u32)>,
}

/// The steps of a service's canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Name of the service.
    pub service: String,
    /// Steps in order of time.
    pub steps: Vec<CanaryStep>,
}

/// A step of a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryStep {
    /// Time of the step, ns from 0 s.
    pub at_ns: i64,
    /// Flagger's phase, in kebab case.
    pub phase: String,
    /// Name of the new version; empty outside of a rollout.
    pub version: String,
    /// Share of the new version, in parts per million.
    pub weight_ppm: u32,
    /// Reason in words.
    pub reason: String,
}

/// Returns the bucket of a latency: four per octave, as HDR counts them with two bits. Below 4 ns each value
/// has its own.
pub fn bucket(ns: i64) -> usize {
    let ns = ns.max(0).unsigned_abs();
    if ns < 4 {
        return usize::try_from(ns).expect("less than 4");
    }
    let octave = ns.ilog2();
    let quarter = (ns >> (octave - 2)) & 3;
    usize::try_from(u64::from(octave - 1) * 4 + quarter).expect("at most 251")
}

/// Returns the lowest latency of a bucket, ns.
pub fn bucket_from_ns(bucket: usize) -> i64 {
    if bucket < 4 {
        return i64::try_from(bucket).expect("less than 4");
    }
    let (octave, quarter) = (bucket / 4 + 1, bucket % 4);
    if octave > 62 {
        return i64::MAX;
    }
    i64::try_from((4 + quarter) << (octave - 2)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_lies_in_its_bucket() {
        for ns in (0..5_000).chain([1_000_000, 999_999_999, 1 << 40, (1 << 62) - 1, i64::MAX]) {
            let at = bucket(ns);
            assert!(bucket_from_ns(at) <= ns, "{ns}");
            assert!(bucket_from_ns(at + 1) > ns || ns == i64::MAX, "{ns}");
        }
    }

    #[test]
    fn an_octave_has_four_buckets() {
        assert_eq!(bucket(2_048) - bucket(1_024), 4);
        assert_eq!(bucket_from_ns(bucket(1_280)), 1_280);
    }
}
