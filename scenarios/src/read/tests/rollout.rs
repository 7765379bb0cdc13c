//! Versions that are deployed during the run, retries, and chaos items that affect them.

use std::time::Duration;

use super::{errors, read, small_scenario};
use crate::check::Base;
use crate::scenario::{
    ChaosAction, EndpointId, LoadId, PodSelector, ServiceId, Step, StepFailure, VersionId,
};
use crate::value::{Ratio, Share};

fn chaos(item: &str) -> crate::scenario::ChaosAction {
    let scenario = read(&small_scenario(&format!("chaos: [{item}]\n")));
    scenario.chaos[0].action.clone()
}

fn wrong(item: &str) -> String {
    errors(&small_scenario(&format!("chaos:\n  - {item}\n")))
}

const DEPLOY: &str = "{name: rollout, at: 5s, do: deploy, target: api/v2, replicas: 2, with: {fail: 5%, workers: 7}}";

#[test]
fn a_deployed_version_stands_among_its_services_without_replicas() {
    let scenario = read(
        &small_scenario(&format!("chaos: [{DEPLOY}]\n"))
            .replace("success(users) == 100%", "count(api/v2/1) == 0"),
    );
    let versions = &scenario.services[1].versions;
    let shown: Vec<(&str, u32, Option<u32>)> = versions
        .iter()
        .map(|v| (v.name.as_str(), v.replicas, v.workers))
        .collect();
    assert_eq!(shown, [("v1", 1, Some(4)), ("v2", 0, Some(7))]);
    assert_eq!(versions[1].labels["version"], "v2");
    let Some(steps) = &versions[1].endpoints[0] else {
        panic!("inherited")
    };
    assert!(matches!(&steps[0], Step::Fail { rate, .. } if *rate == Share::from_ppb(50_000_000)));
    assert!(matches!(&steps[1], Step::Work(_)));
    assert_eq!(
        scenario.chaos[0].action,
        ChaosAction::Deploy {
            service: ServiceId::new(1),
            version: VersionId::new(1),
            replicas: 2
        }
    );
}

#[test]
fn a_deploy_that_cannot_be_is_told() {
    assert_eq!(
        wrong("{at: 5s, do: deploy, target: api/v1}"),
        "f.yaml:13:34: not supported yet: `deploy` of an existing version (`v1`)"
    );
    assert_eq!(
        wrong("{at: 5s, do: deploy, target: api}"),
        "f.yaml:13:34: the target of `deploy` needs a version, for example `target: checkout/v2`"
    );
    assert_eq!(
        wrong("{at: 5s, do: deploy, target: apy/v2}"),
        "f.yaml:13:34: no service `apy`: did you mean `api`?"
    );
    let lines = wrong("{at: 5s, do: deploy, target: api/v2, with: {replicas: 2}, for: 3s}");
    assert!(
        lines.contains("f.yaml:13:49: unknown key `replicas`"),
        "{lines}"
    );
    assert!(
        lines.contains("f.yaml:13:63: `deploy` is instantaneous and does not take `for`"),
        "{lines}"
    );
    assert!(
        wrong("{every: 5s, do: deploy, target: api/v2}").contains("not supported yet: `deploy`"),
    );
}

#[test]
fn what_a_version_cannot_suffer_before_it_is_there_is_refused() {
    let lines = errors(&small_scenario(&format!(
        "chaos:\n  - {DEPLOY}\n  - {{at: 9s, for: 1s, do: crash, target: api/v2}}\n"
    )));
    assert_eq!(
        lines,
        "f.yaml:14:42: not supported yet: `crash` of a version that has no replicas at 0 s"
    );
}

#[test]
fn slow_takes_a_factor_or_an_addition() {
    let ChaosAction::Slow {
        target,
        factor,
        add,
    } = chaos("{at: 5s, for: 3s, do: slow, target: 1 of api, factor: 2.5}")
    else {
        panic!("slow")
    };
    assert_eq!((target.text.as_str(), add), ("1 of api", None));
    assert_eq!(Some(factor), Ratio::new(5, 2));
    let ChaosAction::Slow { factor, add, .. } =
        chaos("{name: mud, at: 5s, do: slow, target: api, add: exp(3ms)}")
    else {
        panic!("slow")
    };
    assert_eq!(factor, Ratio::ONE);
    assert!(add.is_some());
    assert_eq!(
        wrong("{at: 5s, do: slow, target: api, factor: 2, add: 3ms}"),
        "f.yaml:13:53: `slow` accepts either `factor` or `add`, not both"
    );
    assert_eq!(
        wrong("{at: 5s, do: slow, target: api}"),
        "f.yaml:13:5: `factor` is missing: write `factor: 10`"
    );
    assert_eq!(
        wrong("{at: 5s, do: slow, target: users, factor: 2}"),
        "f.yaml:13:32: `slow` requires pods of a service as its target: `users` has no endpoints"
    );
    assert!(wrong("{at: 5s, do: slow, target: api, factor: 2ms}").contains("invalid factor `2ms`"));
}

