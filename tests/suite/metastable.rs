//! Metastable failures: where a load that was served well stops healing after a short outage. Source: Bronson et al.,
//! "Metastable Failures in Distributed Systems", HotOS 2021.
//!
//! The story is `retry-storm` with another outage and even arrivals. In the outage the queue grows past what is served
//! within the timeout; from then on every request times out, and is sent again. With a capacity C and a load L that heals
//! only where 2L < C; with a retry budget b, where L(1 + b) < C. The database has no sidecar: one that pauses with it
//! would afterwards let through only those whose callers are still there, too few to tell a threshold from a queue that
//! was never long enough.
//!
//! Near the threshold the queue drains slowly, so the time that is left for it biases what is found: of the 3L that wait
//! after 2 s, all but C x 1 s have to go, at C - 2L a second. In 138 s that wants a load of 0.5/s less than 150/s.

use shakedown::Scenario;
use shakedown_results::Verdict;

/// The database serves 300 requests a second.
const STORY: &str = "\
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

/// Whether the database serves its users again, under a load and perhaps with a budget.
fn heals(rate: &str, budget: Option<&str>) -> bool {
    let mut scenario = Scenario::yaml(STORY).set(format!("load.users.rate={rate}"));
    if let Some(budget) = budget {
        scenario = scenario.set(format!("load.users.retries.budget={budget}"));
    }
    let run = scenario.run().expect("the story is sound");
    let heals = run.verdict() == Verdict::Pass;
    if !heals {
        // All or nothing: no request is served in time, by a database that never rests.
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
fn a_retry_budget_heals_as_long_as_it_leaves_the_load_below_the_capacity() {
    // 280/s and 5% of them again are 294/s, 10% are 308/s.
    assert!(heals("280/s", Some("5%")));
    assert!(!heals("280/s", Some("10%")));
    assert!(!heals("280/s", None));
}
