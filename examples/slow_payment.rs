//! A failure scenario as a Rust test would contain it: built, run under a seed, and asserted on.
//!
//! `cargo run --example slow_payment`

use serde_json::json;
use shakedown::Scenario;
use shakedown::scenario::{LoadBuilder, ServiceBuilder};

fn main() -> Result<(), shakedown::scenario::ScenarioError> {
    let checkout = Scenario::build("slow-payment")
        .story("One payment replica is paused for five seconds. Retries must hide this.")
        .duration("30s")
        .service(
            ServiceBuilder::new("checkout")
                .version("v1", 2)
                .workers(64)
                .endpoint("POST /order", ["work: exp(4ms)", "call: payment POST /charge"]),
        )
        .service(
            ServiceBuilder::new("payment")
                .version("v1", 3)
                .workers(8)
                .endpoint("POST /charge", ["work: lognormal(5ms cv 0.5)"]),
        )
        .load(LoadBuilder::new("users").to("checkout POST /order").rate("100/s").poisson().timeout("1s"))
        .chaos(json!({"name": "stuck", "at": "10s", "for": "5s", "do": "pause", "target": "payment/v1/0"}))
        .check("slo", "success(users) >= 99.5%")
        .check("calm", "p99(users) < 100ms before stuck");

    // Without a retry, a third of the calls wait for the paused replica, and their users time out.
    let fragile = checkout.clone().seed(7).run()?;
    fragile.assert_breaks(&["slo"]);

    let retries = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "payment"},
        "spec": {"hosts": ["payment"], "http": [{
            "route": [{"destination": {"host": "payment"}}],
            "retries": {"attempts": 2, "perTryTimeout": "150ms", "retryOn": "5xx"},
        }]},
    });
    let run = checkout.mesh(retries).seed(7).run()?;
    print!("{run}");
    run.assert_pass();
    Ok(())
}
