//! Services with HTTP/2 or gRPC, and the notation of their failures.

use shakedown_types::GrpcStatus;

use super::{errors, read};
use crate::scenario::{
    ChaosAction, Protocol, ResolvedScenario, Step, StepFailure, StepStatus, Success,
};

/// A scenario with one service of this protocol, whose only method has these steps. `more` is the rest of the file.
fn small_scenario(protocol: &str, keys: &str, steps: &str, more: &str) -> String {
    format!(
        "scenario: small
story: A service and a load.
duration: 1m
topology:
  services:
    pay: {{protocol: {protocol}, workers: 4{keys}, endpoints: {{POST /shop.Pay/Charge: [{steps}]}}}}
load:
  users: {{to: pay POST /shop.Pay/Charge, rate: 10/s}}
expect:
  - fine: success(users) == 100%
{more}"
    )
}

fn steps(scenario: &ResolvedScenario) -> &[Step] {
    scenario.services[0].versions[0].endpoints[0]
        .as_ref()
        .unwrap()
}

fn named(name: &str) -> StepStatus {
    StepStatus::Grpc(GrpcStatus::from_name(name).unwrap())
}

#[test]
fn failures_of_grpc_are_written_by_name() {
    let text = small_scenario(
        "grpc",
        ", queue: {full: RESOURCE_EXHAUSTED}",
        "fail: {rate: 5%, with: NOT_FOUND}, respond: ABORTED",
        "",
    );
    let scenario = read(&text);
    assert_eq!(scenario.services[0].protocol, Protocol::Grpc);
    let Step::Fail { with, .. } = &steps(&scenario)[0] else {
        panic!("a failure")
    };
    assert_eq!(*with, StepFailure::Status(named("NOT_FOUND")));
    assert!(
        matches!(&steps(&scenario)[1], Step::Respond { status, .. } if *status == named("ABORTED"))
    );
    let full = scenario.services[0].versions[0].queue.full;
    assert_eq!(full, StepFailure::Status(named("RESOURCE_EXHAUSTED")));
}

#[test]
fn a_failure_of_grpc_without_a_name_is_what_an_exception_makes() {
    let scenario = read(&small_scenario("grpc", "", "fail: 5%", ""));
    let Step::Fail { with, .. } = &steps(&scenario)[0] else {
        panic!("a failure")
    };
    assert_eq!(*with, StepFailure::Status(named("UNKNOWN")));
}

#[test]
fn a_status_of_the_other_protocol_is_rejected_with_its_equivalent_suggested() {
    assert_eq!(
        errors(&small_scenario("grpc", "", "respond: 503", "")),
        "f.yaml:6:84: invalid status `503` of a gRPC service: write `UNAVAILABLE`"
    );
    assert_eq!(
        errors(&small_scenario("http2", "", "respond: NOT_FOUND", "")),
        "f.yaml:6:85: `NOT_FOUND` is a gRPC status, but the protocol of this service is HTTP: write `404`"
    );
    assert_eq!(
        errors(&small_scenario("grpc", "", "respond: UNAVAILBLE", "")),
        "f.yaml:6:84: invalid status `UNAVAILBLE` of a gRPC service: did you mean `UNAVAILABLE`?"
    );
    assert_eq!(
        errors(&small_scenario(
            "grpc",
            ", queue: {full: 503}",
            "work: 1ms",
            ""
        )),
        "f.yaml:6:53: `full` must be `UNAVAILABLE`, `RESOURCE_EXHAUSTED` or `reset`"
    );
}

#[test]
fn an_endpoint_of_grpc_is_a_method_of_a_service() {
    let text = small_scenario("grpc", "", "work: 1ms", "").replace("/shop.Pay/Charge", "/charge");
    assert_eq!(
        errors(&text),
        "f.yaml:6:51: invalid gRPC method `POST /charge`: expected the form `POST /pkg.Service/Method`"
    );
}

#[test]
fn chaos_fails_a_service_in_its_own_words() {
    let chaos = |with: &str| {
        let item = format!("chaos:\n  - {{at: 1s, do: fail, target: pay, rate: 5%{with}}}\n");
        small_scenario("grpc", "", "work: 1ms", &item)
    };
    let of = |text: &str| match &read(text).chaos[0].action {
        ChaosAction::Fail { with, .. } => *with,
        _ => panic!("a failure"),
    };
    assert_eq!(of(&chaos("")), StepFailure::Status(named("UNKNOWN")));
    let written = chaos(", with: UNAVAILABLE");
    assert_eq!(of(&written), StepFailure::Status(named("UNAVAILABLE")));
    assert!(errors(&chaos(", with: 503")).contains("write `UNAVAILABLE`"));
}

#[test]
fn a_load_counts_as_success_what_it_says_in_either_words() {
    let text = small_scenario("grpc", "", "work: 1ms", "")
        .replace("rate: 10/s", "rate: 10/s, ok: [OK, NOT_FOUND, 200..299]");
    let ok = &read(&text).loads[0].ok;
    let grpc = vec![GrpcStatus::Ok, GrpcStatus::from_name("NOT_FOUND").unwrap()];
    let http = vec![(200, 299)];
    assert_eq!(*ok, Success { http, grpc });
    assert!(ok.holds(200, GrpcStatus::from_name("NOT_FOUND")));
    assert!(!ok.holds(200, Some(GrpcStatus::Unavailable)));
    assert!(ok.holds(299, None) && !ok.holds(300, None));
}
