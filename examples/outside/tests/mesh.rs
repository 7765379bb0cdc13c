//! Tests of an application team's mesh: both variants of a scenario file, and a scenario built in Rust.

use shakedown::scenario::{LoadBuilder, ServiceBuilder};
use shakedown::{Scenario, Verdict};

fn stuck_payment() -> Scenario {
    Scenario::open(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/stuck-payment.yaml"
    ))
    .seed(7)
}

#[test]
fn a_retry_hides_a_replica_that_is_stuck() -> Result<(), shakedown::scenario::ScenarioError> {
    let run = stuck_payment().run()?;
    run.assert_pass();
    assert_eq!(run.verdict(), Verdict::Pass);
    assert_eq!(run.check("slo").pass, Some(true));
    // A user who reached the stuck replica waited for one attempt's timeout of 150 ms, and did not reach the user's own
    // timeout.
    let users = run.load("users");
    assert_eq!(users.timeouts, 0);
    let p999 = users
        .latency_ns
        .histogram
        .percentile_ns(999_000)
        .expect("there were requests");
    assert!((150_000_000..500_000_000).contains(&p999), "{p999} ns");
    Ok(())
}

#[test]
fn without_retries_the_objective_is_missed() -> Result<(), shakedown::scenario::ScenarioError> {
    stuck_payment()
        .variant("fragile")
        .run()?
        .assert_breaks(&["slo"]);
    Ok(())
}

#[test]
fn a_built_scenario_gives_the_same_run_for_the_same_seed() -> Result<(), shakedown::scenario::ScenarioError> {
    let shop = Scenario::build("shop")
        .story("A shop without faults.")
        .duration("10s")
        .service(
            ServiceBuilder::new("shop")
                .version("v1", 2)
                .workers(16)
                .endpoint("GET /", ["work: 5ms"]),
        )
        .load(LoadBuilder::new("users").to("shop GET /").rate("50/s"))
        .check("quick", "p99(users) < 20ms");
    let (one, two) = (shop.clone().seed(3).run()?, shop.seed(3).run()?);
    one.assert_pass();
    assert_eq!(one.document.digest, two.document.digest);
    let latency = &one.load("users").latency_ns;
    assert_eq!(latency.histogram.count(), 500);
    assert!(
        latency.histogram.min_ns() >= Some(5_000_000),
        "the work alone takes 5 ms"
    );
    Ok(())
}
