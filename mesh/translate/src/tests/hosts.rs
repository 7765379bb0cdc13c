//! Tests of virtual hosts: their domains and their routes.

use super::*;
use crate::{Caller, routes_for};

/// A VirtualService that routes these hosts to a service.
fn leads(name: &str, hosts: &str, to: &str) -> String {
    service(&format!(
        "{{hosts: {hosts}, http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}"
    ))
    .replace("{name: s}", &format!("{{name: {name}}}"))
}

fn seen_by(mesh: &Mesh, caller: &Caller) -> RouteTable {
    compile_routes(&routes_for(mesh, caller).message().unwrap()).unwrap()
}

const MINE: &str = "outbound|9080||my-service.default.svc.cluster.local";
const TWIN: &str = "outbound|80||twin.default.svc.cluster.local";

#[test]
fn a_domain_belongs_to_the_virtual_host_that_claims_it_first() {
    // A name with a dot is not expanded. Such a host is outside the registry, and is processed before the service of
    // that name.
    for (hosts, taken, left) in [
        ("[twin.default]", "twin.default", "twin.default.svc"),
        ("[twin.default.svc]", "twin.default.svc", "twin.default"),
        ("[TWIN.default]", "twin.default", "twin"),
    ] {
        let table = table(&mesh(&leads("v", hosts, "my-service")));
        let goes = |host: &str| cluster_of(&table, host, "/", &[]);
        assert_eq!(goes(taken).as_deref(), Some(MINE), "{hosts}");
        assert_eq!(goes(&format!("{taken}:80")).as_deref(), Some(MINE));
        assert_eq!(goes(left).as_deref(), Some(TWIN), "{hosts}");
    }
}

#[test]
fn all_spellings_of_one_host_are_one_virtual_host() {
    let hosts = "[twin, twin.default, twin.default.svc, twin.default.svc.cluster.local, Twin]";
    let table = table(&mesh(&leads("v", hosts, "my-service")));
    for host in [
        "twin.default",
        "twin.default.svc",
        "twin.default.svc.cluster.local",
    ] {
        assert_eq!(cluster_of(&table, host, "/", &[]).as_deref(), Some(MINE));
    }
}

#[test]
fn of_two_documents_the_older_one_claims_a_domain() {
    let older = leads("b", "[twin]", "my-service");
    let younger = leads("c", "[twin.default]", "other");
    let goes = |text: String| cluster_of(&table(&mesh(&text)), "twin.default", "/", &[]).unwrap();
    assert_eq!(goes(format!("{older}---\n{younger}")), MINE);
    let renamed = younger.replace("{name: c}", "{name: a}");
    assert!(goes(format!("{older}---\n{renamed}")).contains("other"));
}

#[test]
fn a_name_in_another_namespace_can_be_routed() {
    let table = table(&mesh(&leads("v", "[twin.shop]", "my-service")));
    let goes = |host: &str| cluster_of(&table, host, "/", &[]).unwrap();
    assert_eq!(goes("twin.shop"), MINE);
    assert!(goes("twin.shop.svc").contains("twin.shop.svc.cluster.local"));
}

#[test]
fn a_service_without_a_route_for_its_caller_has_its_default_route() {
    let conditions = [
        "{sourceLabels: {app: web}}",
        "{port: 81}",
        "{sourceNamespace: shop}",
        "{gateways: [ingress]}",
    ];
    for condition in conditions {
        let mesh = mesh(&service(&format!(
            "{{hosts: [twin], http: [{{match: [{condition}], route: [{{destination: {{host: my-service}}}}]}}]}}"
        )));
        let table = seen_by(&mesh, &Caller::default());
        let found = cluster_of(&table, "twin.default", "/", &[]);
        assert_eq!(found.as_deref(), Some(TWIN), "{condition}");
    }
}

#[test]
fn a_younger_document_routes_whom_an_older_one_has_no_route_for() {
    let of_web = service(
        "{hosts: [twin], http: [{match: [{sourceLabels: {app: web}}], route: [{destination: {host: other}}]}]}",
    )
    .replace("{name: s}", "{name: a}");
    let text = format!("{of_web}---\n{}", leads("b", "[twin]", "my-service"));
    let mesh = mesh(&text);
    let goes =
        |caller: &Caller| cluster_of(&seen_by(&mesh, caller), "twin.default", "/", &[]).unwrap();
    assert_eq!(goes(&Caller::default()), MINE);
    let web = Caller {
        labels: BTreeMap::from([("app".into(), "web".into())]),
        ..Caller::default()
    };
    assert!(goes(&web).contains("other"));
}

#[test]
fn a_wildcard_that_no_service_has_is_served_at_port_80() {
    let table = table(&mesh(&leads("v", "['*.shop.example']", "my-service")));
    for host in [
        "www.shop.example",
        "www.shop.example:80",
        "A.B.shop.example",
    ] {
        assert_eq!(
            cluster_of(&table, host, "/", &[]).as_deref(),
            Some(MINE),
            "{host}"
        );
    }
    let unknown = cluster_of(&table, "shop.example", "/", &[]);
    assert_eq!(unknown.as_deref(), Some(PASSTHROUGH));
}

