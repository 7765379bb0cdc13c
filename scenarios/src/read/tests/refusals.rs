//! Contradictions and their messages.

use super::{errors, read, small_scenario};

/// The small scenario with this check, and a chaos item that the check can name.
fn with_check(check: &str) -> String {
    let sick = "chaos: [{name: sick, at: 5s, for: 1s, do: crash, target: api, may-miss: true}]\n";
    let quoted = format!("\"{check}\"");
    small_scenario(sick).replace("fine: success(users) == 100%", &quoted)
}

fn refused(checks: &[(&str, &str)]) {
    for (check, message) in checks {
        let lines = errors(&with_check(check));
        assert!(lines.contains(message), "{check}: {lines}");
    }
}

/// The small scenario with another service `web`.
fn with_web(web: &str) -> String {
    small_scenario("").replace(
        "web: {workers: 4, endpoints: {GET /: [work: 1ms, call: api GET /items/7]}}",
        web,
    )
}

#[test]
fn figures_that_are_no_requests_take_no_conditions() {
    for check in [
        "in-flight.max(users where ok) < 5",
        "attempts(web -> api where ok) < 5",
        "retries(web -> api where ok) < 5",
        "busy(api where ok) < 50%",
        "amplification(web -> api where ok) < 5",
        "crashes(api where ok) == 0",
    ] {
        refused(&[(check, "this figure does not take `where`")]);
    }
}

#[test]
fn what_a_proxy_knows_does_not_go_with_what_it_does_not() {
    refused(&[
        (
            "count(users where flag == UO and retried) == 0",
            "`flag` together with `retried`: a proxy counts its own attempts",
        ),
        (
            "count(users where flag == UO and via api) == 0",
            "not supported yet: `flag` together with `via`, `uncorrected` or `send-lag`",
        ),
        (
            "uncorrected.max(users where flag == UO) < 1s",
            "not supported yet: `flag` together with `via`, `uncorrected` or `send-lag`",
        ),
        (
            "count(api GET /items/:id where flag == UO) == 0",
            "not supported yet: `flag` of one endpoint",
        ),
        (
            "queue-wait.max(api where flag == UO) < 1s",
            "`flag` is recorded by the proxy, which has no data about the queue of the app",
        ),
        (
            "service-time.max(api where flag == UO) < 1s",
            "`flag` is recorded by the proxy, which has no data about the queue of the app",
        ),
        (
            "pool-wait.max(web -> api where flag == UO) < 1s",
            "not supported yet: `pool-wait` together with data that only the proxy records",
        ),
        (
            "count(api where not flag == UO) == 0",
            "not supported yet: `not flag` of a service",
        ),
    ]);
}

#[test]
fn figures_of_the_whole_are_not_taken_of_parts() {
    refused(&[
        (
            "in-flight.max(users in zone a) < 5",
            "not supported yet: `in-flight` of a load in a zone",
        ),
        (
            "busy(api GET /items/:id) < 50%",
            "`busy` is a figure of replicas, not of endpoints",
        ),
        (
            "always canary(api/v1) == promoted",
            "`canary` is a figure of a service: write `canary(checkout)`",
        ),
        (
            "always canary(*) == promoted",
            "`canary` is a figure of a service: write `canary(checkout)`",
        ),
        (
            "always weight(api/v1/0) == 100%",
            "`weight` is a figure of a version: write `weight(checkout/v2)`",
        ),
        (
            "pool-wait.max(web -> api/v1) < 1s",
            "omit the version, replica and zone of the callee",
        ),
        (
            "attempts(web -> api GET /items/:id) > 0",
            "not supported yet: this figure of one endpoint of the callee",
        ),
        (
            "amplification(web -> api GET /items/:id) < 2",
            "not supported yet: `amplification` of calls to one endpoint, except from a load",
        ),
        (
            "in-flight.max(web -> api/v1) < 5",
            "not supported yet: `in-flight` of an edge to a version, replica or zone",
        ),
    ]);
    read(&with_check(
        "amplification(users -> api GET /items/:id) < 2",
    ));
}

