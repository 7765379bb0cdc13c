//! Runs mutated documents and texts through `check`, `explain` and `run`: no command may panic or hang, and documents
//! that `check` accepts must start.
//!
//! Each test run tries 200 documents, or 20,000 with `SHAKEDOWN_NIGHTLY=1`. A document is a function of its number,
//! which a failure reports.

use std::path::Path;
use std::process::Command;

use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::command::{file, folder};

/// The time limit of one command on a busy machine, in seconds. `timeout` then ends it with exit code 124.
const TIME_LIMIT: &str = "120";

const SCENARIO: &str = "
scenario: mutant
story: A mesh under a mutated document.
duration: 1s
drain: 1s
topology:
  services:
    web: {workers: 8, endpoints: {GET /: [call: reviews GET /]}}
    reviews: {versions: {v1: 1, v2: 2}, workers: 8, endpoints: {GET /: [work: 1ms]}}
    ratings: {workers: 8, endpoints: {GET /: [work: 1ms]}}
mesh: [{file: mesh.yaml}]
load:
  users: {to: web GET /, rate: 20/s}
expect:
  - any: count(users) >= 0
";

/// Values likely to break readers: of other types, empty, out of range, or copied from other fields.
fn hostile(draw: &mut ChaCha8Rng) -> Value {
    let all = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(65536),
        json!(4_294_967_296_u64),
        json!(1e300),
        json!(""),
        json!("*"),
        json!("0s"),
        json!("1ms"),
        json!("100h"),
        json!("-1s"),
        json!("reviews"),
        json!("ratings.default"),
        json!("*.default.svc.cluster.local"),
        json!("nobody"),
        json!("mesh"),
        json!("v1"),
        json!("UPGRADE"),
        json!("a{1001}"),
        json!("(((("),
        json!("%REQ(x)%"),
        json!("é\u{0}"),
        json!("x".repeat(3000)),
        json!([]),
        json!({}),
        json!([[]]),
        json!({"exact": "a"}),
        json!([{"destination": {"host": "reviews"}}]),
    ];
    one_of(&all, draw).clone()
}

