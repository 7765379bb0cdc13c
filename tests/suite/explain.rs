//! Tests `shakedown explain` from the command line.

use std::path::Path;

use crate::command::{file, folder, shakedown};

const MESH: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - match:
        - headers: {end-user: {exact: jason}}
      timeout: 2s
      route:
        - destination: {host: reviews, subset: v2, port: {number: 9080}}
    - match:
        - uri: {prefix: /gone}
      fault: {abort: {httpStatus: 410, percentage: {value: 100}}}
      route:
        - destination: {host: reviews, subset: v1, port: {number: 9080}}
    - route:
        - destination: {host: reviews, subset: v1, port: {number: 9080}}
          weight: 75
        - destination: {host: reviews, subset: v2, port: {number: 9080}}
          weight: 25
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 3}
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
";

/// The keys that are always present in the JSON form.
const KEYS: [&str; 19] = [
    "listener",
    "virtual_host",
    "route",
    "cluster",
    "weighted_clusters",
    "split_by",
    "host",
    "path",
    "redirect",
    "direct_response",
    "timeout_ms",
    "retries",
    "rejected_by",
    "decided_by",
    "endpoints",
    "policies",
    "inbound",
    "passed_over",
    "notes",
];

fn mesh(test: &str) -> String {
    file(&folder(test), "mesh.yaml", MESH)
}

#[test]
fn a_requests_path_is_explained_with_the_line_behind_each_step() {
    let path = mesh("explain-text");
    let args = [
        "explain",
        "--config",
        &path,
        "--request",
        "GET http://reviews:9080/x",
    ];
    let ran = shakedown(&[&args[..], &["-H", "end-user: jason"]].concat()).exits(0);
    let shown = ran.stdout.replace(&path, "mesh.yaml");
    let squeezed: Vec<String> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = "\
listener 0.0.0.0_15001
virtual host reviews.default.svc.cluster.local:9080 mesh.yaml:5
route VirtualService/reviews spec.http[0] mesh.yaml:8
host reviews:9080
path /x
cluster outbound|9080|v2|reviews.default.svc.cluster.local mesh.yaml:11
endpoints unknown mesh.yaml:32
balancer LEAST_REQUEST
protocol HTTP/1.1
connect timeout 10s
outlier detection 3 x 5xx, ejected for 30s, at most 10% of endpoints, checked every 10s mesh.yaml:29
timeout 2s mesh.yaml:9
retries 2 on connect-failure,refused-stream,retriable-status-codes,cancelled,unavailable, backoff up to 25ms, doubling to 250ms

Forwarded.";
    assert_eq!(squeezed.join("\n"), expected, "\n{shown}");
}

#[test]
fn json_has_every_key_whatever_becomes_of_the_request() {
    let path = mesh("explain-json");
    for (url, code) in [
        ("http://reviews:9080/x", 0),
        ("http://reviews:9080/gone", 1),
        ("http://else/", 0),
    ] {
        let args = ["explain", "--config", &path, "--json", "--request", url];
        let ran = shakedown(&args).exits(code);
        let explanation: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
        let explanation = explanation.as_object().expect("it is an object");
        for key in KEYS {
            assert!(explanation.contains_key(key), "{url}: {key}");
        }
        for decision in explanation["decided_by"].as_array().expect("it is a list") {
            for key in ["what", "file", "line", "column", "document", "field"] {
                assert!(!decision[key].is_null(), "{url}: {key} of {decision}");
            }
        }
        assert_eq!(explanation["rejected_by"].is_null(), code == 0, "{url}");
    }
    let args = [
        "explain",
        "--config",
        &path,
        "--json",
        "--request",
        "http://reviews:9080/",
    ];
    let ran = shakedown(&args);
    let explanation: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(explanation["cluster"], serde_json::Value::Null);
    assert_eq!(explanation["weighted_clusters"][0]["weight"], 75);
    assert_eq!(explanation["weighted_clusters"][1]["weight"], 25);
}

