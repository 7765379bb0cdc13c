//! Services that use HTTP/2 and gRPC, from the load to the last app.

use std::collections::BTreeSet;

use shakedown_results::{Answer, Event};
use shakedown_scenarios::{Edits, Judge, load_text};
use shakedown_types::GrpcStatus;

use super::{Played, play};
use crate::plan_run;

/// Three services in a chain: the first uses HTTP, the others `protocol`; and a load. Proxies do not retry,
/// although by Istio's default they do after UNAVAILABLE. `more` starts with further documents of the mesh.
fn scenario(protocol: &str, web: &str, pay: &str, more: &str) -> String {
    format!(
        "scenario: row
story: Calls in a row.
duration: 2s
topology:
  services:
    shop: {{workers: 64, endpoints: {{GET /: [call: web POST /shop.Web/Show]}}}}
    web: {{protocol: {protocol}, workers: 64, {web}}}
    pay: {{protocol: {protocol}, workers: 64, {pay}}}
load:
  users: {{to: shop GET /, rate: 100/s, timeout: 1s}}
mesh:
  - {{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: web}},
     spec: {{hosts: [web], http: [{{route: [{{destination: {{host: web}}}}], retries: {{attempts: 0}}}}]}}}}
  - {{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: pay}},
     spec: {{hosts: [pay], http: [{{route: [{{destination: {{host: pay}}}}], retries: {{attempts: 0}}}}]}}}}
{more}"
    )
}

const WEB: &str =
    "endpoints: {POST /shop.Web/Show: [call: {to: pay POST /shop.Pay/Charge, size: 1kB}]}";
const PAY: &str =
    "endpoints: {POST /shop.Pay/Charge: [work: 1ms, respond: {status: OK, size: 2kB}]}";

/// Runs a scenario and judges its checks: all must pass.
fn holds(text: &str) -> Played {
    let scenario = load_text("f.yaml", text, &Edits::default()).unwrap_or_else(|e| panic!("{e}"));
    let played = play(&scenario);
    played.check_laws();
    let (_, participants) = plan_run(&scenario, 1);
    let mut judge = Judge::new(&scenario, &participants);
    played
        .records
        .iter()
        .for_each(|record| judge.record(record));
    let judgement = judge.conclude();
    for check in &judgement.checks {
        assert_eq!(check.pass, Some(true), "{check:#?}");
    }
    assert_eq!(judgement.invariants, [""; 0]);
    played
}

/// The gRPC statuses of all attempts, and of all responses of apps.
fn statuses(played: &Played) -> (BTreeSet<Option<GrpcStatus>>, BTreeSet<Option<GrpcStatus>>) {
    let (mut attempts, mut served) = (BTreeSet::new(), BTreeSet::new());
    for record in &played.records {
        match &record.event {
            Event::Attempt { outcome, .. } => drop(attempts.insert(outcome.grpc)),
            Event::Served { outcome, .. } => drop(served.insert(outcome.grpc)),
            _ => {}
        }
    }
    (attempts, served)
}

#[test]
fn grpc_requests_pass_between_apps_and_their_trailers_contain_the_status() {
    let expect =
        "expect: [success(users) == 100%, success(web -> pay) == 100%, count(web -> pay) == 200]";
    let played = holds(&scenario("grpc", WEB, PAY, expect));
    let (attempts, served) = statuses(&played);
    let ok = Some(GrpcStatus::Ok);
    assert_eq!(attempts, BTreeSet::from([None, ok]), "the shop speaks HTTP");
    assert_eq!(served, BTreeSet::from([None, ok]));
}

#[test]
fn requests_of_http2_pass_from_app_to_app() {
    let pay = PAY.replace("status: OK", "status: 201");
    let expect = "expect: [success(users) == 100%, count(web -> pay where status == 201) == 200]";
    let played = holds(&scenario("http2", WEB, &pay, expect));
    let (attempts, _) = statuses(&played);
    assert_eq!(attempts, BTreeSet::from([None]));
}

