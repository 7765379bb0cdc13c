//! Tests mesh documents from other sources: unmodified folders of Kubernetes documents, read from files, folders and
//! standard input, and the reports of the parts that are not modelled.

use crate::command::{Ran, file, folder, shakedown, shakedown_reading};

/// A folder as found in a repository: a Service, a Deployment, a policy of another kind, and routes with a field that
/// is not modelled, in YAML as people write it.
const SHOP: &str = "\u{feff}# as applied
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  ports: [
    {port: 8080, name: http}
  ]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop-v1}
spec: {replicas: 1}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-all}
spec: {}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  trafficPolicy: &policy
    tls: {mode: ISTIO_MUTUAL}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v1}, trafficPolicy: *policy}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [
    shop
  ]
  http: [{route: [{destination: {host: shop, subset: v1}}]}]
";

const SCENARIO: &str = "\
scenario: shop
story: Nothing is wrong here.
duration: 2s
topology:
  services:
    shop: {workers: 4, endpoints: {GET /: [work: 1ms]}}
mesh: [{file: shop.yaml}]
load: {users: {to: shop GET /, rate: 10/s}}
expect: [success(users) == 100%]
variants: {same: {story: The same again., load: {users: {rate: 20/s}}}}
";

const POLICY: &str = "AuthorizationPolicy deny-all: passed over: this kind is not modelled: access control is not applied: requests that it would deny are allowed";

/// Errors and warnings, with the test's folder removed.
fn stderr_of(ran: &Ran, path: &str) -> String {
    ran.stderr.replace(path, "shop.yaml")
}

#[test]
fn a_folder_of_other_kinds_is_checked_and_each_is_named() {
    let folder = folder("front-folder");
    let path = file(&folder, "shop.yaml", SHOP);
    file(&folder, "notes.txt", "no YAML: [");
    let ran = shakedown(&["check", folder.to_str().unwrap()]).exits(0);
    let stderr = stderr_of(&ran, &path);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{stderr}");
    assert_eq!(lines[0], format!("warning: shop.yaml:16:7: {POLICY}"));
    // The field is written once and applies to two.
    let begins =
        "warning: shop.yaml:26:5: DestinationRule shop: passed over: `tls` is not modelled: ";
    assert!(lines[1].starts_with(begins), "{stderr}");
    assert_eq!(
        lines[2],
        "passed over, without effect on requests: 1 Deployment"
    );
    assert!(ran.stdout.ends_with("shop.yaml: valid\n"), "{}", ran.stdout);
}

