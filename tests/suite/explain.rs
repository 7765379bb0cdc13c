//! `shakedown explain` as a user runs it.

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

/// Every key that the JSON form always has.
const KEYS: [&str; 16] = [
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
];

fn mesh(test: &str) -> String {
    file(&folder(test), "mesh.yaml", MESH)
}

#[test]
fn the_way_of_a_request_is_told_with_the_line_behind_each_step() {
    let path = mesh("explain-text");
    let args = [
        "explain",
        "--config",
        &path,
        "--request",
        "GET http://reviews/x",
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
host reviews
path /x
cluster outbound|9080|v2|reviews.default.svc.cluster.local mesh.yaml:11
endpoints not known here mesh.yaml:32
balancer LEAST_REQUEST
connect timeout 10s
outlier detection 3 x 5xx, out for 30s, at most 10% mesh.yaml:29
timeout 2s mesh.yaml:9
retries 2 on connect-failure,refused-stream,retriable-status-codes,cancelled,unavailable

Sent on.";
    assert_eq!(squeezed.join("\n"), expected, "\n{shown}");
}

#[test]
fn json_has_every_key_whatever_becomes_of_the_request() {
    let path = mesh("explain-json");
    for (url, code) in [
        ("http://reviews/x", 0),
        ("http://reviews/gone", 1),
        ("http://else/", 0),
    ] {
        let args = ["explain", "--config", &path, "--json", "--request", url];
        let ran = shakedown(&args).exits(code);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
        let told = told.as_object().expect("it is an object");
        for key in KEYS {
            assert!(told.contains_key(key), "{url}: {key}");
        }
        for decision in told["decided_by"].as_array().expect("it is a list") {
            for key in ["what", "file", "line", "column", "document", "field"] {
                assert!(!decision[key].is_null(), "{url}: {key} of {decision}");
            }
        }
        assert_eq!(told["rejected_by"].is_null(), code == 0, "{url}");
    }
    let args = [
        "explain",
        "--config",
        &path,
        "--json",
        "--request",
        "http://reviews/",
    ];
    let ran = shakedown(&args);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(told["cluster"], serde_json::Value::Null);
    assert_eq!(told["weighted_clusters"][0]["weight"], 75);
    assert_eq!(told["weighted_clusters"][1]["weight"], 25);
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
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(told["endpoints"][0]["workload"], "reviews-v2");
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