/// The valid documents from which mutation starts.
fn corpus() -> Vec<Value> {
    let istio = |kind: &str, spec: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "reviews"}, "spec": spec});
    let named = |name: &str, spec: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}, "spec": spec});
    let own = |spec: Value| json!({"apiVersion": "shakedown.dev/v1", "kind": "ProxyPolicy", "metadata": {"name": "reviews"}, "spec": spec});
    vec![
        istio(
            "VirtualService",
            json!({"hosts": ["reviews"], "http": [
                {"name": "a", "match": [{"uri": {"prefix": "/a"}, "headers": {"x": {"regex": "a+"}}, "method": {"exact": "GET"},
                  "queryParams": {"q": {"exact": "1"}}, "withoutHeaders": {"y": {"prefix": "b"}}, "port": 8080,
                  "sourceLabels": {"app": "web"}, "ignoreUriCase": true}],
                 "rewrite": {"uri": "/b", "authority": "other"}, "timeout": "1s",
                 "retries": {"attempts": 2, "perTryTimeout": "100ms", "retryOn": "5xx,503", "backoff": "5ms"},
                 "fault": {"delay": {"fixedDelay": "5ms", "percentage": {"value": 10}}, "abort": {"httpStatus": 503, "percentage": {"value": 1}}},
                 "corsPolicy": {"allowOrigins": [{"exact": "https://a"}], "allowMethods": ["GET"], "maxAge": "5s"},
                 "headers": {"request": {"set": {"a": "b"}, "add": {"c": "d"}, "remove": ["e"]}, "response": {"set": {"f": "g"}}},
                 "mirror": {"host": "ratings"}, "mirrorPercentage": {"value": 5},
                 "route": [{"destination": {"host": "reviews", "subset": "v1", "port": {"number": 8080}}, "weight": 90},
                           {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10, "headers": {"request": {"set": {"h": "i"}}}}]},
                {"match": [{"uri": {"exact": "/gone"}}], "redirect": {"uri": "/", "redirectCode": 302, "derivePort": "FROM_REQUEST_PORT"}},
                {"match": [{"uri": {"regex": "/x.*"}}], "directResponse": {"status": 200, "body": {"string": "hello"}}},
                {"route": [{"destination": {"host": "reviews"}}]}]}),
        ),
        istio(
            "DestinationRule",
            json!({"host": "reviews", "exportTo": ["*"], "trafficPolicy": {
                "loadBalancer": {"simple": "LEAST_REQUEST", "warmup": {"duration": "5s", "minimumPercent": 10, "aggression": 1},
                    "localityLbSetting": {"failover": [{"from": "local", "to": "far"}]}},
                "connectionPool": {"tcp": {"maxConnections": 10, "connectTimeout": "1s", "idleTimeout": "5s"},
                    "http": {"http1MaxPendingRequests": 5, "http2MaxRequests": 50, "maxRetries": 3, "maxRequestsPerConnection": 9,
                             "h2UpgradePolicy": "DO_NOT_UPGRADE", "idleTimeout": "3s"}},
                "outlierDetection": {"consecutive5xxErrors": 3, "interval": "1s", "baseEjectionTime": "5s", "maxEjectionPercent": 50,
                    "minHealthPercent": 10},
                "retryBudget": {"percent": 20, "minRetryConcurrency": 3},
                "portLevelSettings": [{"port": {"number": 8080}, "loadBalancer": {"consistentHash": {"httpHeaderName": "x",
                    "ringHash": {"minimumRingSize": 64}}}}]},
              "subsets": [{"name": "v1", "labels": {"version": "v1"}},
                          {"name": "v2", "labels": {"version": "v2"}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}]}),
        ),
        own(
            json!({"host": "reviews", "hedge": {"after": "10ms", "times": 1, "budget": "5%"}, "adaptiveThrottle": {}, "balancer": "peakEwma"}),
        ),
        own(
            json!({"selector": {"matchLabels": {"app": "reviews"}}, "shed": {"concurrency": 2, "target": "5ms"},
                   "rateLimit": {"local": {"requests": 10, "per": "1s"}}}),
        ),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews"}, "spec": {"ports": [
            {"name": "http", "port": 8080, "targetPort": 8080}, {"name": "tcp-admin", "port": 9000, "protocol": "TCP"},
            {"port": 9090, "appProtocol": "kubernetes.io/h2c"}, {"port": 53, "protocol": "UDP"}], "selector": {"app": "reviews"}}}),
        json!({"apiVersion": "v1", "kind": "List", "items": [
            istio("VirtualService", json!({"hosts": ["reviews", "reviews.default"], "http": [
                {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "part", "namespace": "default"}},
                {"route": [{"destination": {"host": "reviews"}}]}]})),
            named("part", json!({"http": [
                {"match": [{"uri": {"prefix": "/a/b"}, "sourceNamespace": "default"}], "timeout": "1s",
                 "route": [{"destination": {"host": "ratings", "port": {"number": 8080}}}]},
                {"match": [{"uri": {"regex": "/a/c.*"}}], "route": [{"destination": {"host": "reviews"}}]}]})),
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ratings"}, "spec": {"ports": [{"port": 8080}]}}]}),
        named(
            "entry",
            json!({"hosts": ["reviews.example.com", "reviews"], "gateways": ["ingress", "mesh"], "exportTo": ["*", "."],
            "http": [{"match": [{"gateways": ["ingress"], "uri": {"exact": "/"}}, {"gateways": ["mesh"], "port": 8080}],
                      "route": [{"destination": {"host": "reviews", "port": {"number": 8080}}}]},
                     {"match": [{"sourceLabels": {"app": "web"}}], "route": [{"destination": {"host": "ratings"}}]}],
            "tls": [{"match": [{"sniHosts": ["a"], "port": 443}], "route": [{"destination": {"host": "reviews"}}]}]}),
        ),
        istio(
            "Gateway",
            json!({"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": 80, "name": "http",
            "protocol": "HTTP"}, "hosts": ["*"]}]}),
        ),
        istio(
            "ServiceEntry",
            json!({"hosts": ["api.example.com", "*.example.org"], "location": "MESH_EXTERNAL", "resolution": "DNS",
            "ports": [{"number": 443, "name": "https", "protocol": "HTTPS"}, {"number": 80, "name": "http", "protocol": "HTTP"}]}),
        ),
        istio(
            "Sidecar",
            json!({"egress": [{"hosts": ["./*", "istio-system/*"]}]}),
        ),
        json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "reviews"}, "spec": {"rules": [{}]}}),
        json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "reviews"}, "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews"}, "service": {"port": 8080},
            "analysis": {"interval": "1s", "threshold": 2, "maxWeight": 50, "stepWeight": 10,
                "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1s"}]}}}),
    ]
}

