//! Runs the same scenarios on turmoil's simulator, as a second opinion.

use serde_json::Value;

use crate::command::{file, folder, shakedown};

/// The results document of a run with the given exit code.
fn document(scenario: &str, more: &[&str], code: i32) -> Value {
    let mut args = vec!["run", scenario, "--json", "-"];
    args.extend_from_slice(more);
    let ran = shakedown(&args).exits(code);
    serde_json::from_str(&ran.stdout).expect("the document is JSON")
}

/// Verdict and check results, on which both engines must agree. Observed figures may be timings and are excluded.
fn outcome(document: &Value) -> Vec<String> {
    let checks = document["checks"].as_array().expect("checks are a list");
    let mut outcome = vec![document["verdict"].to_string()];
    outcome.extend(
        checks
            .iter()
            .map(|check| format!("{} {}", check["name"], check["pass"])),
    );
    outcome
}

#[test]
fn turmoil_judges_header_routing_like_the_native_engine_and_is_deterministic() {
    for (variant, code) in [("base", 0), ("fragile", 1)] {
        let native = ["--variant", variant];
        let turmoil = ["--variant", variant, "--engine", "turmoil"];
        let first = document("header-routing", &turmoil, code);
        assert_eq!(
            outcome(&document("header-routing", &native, code)),
            outcome(&first)
        );
        assert_eq!(first["engine"], "turmoil");
        let again = document("header-routing", &turmoil, code);
        assert_eq!(first, again, "{variant}: another document for the same run");
    }
}

/// The canary scenario in a quarter of its time at half its rate: 2m30s of 100/s instead of ten minutes of 200/s.
fn short_canary(test: &str) -> String {
    let mut scenario = shakedown(&["show", "bad-canary-rolls-back"])
        .exits(0)
        .stdout;
    for (long, short) in [
        ("duration: 10m", "duration: 2m30s"),
        ("rate: 200/s", "rate: 100/s"),
        ("rolled-back within 4m", "rolled-back within 2m"),
        ("during 1m..3m", "during 1m..2m"),
        ("during 5m..10m", "during 2m..2m30s"),
        ("promoted within 6m", "promoted within 2m30s"),
    ] {
        assert!(
            scenario.contains(long),
            "the scenario has no `{long}`:\n{scenario}"
        );
        scenario = scenario.replace(long, short);
    }
    file(&folder(test), "bad-canary-rolls-back.yaml", scenario)
}

#[test]
fn turmoil_judges_both_bad_canary_outcomes_like_the_native_engine_deterministically() {
    let scenario = short_canary("turmoil-canary");
    for (variant, code) in [("base", 0), ("fragile", 1)] {
        let native = ["--variant", variant];
        let turmoil = ["--variant", variant, "--engine", "turmoil"];
        let first = document(&scenario, &turmoil, code);
        assert_eq!(
            outcome(&document(&scenario, &native, code)),
            outcome(&first)
        );
        let again = document(&scenario, &turmoil, code);
        assert_eq!(first, again, "{variant}: another document for the same run");
    }
}

