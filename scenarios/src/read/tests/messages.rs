//! The error table of the language, line by line.

use super::{errors, read, small_scenario};

#[test]
fn a_missing_unit_is_told_with_what_would_be_accepted() {
    let text = small_scenario("").replace("duration: 1m", "duration: 5");
    assert_eq!(
        errors(&text),
        "f.yaml:3:11: `5` has no unit: a duration is written `5s`, `250ms`, `1m30s`"
    );
}

#[test]
fn an_unknown_key_is_told_with_the_nearest() {
    let text = small_scenario("").replace("topology:", "topolgy:");
    let lines = errors(&text);
    assert!(
        lines.contains("f.yaml:4:1: unknown key `topolgy`: did you mean `topology`?"),
        "{lines}"
    );
}

#[test]
fn an_unknown_service_is_told_with_its_caller() {
    let text = small_scenario("").replace("call: api GET /items/7", "call: apy GET /items/7");
    assert_eq!(
        errors(&text),
        "f.yaml:6:60: no service `apy`: did you mean `api`? (called by web GET /, step 2)"
    );
}

#[test]
fn an_undeclared_endpoint_is_told_with_those_there_are() {
    let text = small_scenario("").replace("call: api GET /items/7", "call: api GET /item/7/8");
    assert_eq!(
        errors(&text),
        "f.yaml:6:60: api has no endpoint `GET /item/7/8`: did you mean `GET /items/:id`? (called by web GET /, step 2)"
    );
}

#[test]
fn commas_between_arguments_are_told_to_be_spaces() {
    let text = small_scenario("").replace("[work: exp(2ms)]", "[work: \"lognormal(4ms, cv 0.5)\"]");
    assert_eq!(
        errors(&text),
        "f.yaml:7:60: arguments are separated by spaces: `lognormal(4ms cv 0.5)`"
    );
}

#[test]
fn an_action_at_an_instant_takes_no_for() {
    let text = small_scenario("chaos:\n  - {at: 5s, do: restart, target: api, for: 5s}\n");
    assert_eq!(
        errors(&text),
        "f.yaml:13:18: not supported yet: `restart`\n\
         f.yaml:13:40: `restart` is instantaneous and does not take `for`; use `crash` for a longer outage"
    );
}

#[test]
fn units_must_agree() {
    let text = small_scenario("").replace("fine: success(users) == 100%", "fine: p99(users) < 250");
    assert_eq!(
        errors(&text),
        "f.yaml:11:24: `p99(users)` is a duration, `250` a count: write `250ms`"
    );
    let text =
        small_scenario("").replace("fine: success(users) == 100%", "success(users) >= 0.999");
    assert_eq!(
        errors(&text),
        "f.yaml:11:23: `success(users)` is a share, `0.999` a count: write `99.9%`"
    );
}

#[test]
fn a_gauge_needs_a_temporal_word() {
    let text = small_scenario("").replace("fine: success(users) == 100%", "in-flight(api) < 5");
    assert_eq!(
        errors(&text),
        "f.yaml:11:5: `in-flight(api)` is a value at an instant: use `always`, `never`, `eventually`, `within`, or \
         `in-flight.max(api)`"
    );
    let text = small_scenario("").replace("fine: success(users) == 100%", "ejected(api) == 1");
    assert_eq!(
        errors(&text),
        "f.yaml:11:5: `ejected(api)` is a value at an instant: use `always`, `never`, `eventually`, `within`, or \
         `ejected.max(api)`"
    );
    let text = small_scenario("").replace("fine: success(users) == 100%", "stale(api) < 5s");
    let lines = errors(&text);
    assert!(
        lines.contains("f.yaml:11:5: not supported yet: `stale`"),
        "{lines}"
    );
}

#[test]
fn an_edge_that_nothing_calls_is_told_with_those_there_are() {
    let text = small_scenario("").replace(
        "fine: success(users) == 100%",
        "success(api -> web) == 100%",
    );
    assert_eq!(
        errors(&text),
        "f.yaml:11:20: api never calls `web`; it makes no calls"
    );
    let text = small_scenario("").replace(
        "fine: success(users) == 100%",
        "success(users -> api) == 100%",
    );
    assert_eq!(
        errors(&text),
        "f.yaml:11:22: users never calls `api`; it calls web"
    );
}

