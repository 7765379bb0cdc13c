//! Cases of subsets of a cluster's hosts by labels, configured by Envoy's messages.

use shakedown_xds::proto::cluster::cluster::LbSubsetConfig;
use shakedown_xds::proto::cluster::cluster::lb_subset_config::{
    LbSubsetFallbackPolicy, LbSubsetSelector,
};

use crate::case::{Case, Xds, xds};
use crate::case::{get, host};
use crate::messages::{fields, labels};
use crate::upstream::status;

pub(super) fn cases() -> Vec<Case> {
    let no_fallback = LbSubsetFallbackPolicy::NoFallback;
    let any = LbSubsetFallbackPolicy::AnyEndpoint;
    let default = LbSubsetFallbackPolicy::DefaultSubset;
    vec![
        of(
            "subsets: the hosts with the label",
            no_fallback,
            &[("version", "v2")],
        )
        .wants("200 -, 200 -, 200 -"),
        of(
            "subsets: a label that no host has, and no fallback: UH",
            no_fallback,
            &[("version", "v9")],
        )
        .wants("503 UH, 503 UH, 503 UH"),
        of(
            "subsets: a label that no host has, and any host",
            any,
            &[("version", "v9")],
        )
        .any_host()
        .wants("200 -, 200 -, 200 -"),
        of(
            "subsets: a label that no host has, and the default subset",
            default,
            &[("version", "v9")],
        )
        .wants("200 -, 200 -, 200 -"),
        of(
            "subsets: a label that no selector names",
            default,
            &[("colour", "red")],
        )
        .wants("200 -, 200 -, 200 -"),
        of(
            "subsets: two labels",
            no_fallback,
            &[("stage", "prod"), ("version", "v1")],
        )
        .wants("200 -, 200 -, 200 -"),
        of(
            "subsets: no label is asked for, and no fallback: UH",
            no_fallback,
            &[],
        )
        .wants("503 UH, 503 UH, 503 UH"),
        of("subsets: no label is asked for, and any host", any, &[])
            .any_host()
            .wants("200 -, 200 -, 200 -"),
        retried(),
    ]
}

fn of(
    name: &'static str,
    fallback: LbSubsetFallbackPolicy,
    wanted: &'static [(&'static str, &'static str)],
) -> Case {
    xds(name, move |x| told_apart(x, fallback, wanted))
        .host(host("one").label("version", "v1").label("stage", "prod"))
        .host(host("two").label("version", "v2").label("stage", "prod"))
        .host(host("three").label("version", "v3").label("stage", "test"))
        .get("/")
        .get("/")
        .get("/")
}

fn told_apart(x: &mut Xds, fallback: LbSubsetFallbackPolicy, wanted: &[(&str, &str)]) {
    let selector = |keys: &[&str]| LbSubsetSelector {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..Default::default()
    };
    x.cluster("app").lb_subset_config = Some(LbSubsetConfig {
        fallback_policy: fallback.into(),
        default_subset: Some(fields(&[("version", "v1")])),
        subset_selectors: vec![selector(&["version"]), selector(&["stage", "version"])],
        ..Default::default()
    });
    if !wanted.is_empty() {
        x.action().metadata_match = Some(labels(wanted));
    }
}

/// A retry stays in the subset.
fn retried() -> Case {
    xds("subsets: another try stays in the subset", |x| {
        told_apart(x, LbSubsetFallbackPolicy::NoFallback, &[("version", "v1")]);
        x.action().retry_policy = Some(shakedown_xds::proto::route::RetryPolicy {
            retry_on: "5xx".into(),
            ..Default::default()
        });
    })
    .host(host("bad").label("version", "v1").does(&[status(503)]))
    .host(host("good").label("version", "v2"))
    .send(get("/"))
    .wants("503 URX")
}
