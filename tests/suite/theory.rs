//! Runs a short form of the sweep over `theory-mm1` with the file's tolerances: twenty seeds of eight minutes. The long
//! form is the scenario's own thirty seeds of twenty minutes: `shakedown sweep theory-mm1 --variant all`.

use crate::command::{Ran, file, folder, shakedown};

fn sweep(variant: &str) -> Ran {
    let short = ["--seeds", "1..20", "--set", "duration=8m"];
    let mut args = vec!["sweep", "theory-mm1", "--variant", variant];
    args.extend(short);
    shakedown(&args)
}

/// The line of a check, by its name.
fn line<'a>(ran: &'a Ran, check: &str) -> &'a str {
    let of_check = |line: &&str| {
        line.trim_start()
            .trim_start_matches(|c: char| c.is_alphabetic())
            .trim_start()
            .starts_with(&format!("{check}: "))
    };
    ran.stdout
        .lines()
        .find(of_check)
        .unwrap_or_else(|| panic!("no check {check}:\n{}", ran.stdout))
}

#[test]
fn one_server_agrees_with_the_formula() {
    let ran = sweep("base").exits(0);
    for check in ["mean", "p99", "busy", "wait", "client"] {
        assert!(
            line(&ran, check).trim_start().starts_with("ok"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn a_service_time_with_another_variance_is_noticed() {
    let ran = sweep("wrong-service").exits(1);
    for check in ["mean", "p99"] {
        assert!(
            line(&ran, check).trim_start().starts_with("FAIL"),
            "{}",
            ran.stdout
        );
    }
    for check in ["busy", "wait", "client"] {
        assert!(
            line(&ran, check).trim_start().starts_with("ok"),
            "{}",
            ran.stdout
        );
    }
}

/// A server that is paused for 20 ms from time to time, at random. Work is suspended during a pause, so this is a
/// server with breakdowns and preemptive resume, which also breaks down while idle (Avi-Itzhak and Naor, 1963, model
/// A).
///
/// Pauses that begin at rate `t` and last `d`, with overlaps joined, make down times `B` with
/// `E[B] = (e^(t d) - 1) / t`. A service of mean `S` takes `C = S + its down times`, where `E[C] = S (1 + t E[B])` and
/// `E[C^2] = 2 E[C]^2 + S t E[B^2]`. Then, for arrivals at rate `r`,
/// `W = E[C] + (r E[C^2] / 2 + u E[B^2] / 2) / (1 - r E[C])`. Here `u = t (1 / (1 + t E[B]) - r S)` is the rate of pauses
/// that begin while the server is idle. An arrival also waits for the rest of such a pause. An independent
/// event-by-event model of the queue gives 3.00 ms for the second row.
fn paused_server(rate: &str, work: &str, every: &str, mean: &str) -> String {
    format!(
        "
scenario: theory-paused
story: One server that is paused at random.
duration: 8m
warm-up: 30s
seeds: 1..12
topology:
  latency: 0s
  services:
    server: {{workers: 1, sidecar: none, queue: {{limit: unlimited}}, endpoints: {{GET /: [work: {work}]}}}}
load:
  users: {{to: server GET /, rate: {rate}, arrivals: poisson, sidecar: none, in-flight: 100k}}
chaos:
  - {{name: stop, every: {every}, for: 20ms, do: pause, target: server}}
expect:
  - mean: mean(users) ~= {mean} within 2% over seeds
"
    )
}

#[test]
fn a_server_with_pauses_agrees_with_the_formula_for_breakdowns() {
    let folder = folder("theory-paused");
    for (rate, work, every, mean) in [
        ("600/s", "exp(1ms)", "exp(500ms)", "3.851ms"),
        ("500/s", "exp(1ms)", "exp(500ms)", "3.015ms"),
    ] {
        let path = file(
            &folder,
            "paused.yaml",
            paused_server(rate, work, every, mean),
        );
        let ran = shakedown(&["sweep", &path]).exits(0);
        assert!(
            line(&ran, "mean").trim_start().starts_with("ok"),
            "{}",
            ran.stdout
        );
    }
}