#[test]
fn strict_refuses_what_is_not_modelled_and_warnings_can_fail() {
    let folder = folder("front-strict");
    let path = file(&folder, "shop.yaml", SHOP);
    let ran = shakedown(&["check", "--strict", &path]).exits(2);
    let stderr = stderr_of(&ran, &path);
    assert!(
        stderr.contains("error: shop.yaml:11:7: Deployment shop-v1: this kind is not modelled"),
        "{stderr}"
    );
    assert!(
        stderr.contains("error: shop.yaml:26:5: DestinationRule shop: `tls` is not modelled"),
        "{stderr}"
    );
    shakedown(&["check", "--fail-on", "warning", &path]).exits(1);
    let service = SHOP.split("---").next().unwrap();
    let path = file(&folder, "service.yaml", service);
    shakedown(&["check", "--strict", "--fail-on", "warning", &path]).exits(0);
    let scenario = file(&folder, "story.yaml", SCENARIO);
    for command in ["run", "sweep"] {
        let ran = shakedown(&[command, "--strict", &scenario]).exits(2);
        assert!(
            ran.stderr.contains("AuthorizationPolicy deny-all"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_misspelt_kind_is_an_error_and_nothing_follows_from_it() {
    let folder = folder("front-misspelt");
    let text = SHOP.replace("kind: DestinationRule", "kind: DestinationRul");
    let path = file(&folder, "shop.yaml", text);
    let ran = shakedown(&["check", &path]).exits(2);
    assert_eq!(
        stderr_of(&ran, &path),
        "error: shop.yaml:21:7: unknown kind `DestinationRul`: did you mean `DestinationRule`?\n"
    );
}

#[test]
fn a_verdict_lists_what_the_run_was_without() {
    let folder = folder("front-verdict");
    file(&folder, "shop.yaml", SHOP);
    let scenario = file(&folder, "story.yaml", SCENARIO);
    let (json, html) = (folder.join("r.json"), folder.join("r.html"));
    let ran = shakedown(&[
        "run",
        &scenario,
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ])
    .exits(0);
    let named = "shop.yaml:16 AuthorizationPolicy/deny-all: access control is not applied";
    assert!(
        ran.stdout.contains(&format!("  not modelled: {named}")),
        "{}",
        ran.stdout
    );
    let counted = "  not modelled: without effect on requests: 1 Deployment, 1 Service";
    assert!(ran.stdout.contains(counted), "{}", ran.stdout);
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains(named), "the report names it");
    let text = std::fs::read_to_string(json).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = document["not_modelled"].as_array().unwrap();
    assert!(rows.iter().any(
        |row| row["document"] == "AuthorizationPolicy/deny-all" && row["at"] == "shop.yaml:16"
    ));
    assert!(
        rows.iter()
            .any(|row| row["field"] == "tls" && !row["effect"].is_null())
    );
    let ran = shakedown(&["run", &scenario, "--variant", "all"]).exits(0);
    assert_eq!(ran.stdout.matches(named).count(), 1, "{}", ran.stdout);
    let ran = shakedown(&["sweep", &scenario, "--seeds", "1..2"]).exits(0);
    assert!(ran.stdout.contains(named), "{}", ran.stdout);
}

#[test]
fn other_tools_files_in_a_folder_are_listed_and_are_no_scenarios() {
    let folder = folder("front-tools");
    let files = [
        (
            "kustomization.yaml",
            "resources: [shop.yaml]\n",
            "Kustomization: passed over",
        ),
        (
            "Chart.yaml",
            "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
            "Helm chart: passed over",
        ),
        (
            "values.yaml",
            "image: {tag: v1}\n",
            "Helm values: passed over",
        ),
        (
            "docker-compose.yml",
            "services: {shop: {image: shop}}\n",
            "Compose file: passed over",
        ),
        ("notes.yaml", "- {a: 1}\n", "File: passed over"),
        ("broken.yaml", "a: [1\n", "File: passed over"),
    ];
    for (name, text, _) in files {
        file(&folder, name, text);
    }
    file(
        &folder,
        "ci.yml",
        "name: ci\non: [push]\njobs: {test: {runs-on: linux}}\n",
    );
    file(&folder, "shop.yaml", SHOP);
    let path = folder.to_str().unwrap();
    let explain = [
        "explain",
        "--config",
        path,
        "--request",
        "http://shop:8080/",
    ];
    let checked = shakedown(&["check", path]).exits(0).stderr;
    let explained = shakedown(&explain).exits(0).stdout;
    for (name, _, wanted) in files {
        assert!(
            checked.contains(&format!("/{name}:1:1: {wanted}")),
            "{name}: {checked}"
        );
        let (kind, _) = wanted.split_once(':').unwrap();
        assert!(
            explained.contains(&format!("Not modelled: {name}:1 {kind}")),
            "{name}: {explained}"
        );
    }
    assert!(
        checked.contains("without effect on requests: 1 Deployment, 1 GitHub workflow"),
        "{checked}"
    );
    let ran = shakedown(&["check", "--strict", path]).exits(2);
    assert!(
        ran.stderr.contains(
            "kustomization.yaml:1:1: Kustomization: this kind is not modelled: kustomize is not run"
        ),
        "{}",
        ran.stderr
    );
    // A file given by its name without any known key is treated as a scenario, and the errors list a scenario's needs.
    let notes = folder.join("notes.yaml");
    shakedown(&["check", notes.to_str().unwrap()]).exits(2);
}

#[test]
fn standard_input_is_taken_for_documents_and_for_scenarios() {
    let ran = shakedown_reading(&["check", "-"], SHOP).exits(0);
    assert!(
        ran.stderr
            .contains(&format!("warning: <stdin>:16:7: {POLICY}")),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stdout, "<stdin>: valid\n");
    let scenario = SCENARIO.replace("mesh: [{file: shop.yaml}]\n", "");
    let ran = shakedown_reading(&["check", "-"], &scenario).exits(0);
    assert_eq!(ran.stdout, "<stdin>: valid, with 1 variant\n");
    let ran = shakedown_reading(&["run", "-", "--variant", "all"], &scenario).exits(0);
    assert!(ran.stdout.contains("same"), "{}", ran.stdout);
    let args = ["explain", "--config", "-", "--request", "http://shop:8080/"];
    let ran = shakedown_reading(&args, SHOP).exits(0);
    assert!(
        ran.stdout.contains("outbound|8080|v1|shop.default"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("Not modelled: <stdin>:16 AuthorizationPolicy/deny-all"),
        "{}",
        ran.stdout
    );
    let ran = shakedown_reading(&["run", "-"], "scenario: x\n").exits(2);
    assert!(ran.stderr.contains("error: <stdin>:1:1:"), "{}", ran.stderr);
}

#[test]
fn json_is_never_taken_for_a_scenario() {
    let folder = folder("front-json");
    let list = r#"{"kind": "List", "apiVersion": "v1", "items": [
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"},
         "spec": {"hosts": ["a"], "http": [{"redirect": {"uri": "/x"}}]}}]}"#;
    let path = file(&folder, "list.json", list);
    let ran = shakedown(&["check", &path]).exits(0);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        (&*format!("{path}: valid\n"), "")
    );
    let broken = file(&folder, "broken.json", &list[..list.len() - 2]);
    let ran = shakedown(&["check", &broken]).exits(2);
    assert!(ran.stderr.contains("YAML syntax"), "{}", ran.stderr);
}