#[test]
fn conditions_are_of_the_subjects_that_can_meet_them() {
    refused(&[
        (
            "count(users where queue-wait > 1s) == 0",
            "a load has no `queue-wait`",
        ),
        (
            "count(users where from zone a) == 0",
            "requests of a load are always sent by the load: write `LOAD in zone Z`",
        ),
        (
            "count(users where from web) == 0",
            "requests of a load are always sent by the load",
        ),
        (
            "count(api where dropped) == 0",
            "only a load drops requests",
        ),
        (
            "count(web -> api where hedged) == 0",
            "not supported yet: `hedged`, except of attempts (`a -> b/v1`)",
        ),
        (
            "share(api) == 100%",
            "a share without `where` is always 100%: write `count(reviews/v2) / count(reviews)`",
        ),
        (
            "share(web -> api where via web/v1) == 100%",
            "not supported yet: `via` of an edge, except with a part of its callee",
        ),
        (
            "count(api) == 10%",
            "`count(api)` is a count, `10%` a share",
        ),
        (
            "count(api where via web) == 0",
            "not supported yet: `via`, except of requests of a load",
        ),
        (
            "count(api where from web GET /) == 0",
            "not supported yet: `from` an endpoint or an entry of a mix",
        ),
    ]);
}

#[test]
fn parties_are_named_by_what_they_have() {
    refused(&[
        (
            "count(web.home) == 0",
            "only a load has a mix with named entries",
        ),
        (
            "count(web -> users) == 0",
            "`users` is a load, which cannot be called",
        ),
        (
            "count(web GET / -> api) == 0",
            "not supported yet: calls of one endpoint of the caller",
        ),
        (
            "count(* GET /) == 0",
            "`*` has no endpoints: name a service",
        ),
        (
            "hits(sick/v1) == 0",
            "`hits` is a figure of a chaos item: no item `sick`",
        ),
        (
            "refused(sick) == 0",
            "`refused` is a figure of an `apply` item, or of `control`: no item `sick`: the scenario has none",
        ),
    ]);
}

#[test]
fn units_and_states_are_counted_with_where_that_means_something() {
    refused(&[
        (
            "canary(api) + canary(api) == promoted within 5s",
            "states can be compared, but not used in arithmetic",
        ),
        (
            "always canary(api) > promoted",
            "states can only be compared by `==` or `!=`",
        ),
        (
            "mean(users) * mean(users) < 1s",
            "a duration times a duration cannot be compared",
        ),
        (
            "rate(users) / 10s < 1",
            "a rate over a duration cannot be compared",
        ),
        (
            "count(users) < 1 / 0",
            "cannot compute this value: division by zero, or out of range",
        ),
        (
            "success(users) >= 1",
            "`success(users)` is a share, `1` a count: write `100%`",
        ),
    ]);
}

#[test]
fn instantaneous_values_have_no_slices_and_are_not_compared_with_windowed_ones() {
    refused(&[
        (
            "always in-flight(users) < 5 per 10s",
            "`in-flight(users)` is a value at an instant and does not take `per`",
        ),
        (
            "always in-flight(users) < count(users) per 1s",
            "`count(users)` one over a window: reduce the first (`in-flight.max(users)`)",
        ),
    ]);
}

#[test]
fn a_point_of_an_item_is_no_window() {
    for check in [
        "count(users) > 0 during sick + 1s",
        "count(users) > 0 during sick.start",
    ] {
        refused(&[(check, "expected `..` and the end of the window")]);
    }
}

#[test]
fn a_service_is_told_what_its_versions_may_be() {
    for (web, message) in [
        (
            "web: {workers: 4, replicas: 3, endpoints: {GET /: []}}",
            "`replicas` is set per version: write `versions: {v1: 3}`",
        ),
        (
            "web: {workers: 4, versions: {}, endpoints: {GET /: []}}",
            "a service needs at least one version, for example `versions: {v1: 1}`",
        ),
        (
            "web: {workers: 4, versions: {v 1: 1}, endpoints: {GET /: []}}",
            "invalid version `v 1`: a version must be a valid label value",
        ),
        (
            "web: {workers: 4, versions: {v1: {port: 81}, v2: {port: 82}}, endpoints: {GET /: []}}",
            "not supported yet: versions of one service with different values of `port`",
        ),
        (
            "web: {workers: 4, versions: {v1: 50001}, endpoints: {GET /: []}}",
            "`50001` replicas are too many: at most 50000",
        ),
        (
            "web: {workers: 4, sidecar: 1ms, endpoints: {GET /: []}}",
            "not supported yet: `sidecar: cost`",
        ),
        (
            "web: {workers: 4, calls: {apy: {timeout: 1s}}, endpoints: {GET /: []}}",
            "no service `apy`: did you mean `api`?",
        ),
        (
            "web: {workers: 4, calls: {api: {retries: {times: 1, on: []}}}, endpoints: {GET /: []}}",
            "`on` must not be empty, for example `on: [5xx, reset, timeout]`",
        ),
        (
            "web: {workers: 4, endpoints: {GET /: [{work: 1ms, sleep: 1ms}]}}",
            "a step must have exactly one key: write each step as a separate item",
        ),
        (
            "web: {workers: 4, protocol: grpc, endpoints: {GET /: [], GET /a.B/C: []}}",
            "invalid gRPC method `GET /a.B/C`: expected the form `POST /pkg.Service/Method`",
        ),
    ] {
        let lines = errors(&with_web(web));
        assert!(lines.contains(message), "{web}: {lines}");
    }
    read(&with_web(
        "web: {workers: 4, sidecar: 0s, endpoints: {GET /: []}}",
    ));
}

