//! Services: merged and inherited keys, and keywords.

use std::time::Duration;

use super::{read, small_scenario};
use crate::scenario::{
    Abandoned, AttemptBound, ChaosAction, CpuScheduling, Order, Step, StepFailure, Version,
};
use crate::{Edits, load_text};

/// The versions of `api` with these additional keys.
fn versions(keys: &str) -> Vec<Version> {
    let text =
        small_scenario("").replace("api: {workers: 4,", &format!("api: {{workers: 4, {keys},"));
    read(&text).services[1].versions.clone()
}

#[test]
fn a_versions_short_form_leaves_the_rest_of_its_services_long_one() {
    let queue = &versions("queue: {limit: 10, order: lifo}, versions: {v1: {queue: 5}}")[0].queue;
    assert_eq!((queue.limit, queue.order), (Some(5), Order::Lifo));
}

#[test]
fn a_deployed_versions_short_form_keeps_its_services_other_long_form_settings() {
    let text = small_scenario("chaos: [{at: 5s, do: deploy, target: api/v2, with: {queue: 5}}]\n")
        .replace(
            "api: {workers: 4,",
            "api: {workers: 4, queue: {limit: 10, order: lifo},",
        );
    let queue = read(&text).services[1].versions[1].queue;
    assert_eq!((queue.limit, queue.order), (Some(5), Order::Lifo));
}

#[test]
fn a_full_queue_may_reset() {
    let queue = &versions("queue: {full: reset}")[0].queue;
    assert_eq!(queue.full, StepFailure::Reset);
}

#[test]
fn a_queue_may_be_unlimited() {
    assert_eq!(versions("queue: unlimited")[0].queue.limit, None);
}

#[test]
fn a_service_configures_cpu_scheduling_connection_keep_alive_and_abandoned_requests() {
    let version = &versions("cpu: fifo, abandoned: drop, keep-alive: {idle: 5s, requests: 7}")[0];
    assert_eq!(version.cpu, CpuScheduling::Fifo);
    assert_eq!(version.abandoned, Abandoned::Drop);
    assert_eq!(version.keep_alive_idle, Duration::from_secs(5));
    assert_eq!(version.keep_alive_requests, Some(7));
}

#[test]
fn a_key_to_come_that_is_taken_away_is_none() {
    assert_eq!(versions("memory: null").len(), 1);
}

#[test]
fn replicas_spread_over_named_zones_and_the_control_plane_has_its_own() {
    let text = small_scenario("control: {zone: b}\n")
        .replace("topology:\n", "topology:\n  zones: {a: {}, b: {}}\n")
        .replace("api: {workers: 4,", "api: {workers: 4, zones: [b],");
    let scenario = read(&text);
    assert_eq!(scenario.services[0].versions[0].zones, [0, 1]);
    assert_eq!(scenario.services[1].versions[0].zones, [1]);
    assert_eq!(scenario.control.zone, 1);
}

#[test]
fn a_step_is_found_among_branches_and_in_a_sequence() {
    let text = small_scenario("").replace(
        "[work: exp(2ms)]",
        "[parallel: [work: 1ms, [sequence: [fail: 5%]]]]",
    );
    let steps = read(&text).services[1].versions[0].endpoints[0].clone();
    let step = &steps.expect("declared")[0];
    assert!(step.any(&|step| matches!(step, Step::Fail { .. })));
    assert!(!step.any(&|step| matches!(step, Step::Call(_))));
}

#[test]
fn a_service_may_do_without_a_sidecar() {
    assert!(!versions("sidecar: none")[0].sidecar);
    assert!(versions("sidecar: 0s")[0].sidecar);
}

#[test]
fn an_app_forwards_who_the_user_is_unless_told_otherwise() {
    let forward = |keys: &str| -> Vec<String> {
        let names = versions(keys)[0].forward.clone();
        names.iter().map(ToString::to_string).collect()
    };
    assert_eq!(forward("port: 81"), ["end-user", "cookie", "authorization"]);
    assert_eq!(forward("forward: [x-plan]"), ["x-plan"]);
}

#[test]
fn a_try_may_take_what_is_left_of_its_callers_deadline() {
    let call = "call: {to: api GET /items/7, timeout: rest}";
    let scenario = read(&small_scenario("").replace("call: api GET /items/7", call));
    let steps = scenario.services[0].versions[0].endpoints[0].as_ref();
    let Some(Step::Call(call)) = steps.and_then(|steps| steps.last()) else {
        panic!("a call")
    };
    assert_eq!(call.timeout, Some(AttemptBound::Rest));
}

#[test]
fn a_pair_of_zones_may_have_a_latency_both_ways() {
    let text = small_scenario("").replace(
        "topology:\n",
        "topology:\n  zones: {a: {}, b: {}}\n  latency: {a <-> b: 7ms}\n",
    );
    let pairs: Vec<_> = read(&text).latency.zones.into_keys().collect();
    assert_eq!(pairs, [(0, 1), (1, 0)]);
}

#[test]
fn an_edits_key_that_holds_a_dot_is_quoted() {
    let set = |set: &str| {
        let edits = Edits {
            variant: None,
            set: vec![set.to_owned()],
        };
        load_text("f.yaml", &small_scenario(""), &edits)
    };
    let edited = set("topology.services.api.labels.\"example.org/tier\"=gold").expect("it loads");
    let labels = &edited.services[1].versions[0].labels;
    assert_eq!(
        labels.get("example.org/tier").map(String::as_str),
        Some("gold")
    );
    let error = set("load..rate=1/s").expect_err("an empty key").to_string();
    assert!(
        error.contains("a key is written `load.users.rate`"),
        "{error}"
    );
}

#[test]
fn a_default_run_has_30_seeds_30_s_drain_and_allows_outbound() {
    let scenario = read(&small_scenario(""));
    assert_eq!((scenario.seed, scenario.seeds), (1, (1, 30)));
    assert_eq!(scenario.drain, Duration::from_secs(30));
    assert_eq!(scenario.control.debounce, Duration::from_millis(100));
    assert!(scenario.control.outbound_allow_any);
}

const RULE: &str = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: api}, spec: {host: HOST}}";

#[test]
fn a_document_takes_the_place_of_one_of_its_kind_and_name() {
    let (one, other) = (RULE.replace("HOST", "web"), RULE.replace("HOST", "api"));
    let scenario = read(&small_scenario(&format!("mesh: [{one}, {other}]\n")));
    assert_eq!(scenario.mesh.len(), 1);
    assert!(scenario.expanded.contains("host: api") && !scenario.expanded.contains("host: web"));
}

#[test]
fn an_apply_brings_what_it_names_and_no_more() {
    let there = RULE
        .replace("HOST", "web")
        .replace("name: api", "name: web");
    let new = RULE.replace("HOST", "api");
    let scenario = read(&small_scenario(&format!(
        "mesh: [{there}]\nchaos: [{{at: 5s, do: apply, mesh: [{new}]}}]\n"
    )));
    let ChaosAction::Apply { documents, remove } = &scenario.chaos[0].action else {
        panic!("apply")
    };
    let names: Vec<&str> = documents
        .iter()
        .map(|document| document.meta().name.as_str())
        .collect();
    assert_eq!((names, remove.len()), (vec!["api"], 0));
}
