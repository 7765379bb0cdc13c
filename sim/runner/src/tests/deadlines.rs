//! Deadlines that are propagated, waits for a call pool, and the time in proxies.

use shakedown_scenarios::{Edits, Judge, load_text};

use super::play;
use crate::plan_run;

/// Runs a scenario and judges its checks: all must pass.
fn holds(services: &str, rest: &str) {
    let text = format!(
        "scenario: row
story: Calls in a row.
duration: 2s
topology:
  latency: 0s
  services:
{services}
{rest}"
    );
    let scenario = load_text("f.yaml", &text, &Edits::default()).unwrap_or_else(|e| panic!("{e}"));
    let played = play(&scenario);
    played.check_laws();
    let (_, participants) = plan_run(&scenario, 1);
    let mut judge = Judge::new(&scenario, &participants);
    played
        .records
        .iter()
        .for_each(|record| judge.record(record));
    for check in judge.conclude().checks {
        assert_eq!(check.pass, Some(true), "{check:#?}");
    }
}

const HANGS: &str = "    db: {workers: 100, endpoints: {GET /: [sleep: 10s]}}";

#[test]
fn a_call_with_timeout_rest_ends_at_its_callers_deadline() {
    let web = "    web: {workers: 100, endpoints: {GET /: [sleep: 30ms, call: {to: db GET /, timeout: rest}]}}";
    holds(
        &format!("{web}\n{HANGS}"),
        "load: {users: {to: web GET /, rate: 10/s, timeout: 100ms}}
expect:
  - share(web -> db where timeout) == 100%
  - min(web -> db) == 70ms
  - max(web -> db) == 70ms",
    );
}

#[test]
fn the_rest_timeout_shrinks_with_each_hop_and_with_the_try_timeout() {
    let web = "    web: {workers: 100, endpoints: {GET /: [sleep: 10ms, call: {to: mid GET /, timeout: 60ms}]}}";
    let mid = "    mid: {workers: 100, endpoints: {GET /: [sleep: 20ms, call: {to: db GET /, timeout: rest}]}}";
    holds(
        &format!("{web}\n{mid}\n{HANGS}"),
        "load: {users: {to: web GET /, rate: 10/s, timeout: 1s}}
expect:
  - max(web -> mid) == 60ms
  - min(mid -> db) == 40ms
  - max(mid -> db) == 40ms",
    );
}

#[test]
fn who_has_no_patience_to_pass_on_sets_no_bound() {
    let web = "    web: {workers: 100, endpoints: {GET /: [call: {to: mid GET /}]}}";
    let mid = "    mid: {workers: 100, endpoints: {GET /: [call: {to: db GET /, timeout: rest}]}}";
    holds(
        &format!("{web}\n{mid}\n{HANGS}"),
        "load: {users: {to: web GET /, rate: 10/s, timeout: 100ms}}
drain: 20s
expect: [min(mid -> db) == 10s]",
    );
}

#[test]
fn a_call_that_has_no_time_left_is_not_sent() {
    let web = "    web: {workers: 100, endpoints: {GET /: [sleep: 200ms, call: {to: db GET /, timeout: rest}]}}";
    holds(
        &format!("{web}\n{HANGS}"),
        "load: {users: {to: web GET /, rate: 10/s, timeout: 100ms}}
expect:
  - share(web -> db where timeout) == 100%
  - max(web -> db) == 0s
  - count(db) == 0",
    );
}

#[test]
fn grpc_hands_its_deadline_on_in_its_own_header() {
    let web = "    web: {protocol: grpc, workers: 100, endpoints: {POST /a.B/C: [sleep: 30ms, call: {to: db GET /, timeout: rest}]}}";
    holds(
        &format!("{web}\n{HANGS}"),
        "load: {users: {to: web POST /a.B/C, rate: 10/s, timeout: 100ms}}
expect: [max(web -> db) == 70ms]",
    );
}