#[test]
fn latency_is_of_pairs_that_there_are() {
    for (latency, message) in [
        ("web -> nobody", "no zone, service or load `nobody`"),
        (
            "web -> a",
            "a latency pair needs two zones, or two services or loads",
        ),
        ("outside", "not supported yet: `outside`"),
    ] {
        let latency = format!("topology:\n  latency: {{{latency}: 1ms}}\n");
        let lines = errors(&small_scenario("").replace("topology:\n", &latency));
        assert!(lines.contains(message), "{lines}");
    }
}

#[test]
fn targets_and_keys_of_chaos_are_told_what_is_wrong_with_them() {
    for (item, message) in [
        (
            "at: 5s, do: crash, target: api in zone a in zone a",
            "expected `in zone NAME` or `with LABEL=VALUE` in a target, found `in`",
        ),
        (
            "at: 5s, do: crash, target: 0 of api",
            "invalid number of pods `0 of`: write `1 of payment`, or `30% of payment`",
        ),
        ("at: 5s, do: crash, target: users/v1", "no service `users`"),
        (
            "at: 5s, from: 1s, do: crash, target: api",
            "`from` requires `every`",
        ),
        (
            "at: 5s, do: crash, target: web -> api",
            "`crash` requires pods as its target, not a link",
        ),
        (
            "at: 5s, do: slow, target: api, factor: 0",
            "the `factor` of `slow` must be greater than 0",
        ),
        (
            "at: 5s, do: apply, mesh: []",
            "`apply` needs at least one edit",
        ),
        (
            "at: 5s, do: crash, target: api with gold",
            "invalid label `gold`: expected the form `tier=gold`",
        ),
        (
            "at: 5s, do: crash, target: region far",
            "no region `far`: expected `local`",
        ),
        (
            "name: sick, do: nothing, at: 5s",
            "`nothing` accepts only `name`",
        ),
    ] {
        let lines = errors(&small_scenario(&format!("chaos: [{{{item}}}]\n")));
        assert!(lines.contains(message), "{item}: {lines}");
    }
}

#[test]
fn a_variant_cannot_be_named_base_or_all_or_contain_variants() {
    for (name, message) in [("base", "`base` is reserved"), ("all", "`all` is reserved")] {
        let lines = errors(&small_scenario(&format!(
            "variants: {{{name}: {{seed: 2}}}}\n"
        )));
        assert!(lines.contains(message), "{lines}");
    }
    let nested = small_scenario("variants: {other: {variants: {more: {seed: 2}}}}\n");
    assert!(errors(&nested).contains("a variant must not contain `variants`"));
}

#[test]
fn a_load_has_a_target_or_a_mix() {
    let both = "mix: {a: {to: web GET /}}, to: web GET /";
    let lines = errors(&small_scenario("").replace("to: web GET /", both));
    assert!(
        lines.contains("a load takes either `to` or `mix`, not both"),
        "{lines}"
    );
}

#[test]
fn a_scenario_is_one_document() {
    let two = format!("{}---\nscenario: other\n", small_scenario(""));
    assert_eq!(
        errors(&two),
        "f.yaml:13:1: a scenario must be a single YAML document"
    );
}

#[test]
fn what_is_wrong_with_a_file_and_its_variants_is_told_once() {
    let variants = small_scenario("variants: {one: {seed: 2}, two: {seed: 3}}\n");
    // Two errors at one place, in the file and in both of its variants.
    let nameless = variants.replace("scenario: small\nstory: Two services and a load.\n", "");
    assert_eq!(
        errors(&nameless),
        "f.yaml:1:1: `scenario` is missing: write `scenario: my-scenario`\n\
         f.yaml:1:1: `story` is missing: write `story: What happens, and what must hold.`"
    );
}
