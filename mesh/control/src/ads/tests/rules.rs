//! A test of each protocol rule.

use super::super::subscription::NAMES_MAX;
use super::super::{DeltaRequest, DeltaResponse, Subscriptions};
use super::client::{ack, nack, next, request, show, view};
use crate::snapshot::ResourceKind::{self, Cluster, Endpoints, Listener, Routes};
use crate::snapshot::{ConfigSnapshot, Resources, SnapshotView};

/// All responses that are sent without a further request.
fn drain(subscriptions: &mut Subscriptions) -> Vec<DeltaResponse> {
    std::iter::from_fn(|| subscriptions.next()).collect()
}

fn shown(responses: &[DeltaResponse]) -> Vec<String> {
    responses.iter().map(show).collect()
}

/// Sends a request and returns the responses, which are not acknowledged.
fn ask(subscriptions: &mut Subscriptions, request: DeltaRequest) -> Vec<DeltaResponse> {
    subscriptions.request(request).unwrap();
    drain(subscriptions)
}

/// Acknowledges responses until no more are sent. Returns all of them, formatted.
fn settle(subscriptions: &mut Subscriptions, first: Vec<DeltaResponse>) -> Vec<String> {
    let mut log = Vec::new();
    let mut inbox = std::collections::VecDeque::from(first);
    while let Some(response) = inbox.pop_front() {
        log.push(show(&response));
        inbox.extend(ask(subscriptions, ack(&response)));
    }
    log
}

/// A proxy that has all resources of `view`.
fn settled(view: &SnapshotView, names: &[(ResourceKind, &[&str])]) -> Subscriptions {
    let mut s = Subscriptions::new(view.clone());
    for (kind, names) in names {
        let first = ask(&mut s, request(*kind, names));
        settle(&mut s, first);
    }
    s
}

fn everything(view: &SnapshotView) -> Subscriptions {
    let names = |kind| {
        view.of_kind(kind)
            .map(|e| e.name.to_string())
            .collect::<Vec<_>>()
    };
    let (endpoints, routes) = (names(Endpoints), names(Routes));
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    settled(
        view,
        &[
            (Cluster, &[]),
            (Endpoints, &endpoints),
            (Listener, &[]),
            (Routes, &routes),
        ],
    )
}

const FULL: [(ResourceKind, &str, &str); 5] = [
    (Cluster, "a", "1"),
    (Cluster, "b", "1"),
    (Endpoints, "a", "1"),
    (Listener, "l", "1"),
    (Routes, "r", "1"),
];

#[test]
fn an_empty_first_request_for_clusters_or_listeners_asks_for_all() {
    let mut s = Subscriptions::new(view(1, &FULL));
    assert_eq!(
        shown(&ask(&mut s, request(Cluster, &[]))),
        ["Cluster +a=1 +b=1 @1"]
    );
    let mut s = Subscriptions::new(view(1, &FULL));
    assert_eq!(
        shown(&ask(&mut s, request(Listener, &[]))),
        ["Listener +l=1 @1"]
    );
}

#[test]
fn an_empty_first_request_for_endpoints_or_routes_asks_for_none() {
    let mut s = Subscriptions::new(view(1, &FULL));
    let first = ask(&mut s, request(Endpoints, &[]));
    assert_eq!(settle(&mut s, first), ["ClusterLoadAssignment @1"]);
    assert_eq!(
        shown(&ask(&mut s, request(Routes, &[]))),
        ["RouteConfiguration @1"]
    );
}

#[test]
fn a_first_request_with_names_asks_for_these_alone() {
    let mut s = Subscriptions::new(view(1, &FULL));
    assert_eq!(
        shown(&ask(&mut s, request(Cluster, &["b"]))),
        ["Cluster +b=1 @1"]
    );
}

#[test]
fn a_star_asks_for_all_and_taking_it_back_leaves_the_names() {
    let first = view(1, &FULL);
    let mut s = settled(&first, &[(Cluster, &["*", "b"])]);
    let back = DeltaRequest {
        unsubscribe: vec!["*".into()],
        ..request(Cluster, &[])
    };
    assert!(ask(&mut s, back).is_empty());
    s.offer(next(&first, &[(Cluster, "a", "2"), (Cluster, "b", "2")]));
    assert_eq!(shown(&drain(&mut s)), ["Cluster +b=2 @2"]);
}