/// Returns the answer of `explain` under documents alone.
fn explained(test: &str, text: &str, url: &str, code: i32) -> serde_json::Value {
    let path = file(&folder(test), "mesh.yaml", text);
    let args = ["explain", "--config", &path, "--json", "--request", url];
    let ran = shakedown(&args).exits(code);
    serde_json::from_str(&ran.stdout).expect("it is JSON")
}

fn routes(host: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [{host}]\n  http: [{http}]\n"
    )
}

#[test]
fn the_hosts_of_a_virtual_service_count_as_services() {
    let redirect = routes("old", "{redirect: {authority: new}}");
    let explanation = explained("front-redirect", &redirect, "http://old/", 0);
    assert!(!explanation["redirect"].is_null(), "{explanation}");
    let direct = routes("old", "{directResponse: {status: 410}}");
    let explanation = explained("front-direct", &direct, "http://old/", 0);
    assert_eq!(
        explanation["direct_response"]["status"], 410,
        "{explanation}"
    );
    let other = routes(
        "b",
        "{route: [{destination: {host: c, port: {number: 8080}}}]}",
    );
    let explanation = explained("front-other", &other, "http://b/", 0);
    assert_eq!(
        explanation["cluster"],
        "outbound|8080||c.default.svc.cluster.local"
    );
    let canary = routes(
        "pod",
        "{route: [{destination: {host: pod-primary}, weight: 100}, {destination: {host: pod-canary}, weight: 0}]}",
    );
    let explanation = explained("front-canary", &canary, "http://pod/", 0);
    let names = explanation.to_string();
    assert!(
        names.contains("pod-primary") && !names.contains("PassthroughCluster"),
        "{explanation}"
    );
}

#[test]
fn a_port_that_is_not_served_is_the_same_written_or_not() {
    let text = routes(
        "inventory.shop.svc.cluster.local",
        "{route: [{destination: {host: inventory.shop.svc.cluster.local, port: {number: 8080}}}]}",
    ) + "---\n{apiVersion: v1, kind: Service, metadata: {name: inventory, namespace: shop}, spec: {ports: [{port: 8080}]}}\n";
    let answer = |url| {
        let mut explanation = explained("front-port-80", &text, url, 0);
        // The app would see the authority as written.
        explanation.as_object_mut().unwrap().remove("host");
        explanation
    };
    let short = answer("http://inventory.shop/stock");
    assert_eq!(short, answer("http://inventory.shop:80/stock"));
    assert!(short["notes"].to_string().contains("no port 80"), "{short}");
    let served = answer("http://inventory.shop:8080/stock");
    assert!(
        served["cluster"].to_string().contains("outbound|8080"),
        "{served}"
    );
}

#[test]
fn an_unknown_command_gets_a_suggestion_and_shells_get_completions() {
    let ran = shakedown(&["rnu"]).exits(2);
    assert!(ran.stderr.contains("'run'"), "{}", ran.stderr);
    for shell in ["bash", "zsh", "fish"] {
        let ran = shakedown(&["completions", shell]).exits(0);
        assert!(ran.stdout.contains("explain"), "{shell}");
    }
    let ran = shakedown(&["man"]).exits(0);
    for text in [".TH shakedown", "fail\\-on", "replay"] {
        assert!(ran.stdout.contains(text), "{text}");
    }
}

#[test]
fn colours_are_printed_where_they_are_asked_for_alone() {
    let scenario = SCENARIO.replace("mesh: [{file: shop.yaml}]\n", "");
    let painted = |when| {
        shakedown_reading(&["run", "-", "--color", when], &scenario)
            .exits(0)
            .stdout
    };
    assert!(painted("always").contains("\x1b["));
    assert!(!painted("never").contains('\x1b') && !painted("auto").contains('\x1b'));
}

#[test]
fn every_error_line_has_one_prefix() {
    let folder = folder("front-prefix");
    let path = file(
        &folder,
        "shop.yaml",
        SCENARIO
            .replace("duration: 2s", "duration: 2")
            .replace("story:", "stroy:"),
    );
    for args in [
        &["run", &path][..],
        &["check", "no-such-file.yaml"],
        &["run", "header-rooting"],
        &["explain", "--config", &path, "--request", "x"],
        &["check", folder.join("none").to_str().unwrap()],
        &["rnu"],
    ] {
        let ran = shakedown(args).exits(2);
        assert!(
            ran.stderr.starts_with("error: "),
            "{args:?}: {}",
            ran.stderr
        );
        let more = ran
            .stderr
            .lines()
            .filter(|line| line.contains("shop.yaml:"));
        for line in more {
            assert!(
                line.starts_with("error: ") || line.starts_with("warning: "),
                "{line}"
            );
        }
    }
}
