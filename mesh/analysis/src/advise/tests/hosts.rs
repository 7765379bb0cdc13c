//! Tests of VirtualServices that are superseded for some or all callers.

use super::*;

#[test]
fn of_two_virtual_services_for_a_host_the_younger_is_told() {
    let first = virtual_service("one", "a", "");
    let found = messages(&(first.clone() + &virtual_service("two", "a", "")));
    assert_eq!(
        found,
        [
            "a.yaml:10:16: VirtualService two: it matches no requests for `r.a.svc.cluster.local`: VirtualService one at 2:1 also has that host, and sidecars use only the oldest; merge them into one [IST0109]"
        ]
    );
    let some = virtual_service("one", "a", "exportTo: ['.'], ");
    let found = messages(&(some.clone() + &virtual_service("two", "b", "")));
    assert!(
        found[0].contains("matches no requests for `r.a.svc.cluster.local` from callers in a: "),
        "{found:?}"
    );
    let apart = virtual_service("two", "b", "exportTo: ['.'], ");
    assert_eq!(messages(&(some + &apart)), Vec::<String>::new());
}

#[test]
fn a_virtual_service_for_gateways_alone_is_told() {
    let found = messages(&virtual_service("one", "a", "gateways: [ingress], "));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("it applies only to gateways, and this mesh has none"));
    let both = virtual_service("one", "a", "gateways: [ingress, mesh], ");
    assert_eq!(messages(&both), Vec::<String>::new());
}

/// The warnings about two VirtualServices of the host `r` with these routes. The first is older.
fn overlapping(first: &str, second: &str, ports: &[u16]) -> Vec<String> {
    let document = |name: &str, http: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
             spec: {{hosts: [r], http: [{http}]}}\n"
        )
    };
    let mut mesh = mesh(&(document("one", first) + &document("two", second)));
    if !ports.is_empty() {
        let ports = ports.iter().copied().map(Port::http).collect();
        mesh.registry.insert(Service::new("r", "default", ports));
    }
    let advice = advise(&mesh);
    advice
        .iter()
        .map(|warning| warning.message.clone())
        .collect()
}

fn for_some(condition: &str) -> String {
    format!("{{match: [{{{condition}}}], {TO}}}")
}

#[test]
fn a_younger_virtual_service_counts_where_the_older_has_no_route() {
    let all = format!("{{{TO}}}");
    for (first, ports) in [
        ("sourceLabels: {app: web}", &[][..]),
        ("sourceNamespace: shop", &[]),
        ("port: 80", &[]),
        ("port: 80", &[80, 81]),
    ] {
        let found = overlapping(&for_some(first), &all, ports);
        assert_eq!(
            found,
            [
                "VirtualService two: it does not match some requests for `r`: sidecars use only VirtualService one at 2:1 for the callers and ports for which that one has a route; merge them into one [IST0109]"
            ],
            "{first}"
        );
    }
    for (first, second) in [
        ("sourceLabels: {app: web}", "sourceLabels: {app: cart}"),
        (
            "sourceLabels: {app: web, tier: a}",
            "sourceLabels: {app: web}",
        ),
        ("sourceNamespace: shop", "sourceNamespace: bank"),
        ("port: 80", "port: 81"),
        ("gateways: [ingress]", "port: 81"),
    ] {
        let found = overlapping(&for_some(first), &for_some(second), &[]);
        let warned = found
            .iter()
            .any(|message| message.starts_with("VirtualService two: it matches no requests for"));
        assert!(!warned, "{first} {second}: {found:?}");
    }
}

#[test]
fn a_newer_virtual_service_is_unused_if_an_older_covers_its_callers() {
    let all = format!("{{{TO}}}");
    for (first, second, ports) in [
        (all.clone(), for_some("sourceLabels: {app: web}"), &[][..]),
        (
            for_some("sourceLabels: {app: web}"),
            for_some("sourceLabels: {app: web, tier: a}"),
            &[],
        ),
        (for_some("port: 80"), for_some("port: 80"), &[]),
        // A host with a single port only receives requests at that port.
        (for_some("port: 80"), all.clone(), &[80]),
        (for_some("uri: {prefix: /a}"), all.clone(), &[]),
        (
            for_some("gateways: [mesh], sourceLabels: {app: web}"),
            all,
            &[],
        ),
    ] {
        let found = overlapping(&first, &second, ports);
        assert!(
            found[0].starts_with(
                "VirtualService two: it matches no requests for `r`: VirtualService one at 2:1"
            ),
            "{first} {second}: {found:?}"
        );
    }
}
