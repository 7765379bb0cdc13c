//! Tests of the selection of DestinationRules for a caller.

use std::collections::BTreeMap;

use shakedown_istio::registry::{DefaultExport, Hostname, Mesh, Port, Registry, Service};

use super::{Idle, Rules};
use crate::tests::documents;
use crate::validate;
use crate::{Caller, ScopeInputs, SidecarScope};

const SERVICE: &str = "r.shop.svc.cluster.local";

/// A mesh with a service `r` in `shop`, and rules given by name, namespace and further YAML. Their policies differ in
/// the maximum number of connections.
fn mesh(rules: &[(&str, &str, &str)]) -> Mesh {
    let mut text = String::new();
    for (connections, (name, namespace, more)) in (1..).zip(rules) {
        let mut parts = vec![format!(
            "trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {connections}}}}}}}"
        )];
        if !more.contains("host:") {
            parts.push(format!("host: {SERVICE}"));
        }
        parts.extend((!more.is_empty()).then(|| (*more).to_owned()));
        let spec = parts.join(", ");
        text.push_str(&format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
        ));
    }
    let mut registry = Registry::new();
    for (name, namespace) in [("r", "shop"), ("r", "web"), ("web", "web"), ("b", "bank")] {
        registry.insert(Service::new(name, namespace, vec![Port::http(80)]));
    }
    let mesh = Mesh {
        registry,
        documents: documents(&text),
        ..Mesh::default()
    };
    assert_eq!(validate(&mesh).to_string(), "");
    mesh
}

