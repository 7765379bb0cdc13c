use shakedown_scenarios::{Edits, load_text};

use super::*;

const SHOP: &str = "
scenario: shop
story: A shop.
duration: 10s
topology:
  services:
    shop: {workers: 4, endpoints: {GET /: [work: 1ms], POST /order: [work: 2ms]}}
load:
  users: {to: shop GET /, rate: 10/s, target: 'http://localhost:1/v2'}
  tests: {to: shop POST /order, rate: 1/s}
chaos:
  - {name: sick, at: 3s, for: 1s, do: slow, target: shop, factor: 2}
expect:
  - kept: p99(users) <= 1.5 * p99(tests)
  - statuses: count(users where status == 5xx and latency > 1s) == 0
  - gauge: in-flight.max(users) < 100
  - of-chaos: success(users) >= 99% during sick
  - of-a-service: busy(shop) < 90%
  - of-an-edge: p99(users -> shop) < 1s
  - of-a-descendant: count(users where via shop/v1) > 0
  - of-tries: attempts(users) > 0
  - of-seeds: p99(users) < 1s over seeds
";

fn shop() -> ResolvedScenario {
    load_text("shop.yaml", SHOP, &Edits::default()).unwrap()
}

fn target(text: &str) -> TargetOverride {
    text.parse().unwrap()
}

#[test]
fn checks_that_a_client_can_judge_are_kept_and_the_others_told() {
    let mut scenario = shop();
    let mut skipped = Vec::new();
    leave_out(&mut scenario, &mut skipped);
    let kept: Vec<&str> = scenario
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(kept, ["kept", "statuses", "gauge"]);
    assert!(scenario.chaos.is_empty());
    let text = skipped.join("\n");
    for wanted in [
        "topology: shop",
        "chaos: sick",
        "check of-chaos: its window depends on sick",
        "check of-a-service: busy(shop) is not a metric of a load",
        "check of-an-edge: ",
        "check of-a-descendant: ",
        "check of-tries: ",
        "check of-seeds: over seeds",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

#[test]
fn a_target_that_is_given_wins_over_the_files() {
    let scenario = shop();
    let given = [target("users=https://a"), target("tests=http://b:1")];
    assert_eq!(
        urls(&scenario, &given, false).unwrap(),
        ["https://a", "http://b:1"]
    );
    let file = urls(&scenario, &given[1..], false).unwrap();
    assert_eq!(file, ["http://localhost:1/v2", "http://b:1"]);
}

#[test]
fn a_load_without_a_target_is_told_of() {
    let words = urls(&shop(), &[], false).unwrap_err();
    assert!(words.starts_with("load `tests` has no target"), "{words}");
    let words = urls(&shop(), &[target("test=http://b")], false).unwrap_err();
    assert!(words.contains("expected one of users, tests"), "{words}");
    let words = urls(&shop(), &[target("http://b?x=y")], false).unwrap_err();
    assert!(words.contains("the scenario has several loads"), "{words}");
}

#[test]
fn retries_of_a_load_are_refused() {
    let edits = Edits {
        set: vec!["load.users.retries={times: 2}".to_owned()],
        ..Edits::default()
    };
    let scenario = load_text("shop.yaml", SHOP, &edits).unwrap();
    let words = urls(&scenario, &[target("tests=http://b")], false).unwrap_err();
    assert!(words.contains("load.users.retries=null"), "{words}");
}

#[test]
fn an_http2_service_is_loaded_over_http2_and_grpc_is_rejected() {
    let of = |protocol: &str| {
        let text = SHOP
            .replace("workers: 4", &format!("protocol: {protocol}, workers: 4"))
            .replace("GET /:", "POST /a.B/C:")
            .replace("POST /order:", "POST /a.B/D:")
            .replace("shop GET /,", "shop POST /a.B/C,")
            .replace("shop POST /order", "shop POST /a.B/D");
        load_text("shop.yaml", &text, &Edits::default()).unwrap()
    };
    let given = [target("tests=http://b")];
    let words = urls(&of("http2"), &given, false).unwrap_err();
    assert!(words.contains("load `users` calls a service with `protocol: http2`: add --http2"));
    assert!(urls(&of("http2"), &given, true).is_ok());
    let words = urls(&of("grpc"), &given, true).unwrap_err();
    assert!(
        words.contains("not supported yet: load `tests` calls gRPC"),
        "{words}"
    );
}

#[test]
fn a_target_names_its_load_or_is_a_url() {
    assert_eq!(target("users=http://a/?b=c").load.as_deref(), Some("users"));
    assert_eq!(target("http://a/?b=c").load, None);
    for bad in ["users", "=http://a", ""] {
        assert!(bad.parse::<TargetOverride>().is_err(), "{bad}");
    }
}