#[test]
fn a_wildcard_covering_services_creates_no_virtual_host_at_their_ports() {
    let hosts = "['*.default.svc.cluster.local']";
    let table = table(&mesh(&leads("v", hosts, "my-service")));
    let goes = |host: &str| cluster_of(&table, host, "/", &[]).unwrap();
    assert_eq!(goes("twin.default"), MINE);
    assert_eq!(goes("other:81"), MINE);
    assert_eq!(goes("nobody.default.svc.cluster.local:80"), PASSTHROUGH);
}

#[test]
fn the_port_of_an_authority_says_nothing_at_port_80() {
    let table = table(&mesh(&leads("v", "[api.example.com]", "my-service")));
    let goes = |host: &str| cluster_of(&table, host, "/", &[]).unwrap();
    assert_eq!(goes("twin.default:12345"), TWIN);
    assert_eq!(goes("api.example.com:12345"), MINE);
    // The port selects one of the service's ports.
    assert!(goes("other:81").starts_with("outbound|81|"));
    assert!(goes("other:12345").starts_with("outbound|80|"));
    assert_eq!(goes("my-service:12345"), PASSTHROUGH);
}

#[test]
fn a_services_absolute_name_means_it() {
    let table = table(&mesh(&leads("v", "[api.example.com]", "other")));
    let goes = |host: &str| cluster_of(&table, host, "/", &[]);
    assert_eq!(
        goes("twin.default.svc.cluster.local.").as_deref(),
        Some(TWIN)
    );
    let mine = goes("my-service.default.svc.cluster.local.:9080");
    assert_eq!(mine.as_deref(), Some(MINE));
}

#[test]
fn a_delegates_route_holds_for_the_roots_that_take_it() {
    let root = |name: &str, host: &str, prefix: &str| {
        service(&format!(
            "{{hosts: [{host}], http: [{{match: [{{uri: {{prefix: {prefix}}}}}], delegate: {{name: part}}}}]}}"
        ))
        .replace("{name: s}", &format!("{{name: {name}}}"))
    };
    let part = service(
        "{http: [{match: [{uri: {prefix: /a/x}}], route: [{destination: {host: my-service}}]},
          {match: [{uri: {prefix: /b/x}}], route: [{destination: {host: other}}]}]}",
    )
    .replace("{name: s}", "{name: part}");
    let roots = [root("one", "twin", "/a"), root("two", "my-service", "/b")];
    let mesh = mesh(&format!("{}---\n{}---\n{part}", roots[0], roots[1]));
    assert_eq!(crate::validate(&mesh).to_string(), "");
    let table = table(&mesh);
    let goes = |host: &str, path: &str| cluster_of(&table, host, path, &[]);
    assert_eq!(goes("twin.default", "/a/x").as_deref(), Some(MINE));
    assert_eq!(goes("twin.default", "/b/x"), None);
    assert!(goes("my-service", "/b/x").unwrap().contains("other"));
    assert_eq!(goes("my-service", "/a/x"), None);
}

#[test]
fn a_delegate_may_be_for_callers_and_gateways_of_its_own() {
    let taken = |root: &str, part: &str| {
        let text = service(&format!(
            "{{hosts: [twin], http: [{{match: [{root}], delegate: {{name: part}}}}]}}"
        )) + "---\n"
            + &service(&format!(
                "{{http: [{{match: [{part}], route: [{{destination: {{host: my-service}}}}]}}]}}"
            ))
            .replace("{name: s}", "{name: part}");
        let mesh = mesh(&text);
        assert_eq!(crate::validate(&mesh).to_string(), "");
        let caller = Caller {
            namespace: "shop".into(),
            labels: BTreeMap::from([("app".into(), "web".into()), ("tier".into(), "1".into())]),
        };
        let table = seen_by(&mesh, &caller);
        cluster_of(&table, "twin.default", "/a", &[]).as_deref() == Some(MINE)
    };
    let any = "{uri: {prefix: /}}";
    assert!(taken(any, "{sourceNamespace: shop}"));
    assert!(!taken(any, "{sourceNamespace: bank}"));
    assert!(taken(any, "{gateways: [mesh]}") && !taken(any, "{gateways: [ingress]}"));
    assert!(taken(
        "{sourceLabels: {tier: '1'}}",
        "{sourceLabels: {app: web}}"
    ));
    assert!(!taken(
        "{sourceLabels: {app: web}}",
        "{sourceLabels: {app: bank}}"
    ));
    // If the root names a namespace, its delegate must name the same one.
    assert!(taken("{sourceNamespace: shop}", "{sourceNamespace: shop}"));
    assert!(!taken("{sourceNamespace: shop}", "{uri: {prefix: /}}"));
    assert!(!taken("{gateways: [mesh]}", "{gateways: [mesh, ingress]}"));
    // `withoutHeaders` of the delegate is compared with that of the root.
    let without = "{withoutHeaders: {x: {exact: a}}}";
    assert!(taken(any, without) && taken("{withoutHeaders: {y: {exact: b}}}", without));
    assert!(!taken(without, "{withoutHeaders: {x: {exact: b}}}"));
}