#[test]
fn the_summary_says_how_coarse_turmoil_is() {
    let ran = shakedown(&["run", "header-routing", "--engine", "turmoil"]).exits(0);
    assert!(ran.stdout.contains("--engine turmoil"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("turmoil runs in ticks of 1 ms"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("250 us to 1000 us"), "{}", ran.stdout);
    let native = shakedown(&["run", "header-routing"]).exits(0);
    assert!(!native.stdout.contains("turmoil"), "{}", native.stdout);
}

#[test]
fn turmoil_judges_a_crash_and_a_pause_as_the_native_engine_does() {
    for scenario in ["crash-fail-over", "pause-backlog"] {
        let native = document(scenario, &[], 0);
        let turmoil = document(scenario, &["--engine", "turmoil"], 0);
        assert_eq!(outcome(&native), outcome(&turmoil), "{scenario}");
    }
}

/// Asserts that turmoil refuses a scenario at a location, with a reason that contains a word.
#[track_caller]
fn refused(test: &str, scenario: &str, place: &str, reason: &str) {
    let path = file(&folder(test), "story.yaml", scenario);
    let ran = shakedown(&["run", &path, "--engine", "turmoil"]).exits(2);
    let prefix = format!("{path}:{place}: ");
    assert!(
        ran.stderr.contains(&prefix) && ran.stderr.contains(reason),
        "not told `{prefix}` with `{reason}`:\n{}",
        ran.stderr
    );
}

const ONE: &str = "\
scenario: one
story: One service.
duration: 1s
load: {users: {to: front GET /, rate: 10/s}}
expect: [success(users) == 100%]
";

#[test]
fn a_story_of_too_many_hosts_is_refused_by_its_line() {
    let topology = "topology:\n  services:\n    front: {versions: {v1: 40}, endpoints: {GET /: [work: 1ms]}}\n";
    refused(
        "turmoil-hosts",
        &format!("{ONE}{topology}"),
        "7:3",
        "up to 30 hosts",
    );
}

#[test]
fn pods_that_may_be_added_are_counted_among_the_hosts() {
    let rest = "\
topology: {services: {front: {endpoints: {GET /: [work: 1ms]}}}}
chaos:
  - {at: 100ms, do: scale, target: front, to: 5}
  - {at: 200ms, do: deploy, target: front/v2, replicas: 24}
";
    refused(
        "turmoil-added",
        &format!("{ONE}{rest}"),
        "6:12",
        "the scenario has 32 pods, 29 of which are added later",
    );
}

#[test]
fn a_partition_is_refused_by_its_line() {
    let rest = "\
topology: {services: {front: {endpoints: {GET /: [work: 1ms]}}}}
chaos:
  - {at: 1ms, for: 1ms, do: pause, target: front}
  - {at: 100ms, for: 100ms, do: partition, target: users <-> front}
";
    let scenario = format!("{ONE}{rest}");
    refused("turmoil-partition", &scenario, "9:5", "`chaos.chaos.1`");
    refused("turmoil-partition", &scenario, "9:5", "partition");
}

#[test]
fn latency_that_is_drawn_and_a_reset_are_refused_by_their_lines() {
    let rest = "\
topology:
  latency: {same-zone: exp(1ms)}
  services:
    front:
      endpoints: {GET /: [{fail: {rate: 1%, with: reset}}]}
";
    let scenario = format!("{ONE}{rest}");
    refused("turmoil-latency", &scenario, "7:3", "`exp(1ms)` is random");
    refused("turmoil-reset", &scenario, "9:5", "RST");
}

#[test]
fn a_journal_of_turmoils_replays_there() {
    let journal = folder("turmoil-journal").join("run.jsonl");
    let path = journal.to_str().expect("test paths are UTF-8");
    let run = [
        "run",
        "header-routing",
        "--engine",
        "turmoil",
        "--set",
        "duration=5s",
    ];
    shakedown(&[&run[..], &["--journal", path]].concat()).exits(0);
    let replayed = shakedown(&["run", "--replay", path]).exits(0);
    assert!(replayed.stdout.contains("all equal"), "{}", replayed.stdout);
}

/// A server with exponential service times, 80% utilised.
const BUSY: &str = "\
scenario: busy
story: One server, four fifths busy.
duration: 10s
topology: {latency: 0s, services: {server: {workers: 1, sidecar: none, queue: {limit: unlimited}, endpoints: {GET /: [work: exp(1ms)]}}}}
load: {users: {to: server GET /, rate: 800/s, arrivals: poisson, sidecar: none, in-flight: 100k}}
expect: [fast: p99(users) < 300ms, sent: count(users) > 0]
";

#[test]
fn a_check_that_the_native_engine_judges_otherwise_is_named() {
    let path = file(&folder("turmoil-differs"), "busy.yaml", BUSY);
    shakedown(&["run", &path]).exits(0);
    let ran = shakedown(&["run", &path, "--engine", "turmoil"]).exits(1);
    for words in [
        "`work: exp(1ms)` of server takes 15",
        "differs fast: false on turmoil (",
        "), true on the native engine (",
    ] {
        assert!(ran.stdout.contains(words), "no `{words}`:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("differs sent"), "{}", ran.stdout);
    let alike = shakedown(&["run", "header-routing", "--engine", "turmoil"]).exits(0);
    assert!(
        alike.stdout.contains("agrees on every check"),
        "{}",
        alike.stdout
    );
}

#[test]
fn a_host_that_runs_out_of_ports_on_turmoil_is_explained() {
    let scenario = BUSY.replace("exp(1ms)", "1s").replace("800/s", "4k/s");
    let path = file(&folder("turmoil-ports"), "ports.yaml", scenario);
    let ran = shakedown(&["run", &path, "--engine", "turmoil"]).exits(3);
    assert!(
        ran.stderr.contains("no port left for users/0"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}
