//! Tests metastable failures: the load above which a system that was served well no longer recovers from a short
//! outage.
//! Source: Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021.
//!
//! The scenario is `retry-storm` with another outage and evenly spaced arrivals. During the outage the queue grows
//! beyond the requests that can be served within the timeout. From then on every request times out and is retried. With
//! a capacity C and a load L, the system recovers only if 2L < C, or L(1 + b) < C with a retry budget b. The database
//! has no sidecar, because a sidecar that pauses with it would afterwards only forward requests whose callers are still
//! waiting. These are too few to distinguish the threshold from a queue that never was long enough.
//!
//! Near the threshold the queue drains slowly, so the remaining time biases the measured threshold. Of the 3L requests
//! that wait after 2 s, all but C x 1 s must be served, at C - 2L per second. Draining them in 138 s requires a load of
//! 0.5/s less than 150/s.

use shakedown::Scenario;
use shakedown_results::Verdict;

/// A database that serves 300 requests per second.
const SCENARIO: &str = "\
scenario: metastable
story: A database stops for 2 s. Every timeout is retried once, as far as the budget allows.
duration: 150s
topology:
  services:
    db:
      cores: 1
      cpu: fifo
      queue: {limit: unlimited}
      sidecar: none
      endpoints: {GET /row: [work: 3.333ms]}
load:
  users: {to: db GET /row, rate: 150/s, timeout: 1s, retries: {times: 1, on: [timeout]}}
chaos:
  - {name: outage, at: 10s, for: 2s, do: pause, target: db}
expect:
  - healthy: success(users before outage) >= 99.9%
  - waits: eventually queued(db) > 300 during outage.end..15s
  - healed: goodput(users during 140s..150s) >= 99% * offered(users during 140s..150s)
  - empty: queued.max(db during 140s..150s) < 300
";

/// Returns true if the database recovers under this load, with an optional retry budget.
fn heals(rate: &str, budget: Option<&str>) -> bool {
    let mut scenario = Scenario::yaml(SCENARIO).set(format!("load.users.rate={rate}"));
    if let Some(budget) = budget {
        scenario = scenario.set(format!("load.users.retries.budget={budget}"));
    }
    let run = scenario.run().expect("the scenario is valid");
    let heals = run.verdict() == Verdict::Pass;
    if !heals {
        // The outcome is binary: a database that never catches up serves no request in time.
        run.assert_breaks(&["healed", "empty"]);
        let late = run.check("healed").observed.as_str();
        assert!(late.starts_with("0/s"), "{late} at {rate}");
    }
    heals
}

#[test]
fn without_a_budget_a_database_heals_below_half_its_capacity() {
    let (mut heals_at, mut fails_at) = (120.0, 200.0);
    assert!(heals("120/s", None));
    assert!(!heals("200/s", None));
    while fails_at - heals_at > 2.0 {
        let rate = (heals_at + fails_at) / 2.0;
        if heals(&format!("{rate}/s"), None) {
            heals_at = rate;
        } else {
            fails_at = rate;
        }
    }
    let threshold: f64 = (heals_at + fails_at) / 2.0;
    assert!(
        (threshold - 150.0).abs() <= 0.03 * 150.0,
        "it heals at {heals_at}/s, and not at {fails_at}/s"
    );
}

#[test]
fn a_retry_budget_recovers_only_if_it_keeps_load_below_capacity() {
    // 280/s plus 5% of retries are 294/s, plus 10% are 308/s.
    assert!(heals("280/s", Some("5%")));
    assert!(!heals("280/s", Some("10%")));
    assert!(!heals("280/s", None));
}
