//! Tests that references are looked up in the `Service` documents of the same input.

use crate::command::{Ran, file, folder, shakedown, shakedown_reading};

const SERVICES: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports:
  - {name: http, port: 8080}
  - {name: tcp-admin, port: 9000}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  ports:
  - {name: http-looking, port: 5432, appProtocol: tcp}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: ['*.example.org'], ports: [{number: 80, name: web, protocol: HTTP}]}
---
";

fn route(destination: &str) -> String {
    format!(
        "{SERVICES}apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [web]\n  \
         http: [{{route: [{{destination: {destination}}}]}}]\n"
    )
}

/// The warnings of `check` about a VirtualService with this destination.
fn warnings(destination: &str) -> String {
    let ran = shakedown_reading(&["check", "-"], &route(destination)).exits(0);
    let of_routes = ran
        .stderr
        .lines()
        .filter(|line| line.contains("VirtualService"));
    of_routes.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_host_is_known_if_a_document_declares_it() {
    for host in ["web", "web.default.svc.cluster.local", "api.example.org"] {
        assert_eq!(warnings(&format!("{{host: {host}}}")), "", "{host}");
    }
    for host in ["wed", "web.prod.svc.cluster.local", "api.example.com"] {
        let warning = warnings(&format!("{{host: {host}}}"));
        let begins =
            format!("VirtualService a: no service `{host}`, so its requests fail with 503 NC: ");
        assert!(
            warning.contains(&begins) && warning.ends_with("[IST0101]"),
            "{warning}"
        );
    }
}

#[test]
fn without_a_service_document_hosts_are_not_looked_up() {
    let text = route("{host: wed}");
    let (_, only_entry) = text
        .split_once("kind: Service\nmetadata: {name: db}")
        .unwrap();
    let (_, only_entry) = only_entry.split_once("---\n").unwrap();
    let ran = shakedown_reading(&["check", "-"], only_entry).exits(0);
    assert!(!ran.stderr.contains("IST0101"), "{}", ran.stderr);
}

#[test]
fn ports_are_those_of_the_service_and_of_http() {
    assert_eq!(warnings("{host: web, port: {number: 8080}}"), "");
    let warning = warnings("{host: web, port: {number: 80}}");
    assert!(
        warning.ends_with(
            "service `web` has no port 80, so its requests fail with 503 NC: expected `8080` [IST0101]"
        ),
        "{warning}"
    );
    let warning = warnings("{host: db, port: {number: 5432}}");
    assert!(
        warning.ends_with(
            "port 5432 of service `db` is not an HTTP port, so its requests fail with 503 NC: it has no HTTP ports"
        ),
        "{warning}"
    );
}

#[test]
fn ports_of_other_protocols_are_named_and_passed_over() {
    let ran = shakedown_reading(&["check", "-"], SERVICES).exits(0);
    for text in [
        "warning: <stdin>:7:5: Service web: passed over: `ports: 9000` is not modelled: its protocol is TCP, not HTTP",
        "warning: <stdin>:14:5: Service db: passed over: `ports: 5432` is not modelled: its protocol is TCP, not HTTP",
    ] {
        assert!(ran.stderr.contains(text), "{text}\n{}", ran.stderr);
    }
    let ran = shakedown_reading(&["check", "--strict", "-"], SERVICES).exits(2);
    assert!(
        ran.stderr.contains("error: <stdin>:7:5: Service web"),
        "{}",
        ran.stderr
    );
}

#[test]
fn explain_takes_the_services_that_documents_declare() {
    let explain = |url: &str, code| {
        let args = ["explain", "--config", "-", "--request", url];
        shakedown_reading(&args, &route("{host: wed}")).exits(code)
    };
    let ran = explain("http://web:8080/", 1);
    assert!(
        ran.stderr.contains("no service `wed`") && ran.stderr.contains("[IST0101]"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("503"), "{}", ran.stdout);
    let ran = explain("http://web:9000/", 0);
    assert!(!ran.stdout.contains("outbound|9000"), "{}", ran.stdout);
}

#[test]
fn the_services_that_flagger_makes_for_a_canary_are_known() {
    let canary = "\
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: pod}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: pod}
  service: {port: 9898}
  analysis: {interval: 1m, threshold: 2, maxWeight: 50, stepWeight: 10}
";
    let text = route("{host: pod-primary, port: {number: 9898}}") + canary;
    let ran = shakedown_reading(&["check", "-"], &text).exits(0);
    assert!(!ran.stderr.contains("IST0101"), "{}", ran.stderr);
}

fn run_scenario(test: &str, service: &str) -> Ran {
    let folder = folder(test);
    file(&folder, "mesh.yaml", service);
    let scenario = file(
        &folder,
        "story.yaml",
        "\
scenario: shop
story: Services are those of the topology.
duration: 1s
topology: {services: {shop: {port: 8080, workers: 4, endpoints: {GET /: [work: 1ms]}}}}
mesh: [{file: mesh.yaml}]
load: {users: {to: shop GET /, rate: 10/s}}
expect: [any: success(users) == 100%]
",
    );
    shakedown(&["run", &scenario]).exits(0)
}

#[test]
fn a_run_says_of_a_service_document_that_the_topology_differs() {
    let service = |name: &str, port: u16| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n"
        )
    };
    let ran = run_scenario("services-same", &service("shop", 8080));
    assert!(
        ran.stdout.contains("without effect on requests: 1 Service"),
        "{}",
        ran.stdout
    );
    let ran = run_scenario("services-port", &service("shop", 80));
    assert!(
        ran.stdout.contains("where `shop` has port 8080"),
        "{}",
        ran.stdout
    );
    let ran = run_scenario("services-name", &service("cart", 8080));
    assert!(ran.stdout.contains("which has no `cart`"), "{}", ran.stdout);
}