#[test]
fn fail_may_be_of_one_endpoint_only() {
    let ChaosAction::Fail {
        rate, with, only, ..
    } = chaos(
        "{at: 5s, do: fail, target: api/v1/0, rate: 30%, with: reset, only: api GET /items/3}",
    )
    else {
        panic!("fail")
    };
    assert_eq!(
        (rate, with, only),
        (
            Share::from_ppb(300_000_000),
            StepFailure::Reset,
            Some((ServiceId::new(1), EndpointId::new(0)))
        )
    );
    let lines = wrong("{at: 5s, do: fail, target: api, rate: 30%, only: web GET /}");
    assert_eq!(
        lines,
        "f.yaml:13:54: `web` is not the target: `only` must name an endpoint of api"
    );
}

#[test]
fn surge_and_scale_name_what_they_change() {
    assert_eq!(
        chaos("{at: 5s, for: 1s, do: surge, target: users, factor: 3}"),
        ChaosAction::Surge {
            load: LoadId::new(0),
            factor: Ratio::whole(3)
        }
    );
    assert_eq!(
        wrong("{at: 5s, do: surge, target: user, factor: 3}"),
        "f.yaml:13:33: no load `user`: did you mean `users`?"
    );
    assert_eq!(
        chaos("{at: 5s, do: scale, target: api, to: 8}"),
        ChaosAction::Scale {
            service: ServiceId::new(1),
            version: None,
            to: 8
        }
    );
    assert_eq!(
        wrong("{at: 5s, do: scale, target: api/v1, to: 8, for: 5s}"),
        "f.yaml:13:48: `scale` is instantaneous and does not take `for`"
    );
}

