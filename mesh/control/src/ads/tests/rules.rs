//! A test of each protocol rule.

mod pushed;
mod refused;
mod resumed;

use super::super::subscription::NAMES_MAX;
use super::super::{DeltaRequest, DeltaResponse, Subscriptions};
use super::client::{ack, next, request, show, view};
use crate::snapshot::ResourceKind::{self, Cluster, Endpoints, Listener, Routes};
use crate::snapshot::{ConfigSnapshot, SnapshotView};

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