#[test]
fn the_wait_for_a_place_is_told_apart_from_the_call() {
    let web = "    web: {workers: 100, calls: {db: {pool: 1}}, endpoints: {GET /: [call: {to: db GET /, fan-out: 2}]}}";
    let db = "    db: {workers: 100, endpoints: {GET /: [sleep: 20ms]}}";
    holds(
        &format!("{web}\n{db}"),
        "load: {users: {to: web GET /, rate: 10/s}}
expect:
  - pool-wait.min(web -> db) == 0s
  - pool-wait.max(web -> db) == 20ms
  - share(web -> db where pool-wait > 0s) == 50%
  - max(web -> db) == 20ms",
    );
}

#[test]
fn a_request_that_its_proxy_holds_back_spends_that_time_in_it() {
    let web = "    web: {workers: 100, endpoints: {GET /: [call: db GET /]}}";
    let db = "    db: {workers: 100, endpoints: {GET /: [sleep: 20ms]}}";
    let fault =
        "mesh: [{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: db},
    spec: {hosts: [db], http: [{route: [{destination: {host: db}}],
    fault: {delay: {fixedDelay: 50ms, percentage: {value: 100}}}}]}}]";
    holds(
        &format!("{web}\n{db}"),
        &format!(
            "load: {{users: {{to: web GET /, rate: 10/s}}}}
{fault}
expect:
  - proxy-time.min(web -> db) == 50ms
  - proxy-time.max(web -> db) == 50ms
  - max(web -> db) == 70ms
  - share(web -> db where proxy-time > 40ms) == 100%
  - proxy-time.max(users -> web) == 0s"
        ),
    );
}

#[test]
fn what_waits_for_a_connection_waits_in_its_proxy() {
    let web = "    web: {workers: 100, endpoints: {GET /: [call: {to: db GET /, fan-out: 2}]}}";
    let db = "    db: {workers: 100, endpoints: {GET /: [sleep: 20ms]}}";
    let one =
        "mesh: [{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: db},
    spec: {host: db, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}}]";
    holds(
        &format!("{web}\n{db}"),
        &format!(
            "load: {{users: {{to: web GET /, rate: 10/s}}}}
{one}
expect:
  - proxy-time.min(web -> db) == 0s
  - proxy-time.max(web -> db) == 20ms
  - max(web -> db) == 40ms"
        ),
    );
}

#[test]
fn a_services_own_proxy_tells_what_it_turned_away() {
    let web = "    web: {workers: 100, endpoints: {GET /: [work: 1ms]}}";
    let limit = "mesh: [{apiVersion: shakedown.dev/v1, kind: ProxyPolicy, metadata: {name: web},
    spec: {selector: {matchLabels: {app: web}}, rateLimit: {local: {requests: 5, per: 1s}}}}]";
    holds(
        web,
        &format!(
            "load: {{users: {{to: web GET /, rate: 10/s}}}}
{limit}
expect:
  - share(web where flag == RL) == 30%
  - count(web where flag == RL) == 6
  - count(web) == 14
  - count(web where flag == RL and status == 429) == 6"
        ),
    );
}

#[test]
fn a_mirrors_copies_are_no_tries_of_the_edge_that_they_shadow() {
    let services = "    web: {workers: 100, endpoints: {GET /: [call: db GET /]}}
    db: {versions: {v1: 1, v2: 1}, workers: 100, endpoints: {GET /: [work: 1ms]}}";
    let mirror = "mesh:
  - {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: db}, spec: {hosts: [db],
     http: [{route: [{destination: {host: db, subset: v1}}], mirror: {host: db, subset: v2}}]}}
  - {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: db}, spec: {host: db,
     subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}}";
    holds(
        services,
        &format!(
            "load: {{users: {{to: web GET /, rate: 10/s}}}}
{mirror}
expect:
  - count(db/v2) == 20
  - count(web -> db) == 20
  - attempts(web -> db) == 20
  - count(web -> db/v2) == 0
  - amplification(web -> db) == 1
  - amplification(users -> db) == 1"
        ),
    );
}