fn caller(namespace: &str, labels: &[(&str, &str)]) -> Caller {
    let labels = labels.iter();
    Caller {
        namespace: namespace.into(),
        labels: labels
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

/// The names of the rules that apply to a caller of the service.
fn held(mesh: &Mesh, caller: &Caller) -> String {
    let rules = Rules::new(mesh);
    let rule = rules.rule(caller, &Hostname::new(SERVICE), "shop");
    let names: Vec<&str> = rule
        .from
        .iter()
        .map(|document| document.meta.name.as_str())
        .collect();
    names.join("+")
}

/// The same for callers in these namespaces.
fn held_in<const N: usize>(mesh: &Mesh, namespaces: [&str; N]) -> [String; N] {
    namespaces.map(|namespace| held(mesh, &caller(namespace, &[])))
}

#[test]
fn the_callers_namespace_goes_before_the_services_and_that_before_the_root() {
    let all = mesh(&[
        ("root", "istio-system", ""),
        ("home", "shop", ""),
        ("own", "web", ""),
    ]);
    assert_eq!(
        held_in(&all, ["web", "shop", "bank", "istio-system"]),
        ["own", "home", "home", "home"]
    );
    let without = mesh(&[("root", "istio-system", ""), ("own", "web", "")]);
    assert_eq!(
        held_in(&without, ["web", "shop", "bank", "istio-system"]),
        ["own", "root", "root", "root"]
    );
}

#[test]
fn a_rule_of_a_third_namespace_holds_for_its_own_callers_alone() {
    let mesh = mesh(&[("far", "bank", "exportTo: ['*']")]);
    assert_eq!(held_in(&mesh, ["bank", "shop", "web"]), ["far", "", ""]);
}

#[test]
fn nothing_is_taken_from_a_farther_namespace_where_a_nearer_has_any() {
    let mesh = mesh(&[
        ("home", "shop", "subsets: [{name: v1}]"),
        ("own", "web", ""),
    ]);
    let rules = Rules::new(&mesh);
    let subsets = |namespace: &str| {
        let rule = rules.rule(&caller(namespace, &[]), &Hostname::new(SERVICE), "shop");
        rule.subsets.len()
    };
    assert_eq!((subsets("bank"), subsets("web")), (1, 0));
}

#[test]
fn a_rule_is_seen_where_it_is_exported_to() {
    let mut mesh = mesh(&[("home", "shop", "exportTo: ['.']")]);
    assert_eq!(held_in(&mesh, ["shop", "web"]), ["home", ""]);
    mesh = self::mesh(&[("home", "shop", "exportTo: [web]")]);
    assert_eq!(held_in(&mesh, ["shop", "web", "bank"]), ["", "home", ""]);
    mesh = self::mesh(&[("home", "shop", "exportTo: ['.', bank]")]);
    assert_eq!(
        held_in(&mesh, ["shop", "web", "bank"]),
        ["home", "", "home"]
    );
    mesh = self::mesh(&[("home", "shop", "")]);
    assert_eq!(held_in(&mesh, ["shop", "web"]), ["home", "home"]);
    mesh.options.destination_rules_for = DefaultExport::OwnNamespace;
    assert_eq!(held_in(&mesh, ["shop", "web"]), ["home", ""]);
}

#[test]
fn a_rule_that_is_hidden_lets_the_roots_hold() {
    let mesh = mesh(&[
        ("root", "istio-system", ""),
        ("home", "shop", "exportTo: ['.']"),
    ]);
    assert_eq!(held_in(&mesh, ["shop", "web"]), ["home", "root"]);
}

#[test]
fn a_private_root_namespace_rule_precedes_the_services_rule_for_root_callers() {
    let mesh = mesh(&[
        ("root", "istio-system", "exportTo: ['.']"),
        ("home", "shop", ""),
    ]);
    assert_eq!(held_in(&mesh, ["istio-system", "web"]), ["root", "home"]);
}

#[test]
fn the_most_specific_host_of_the_nearest_namespace_counts() {
    let mesh = mesh(&[
        ("all", "web", "host: '*.local'"),
        ("part", "web", "host: '*.shop.svc.cluster.local'"),
        ("home", "shop", ""),
    ]);
    assert_eq!(held_in(&mesh, ["web", "bank"]), ["part", "home"]);
}

#[test]
fn a_specific_host_that_is_hidden_still_hides_the_wildcard_beside_it() {
    let mesh = mesh(&[
        ("wide", "shop", "host: '*.shop.svc.cluster.local'"),
        ("one", "shop", "exportTo: [bank]"),
    ]);
    assert_eq!(held_in(&mesh, ["bank", "web"]), ["one", ""]);
    // The rule is not visible in its own namespace, so the other one applies there.
    assert_eq!(held_in(&mesh, ["shop"]), ["wide"]);
}

#[test]
fn rules_of_one_namespace_and_export_merge_oldest_first() {
    let mesh = mesh(&[
        ("b", "shop", "subsets: [{name: v1}, {name: v2}]"),
        ("a", "shop", "subsets: [{name: v2}]"),
    ]);
    assert_eq!(held_in(&mesh, ["web"]), ["a+b"]);
    let rules = Rules::new(&mesh);
    let rule = rules.rule(&Caller::default(), &Hostname::new(SERVICE), "shop");
    let names: Vec<&str> = rule
        .subsets
        .iter()
        .map(|subset| subset.name.as_str())
        .collect();
    assert_eq!(names, ["v2", "v1"]);
    let pool = rule.policy.unwrap().connection_pool.as_ref().unwrap();
    let tcp = pool.tcp.as_ref().unwrap();
    assert_eq!(tcp.max_connections, Some(2), "that of `a`");
}

#[test]
fn rules_of_other_exports_do_not_merge_and_the_youngest_counts() {
    let mesh = mesh(&[("a", "shop", ""), ("b", "shop", "exportTo: ['.']")]);
    assert_eq!(held_in(&mesh, ["shop", "web"]), ["b", "a"]);
}

#[test]
fn a_newer_rule_exported_wider_merges_into_the_older_and_disappears_elsewhere() {
    let mesh = mesh(&[
        ("a", "shop", "exportTo: [web]"),
        ("b", "shop", "exportTo: [web, bank]"),
    ]);
    assert_eq!(held_in(&mesh, ["web", "bank"]), ["a+b", ""]);
}

#[test]
fn a_rule_that_selects_workloads_holds_for_those_of_its_namespace() {
    let mesh = mesh(&[
        ("home", "shop", ""),
        ("all", "web", ""),
        (
            "some",
            "web",
            "workloadSelector: {matchLabels: {app: cart}}",
        ),
    ]);
    let cart: &[_] = &[("app", "cart"), ("version", "v1")];
    assert_eq!(held(&mesh, &caller("web", cart)), "some");
    assert_eq!(held(&mesh, &caller("web", &[("app", "till")])), "all");
    assert_eq!(held(&mesh, &caller("shop", cart)), "home");
}

#[test]
fn a_selector_rule_hides_the_services_rule_from_its_whole_namespace() {
    let mesh = mesh(&[
        ("home", "shop", ""),
        (
            "some",
            "web",
            "workloadSelector: {matchLabels: {app: cart}}",
        ),
    ]);
    assert_eq!(held_in(&mesh, ["web", "bank"]), ["", "home"]);
    let rules = Rules::new(&mesh);
    let host = Hostname::new(SERVICE);
    let home = rules.over(&host).find(|rule| rule.meta.name == "home");
    let idle = rules.why_idle(home.unwrap(), &caller("web", &[]), &host, "shop");
    assert!(matches!(idle, Some(Idle::Shadowed(by)) if by.meta.name == "some"));
}

#[test]
fn a_rule_that_selects_callers_does_not_hold_before_the_app() {
    let mesh = mesh(&[("some", "shop", "workloadSelector: {matchLabels: {app: r}}")]);
    let rules = Rules::new(&mesh);
    let before = rules.rule_before_app("shop", &Hostname::new(SERVICE), "shop");
    assert!(before.from.is_empty());
    assert_eq!(held(&mesh, &caller("shop", &[("app", "r")])), "some");
}

#[test]
fn a_private_rule_beside_a_selector_rule_is_lost_to_unselected_callers() {
    let mesh = mesh(&[
        ("all", "web", "exportTo: ['.']"),
        (
            "some",
            "web",
            "workloadSelector: {matchLabels: {app: cart}}",
        ),
    ]);
    assert_eq!(held(&mesh, &caller("web", &[("app", "cart")])), "some+all");
    assert_eq!(held(&mesh, &caller("web", &[])), "");
}

#[test]
fn why_a_rule_has_no_say_is_known() {
    let mesh = mesh(&[
        ("far", "bank", ""),
        ("home", "shop", ""),
        ("own", "web", ""),
        ("wide", "web", "host: '*.local'"),
        ("hidden", "istio-system", "exportTo: [bank]"),
        (
            "some",
            "web",
            "workloadSelector: {matchLabels: {app: cart}}",
        ),
    ]);
    let rules = Rules::new(&mesh);
    let host = Hostname::new(SERVICE);
    let why = |caller: &Caller| -> BTreeMap<&str, String> {
        let idle = |rule| {
            let idle = rules.why_idle(rule, caller, &host, "shop")?;
            let by = idle.by().map_or("", |by| by.meta.name.as_str());
            let kind = match idle {
                Idle::Elsewhere => "elsewhere",
                Idle::Hidden => "hidden",
                Idle::NotSelected => "not selected",
                Idle::Nearer(_) => "nearer",
                Idle::Shadowed(_) => "shadowed",
                Idle::Narrower(_) => "narrower",
                Idle::Selected(_) => "selected",
                Idle::Apart(_) => "apart",
                Idle::MergedAway(_) => "merged away",
            };
            Some((rule.meta.name.as_str(), format!("{kind} {by}")))
        };
        rules.over(&host).filter_map(idle).collect()
    };
    let reasons = |caller: &Caller| why(caller).into_iter().collect::<Vec<_>>();
    let pairs = |list: &[(&'static str, &str)]| -> Vec<(&str, String)> {
        list.iter().map(|(k, v)| (*k, (*v).to_owned())).collect()
    };
    assert_eq!(
        reasons(&caller("web", &[])),
        pairs(&[
            ("far", "elsewhere "),
            ("hidden", "hidden "),
            ("home", "nearer own"),
            ("some", "not selected "),
            ("wide", "narrower own"),
        ])
    );
    assert_eq!(
        reasons(&caller("web", &[("app", "cart")])),
        pairs(&[
            ("far", "elsewhere "),
            ("hidden", "hidden "),
            ("home", "nearer some"),
            ("own", "selected some"),
            ("wide", "narrower some"),
        ])
    );
}

#[test]
fn caller_attributes_are_ignored_where_the_same_rules_apply_to_all() {
    for rules in [
        vec![("home", "shop", ""), ("root", "istio-system", "host: '*'")],
        vec![("home", "shop", "exportTo: ['*']"), ("more", "shop", "")],
        vec![("wide", "shop", "host: '*.shop.svc.cluster.local'")],
    ] {
        let mesh = mesh(&rules);
        assert_eq!(ScopeInputs::from_mesh(&mesh), None, "{rules:?}");
        for namespace in ["", "shop", "web", "istio-system"] {
            assert!(SidecarScope::for_caller(&mesh, &caller(namespace, &[])).is_everybody());
        }
    }
    for rules in [
        vec![("far", "web", "")],
        vec![("wide", "shop", "host: '*.local'")],
        vec![("home", "shop", "exportTo: ['.']")],
        vec![("some", "shop", "workloadSelector: {matchLabels: {a: b}}")],
    ] {
        assert_ne!(ScopeInputs::from_mesh(&mesh(&rules)), None, "{rules:?}");
    }
}

#[test]
fn callers_for_whom_the_same_rules_hold_are_one_audience() {
    let mesh = mesh(&[
        ("home", "shop", ""),
        ("one", "shop", "exportTo: [web, bank]"),
        ("some", "shop", "workloadSelector: {matchLabels: {app: r}}"),
    ]);
    let inputs = ScopeInputs::from_mesh(&mesh).unwrap();
    let of = |namespace: &str, labels: &[(&str, &str)]| {
        let caller = inputs.reduce(&caller(namespace, labels));
        SidecarScope::for_caller(&mesh, &caller)
    };
    assert_eq!(of("web", &[("app", "x")]), of("bank", &[]));
    assert!(!of("web", &[]).is_everybody());
    assert!(of("elsewhere", &[("app", "r")]).is_everybody());
    assert!(of("shop", &[("app", "x")]).is_everybody());
    assert_ne!(of("shop", &[("app", "r")]), of("shop", &[]));
}