#[test]
fn a_variant_that_breaks_an_unknown_check_is_told() {
    let text = small_scenario("variants:\n  fragile:\n    story: s\n    breaks: [fin]\n");
    assert_eq!(
        errors(&text),
        "f.yaml:15:14: variant `fragile` breaks `fin`, but no check has that name: did you mean `fine`?"
    );
}

#[test]
fn keys_of_the_language_to_come_are_told_apart_from_unknown_ones() {
    let text = small_scenario("swarm: {faults: 0..5}\n").replace(
        "call: api GET /items/7",
        "call: {to: api GET /items/7, timeout: rest, hedgehog: 1}",
    );
    assert_eq!(
        errors(&text),
        "f.yaml:6:98: unknown key `hedgehog`: expected `to`, `probability`, `times`, `fan-out`, `size`, `timeout`, \
         `deadline`, `retries`, `hedge`, `headers` or `on-error`\n\
         f.yaml:12:1: not supported yet: `swarm`"
    );
}

#[test]
fn windows_are_checked_as_far_as_the_file_tells() {
    for (check, message) in [
        (
            "p99(users) < 1s during 30s..20s",
            "f.yaml:11:21: the window from 30s to 20s is empty",
        ),
        (
            "p99(users) < 1s after 50s during 1s..2s",
            "f.yaml:11:31: a check can have only one window at its end",
        ),
        (
            "p99(users) < 1s during 50s..2m",
            "f.yaml:11:21: the window ends at 2m, after the run's `duration` of 1m",
        ),
        (
            "p99(users) < 1s during sick",
            "f.yaml:11:28: no chaos item `sick`: the file has no named item; a time is written `90s`",
        ),
        (
            "always p99(users) < 1s",
            "f.yaml:11:5: `p99(users)` is computed over a window: `always` needs slices of it, such as `per 5s`",
        ),
        (
            "recovers p99(users) < 1s per 1s",
            "f.yaml:11:5: `recovers` needs a deadline: `within 30s after ITEM`",
        ),
        (
            "p99(users) < 1s per 1s",
            "f.yaml:11:21: `per` divides a window into slices for `always`, `never`, `eventually` or `recovers`",
        ),
        (
            "p99(users) < 1s during 30s..30s",
            "f.yaml:11:21: the window from 30s to 30s is empty",
        ),
        (
            "always p99(users) < 1s per 10s over seeds",
            "f.yaml:11:36: `over seeds` averages a value over a window and cannot be combined with a temporal word; \
             `in >= 99% of seeds` applies to any check",
        ),
        (
            "mean(users) ~= 0s within 1%",
            "f.yaml:11:20: `~=` measures the distance as a share of the right side, which must not be 0",
        ),
    ] {
        let text = small_scenario("").replace("fine: success(users) == 100%", check);
        assert_eq!(errors(&text), message);
    }
}

#[test]
fn a_window_begins_with_the_run_or_later() {
    let with = |check: &str| {
        let chaos = "chaos: [{name: sick, at: 5s, for: 1s, do: crash, target: api}]\n";
        small_scenario(chaos).replace("fine: success(users) == 100%", check)
    };
    read(&with("p99(users) < 1s during sick - 5s..sick"));
    assert_eq!(
        errors(&with("p99(users) < 1s during sick - 6s..sick")),
        "f.yaml:11:21: the window begins at -1s, before the run"
    );
}

#[test]
fn an_item_that_outlasts_the_run_ends_with_it() {
    let with = |check: &str| {
        let chaos = "chaos: [{name: sick, at: 50s, for: 20s, do: crash, target: api}]\n";
        small_scenario(chaos).replace("fine: success(users) == 100%", check)
    };
    read(&with("p99(users) < 1s during sick"));
    assert_eq!(
        errors(&with("p99(users) < 1s after sick")),
        "f.yaml:11:21: the window from 1m to 1m is empty"
    );
}

#[test]
fn a_repeating_item_first_fires_one_interval_after_its_from() {
    let with = |check: &str| {
        let chaos = "chaos: [{name: sick, every: 20s, from: 10s, do: crash, target: api}]\n";
        small_scenario(chaos).replace("fine: success(users) == 100%", check)
    };
    read(&with("p99(users) < 1s during 29s..sick"));
    assert_eq!(
        errors(&with("p99(users) < 1s during 30s..sick.start")),
        "f.yaml:11:21: the window from 30s to 30s is empty"
    );
}

#[test]
fn two_checks_of_one_name_are_told() {
    let text = small_scenario("").replace(
        "  - fine: success(users) == 100%\n",
        "  - fine: success(users) == 100%\n  - fine: count(users) > 0\n",
    );
    assert_eq!(errors(&text), "f.yaml:12:5: two checks are named `fine`");
}