#[test]
fn a_hedge_that_was_beaten_neither_succeeded_nor_failed() {
    let expect = "expect:
  - errors(web -> db/v1) == 0%
  - errors(web -> db) == 0%
  - hedges(web -> db) == 20";
    let load = "load: {users: {to: web GET /, rate: 10/s, sidecar: none}}";
    let db = "endpoints: {GET /: [sleep: 25ms]}}";
    // Hedges of the app, without a sidecar.
    holds(
        &format!(
            "    web: {{sidecar: none, workers: 100, endpoints: {{GET /: [call: {{to: db GET /, hedge: 10ms}}]}}}}
    db: {{sidecar: none, versions: {{v1: 2}}, workers: 100, {db}"
        ),
        &format!("{load}\n{expect}"),
    );
    // Hedges of the caller's proxy.
    let policy = "mesh: [{apiVersion: shakedown.dev/v1, kind: ProxyPolicy, metadata: {name: db},
    spec: {host: db, hedge: {after: 10ms, times: 1, budget: 100%}}}]";
    holds(
        &format!(
            "    web: {{workers: 100, endpoints: {{GET /: [call: db GET /]}}}}
    db: {{versions: {{v1: 2}}, workers: 100, {db}"
        ),
        &format!("{load}\n{policy}\n{expect}"),
    );
}

#[test]
fn work_queued_for_a_core_is_stretched_by_the_slowdown_when_started() {
    // Requests arrive 10 ms apart. The second arrives before the pod is slow and gets its core while it is.
    // The third arrives while the pod is slow and gets its core afterwards.
    let web = "    web: {cores: 1, cpu: fifo, endpoints: {GET /: [work: 20ms]}}";
    holds(
        web,
        "load: {users: {to: web GET /, rate: 100/s, start: 1s, stop: 1030ms, sidecar: none}}
chaos: [{name: sick, at: 1015ms, for: 20ms, do: slow, target: web, factor: 2}]
expect:
  - hits(sick) == 1
  - service-time.min(web) == 20ms
  - service-time.max(web) == 40ms
  - count(users where latency == 50ms) == 1
  - max(users) == 60ms",
    );
}

#[test]
fn a_queue_is_told_endpoint_by_endpoint() {
    let web = "    web: {workers: 1, endpoints: {GET /a: [sleep: 100ms], GET /b: [sleep: 100ms]}}";
    // The first request of `a` occupies the worker when its second arrives. Both are there when that of `b`
    // arrives.
    holds(
        web,
        "load:
  one: {to: web GET /a, rate: 20/s, start: 1s, stop: 1100ms, sidecar: none}
  two: {to: web GET /b, rate: 10/s, start: 1060ms, stop: 1100ms, sidecar: none}
expect:
  - queued.max(web) == 2
  - queued.max(web GET /a) == 1
  - queued.max(web GET /b) == 1
  - queued.mean(web GET /b during 1060ms..1200ms) == 1",
    );
    let cores = web
        .replace("workers: 1", "cores: 1, cpu: fifo")
        .replace("sleep", "work");
    holds(
        &cores,
        "load:
  one: {to: web GET /a, rate: 20/s, start: 1s, stop: 1100ms, sidecar: none}
expect:
  - queued.max(web GET /a) == 1
  - queued.max(web GET /b) == 0",
    );
}

#[test]
fn a_load_tells_which_of_its_requests_it_tried_again() {
    holds(
        "    web: {workers: 10, endpoints: {GET /good: [work: 1ms], GET /bad: [respond: 500]}}",
        "load:
  users:
    mix: {good: {to: web GET /good}, bad: {to: web GET /bad}}
    rate: 10/s
    retries: {times: 1, on: 5xx}
expect:
  - share(users.good where retried) == 0%
  - share(users.bad where retried) == 100%",
    );
}
