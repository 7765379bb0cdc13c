//! Tests `shakedown load --scenario`, which sends the loads of a scenario to real servers.

use serde_json::Value;

use super::server::{Habit, Server};
use crate::command::{Ran, file, folder, shakedown};

const SHOP: &str = "
scenario: shop
story: A shop with two kinds of guests.
duration: 1s
topology:
  services:
    shop: {workers: 4, endpoints: {GET /: [work: 1ms], POST /order: [work: 2ms]}}
load:
  users:
    mix:
      browse: {weight: 3, to: shop GET /}
      buy: {weight: 1, to: shop POST /order, headers: {x-cart: '1'}, size: 10B}
    rate: 200/s
    timeout: 2s
  tests: {to: shop GET /, rate: 50/s, start: 500ms}
chaos:
  - {name: sick, at: 300ms, for: 100ms, do: slow, target: shop, factor: 2}
expect:
  - served: success(users) >= 100%
  - bought: count(users.buy) > 0
  - tested: count(tests) == 25
  - busy: busy(shop) < 90%
variants:
  strict:
    expect: [hopeless: p50(users) < 1ns]
";

fn load(file: &str, args: &[&str]) -> Ran {
    shakedown(&[&["load", "--scenario", file][..], args].concat())
}

#[test]
fn scenario_loads_are_sent_to_their_targets_and_their_checks_are_judged() {
    let (shop, tests) = (Server::start(Habit::Slow), Server::start(Habit::Slow));
    let path = file(&folder("load-scenario"), "shop.yaml", SHOP);
    let users = format!("users=http://{}/v2", shop.address);
    // The file's own target is used if none is given.
    let set = format!("load.tests.target=http://{}", tests.address);
    let args = ["--target", &users, "--set", &set, "--json", "-"];
    let ran = load(&path, &args).judged(0);
    let document: Value = serde_json::from_str(&ran.stdout).expect("the document is JSON");
    assert_eq!(
        (document["scenario"].as_str(), document["mode"].as_str()),
        (Some("shop"), Some("real"))
    );
    let checks = document["checks"].as_array().expect("checks are a list");
    let names: Vec<&str> = checks
        .iter()
        .filter_map(|check| check["name"].as_str())
        .collect();
    assert_eq!(names, ["served", "bought", "tested"]);
    let sent = |at: usize| document["loads"][at]["sent"].as_u64();
    assert_eq!((sent(0), sent(1)), (Some(200), Some(25)));
    let (browsed, bought) = (
        shop.requests_to("GET /v2/"),
        shop.requests_to("POST /v2/order"),
    );
    assert!(bought > 20 && browsed > 100, "{browsed} and {bought}");
    assert_eq!(browsed + bought, 200);
    assert_eq!(tests.requests_to("GET /"), 25);
    for wanted in [
        "skipped topology: shop",
        "skipped chaos: sick",
        "skipped check busy: ",
    ] {
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
}

#[test]
fn a_check_of_a_scenario_that_is_false_fails_its_load() {
    let shop = Server::start(Habit::Slow);
    let path = file(&folder("load-variant"), "shop.yaml", SHOP);
    let (users, tests) = (
        format!("users={}", shop.url()),
        format!("tests={}", shop.url()),
    );
    let args = [
        "--variant",
        "strict",
        "--target",
        &users,
        "--target",
        &tests,
    ];
    let ran = load(&path, &args).judged(1);
    assert!(ran.stdout.contains("hopeless"), "{}", ran.stdout);
}

#[test]
fn a_scenario_without_a_check_of_its_loads_proves_nothing() {
    let shop = Server::start(Habit::Quick);
    let text = SHOP.replace("served: success(users) >= 100%", "idle: busy(shop) < 90%");
    let text = text.replace(
        "  - bought: count(users.buy) > 0\n  - tested: count(tests) == 25\n",
        "",
    );
    let path = file(&folder("load-no-check"), "shop.yaml", text);
    let (users, tests) = (
        format!("users={}", shop.url()),
        format!("tests={}", shop.url()),
    );
    let ran = load(&path, &["--target", &users, "--target", &tests]).exits(3);
    assert!(
        ran.stdout.contains("no check of this scenario"),
        "{}",
        ran.stdout
    );
}

#[test]
fn missing_targets_and_conflicting_options_of_a_scenario_are_reported() {
    let path = file(&folder("load-lacks"), "shop.yaml", SHOP);
    let ran = load(&path, &["--target", "users=http://localhost:1"]).exits(2);
    assert!(
        ran.stderr.contains("load `tests` has no target"),
        "{}",
        ran.stderr
    );
    let ran = load(&path, &["--target", "nobody=http://localhost:1"]).exits(2);
    assert!(
        ran.stderr.contains("expected one of users, tests"),
        "{}",
        ran.stderr
    );
    let ran = load(&path, &["--rate", "5/s"]).exits(2);
    assert!(ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
    let text = SHOP.replace("timeout: 2s", "target: localhost");
    let path = file(&folder("load-bad-target"), "shop.yaml", text);
    let ran = load(&path, &[]).exits(2);
    assert!(
        ran.stderr
            .contains("shop.yaml:14:13: invalid URL `localhost`"),
        "{}",
        ran.stderr
    );
}
