use std::time::Duration;

use crate::scenario::{
    Arrivals, AttemptBound, Callee, ChaosAction, EndpointId, FireTimes, LoadId, PodCount,
    PodSelector, ServiceId, Step, StepFailure, VersionId,
};
use crate::{Edits, LoadError, catalogue, load_all, load_text};

mod bounds;
mod calls;
mod defaults;
mod edits;
mod files;
mod grpc;
mod loads;
mod messages;
mod refusals;
mod rollout;
mod routed;
mod services;

/// A small scenario to which `extra` sections are added.
fn small_scenario(extra: &str) -> String {
    format!(
        "scenario: small
story: Two services and a load.
duration: 1m
topology:
  services:
    web: {{workers: 4, endpoints: {{GET /: [work: 1ms, call: api GET /items/7]}}}}
    api: {{workers: 4, endpoints: {{'GET /items/:id': [work: exp(2ms)]}}}}
load:
  users: {{to: web GET /, rate: 10/s}}
expect:
  - fine: success(users) == 100%
{extra}"
    )
}

fn read(text: &str) -> crate::scenario::ResolvedScenario {
    load_text("f.yaml", text, &Edits::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn errors(text: &str) -> String {
    load_text("f.yaml", text, &Edits::default())
        .expect_err("it is wrong")
        .to_string()
}

#[test]
fn every_story_of_the_catalogue_loads_with_all_its_variants() {
    for (name, _) in catalogue() {
        let scenarios = load_all(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            scenarios[0].name, name,
            "a catalogue scenario is named after its file"
        );
        assert!(
            scenarios.len() > 1,
            "{name} has a variant that shows what its checks are worth"
        );
        assert!(
            scenarios.iter().any(|scenario| scenario.breaks.is_some()),
            "{name} has a variant that breaks something"
        );
    }
}

#[test]
fn a_call_is_matched_to_the_declared_endpoint() {
    let scenario = read(&small_scenario(""));
    let Some(steps) = &scenario.services[0].versions[0].endpoints[0] else {
        panic!("declared")
    };
    let Step::Call(call) = &steps[1] else {
        panic!("a call")
    };
    assert_eq!(
        (call.callee, call.endpoint, call.path.as_str()),
        (
            Callee::Service(ServiceId::new(1)),
            Some(EndpointId::new(0)),
            "/items/7"
        )
    );
}

#[test]
fn the_nearest_of_defaults_service_and_version_wins_and_maps_merge() {
    let text = "scenario: s
story: s
duration: 1m
topology:
  defaults: {workers: 2, queue: 5, labels: {tier: gold}}
  services:
    a:
      queue: {order: lifo}
      versions: {v1: 2, v2: {replicas: 3, workers: 9, labels: {tier: lead}, endpoints: {GET /b: [work: 1ms]}}}
      endpoints: {GET /a: [sleep: 1ms]}
load: {users: {to: a GET /b, rate: 1/s}}
expect: [success(users) == 100%]";
    let scenario = read(text);
    let [v1, v2] = &scenario.services[0].versions[..] else {
        panic!("two versions")
    };
    assert_eq!(
        (v1.replicas, v1.workers, v2.replicas, v2.workers),
        (2, Some(2), 3, Some(9))
    );
    assert_eq!(
        (v1.queue.limit, v1.queue.order),
        (Some(5), crate::scenario::Order::Lifo)
    );
    assert_eq!(
        (v1.labels["tier"].as_str(), v2.labels["tier"].as_str()),
        ("gold", "lead")
    );
    assert_eq!(v2.labels["version"], "v2");
    assert_eq!(scenario.services[0].endpoints.len(), 2);
    assert!(v1.endpoints[1].is_none() && v2.endpoints[1].is_some() && v2.endpoints[0].is_some());
}

#[test]
fn client_settings_hold_for_calls_that_have_none_of_their_own() {
    let text = small_scenario("").replace(
        "web: {workers: 4, endpoints: {GET /: [work: 1ms, call: api GET /items/7]}}",
        "web: {workers: 4, calls: {any: {timeout: 1s, on-error: ignore}, api: {timeout: 2s}}, \
         endpoints: {GET /: [call: api GET /items/7, call: {to: api GET /items/8, timeout: 3s, on-error: fail}]}}",
    );
    let scenario = read(&text);
    let Some(steps) = &scenario.services[0].versions[0].endpoints[0] else {
        panic!("declared")
    };
    let after = |seconds| Some(AttemptBound::Span(Duration::from_secs(seconds)));
    let calls: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Call(call) => (call.timeout, call.on_error),
            _ => panic!("a call"),
        })
        .collect();
    assert_eq!(
        calls,
        [
            (after(2), crate::scenario::OnError::Ignore),
            (after(3), crate::scenario::OnError::Fail)
        ]
    );
}