#[test]
fn a_scenario_tells_services_endpoints_and_callers() {
    let request = ["--request", "http://reviews:9080/", "-H", "end-user: jason"];
    let args = [
        &["explain", "--config", "header-routing", "--json"][..],
        &request,
    ]
    .concat();
    let ran = shakedown(&args).exits(0);
    let explanation: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(explanation["endpoints"][0]["workload"], "reviews-v2");
    let from = ["--from", "reveiws"];
    let ran = shakedown(&[&args[..], &from].concat()).exits(2);
    assert!(
        ran.stderr.contains("did you mean `reviews`?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn bad_input_is_told_with_what_would_be_accepted() {
    let path = mesh("explain-bad");
    let ran = shakedown(&["explain", "--config", &path, "--request", "reviews"]).exits(2);
    assert!(
        ran.stderr.contains("write `http://HOST[:PORT]/PATH`"),
        "{}",
        ran.stderr
    );
    let folder = Path::new(&path).parent().expect("the file has a folder");
    let bad = file(folder, "bad.yaml", MESH.replace("timeout:", "timeuot:"));
    let ran = shakedown(&["explain", "--config", &bad, "--request", "http://reviews/"]).exits(2);
    assert!(ran.stderr.contains("bad.yaml:9:7:"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("did you mean `timeout`?"),
        "{}",
        ran.stderr
    );
}

/// Returns the warnings of `check` and the output of `explain` for routes of `reviews` in a separate file.
fn caught(test: &str, text: &str, url: &str) -> (String, String) {
    let path = file(&folder(test), "mesh.yaml", text);
    let checked = shakedown(&["check", &path]).exits(0);
    let args = ["explain", "--config", &path, "--request", url];
    let explanation = shakedown(&[&args[..], &["-H", "end-user: jason"]].concat());
    let plain = |text: String| text.replace(&path, "mesh.yaml");
    (plain(checked.stderr), plain(explanation.stdout))
}

fn of_reviews(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: reviews}}\nspec:\n  hosts: [reviews]\n{spec}"
    )
}

const TO: &str = "route: [{destination: {host: reviews, port: {number: 9080}}}]";

#[test]
fn an_unreachable_route_is_warned_about_and_explained_with_its_lines() {
    let text = of_reviews(&format!(
        "  http:\n    - {{match: [{{uri: {{prefix: /od10}}}}], {TO}}}\n    - {{match: [{{uri: {{prefix: /od100}}}}], {TO}}}\n"
    ));
    let (warned, explanation) = caught("explain-shadow", &text, "http://reviews:9080/od100");
    assert!(
        warned.starts_with(
            "warning: mesh.yaml:8:7: VirtualService reviews: no request reaches this route: the prefix `/od10` at 7:16 also matches"
        ),
        "{warned}"
    );
    assert!(
        explanation.contains("Note: mesh.yaml:7: the prefix `/od10` may end within a path segment"),
        "{explanation}"
    );
}

#[test]
fn two_virtual_services_for_a_host_are_warned_of_and_noted() {
    let one = of_reviews(&format!("  http: [{{timeout: 1s, {TO}}}]\n"));
    let two = one.replace("{name: reviews}", "{name: younger}");
    let (warned, explanation) = caught(
        "explain-twins",
        &format!("{one}---\n{two}"),
        "http://reviews:9080/",
    );
    assert!(
        warned.contains("VirtualService younger: it matches no requests for `reviews`"),
        "{warned}"
    );
    assert!(
        explanation.contains("VirtualService/younger does not apply"),
        "{explanation}"
    );
}

#[test]
fn a_header_case_mismatch_is_reported_at_the_route_not_matched() {
    let text = of_reviews(&format!(
        "  http:\n    - {{match: [{{headers: {{end-user: {{exact: Jason}}}}}}], {TO}}}\n    - {{{TO}}}\n"
    ));
    let (warned, explanation) = caught("explain-case", &text, "http://reviews:9080/");
    assert_eq!(warned, "");
    let line = explanation
        .lines()
        .find(|line| line.contains("passed over"));
    let line = line.unwrap_or_else(|| panic!("{explanation}"));
    assert!(
        line.contains("is not `Jason`; the match is case-sensitive"),
        "{line}"
    );
    assert!(line.ends_with("mesh.yaml:7"), "{line}");
}

#[test]
fn a_port_that_no_service_has_is_noted() {
    let text = of_reviews(&format!("  http: [{{{TO}}}]\n"));
    let (_, explanation) = caught("explain-port", &text, "http://reviews:80/");
    assert!(
        explanation.contains("has port 9080, but no port 80"),
        "{explanation}"
    );
}

#[test]
fn a_variant_of_a_scenario_tells_what_it_changes() {
    let attempts = |variant: &[&str]| {
        let args = ["explain", "--scenario", "crash-fail-over", "--json"];
        let request = ["--request", "http://api:8080/"];
        let ran = shakedown(&[&args[..], variant, &request].concat());
        let explanation: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
        explanation["retries"]["attempts"].clone()
    };
    assert_ne!(attempts(&[]), attempts(&["--variant", "fragile"]));
    let alone = mesh("explain-variant");
    let args = ["explain", "--config", &alone, "--variant", "fragile"];
    let ran = shakedown(&[&args[..], &["--request", "http://reviews/"]].concat()).exits(2);
    assert!(
        ran.stderr
            .contains("invalid --variant or --set: no scenario is given"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_cause() {
    for command in [&["check"][..], &["run"]] {
        let ran = shakedown(&[command, &["./no-such-file.yaml"]].concat()).exits(2);
        let stderr = &ran.stderr;
        assert!(stderr.contains("no-such-file.yaml"), "{stderr}");
        assert!(stderr.contains("No such file or directory"), "{stderr}");
    }
}
