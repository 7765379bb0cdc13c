//! Cases of configurations that other control planes send but ours does not: clusters named by requests, hashes of the
//! request line, the other ring hash function, subsets that fall back to fewer labels.

use shakedown_xds::proto::cluster::cluster::lb_subset_config::lb_subset_selector::LbSubsetSelectorFallbackPolicy;
use shakedown_xds::proto::cluster::cluster::lb_subset_config::{
    LbSubsetFallbackPolicy, LbSubsetSelector,
};
use shakedown_xds::proto::cluster::cluster::ring_hash_lb_config::HashFunction;
use shakedown_xds::proto::cluster::cluster::{
    LbConfig, LbPolicy, LbSubsetConfig, RingHashLbConfig,
};
use shakedown_xds::proto::protobuf::UInt64Value;
use shakedown_xds::proto::route::WeightedCluster;
use shakedown_xds::proto::route::route_action::hash_policy::{Header, PolicySpecifier};
use shakedown_xds::proto::route::route_action::{ClusterSpecifier, HashPolicy};
use shakedown_xds::proto::route::weighted_cluster::ClusterWeight;

use crate::case::{Case, Xds, get, host, request, xds};
use crate::messages::{labels, wrapped};
use crate::upstream::OK;

const APP: &str = "app";

pub(super) fn cases() -> Vec<Case> {
    let mut all = named();
    all.extend(hashed());
    all.extend(fewer());
    all
}

fn named() -> Vec<Case> {
    let by_header = |x: &mut Xds| {
        x.action().cluster_specifier = Some(ClusterSpecifier::ClusterHeader("x-cluster".into()));
    };
    let weighted = |x: &mut Xds| {
        x.action().cluster_specifier = Some(ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: vec![ClusterWeight {
                cluster_header: "x-cluster".into(),
                weight: wrapped(1),
                ..Default::default()
            }],
            ..Default::default()
        }));
    };
    vec![
        xds("a request names its cluster", by_header)
            .app(&[OK])
            .send(get("/").header("x-cluster", APP))
            .wants("200 -"),
        xds("a request names a cluster that there is not: NC", by_header)
            .app(&[OK])
            .send(get("/").header("x-cluster", "nobody"))
            .wants("503 NC"),
        xds("a request names no cluster: NC", by_header)
            .app(&[OK])
            .get("/")
            .wants("503 NC"),
        xds("of two names of a cluster the first counts", by_header)
            .app(&[OK])
            .send(
                get("/")
                    .header("x-cluster", APP)
                    .header("x-cluster", "nobody"),
            )
            .wants("200 -"),
        xds("a request names one of weighted clusters", weighted)
            .app(&[OK])
            .send(get("/").header("x-cluster", APP))
            .get("/")
            .wants("200 -, 503 NC"),
    ]
}

fn ring(x: &mut Xds, function: HashFunction) {
    let cluster = x.cluster("app");
    cluster.lb_policy = LbPolicy::RingHash.into();
    cluster.lb_config = Some(LbConfig::RingHashLbConfig(RingHashLbConfig {
        minimum_ring_size: Some(UInt64Value { value: 1024 }),
        hash_function: function.into(),
        ..Default::default()
    }));
}

fn by(x: &mut Xds, header: &str) {
    x.action().hash_policy.push(HashPolicy {
        policy_specifier: Some(PolicySpecifier::Header(Header {
            header_name: header.into(),
            ..Default::default()
        })),
        ..Default::default()
    });
}

fn five(case: Case) -> Case {
    let hosts = ["a", "b", "c", "d", "e"].map(host);
    hosts.into_iter().fold(case, Case::host)
}

/// Sends requests with different request lines, each of which both proxies must send to the same host.
fn lines(case: Case) -> Case {
    five(case)
        .get("/a")
        .get("/b")
        .get("/c?q=1")
        .get("/c?q=2")
        .get("/d/e/f")
        .send(request("PUT", "/a"))
        .send(request("DELETE", "/a"))
        .send(request("OPTIONS", "/a"))
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -")
}

fn hashed() -> Vec<Case> {
    let line = |name: &'static str, header: &'static str| {
        lines(xds(name, move |x| {
            ring(x, HashFunction::XxHash);
            by(x, header);
        }))
    };
    vec![
        line("ring hash: by :path", ":path"),
        line("ring hash: by :method", ":method"),
        line("ring hash: by :authority", ":authority"),
        line("ring hash: by :scheme", ":scheme"),
        line("ring hash: by host, which is the authority", "host"),
        lines(xds("ring hash: by :path, which is rewritten", |x| {
            ring(x, HashFunction::XxHash);
            by(x, ":path");
            x.action().prefix_rewrite = "/other/".into();
        })),
        lines(xds("ring hash: hosts by MURMUR_HASH_2", |x| {
            ring(x, HashFunction::MurmurHash2);
            by(x, ":path");
        })),
    ]
}

fn fewer() -> Vec<Case> {
    let of = |name: &'static str, wanted: &'static [(&'static str, &'static str)]| {
        xds(name, move |x| {
            let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
            let version = LbSubsetSelector {
                keys: keys(&["version"]),
                ..Default::default()
            };
            let both = LbSubsetSelector {
                keys: keys(&["stage", "version"]),
                fallback_policy: LbSubsetSelectorFallbackPolicy::KeysSubset.into(),
                fallback_keys_subset: keys(&["version"]),
                ..Default::default()
            };
            x.cluster("app").lb_subset_config = Some(LbSubsetConfig {
                fallback_policy: LbSubsetFallbackPolicy::NoFallback.into(),
                subset_selectors: vec![version, both],
                ..Default::default()
            });
            x.action().metadata_match = Some(labels(wanted));
        })
        .host(host("one").label("version", "v1").label("stage", "prod"))
        .host(host("two").label("version", "v2").label("stage", "prod"))
        .get("/")
        .get("/")
    };
    vec![
        of(
            "subsets: no host has both labels, and one has the version",
            &[("stage", "test"), ("version", "v2")],
        )
        .wants("200 -, 200 -"),
        of(
            "subsets: no host has both labels, nor the version: UH",
            &[("stage", "test"), ("version", "v9")],
        )
        .wants("503 UH, 503 UH"),
        of(
            "subsets: a host has both labels",
            &[("stage", "prod"), ("version", "v1")],
        )
        .wants("200 -, 200 -"),
    ]
}
