use shakedown_scenarios::value::Rate;

use super::super::LoadStage;
use super::*;

fn options(expect: &[&str]) -> LoadOptions {
    LoadOptions {
        url: "http://127.0.0.1/".to_owned(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body_bytes: 0,
        stages: vec![LoadStage {
            length: None,
            rate: Rate::parse("1.5k/s").unwrap(),
            ramp: false,
        }],
        duration: Duration::from_secs(30),
        warm_up: Duration::from_secs(5),
        arrivals: Arrivals::Poisson,
        seed: 7,
        timeout: Duration::from_millis(1500),
        http2: false,
        connections: None,
        in_flight: 3,
        expect: expect.iter().map(|check| (*check).to_owned()).collect(),
        trust: super::super::TrustOption::System,
        replay: String::new(),
        stop: None,
    }
}

#[test]
fn a_metric_without_a_subject_is_one_of_the_load() {
    for (typed, whole) in [
        ("p99 < 250ms", "p99(load) < 250ms"),
        ("p99.9 <= 1m30s", "p99.9(load) <= 1m30s"),
        (
            "uncorrected.p99 < send-lag.max",
            "uncorrected.p99(load) < send-lag.max(load)",
        ),
        (
            "count(where timeout) == 0",
            "count(load where timeout) == 0",
        ),
        (
            "always p99 < 250ms per 5s during 10s..20s",
            "always p99(load) < 250ms per 5s during 10s..20s",
        ),
        (
            "p50(during 1s..2s) <= 1.5 * p50()",
            "p50(load during 1s..2s) <= 1.5 * p50(load )",
        ),
        ("success(load) >= 99.9%", "success(load) >= 99.9%"),
        ("(p99 - p50) < 1ms", "(p99(load) - p50(load)) < 1ms"),
        ("rate ~= 500/s within 1%", "rate(load) ~= 500/s within 1%"),
        ("in-flight.max < 10", "in-flight.max(load) < 10"),
    ] {
        assert_eq!(imply_subject(typed), whole);
    }
}

#[test]
fn the_written_scenario_says_what_was_asked_for() {
    let scenario = scenario(&options(&["p99 < 250ms", "errors < 0.1%"])).unwrap();
    assert_eq!(scenario.checks.len(), 2);
    assert_eq!(scenario.duration, Duration::from_secs(30));
    assert_eq!(scenario.warm_up, Duration::from_secs(5));
    let load = &scenario.loads[0];
    assert_eq!(load.arrivals, Arrivals::Poisson);
    assert_eq!(load.timeout, Duration::from_millis(1500));
    assert_eq!(load.in_flight, 3);
    assert_eq!(load.stages[0].from, Rate::parse("1500/s").unwrap());
    assert_eq!(scenario.warnings, Vec::<String>::new());
}

#[test]
fn a_load_without_a_check_is_judged_by_its_successes() {
    let checks = scenario(&options(&[])).unwrap().checks;
    let texts: Vec<&str> = checks.iter().map(|check| check.text.as_str()).collect();
    assert_eq!(texts, ["success(load) >= 99%"]);
}

#[test]
fn a_wrong_check_is_named_by_its_number() {
    let words = scenario(&options(&["p99 < 250ms", "p99 < 250"])).unwrap_err();
    assert!(words.starts_with("check 2"), "{words}");
    assert!(words.contains("250"), "{words}");
}

#[test]
fn quotes_and_line_breaks_cannot_leave_their_check() {
    let words = scenario(&options(&["p99 < 'x'\nscenario: evil"])).unwrap_err();
    assert!(words.starts_with("check 1"), "{words}");
}
