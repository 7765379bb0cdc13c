//! Refusals by a proxy.

use super::super::client::nack;
use super::*;

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