#[test]
fn an_error_in_a_quoted_check_is_located_at_the_faulty_token() {
    let text = small_scenario("").replace("fine: success(users) == 100%", "\"p99(usrs) < 1s\"");
    assert_eq!(
        errors(&text),
        "f.yaml:11:10: no load or service `usrs`: did you mean `users`?"
    );
}

#[test]
fn subjects_and_figures_must_fit() {
    for (check, message) in [
        (
            "busy(users) < 50%",
            "f.yaml:11:5: `busy` is a figure of a service, not of a load",
        ),
        (
            "queue-wait.mean(users) < 1s",
            "f.yaml:11:5: `queue-wait` is a figure of a service, not of a load",
        ),
        (
            "count(usrs) > 0",
            "f.yaml:11:11: no load or service `usrs`: did you mean `users`?",
        ),
        (
            "count(api/v2) > 0",
            "f.yaml:11:11: api has no version `v2`: expected `v1`",
        ),
        (
            "count(api/v1/3) > 0",
            "f.yaml:11:11: api/v1 has 1 replica, numbered from 0: no replica `3`",
        ),
        (
            "hit-ratio(api) > 50%",
            "f.yaml:11:5: not supported yet: `hit-ratio`",
        ),
        (
            "latncy(api) > 50%",
            "f.yaml:11:5: unknown metric `latncy`: expected `success`, `errors`, `count`, `share`, `offered`, `rate`, `goodput`, `attempts`, `retries`, `hedges`, `amplification`, `busy`, `in-flight`, `queued`, `replicas`, `ready` or 21 more",
        ),
        (
            "count(users where flag == XX) > 0",
            "f.yaml:11:23: unknown response flag `XX`",
        ),
        (
            "p99(users) < success(users)",
            "f.yaml:11:18: `p99(users)` is a duration, `success(users)` a share: they cannot be compared",
        ),
        (
            "users > 5",
            "f.yaml:11:5: `users` is not a value: name a figure of it, such as `p99(users)`",
        ),
        (
            "amplification(api -> web) < 2",
            "f.yaml:11:26: api never calls `web`; it makes no calls",
        ),
        (
            "count(users where via users) == 0",
            "f.yaml:11:23: `via` must be a service, not a load",
        ),
        (
            "always weight(api/v1 in zone a) == 100%",
            "f.yaml:11:19: `weight` is a figure of a version: write `weight(checkout/v2)`",
        ),
        (
            "send-lag.max(users where flag == UO) < 1s",
            "f.yaml:11:18: not supported yet: `flag` together with `via`, `uncorrected` or `send-lag`",
        ),
    ] {
        let text = small_scenario("").replace("fine: success(users) == 100%", check);
        let lines = errors(&text);
        assert!(lines.starts_with(message), "{lines}\n{message}");
    }
}

#[test]
fn names_share_one_space_and_some_are_taken() {
    let text = small_scenario(
        "chaos:\n  - {name: web, at: 5s, do: crash, target: api}\n  - {name: end, at: 5s, do: crash, target: api}\n",
    );
    assert_eq!(
        errors(&text),
        "f.yaml:13:12: the name `web` is already used by a service: services, loads and chaos items share one namespace\n\
         f.yaml:14:12: `end` is reserved: choose another name"
    );
}

#[test]
fn documents_are_checked_against_the_services() {
    let text = small_scenario(
        "mesh:
  - apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: api}
    spec: {hosts: [api], http: [{route: [{destination: {host: api}}], falt: {}}]}
  - {remove: DestinationRule/api}
",
    );
    assert_eq!(
        errors(&text),
        "f.yaml:16:71: VirtualService api: unknown field `falt`: did you mean `fault`?\n\
         f.yaml:17:14: no document `DestinationRule/api`: expected `VirtualService/api`"
    );
}

#[test]
fn input_that_is_no_scenario_is_refused_and_never_a_panic() {
    let nested = "[".repeat(5_000);
    for text in [
        "",
        "[1, 2]",
        "a: b: c",
        "just text",
        "---\na: 1\n---\nb: 2\n",
        nested.as_str(),
    ] {
        let lines = errors(text);
        assert!(lines.starts_with("f.yaml:"), "{text}: {lines}");
    }
    assert!(errors("{}").contains("`scenario` is missing: write `scenario: my-scenario`"));
}
