//! Calls: settings of the caller, hedges, pools, and times that are drawn once per request.

use std::time::Duration;

use super::{errors, read, small_scenario};
use crate::scenario::{AppHedge, Call, CallConcurrency, Drawn, Step};

/// The small scenario with another `web`.
fn with_web(web: &str) -> String {
    small_scenario("").replace(
        "web: {workers: 4, endpoints: {GET /: [work: 1ms, call: api GET /items/7]}}",
        web,
    )
}

fn calls(text: &str) -> Vec<Call> {
    let scenario = read(text);
    let steps = scenario.services[0].versions[0].endpoints[0]
        .clone()
        .expect("declared");
    let calls = steps.into_iter().filter_map(|step| match step {
        Step::Call(call) => Some(*call),
        _ => None,
    });
    calls.collect()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_hedge_is_a_setting_of_the_caller_or_of_the_step() {
    let calls = calls(&with_web(
        "web: {workers: 4, calls: {any: {hedge: 10ms}}, endpoints: {GET /: [call: api GET /items/7, \
         call: {to: api GET /items/7, hedge: {times: 3}}, call: {to: api GET /items/7, hedge: 20ms}]}}",
    ));
    let hedges: Vec<AppHedge> = calls.iter().filter_map(|call| call.hedge).collect();
    let hedge = |after, times| AppHedge {
        after: ms(after),
        times,
    };
    assert_eq!(hedges, [hedge(10, 1), hedge(10, 3), hedge(20, 1)]);
}

#[test]
fn a_pool_bounds_the_calls_of_one_replica_to_one_service() {
    let pool = |pool: &str| {
        let web = format!(
            "web: {{workers: 4, calls: {{api: {{pool: {pool}}}}}, endpoints: {{GET /: [call: api GET /items/7]}}}}"
        );
        calls(&with_web(&web))[0].pool
    };
    let concurrency = |size, wait| Some(CallConcurrency { size, wait });
    assert_eq!(pool("4"), concurrency(4, None));
    assert_eq!(pool("{size: 4, wait: unlimited}"), concurrency(4, None));
    assert_eq!(pool("{size: 4, wait: 50ms}"), concurrency(4, Some(ms(50))));
    assert_eq!(pool("unlimited"), None);
}

#[test]
fn default_and_service_settings_merge_by_key_in_any_notation() {
    let text = with_web(
        "web: {workers: 4, calls: {api: {retries: {budget: 20%}, hedge: {times: 2}}}, \
         endpoints: {GET /: [call: api GET /items/7]}}",
    )
    .replace(
        "topology:\n",
        "topology:\n  defaults: {calls: {api: {retries: 2, hedge: 5ms}}}\n",
    );
    let call = &calls(&text)[0];
    let retries = call.retries.as_ref().expect("inherited");
    assert_eq!((retries.times, retries.budget.is_some()), (2, true));
    assert_eq!(
        call.hedge,
        Some(AppHedge {
            after: ms(5),
            times: 2
        })
    );
}

#[test]
fn settings_that_are_taken_away_are_gone() {
    let text =
        with_web("web: {workers: 4, calls: null, endpoints: {GET /: [call: api GET /items/7]}}")
            .replace(
                "topology:\n",
                "topology:\n  defaults: {calls: {any: {hedge: 5ms}}}\n",
            );
    assert_eq!(calls(&text)[0].hedge, None);
}

#[test]
fn wrong_settings_are_told_with_what_would_be_accepted() {
    for (settings, message) in [
        ("hedge: 10", "`10` has no unit"),
        ("hedge: 0s", "`after` must be longer than `0s`"),
        (
            "hedge: {times: 2}",
            "`after` is missing: write `hedge: 10ms`",
        ),
        (
            "hedge: {after: 1ms, times: 500}",
            "`500` hedges are too many: at most 100",
        ),
        ("pool: 0", "`size` must be at least 1, or `unlimited`"),
        (
            "pool: {wait: 1s}",
            "`size` is missing: write `pool: {size: 10}`",
        ),
        ("pol: 1", "unknown key `pol`: did you mean `pool`?"),
    ] {
        let web = format!(
            "web: {{workers: 4, calls: {{api: {{{settings}}}}}, endpoints: {{GET /: [call: api GET /items/7]}}}}"
        );
        let lines = errors(&with_web(&web));
        assert!(
            lines.starts_with("f.yaml:6:") && lines.contains(message),
            "{lines}\n{message}"
        );
    }
    let pool =
        with_web("web: {workers: 4, endpoints: {GET /: [call: {to: api GET /items/7, pool: 2}]}}");
    let lines = errors(&pool);
    assert!(lines.contains("unknown key `pool`"), "{lines}");
}

#[test]
fn settings_that_no_call_has_are_read_all_the_same() {
    let text = with_web(
        "web: {workers: 4, calls: {web: {timeout: 5, retries: {times: 1}}}, endpoints: {GET /: [call: api GET /items/7]}}",
    );
    assert_eq!(
        errors(&text),
        "f.yaml:6:46: `5` has no unit: a duration is written `5s`, `250ms`, `1m30s`"
    );
    let right = read(&text.replace("timeout: 5", "timeout: 5s"));
    assert!(right.draw_paths.iter().all(|path| !path.starts_with('/')));
}

#[test]
fn a_time_is_drawn_by_each_attempt_or_once_for_the_request() {
    let text = with_web(
        "web: {workers: 4, endpoints: {GET /: [work: exp(1ms), sleep: {time: exp(1ms), draw: request}, \
         work: {time: 2ms, draw: attempt}]}}",
    );
    let scenario = read(&text);
    let steps = scenario.services[0].versions[0].endpoints[0]
        .as_ref()
        .expect("declared");
    let drawn: Vec<Drawn> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Work(timed) | Step::Sleep(timed) => Some(timed.drawn),
            _ => None,
        })
        .collect();
    assert_eq!(drawn, [Drawn::Attempt, Drawn::Request, Drawn::Attempt]);
    let wrong =
        with_web("web: {workers: 4, endpoints: {GET /: [work: {time: 1ms, draw: requests}]}}");
    assert_eq!(
        errors(&wrong),
        "f.yaml:6:67: unknown word `requests`: did you mean `request`?"
    );
}

#[test]
fn an_ejection_reaches_a_proxys_workers_after_a_second_or_as_said() {
    assert_eq!(read(&small_scenario("")).control.ejection_delay, ms(1_000));
    let text = small_scenario("control: {ejection-delay: 0s}\n");
    assert_eq!(read(&text).control.ejection_delay, ms(0));
}