fn one_of<'a, T>(all: &'a [T], draw: &mut ChaCha8Rng) -> &'a T {
    all.choose(draw).expect("there is one to choose")
}

/// All positions in a value, as JSON pointers.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(inner, &format!("{at}/{key}"), out);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                pointers(inner, &format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// Changes one position of a document.
fn mutate(document: &mut Value, draw: &mut ChaCha8Rng) {
    let mut all = Vec::new();
    // A list has no `spec` of its own.
    let root = if document.get("items").is_some() {
        "items"
    } else {
        "spec"
    };
    pointers(&document[root], &format!("/{root}"), &mut all);
    let at = one_of(&all, draw).clone();
    let from: &String = one_of(&all, draw);
    let other = document.pointer(from).cloned();
    let place = document
        .pointer_mut(&at)
        .expect("the pointer was just made");
    match draw.random_range(0..5) {
        0 => *place = hostile(draw),
        1 => *place = other.expect("the pointer was just made"),
        2 => remove_one(place, draw),
        3 => double_one(place, draw),
        _ => misspell_one(place, draw),
    }
}

fn remove_one(place: &mut Value, draw: &mut ChaCha8Rng) {
    match place {
        Value::Object(fields) if !fields.is_empty() => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            fields.remove(one_of(&keys, draw));
        }
        Value::Array(items) if !items.is_empty() => {
            items.remove(draw.random_range(0..items.len()));
        }
        other => *other = hostile(draw),
    }
}

fn double_one(place: &mut Value, draw: &mut ChaCha8Rng) {
    match place {
        Value::Array(items) if !items.is_empty() => items.push(one_of(items, draw).clone()),
        other => *other = json!([other.clone(), other.clone()]),
    }
}

fn misspell_one(place: &mut Value, draw: &mut ChaCha8Rng) {
    let Value::Object(fields) = place else {
        *place = hostile(draw);
        return;
    };
    let keys: Vec<String> = fields.keys().cloned().collect();
    let mut renamed = Map::new();
    let target = (0..keys.len()).choose(draw);
    for (index, (key, value)) in std::mem::take(fields).into_iter().enumerate() {
        let key = if Some(index) == target {
            format!("{key}s")
        } else {
            key
        };
        renamed.insert(key, value);
    }
    *fields = renamed;
}

/// Formats a value as block-style YAML, as people write it.
fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, inner) in fields {
                out.push_str(&format!("{pad}{}:", json!(key)));
                below(inner, indent + 2, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for inner in items {
                out.push_str(&format!("{pad}-"));
                below(inner, indent + 2, out);
            }
        }
        other => out.push_str(&format!("{pad}{other}\n")),
    }
}

/// Formats a value after its key or dash, on the same line if it is scalar or empty.
fn below(value: &Value, indent: usize, out: &mut String) {
    let is_nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_nested {
        out.push('\n');
        block(value, indent, out);
    } else {
        out.push_str(&format!(" {value}\n"));
    }
}