#[test]
fn a_nonexistent_name_is_reported_as_removed_and_sent_once_it_exists() {
    let first = view(1, &FULL);
    let mut s = Subscriptions::new(first.clone());
    let sent = ask(&mut s, request(Endpoints, &["nobody"]));
    assert_eq!(shown(&sent), ["ClusterLoadAssignment -nobody @1"]);
    assert!(ask(&mut s, ack(&sent[0])).is_empty());
    s.offer(next(&first, &[(Endpoints, "nobody", "1")]));
    assert_eq!(
        shown(&drain(&mut s)),
        ["ClusterLoadAssignment +nobody=1 @2"]
    );
}

#[test]
fn an_acknowledgement_is_not_answered() {
    let mut s = Subscriptions::new(view(1, &FULL));
    let sent = ask(&mut s, request(Cluster, &[]));
    assert!(s.waits());
    assert!(ask(&mut s, ack(&sent[0])).is_empty());
    assert!(!s.waits());
}

#[test]
fn an_acknowledgement_that_adds_names_is_answered_for_these() {
    let mut s = Subscriptions::new(view(1, &FULL));
    let sent = ask(&mut s, request(Cluster, &["a"]));
    let more = DeltaRequest {
        subscribe: vec!["b".into()],
        ..ack(&sent[0])
    };
    assert_eq!(shown(&ask(&mut s, more)), ["Cluster +b=1 @1"]);
}

#[test]
fn a_name_that_is_asked_for_again_is_sent_again() {
    let mut s = settled(&view(1, &FULL), &[(Endpoints, &["a"])]);
    assert_eq!(
        shown(&ask(&mut s, request(Endpoints, &["a"]))),
        ["ClusterLoadAssignment +a=1 @1"]
    );
}

#[test]
fn a_name_that_was_taken_back_is_not_sent_any_more() {
    let first = view(1, &FULL);
    let mut s = settled(&first, &[(Routes, &["r"])]);
    let back = DeltaRequest {
        unsubscribe: vec!["r".into()],
        ..request(Routes, &[])
    };
    assert!(ask(&mut s, back).is_empty());
    s.offer(next(&first, &[(Routes, "r", "2")]));
    assert!(drain(&mut s).is_empty());
}

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
fn a_refusal_is_not_answered_and_a_newer_version_is_sent() {
    let first = view(1, &FULL);
    let mut s = everything(&first);
    let mut list = FULL;
    list[4].2 = "2";
    let second = next(&first, &list);
    s.offer(second.clone());
    let sent = drain(&mut s);
    assert!(ask(&mut s, nack(&sent[0], "r: no such cluster")).is_empty());
    assert_eq!(s.acknowledged(), 1);
    assert_eq!(&*s.rejections()[0].reason, "r: no such cluster");
    list[4].2 = "3";
    s.offer(next(&second, &list));
    let sent = drain(&mut s);
    assert_eq!(shown(&sent), ["RouteConfiguration +r=3 @3"]);
    ask(&mut s, ack(&sent[0]));
    assert_eq!((s.acknowledged(), s.rejections()), (3, vec![]));
}

#[test]
fn a_refusal_outlasts_what_is_accepted_of_the_same_type_since() {
    let first = view(1, &[(Cluster, "a", "1"), (Cluster, "b", "1")]);
    let mut s = Subscriptions::new(first.clone());
    let sent = ask(&mut s, request(Cluster, &[]));
    ask(&mut s, nack(&sent[0], "Cluster a: bad"));
    s.offer(next(&first, &[(Cluster, "a", "1"), (Cluster, "b", "2")]));
    let sent = drain(&mut s);
    ask(&mut s, ack(&sent[0]));
    assert_eq!(s.rejections().len(), 1);
}

#[test]
fn a_refusal_ends_when_what_is_refused_goes() {
    let first = view(1, &[(Cluster, "a", "bad")]);
    let mut s = Subscriptions::new(first.clone());
    let sent = ask(&mut s, request(Cluster, &[]));
    ask(&mut s, nack(&sent[0], "Cluster a: bad"));
    s.offer(next(&first, &[]));
    let sent = drain(&mut s);
    assert_eq!(shown(&sent), ["Cluster -a @2"]);
    ask(&mut s, ack(&sent[0]));
    assert_eq!(s.rejections(), []);
}

