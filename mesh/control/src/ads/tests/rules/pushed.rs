//! The content and the order of pushes.

use super::*;
use crate::snapshot::Resources;

#[test]
fn a_push_sends_what_changed_and_nothing_else() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let mut list = FULL;
    list[1].2 = "2";
    s.offer(next(&first, &list));
    assert_eq!(shown(&drain(&mut s)), ["Cluster +b=2 @2"]);
}

#[test]
fn a_push_that_does_not_concern_a_proxy_is_acknowledged_by_itself() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    s.offer(next(&first, &FULL));
    assert!(drain(&mut s).is_empty());
    assert_eq!(s.acknowledged(), 2);
}

#[test]
fn additions_are_sent_in_dependency_order_and_removals_last_in_reverse() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    s.offer(next(
        &first,
        &[
            (Cluster, "b", "1"),
            (Cluster, "c", "1"),
            (Listener, "k", "1"),
            (Listener, "l", "2"),
            (Routes, "r", "2"),
        ],
    ));
    let first = drain(&mut s);
    assert_eq!(
        settle(&mut s, first),
        [
            "Cluster +c=1",
            "Listener +k=1 +l=2",
            "RouteConfiguration +r=2",
            "ClusterLoadAssignment -a",
            "Cluster -a @2",
        ]
    );
}

#[test]
fn everything_goes_in_reverse_each_when_the_one_before_is_acknowledged() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    s.offer(next(&first, &[]));
    let first = drain(&mut s);
    assert_eq!(
        settle(&mut s, first),
        [
            "RouteConfiguration -r",
            "Listener -l",
            "ClusterLoadAssignment -a",
            "Cluster -a -b @2"
        ]
    );
}

#[test]
fn routes_wait_for_the_acknowledgement_of_clusters_and_endpoints() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let mut list = FULL;
    list[0].2 = "2";
    list[4].2 = "2";
    s.offer(next(&first, &list));
    let sent = drain(&mut s);
    assert_eq!(shown(&sent), ["Cluster +a=2", "ClusterLoadAssignment +a=1"]);
    assert!(ask(&mut s, ack(&sent[0])).is_empty());
    assert_eq!(
        shown(&ask(&mut s, ack(&sent[1]))),
        ["RouteConfiguration +r=2 @2"]
    );
}

#[test]
fn endpoints_of_a_changed_cluster_are_resent_even_if_unchanged() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let mut list = FULL;
    list[0].2 = "2";
    s.offer(next(&first, &list));
    // Also sent before the cluster is acknowledged, because Envoy withholds the acknowledgement until it has endpoints.
    assert_eq!(
        shown(&drain(&mut s)),
        ["Cluster +a=2", "ClusterLoadAssignment +a=1 @2"]
    );
}

#[test]
fn each_type_has_one_unacknowledged_response_and_newer_pushes_are_coalesced() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let second = next(&first, &[(Cluster, "a", "2"), (Endpoints, "a", "1")]);
    let third = next(&second, &[(Cluster, "a", "3"), (Endpoints, "a", "1")]);
    let fourth = next(&third, &[(Cluster, "a", "4"), (Endpoints, "a", "1")]);
    s.offer(second);
    let sent = drain(&mut s);
    s.offer(third);
    s.offer(fourth);
    assert!(drain(&mut s).is_empty());
    let log = settle(&mut s, sent);
    let clusters: Vec<&String> = log
        .iter()
        .filter(|line| line.starts_with("Cluster +"))
        .collect();
    assert_eq!(clusters, ["Cluster +a=2", "Cluster +a=4"]);
    assert_eq!(s.acknowledged(), 4);
}

#[test]
fn routes_of_a_push_do_not_wait_for_the_next_pushs_endpoints() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let mut list = FULL;
    list[2].2 = "2";
    list[4].2 = "2";
    let second = next(&first, &list);
    list[2].2 = "3";
    let third = next(&second, &list);
    s.offer(second);
    let sent = drain(&mut s);
    assert_eq!(shown(&sent), ["ClusterLoadAssignment +a=2"]);
    s.offer(third);
    let sent = ask(&mut s, ack(&sent[0]));
    assert_eq!(shown(&sent), ["RouteConfiguration +r=2 @2"]);
    assert_eq!(
        shown(&ask(&mut s, ack(&sent[0]))),
        ["ClusterLoadAssignment +a=3 @3"]
    );
}

#[test]
fn a_large_response_is_split_and_each_part_awaits_the_previous_acknowledgement() {
    let long = "x".repeat(1_000);
    let names: Vec<String> = (0..1_000).map(|n| format!("c{n:03}")).collect();
    let list: Vec<(ResourceKind, &str, &str)> = names
        .iter()
        .map(|name| (Cluster, name.as_str(), long.as_str()))
        .collect();
    let mut s = Subscriptions::new(view(1, &list));
    let mut sent = ask(&mut s, request(Cluster, &[]));
    let mut parts = Vec::new();
    while let Some(response) = sent.pop() {
        assert!(sent.is_empty());
        let bytes: usize = response
            .resources
            .iter()
            .map(|entry| entry.wire.len())
            .sum();
        assert!(bytes < 300_000, "{bytes}");
        parts.push((response.resources.len(), response.version));
        sent = ask(&mut s, ack(&response));
    }
    assert_eq!(parts.iter().map(|part| part.0).sum::<usize>(), 1_000);
    assert!(parts.len() > 3);
    let (last, others) = parts.split_last().unwrap();
    assert_eq!(last.1, Some(1));
    assert!(others.iter().all(|part| part.1.is_none()));
}

#[test]
fn a_proxy_that_is_many_pushes_behind_is_compared_with_the_newest() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let mut newest = first;
    for n in 0..40 {
        let version = n.to_string();
        newest = next(&newest, &[(Cluster, "a", &version), (Endpoints, "a", "1")]);
    }
    s.offer(newest);
    let first = drain(&mut s);
    let log = settle(&mut s, first);
    assert!(log.contains(&"Cluster +a=39".to_owned()), "{log:?}");
    assert!(log.last().unwrap().starts_with("Cluster -b"), "{log:?}");
    assert_eq!(s.acknowledged(), 41);
}

#[test]
fn a_proxys_own_resources_come_with_the_shared_ones() {
    let mut with_own = view(1, &FULL);
    with_own.own = std::sync::Arc::new(own("1"));
    let mut s = Subscriptions::new(with_own.clone());
    assert_eq!(
        shown(&ask(&mut s, request(Listener, &[]))),
        ["Listener +inbound=1 +l=1 @1"]
    );
    let mut s = everything(&with_own);
    let mut changed = next(&with_own, &FULL);
    changed.own = std::sync::Arc::new(own("2"));
    s.offer(changed);
    assert_eq!(shown(&drain(&mut s)), ["Listener +inbound=2 @2"]);
}

fn own(version: &str) -> Resources {
    crate::snapshot::tests::resources(&[(Listener, "inbound", version)])
}