#[test]
fn each_apply_builds_on_earlier_ones_regardless_of_file_order() {
    let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: api}, spec: {host: api}}";
    let scenario = read(&small_scenario(&format!(
        "chaos:\n  - {{name: late, at: 9s, do: apply, mesh: [{{remove: DestinationRule/api}}]}}\n  \
         - {{name: mid, at: 7s, do: apply, mesh: [{{patch: DestinationRule/api, with: {{spec: {{trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}}}}}}}]}}\n  \
         - {{name: early, at: 5s, do: apply, mesh: [{rule}]}}\n"
    )));
    let shown: Vec<(usize, Vec<String>)> = scenario
        .chaos
        .iter()
        .map(|item| match &item.action {
            ChaosAction::Apply { documents, remove } => (
                documents.len(),
                remove.iter().map(ToString::to_string).collect(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    let gone = vec!["DestinationRule/api".to_owned()];
    assert_eq!(shown, [(0, gone), (1, vec![]), (1, vec![])]);
    let ChaosAction::Apply { documents, .. } = &scenario.chaos[1].action else {
        panic!("apply")
    };
    assert!(format!("{documents:?}").contains("Random"), "{documents:?}");
}

#[test]
fn an_instantaneous_items_after_begins_at_start_and_during_lasts_to_end() {
    let check = |window: &str| {
        let scenario = small_scenario(&format!("chaos: [{DEPLOY}]\n"));
        let check = format!("count(api) == 0 {window}");
        let check = read(&scenario.replace("success(users) == 100%", &check))
            .checks
            .remove(0);
        (check.window.from.base, check.window.to.base)
    };
    let start = || Base::StartOf("rollout".to_owned());
    assert_eq!(check("after rollout"), (start(), Base::End));
    assert_eq!(check("after rollout + 5s"), (start(), Base::End));
    assert_eq!(
        check("during rollout"),
        (start(), Base::EndOf("rollout".to_owned()))
    );
}

#[test]
fn what_an_apply_cannot_bring_is_told() {
    let bad = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: bad}, spec: {host: api, subsets: [{}]}}";
    let lines = wrong(&format!("{{at: 5s, do: apply, mesh: [{bad}]}}"));
    assert!(
        lines.contains("not supported yet: `apply` of a document that cannot be read: "),
        "{lines}"
    );
    assert_eq!(
        wrong("{at: 5s, do: apply, mesh: [{remove: DestinationRule/api}]}"),
        "f.yaml:13:41: no document `DestinationRule/api`: the mesh has no documents"
    );
    assert_eq!(
        wrong("{at: 5s, do: apply}"),
        "f.yaml:13:5: `mesh` is missing: write `mesh: [{file: mesh/new.yaml}]`"
    );
}

#[test]
fn retries_are_written_short_or_long_and_merge_with_client_settings() {
    let text = small_scenario("").replace(
        "web: {workers: 4,",
        "web: {workers: 4, calls: {any: {deadline: 2s, retries: 2}, api: {retries: {budget: 5%, on: timeout, backoff: 10ms}}},",
    );
    let scenario = read(&text);
    let Some(steps) = &scenario.services[0].versions[0].endpoints[0] else {
        panic!("declared")
    };
    let Step::Call(call) = &steps[1] else {
        panic!("a call")
    };
    let retries = call.retries.as_ref().expect("it retries");
    assert_eq!(call.deadline, Some(Duration::from_secs(2)));
    assert_eq!(
        (
            retries.times,
            retries.on_5xx,
            retries.on_reset,
            retries.on_timeout
        ),
        (2, false, false, true)
    );
    assert_eq!(retries.max_backoff, Duration::from_millis(100));
    assert_eq!(retries.budget, Some(Share::from_ppb(50_000_000)));
    assert!(retries.full_jitter);
    let path = scenario.draw_path(retries.draw_id);
    assert_eq!(path, "services.web.v1/GET //1/retries");
}

#[test]
fn a_loads_clients_retry() {
    let retries = |edit: &str| {
        let text =
            small_scenario("").replace("rate: 10/s", &format!("rate: 10/s, retries: {edit}"));
        read(&text).loads[0].retries.clone()
    };
    let long =
        retries("{times: 1, on: [5xx, reset], budget: none, jitter: none}").expect("retries");
    assert_eq!((long.times, long.on_5xx, long.on_timeout), (1, true, false));
    assert_eq!((long.budget, long.full_jitter), (None, false));
    assert!(retries("3").is_some_and(|r| r.on_5xx && r.on_reset && r.on_timeout));
    assert_eq!(retries("0"), None);
    let text =
        small_scenario("").replace("rate: 10/s", "rate: 10/s, retries: {times: 1, on: [404]}");
    assert!(errors(&text).contains("unknown word `404`: expected `5xx`, `reset` or `timeout`"));
}

#[test]
fn the_canary_controller_is_told_when_to_look_and_may_be_off() {
    let control_of =
        |control: &str| read(&small_scenario(&format!("control: {control}\n"))).control;
    let written = control_of("{canaries: false, telemetry: 1s}");
    assert_eq!(
        (written.canaries, written.telemetry),
        (false, Duration::from_secs(1))
    );
    let silent = control_of("{}");
    assert_eq!(
        (silent.canaries, silent.telemetry),
        (true, Duration::from_secs(15))
    );
}

#[test]
fn the_bad_canary_loads_with_its_controller_off() {
    let edits = crate::Edits {
        variant: None,
        set: vec!["control.canaries=false".to_owned()],
    };
    let scenario = crate::load("bad-canary-rolls-back", &edits).unwrap_or_else(|e| panic!("{e}"));
    assert!(!scenario.control.canaries);
    let ChaosAction::Deploy { version, .. } = scenario.chaos[0].action else {
        panic!("a deploy")
    };
    assert_eq!(version, VersionId::new(1));
}

#[test]
fn a_replica_of_a_version_to_come_can_be_a_target() {
    let scenario = read(&small_scenario(&format!(
        "chaos: [{DEPLOY}, {{at: 9s, do: slow, target: api/v2/1, factor: 2}}]\n"
    )));
    let ChaosAction::Slow { target, .. } = &scenario.chaos[1].action else {
        panic!("slow")
    };
    assert_eq!(
        target.of,
        PodSelector::Service {
            service: ServiceId::new(1),
            version: Some(VersionId::new(1)),
            replica: Some(1)
        }
    );
}
