use shakedown::Scenario;
use shakedown::scenario::{LoadBuilder, ServiceBuilder};

#[test]
fn a_shop_under_light_load_answers_fast() {
    let run = Scenario::build("shop")
        .duration("10s")
        .service(
            ServiceBuilder::new("shop")
                .workers(4)
                .endpoint("GET /", ["work: exp(2ms)"]),
        )
        .load(
            LoadBuilder::new("users")
                .to("shop GET /")
                .rate("50/s")
                .poisson(),
        )
        .check("fast", "p99(users) < 50ms")
        .seed(7)
        .run()
        .unwrap();
    run.assert_pass();
    assert!(run.load("users").latency_ns.p50 < 20_000_000);
}