#[test]
fn each_place_that_draws_has_a_stream_named_by_its_path() {
    let scenario = read(&small_scenario(
        "chaos: [{name: gone, at: uniform(1s..5s), for: 3s, do: crash, target: api}]",
    ));
    for path in [
        "services.web.v1/GET //0",
        "services.api.v1/GET /items/:id/0",
        "load.users",
        "chaos.gone.at",
    ] {
        assert!(
            scenario.draw_paths.iter().any(|place| place == path),
            "{path}: {:?}",
            scenario.draw_paths
        );
    }
    let mut distinct = scenario.draw_paths.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(
        distinct.len(),
        scenario.draw_paths.len(),
        "no two places share a stream"
    );
}

#[test]
fn targets_of_chaos_are_read_in_full() {
    let scenario = read(&small_scenario(
        "chaos: [{at: 5s, for: 1s, do: crash, target: 30% of api/v1 in zone a with app=api}, {at: 9s, do: partition, target: web -> users}]",
    ));
    let ChaosAction::Crash(target) = &scenario.chaos[0].action else {
        panic!("crash")
    };
    assert_eq!(
        target.part,
        PodCount::Share(crate::value::Share::from_ppb(300_000_000))
    );
    assert_eq!(
        (target.zone, target.label.clone()),
        (Some(0), Some(("app".to_owned(), "api".to_owned())))
    );
    assert_eq!(
        target.of,
        PodSelector::Service {
            service: ServiceId::new(1),
            version: Some(VersionId::new(0)),
            replica: None
        }
    );
    let ChaosAction::Partition { to, both, .. } = &scenario.chaos[1].action else {
        panic!("partition")
    };
    assert_eq!(
        (to.of.clone(), *both),
        (PodSelector::Load(LoadId::new(0)), false)
    );
    assert_eq!(scenario.chaos[1].name, "chaos.1");
}

#[test]
fn stages_hold_and_ramp_from_the_level_before() {
    let text = small_scenario("").replace(
        "rate: 10/s",
        "stages: [{for: 10s, to: 100/s}, {for: 20s, rate: 50/s}, {for: 5s, to: 0/s}]",
    );
    let stages = &read(&text).loads[0].stages;
    let shown: Vec<String> = stages
        .iter()
        .map(|s| format!("{}>{}", s.from, s.to))
        .collect();
    assert_eq!(shown, ["0/s>100/s", "50/s>50/s", "50/s>0/s"]);
}

#[test]
fn steps_of_every_kind_are_read() {
    let text = small_scenario("").replace(
        "[work: 1ms, call: api GET /items/7]",
        "[sleep: exp(1ms), parallel: [work: 1ms, [work: 2ms, call: {to: api GET /items/1, times: 3, fan-out: uniform(1..4), probability: 50%}]], \
         sequence: [work: 1ms], fail: {rate: 1%, with: reset}, respond: {status: 302, size: 4kB, headers: {location: /}}]",
    );
    let scenario = read(&text);
    let Some(steps) = &scenario.services[0].versions[0].endpoints[0] else {
        panic!("declared")
    };
    assert!(
        matches!(&steps[1], Step::Parallel(branches) if branches.len() == 2 && branches[1].len() == 2)
    );
    assert!(matches!(
        &steps[3],
        Step::Fail {
            with: StepFailure::Reset,
            ..
        }
    ));
    assert!(
        matches!(&steps[4], Step::Respond { size: 4_000, status, .. } if status.to_string() == "302")
    );
}

#[test]
fn what_never_overloads_is_warned_of() {
    let text = small_scenario("").replace("api: {workers: 4, ", "api: {");
    let warnings = read(&text).warnings;
    assert_eq!(
        warnings,
        ["f.yaml:7:5: `api` has neither `workers` nor `cores`: it cannot be overloaded"]
    );
}

/// Loads the scenarios next to the checkout, if that folder exists. The language was designed for these.
#[test]
fn scenarios_beside_the_checkout_load_or_fail_with_not_supported_yet() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenarios");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: there is no folder {}", folder.display());
        return;
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    paths.sort();
    for path in paths {
        let name = path.to_str().expect("a name in UTF-8");
        let Err(error) = load_all(name) else { continue };
        for line in error.to_string().lines() {
            assert!(line.contains("not supported yet: "), "{line}");
        }
    }
}