#[test]
fn a_grpc_failure_is_an_error_for_every_observer_despite_http_200() {
    let pay = "endpoints: {POST /shop.Pay/Charge: [fail: {rate: 100%, with: NOT_FOUND}]}";
    let expect = "expect:
  - errors(pay) == 100%
  - errors(web -> pay) == 100%
  - errors(web -> pay/v1) == 100%
  - count(web -> pay where status == NOT_FOUND) == 200
  - count(web -> pay where status == 200) == 200
  - count(shop -> web where status == UNAVAILABLE) == 200
  - count(users where status == 502) == 200";
    holds(&scenario("grpc", WEB, pay, expect));
}

#[test]
fn what_breaks_off_resets_its_stream_and_not_its_neighbours() {
    let pay = "endpoints: {POST /shop.Pay/Charge: [work: 20ms, fail: {rate: 50%, with: reset}]}";
    let expect = "expect:
  - count(pay where not ok) ~= 100 within 30%
  - count(web -> pay where status == UNAVAILABLE) ~= 100 within 30%
  - count(web -> pay where ok) ~= 100 within 30%";
    let played = holds(&scenario("grpc", WEB, pay, expect));
    let resets =
        played.count(|event| matches!(event, Event::Served { outcome, .. } if outcome.status == 0));
    let failed = played.count(|event| {
        matches!(event, Event::CallEnded { outcome, endpoint: 0, from, .. }
            if from.0 == 1 && outcome.answer != Answer::Ok)
    });
    assert_eq!(failed, resets, "each reset fails one call");
}

#[test]
fn a_proxy_answers_callers_of_grpc_in_their_words() {
    let mesh =
        "  - {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: pay},
     spec: {hosts: [pay], http: [{route: [{destination: {host: pay}}],
     fault: {abort: {httpStatus: 503, percentage: {value: 100}}}}]}}
";
    let expect = "expect:
  - count(web -> pay where status == UNAVAILABLE) == 200
  - count(web -> pay where flag == FI) == 200
  - errors(web -> pay) == 100%
  - count(pay) == 0";
    holds(&scenario("grpc", WEB, PAY, &format!("{mesh}{expect}")));
}

#[test]
fn an_undeclared_method_is_not_implemented() {
    let pay = "versions: {v1: {endpoints: {POST /shop.Pay/Charge: null}},
      v2: {replicas: 0, endpoints: {POST /shop.Pay/Charge: [work: 1ms]}}}";
    let expect = "expect: [count(web -> pay where status == UNIMPLEMENTED) == 200]";
    holds(&scenario("grpc", WEB, pay, expect));
}

#[test]
fn without_a_sidecar_requests_of_grpc_share_one_connection_to_one_replica() {
    let web = format!("sidecar: none, {WEB}");
    let pay = format!("sidecar: none, versions: {{v1: 4}}, {PAY}");
    let expect = "expect: [success(users) == 100%]";
    let played = holds(&scenario("grpc", &web, &pay, expect).replace(
        "workers: 64, endpoints: {GET /",
        "workers: 64, sidecar: none, endpoints: {GET /",
    ));
    let replicas: BTreeSet<_> = played
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Arrived { pod, .. } if pod.0 >= 2 => Some(*pod),
            _ => None,
        })
        .collect();
    assert_eq!(replicas.len(), 1, "{replicas:?}");
}

#[test]
fn a_retry_on_5xx_knows_what_a_status_of_grpc_stands_for() {
    let web = WEB.replace("size: 1kB", "retries: {times: 1, on: 5xx}");
    let fails = |with: &str| {
        let pay =
            format!("endpoints: {{POST /shop.Pay/Charge: [fail: {{rate: 100%, with: {with}}}]}}");
        let times = if with == "NOT_FOUND" { 200 } else { 400 };
        let expect = format!("expect: [count(pay) == {times}]");
        holds(&scenario("grpc", &web, &pay, &expect));
    };
    fails("INTERNAL");
    fails("NOT_FOUND");
}