/// Changes a text: removes, duplicates or re-indents a line, or cuts off the rest.
fn mutate_text(text: &str, draw: &mut ChaCha8Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = draw.random_range(0..lines.len());
    match draw.random_range(0..6) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines[at].insert_str(0, &" ".repeat(draw.random_range(1..=4))),
        3 => {
            let strip = draw.random_range(1..=4);
            let kept = lines[at]
                .trim_start()
                .len()
                .max(lines[at].len().saturating_sub(strip));
            lines[at] = lines[at][lines[at].len() - kept..].to_owned();
        }
        4 => {
            let other = draw.random_range(0..lines.len());
            lines.swap(at, other);
        }
        _ => {
            let mut end = draw.random_range(0..text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            return text[..end].to_owned();
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the documents of a number: one or two valid ones with one to three changes each. About every second text is
/// written in block style and also mutated as text.
fn documents(number: u64) -> String {
    let mut draw = ChaCha8Rng::seed_from_u64(number);
    let all = corpus();
    let is_text = draw.random();
    let mut text = String::new();
    for _ in 0..draw.random_range(1..=2) {
        let mut document = one_of(&all, &mut draw).clone();
        // Values are often left unchanged if the text is mutated, because an error in a value would hide the effect of
        // the text.
        let changes = if is_text {
            draw.random_range(0..2)
        } else {
            draw.random_range(1..=3)
        };
        for _ in 0..changes {
            mutate(&mut document, &mut draw);
        }
        text.push_str("---\n");
        if is_text {
            block(&document, 0, &mut text);
        } else {
            text.push_str(&format!("{document}\n"));
        }
    }
    if is_text {
        for _ in 0..draw.random_range(1..=2) {
            text = mutate_text(&text, &mut draw);
            if text.is_empty() {
                break;
            }
        }
    }
    text
}

/// Runs a command within the time limit, and returns its exit code with its output. An exit code that is not one of a
/// verdict is an error: a panic, a signal, or the time limit.
fn run(args: &[&str]) -> Result<(i32, String), String> {
    let output = Command::new("timeout")
        .arg(TIME_LIMIT)
        .arg(env!("CARGO_BIN_EXE_shakedown"))
        .args(args)
        .output()
        .expect("`timeout` starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let code = output.status.code().unwrap_or(-1);
    if (0..=4).contains(&code) {
        Ok((code, text))
    } else {
        Err(format!("{args:?} ended with {code}\n{text}"))
    }
}

/// Returns true if `check` accepted the document. An error names the command that failed, with the reason.
fn try_one(folder: &Path, number: u64) -> Result<bool, String> {
    let mesh = file(folder, "mesh.yaml", documents(number));
    let scenario = file(folder, "mutant.yaml", SCENARIO);
    let (accepted, _) = run(&["check", &scenario])?;
    let request = "GET http://reviews:8080/a?q=1";
    run(&["explain", "--config", &mesh, "--request", request])?;
    if accepted != 0 {
        return Ok(false);
    }
    let json = folder.join("run.json");
    let json = json.to_str().expect("test paths are UTF-8");
    let (code, text) = run(&["run", &scenario, "--json", json])?;
    let results = std::fs::read_to_string(json).unwrap_or_default();
    let is_refused = results.contains("\"config-refused\"");
    if code == 2 || text.contains("no configuration in force") || is_refused {
        return Err(format!(
            "`check` accepts it, and it does not start (exit {code})\n{text}"
        ));
    }
    Ok(true)
}

/// Tries each `step`th document from `first` on, and returns the number accepted by `check` and a text for each
/// failure.
fn try_all(first: u64, step: u64, count: u64) -> (u64, Vec<String>) {
    let folder = folder(&format!("mutants-{first}"));
    let (mut accepted, mut failures) = (0, Vec::new());
    for number in (first..count).step_by(step as usize) {
        match try_one(&folder, number) {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(reason) => {
                let document = documents(number);
                failures.push(format!("document {number}: {reason}\n{document}"));
            }
        }
    }
    (accepted, failures)
}

#[expect(
    clippy::disallowed_methods,
    reason = "commands are run beside each other"
)]
#[test]
fn mutated_documents_neither_panic_nor_hang_and_accepted_ones_start() {
    const THREADS: u64 = 2;
    let is_nightly = std::env::var("SHAKEDOWN_NIGHTLY").is_ok_and(|value| value == "1");
    let count = if is_nightly { 20_000 } else { 200 };
    let threads = (0..THREADS)
        .map(|first| std::thread::spawn(move || try_all(first, THREADS, count)))
        .collect::<Vec<_>>();
    let (mut accepted, mut failures) = (0, Vec::new());
    for thread in threads {
        let (some_accepted, some_failures) = thread.join().expect("no thread panics");
        accepted += some_accepted;
        failures.extend(some_failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!("{accepted} of {count} accepted");
    // Both outcomes must occur. The test would otherwise prove nothing about one of them.
    assert!(
        accepted > 0 && accepted < count,
        "{accepted} of {count} accepted"
    );
}
