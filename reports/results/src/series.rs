//! What changed over a run's time, as charts and their cursor read it: whole numbers in bins of one width, and steps.
//! Bounded whatever the run's length: there are at most [`BINS_MAX`] bins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// More bins than this are joined in pairs.
pub const BINS_MAX: usize = 480;

/// Everything over time. Bin `i` holds what happened from `i * bin_ns` on, up to `(i + 1) * bin_ns`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The width of a bin, ns.
    pub bin_ns: i64,
    /// Latency of what ended in each bin: one entry a load, in the order of the loads.
    pub heat: Vec<Heat>,
    /// Tries after one that had failed that ended in each bin, of mesh and app: the edges with the most of them.
    pub retries: Vec<Counts>,
    /// Tries sent while another was open that ended in each bin, of mesh and app: the edges with the most of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hedges: Vec<Counts>,
    /// The most requests that waited at once, over all replicas: the services with the longest queues.
    pub queued: Vec<Counts>,
    /// The most requests in hand at once, over all replicas, at services that are limited by their cores: what waits there
    /// waits for a core, step by step.
    pub in_hand: Vec<Counts>,
    /// The fewest pods that were ready: versions of which that changed after 0 s.
    pub ready: Vec<Counts>,
    /// Weights that moved, in force at the control plane.
    pub weights: Vec<Weights>,
    /// What canaries did.
    pub canaries: Vec<Canary>,
    /// Pods that outlier detection had out at one proxy or more, in order of services, versions and replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ejected: Vec<Stretches>,
    /// Circuit breakers at their limit at one of the caller's proxies or more, by edge and limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<Stretches>,
}

/// When something was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretches {
    /// Of what: `api/v1/3`, `web -> api (requests)`.
    pub name: String,
    /// From when to when, ns: in order, none that overlap.
    pub spans: Vec<(i64, i64)>,
}

/// A number a bin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Of what: `api`, `api/v2`, `web -> api`.
    pub name: String,
    /// The numbers.
    pub bins: Vec<u64>,
}

/// A load's latencies over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// The load.
    pub load: String,
    /// One list a bin: empty, or the first bucket that holds something, then the counts from it up to the last that does.
    pub bins: Vec<Vec<u64>>,
}

/// The weight of one version of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The service.
    pub service: String,
    /// The version.
    pub version: String,
    /// When it changed, ns, and to what, parts per million.
    pub steps: Vec<(i64, u32)>,
}

/// The steps of a service's canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The service.
    pub service: String,
    /// Its steps, in order.
    pub steps: Vec<CanaryStep>,
}

/// A step of a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryStep {
    /// When, ns.
    pub at_ns: i64,
    /// Flagger's phase, in kebab case.
    pub phase: String,
    /// The new version, empty while there is none.
    pub version: String,
    /// Its share, parts per million.
    pub weight_ppm: u32,
    /// Why, in words.
    pub reason: String,
}

/// The bucket of a latency: four to an octave, as HDR counts them with two bits. Below 4 ns each value has its own.
pub fn bucket(ns: i64) -> usize {
    let ns = ns.max(0).unsigned_abs();
    if ns < 4 {
        return usize::try_from(ns).expect("below four");
    }
    let octave = ns.ilog2();
    let quarter = (ns >> (octave - 2)) & 3;
    usize::try_from(u64::from(octave - 1) * 4 + quarter).expect("at most 251")
}

/// The lowest latency of a bucket, ns.
pub fn bucket_from_ns(bucket: usize) -> i64 {
    if bucket < 4 {
        return i64::try_from(bucket).expect("below four");
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
