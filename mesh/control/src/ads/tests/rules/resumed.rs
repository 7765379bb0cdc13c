//! Streams of a proxy that has resources of an earlier stream.

use super::*;

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