#[test]
fn a_stale_nonce_acknowledges_nothing_but_its_names_count() {
    let mut s = Subscriptions::new(view(1, &FULL));
    let sent = ask(&mut s, request(Cluster, &["a"]));
    let stale = DeltaRequest {
        nonce: "999".into(),
        subscribe: vec!["b".into()],
        ..request(Cluster, &[])
    };
    assert!(ask(&mut s, stale).is_empty());
    assert!(s.waits());
    assert_eq!(shown(&ask(&mut s, ack(&sent[0]))), ["Cluster +b=1 @1"]);
}

#[test]
fn a_first_request_of_a_type_is_answered_whatever_its_nonce() {
    let mut s = Subscriptions::new(view(1, &FULL));
    let resumed = DeltaRequest {
        nonce: "17".into(),
        ..request(Cluster, &[])
    };
    assert_eq!(shown(&ask(&mut s, resumed)), ["Cluster +a=1 +b=1 @1"]);
}

#[test]
fn a_resumed_stream_gets_what_differs_from_what_it_holds() {
    let mut s = Subscriptions::new(view(7, &FULL));
    let held = [("a", "1"), ("b", "0"), ("gone", "1")];
    let initial_versions = held
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into();
    let resumed = DeltaRequest {
        initial_versions,
        ..request(Cluster, &[])
    };
    let first = ask(&mut s, resumed);
    assert_eq!(settle(&mut s, first), ["Cluster +b=1", "Cluster -gone @7"]);
}

#[test]
fn a_resumed_stream_that_holds_everything_gets_an_empty_answer() {
    let mut s = Subscriptions::new(view(7, &FULL));
    let initial_versions = [("a".to_owned(), "1".to_owned())].into();
    let resumed = DeltaRequest {
        initial_versions,
        ..request(Endpoints, &["a"])
    };
    assert_eq!(shown(&ask(&mut s, resumed)), ["ClusterLoadAssignment @7"]);
}

#[test]
fn a_resumed_name_that_has_gone_meanwhile_is_removed_in_its_turn() {
    let mut s = Subscriptions::new(view(7, &FULL));
    let initial_versions = [("z".to_owned(), "1".to_owned())].into();
    let resumed = DeltaRequest {
        initial_versions,
        ..request(Routes, &["z"])
    };
    let first = ask(&mut s, resumed);
    assert_eq!(
        settle(&mut s, first),
        ["RouteConfiguration", "RouteConfiguration -z @7"]
    );
}

#[test]
fn a_type_that_is_not_served_is_answered_with_nothing_once() {
    let url = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    let mut s = Subscriptions::new(view(1, &FULL));
    let secret = DeltaRequest {
        type_url: url.into(),
        subscribe: vec!["default".into()],
        ..DeltaRequest::default()
    };
    let sent = ask(&mut s, secret);
    assert_eq!(
        (&*sent[0].type_url, shown(&sent)),
        (url, vec!["? -default".to_owned()])
    );
    assert!(ask(&mut s, ack(&sent[0])).is_empty());
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

#[test]
fn a_proxy_that_has_not_asked_for_listeners_has_acknowledged_nothing() {
    let mut s = settled(&view(3, &FULL), &[(Cluster, &[])]);
    assert_eq!(s.acknowledged(), 0);
    let first = ask(&mut s, request(Listener, &[]));
    settle(&mut s, first);
    assert_eq!(s.acknowledged(), 3);
}

#[test]
fn endless_names_are_refused() {
    let view = SnapshotView {
        shared: std::sync::Arc::new(ConfigSnapshot::empty()),
        own: std::sync::Arc::default(),
    };
    let mut s = Subscriptions::new(view);
    let subscribe = (0..=NAMES_MAX).map(|n| n.to_string()).collect();
    assert!(
        s.request(DeltaRequest {
            subscribe,
            ..request(Routes, &[])
        })
        .is_err()
    );
}
