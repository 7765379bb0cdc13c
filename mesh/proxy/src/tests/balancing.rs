//! Tests the selection of hosts: hashes, priorities, subsets, and the reports of failed selections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use shakedown_wire::Body;
use shakedown_xds::table::{
    ClusterKind, Fallback, HashBy, HashCookie, HashPolicy, HeaderKey, Label, LbPolicy, Maglev,
    OutlierDetection, PeakEwma, RequestView, RetryOn, RingHash, RouteActionKind, Selector, Subsets,
    Table,
};

use super::scene::*;
use crate::hash::{ConnectionEnds, HashInputs, RequestHash};

fn hashing(policy: LbPolicy, by: HashBy) -> Table {
    let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
    reviews.lb = policy;
    let mut action = to(REVIEWS);
    action.hash = vec![HashPolicy {
        by,
        terminal: false,
    }];
    outbound(RouteActionKind::Forward(action), vec![reviews])
}

fn as_user(user: &str) -> Request<Body> {
    let request = Request::get("/").header("host", "reviews:9080");
    request.header("x-user", user).body(Body::Empty).unwrap()
}

fn user() -> HashBy {
    HashBy::Header(HeaderKey::named("x-user").unwrap())
}

#[test]
fn requests_with_one_hash_come_to_one_host() {
    for policy in [
        LbPolicy::RingHash(RingHash::ENVOY),
        LbPolicy::Maglev(Maglev::ENVOY),
    ] {
        play(move |scene| async move {
            scene.answer(UP1, 9080, 200, "1");
            scene.answer(UP2, 9080, 200, "2");
            scene.proxy(hashing(policy, user()));
            let mut seen = Vec::new();
            for user in 0..12 {
                let first = scene.send(as_user(&format!("user-{user}"))).await.body;
                for _ in 0..3 {
                    let again = scene.send(as_user(&format!("user-{user}"))).await.body;
                    assert_eq!(again, first, "{policy:?}");
                }
                seen.push(first);
            }
            assert!(seen.contains(&"1".into()) && seen.contains(&"2".into()));
        });
    }
}

#[test]
fn a_caller_without_the_cookie_gets_one_that_selects_the_same_host() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "1");
        scene.answer(UP2, 9080, 200, "2");
        let cookie = HashCookie {
            name: "session".into(),
            ttl: Some(Duration::from_secs(60)),
            path: "/".into(),
            attributes: Vec::new(),
        };
        let policy = LbPolicy::RingHash(RingHash::ENVOY);
        scene.proxy(hashing(policy, HashBy::Cookie(cookie)));
        let first = scene.get("/").await;
        let given = first.header("set-cookie").unwrap().to_owned();
        assert!(given.ends_with("; Max-Age=60; Path=/; HttpOnly"), "{given}");
        let (pair, _) = given.split_once(';').unwrap();
        for _ in 0..5 {
            let request = Request::get("/").header("host", "reviews:9080");
            let request = request.header("cookie", pair).body(Body::Empty).unwrap();
            let again = scene.send(request).await;
            assert_eq!(again.body, first.body);
            assert_eq!(again.header("set-cookie"), None);
        }
    });
}

#[test]
fn a_policy_that_looks_at_no_hash_makes_no_cookie() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "1");
        scene.answer(UP2, 9080, 200, "2");
        let cookie = HashCookie {
            name: "session".into(),
            ttl: Some(Duration::ZERO),
            path: "".into(),
            attributes: Vec::new(),
        };
        scene.proxy(hashing(LbPolicy::ROUND_ROBIN, HashBy::Cookie(cookie)));
        assert_eq!(scene.get("/").await.header("set-cookie"), None);
    });
}

#[test]
fn a_hashed_retry_that_avoids_the_previous_host_finds_another() {
    play(|scene| async move {
        scene.answer(UP2, 9080, 200, "2");
        let mut policy = retry(RetryOn::CONNECT_FAILURE);
        policy.host_selection_attempts = 64;
        let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
        reviews.lb = LbPolicy::RingHash(RingHash::ENVOY);
        let mut action = to(REVIEWS);
        action.hash = vec![HashPolicy {
            by: user(),
            terminal: false,
        }];
        action.retry = Some(policy.into());
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![reviews]));
        for user in 0..10 {
            let answer = scene.send(as_user(&format!("user-{user}"))).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "2"));
        }
    });
}

#[test]
fn a_host_marked_unhealthy_by_eds_fails_over_to_the_next_priority() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "near");
        scene.answer(UP2, 9080, 200, "far");
        let table = |near_is_healthy: bool| {
            let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
            if let ClusterKind::Static(assignment) = &mut reviews.kind {
                let hosts = &mut Arc::get_mut(assignment).unwrap().hosts;
                hosts[0].healthy = near_is_healthy;
                hosts[1].priority = 1;
            }
            outbound(RouteActionKind::Forward(to(REVIEWS)), vec![reviews])
        };
        scene.proxy(table(false));
        for _ in 0..4 {
            assert_eq!(scene.get("/").await.body, "far");
        }
    });
}

#[test]
fn traffic_fails_over_when_near_hosts_are_ejected_and_returns_with_them() {
    play(|scene| async move {
        let broken = Rc::new(Cell::new(true));
        let is_broken = Rc::clone(&broken);
        scene.serve(UP1, 9080, move |_| {
            let status = if is_broken.get() { 503 } else { 200 };
            async move { reply(status, "near") }
        });
        scene.answer(UP2, 9080, 200, "far");
        let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
        reviews.lb = LbPolicy::LEAST_REQUEST;
        reviews.lb_options.panic_percent = 0;
        reviews.update_merge_window = Duration::ZERO;
        reviews.outlier = Some(
            OutlierDetection {
                consecutive_5xx: 3,
                interval: ms(1000),
                base_ejection_time: ms(3000),
                max_ejection_percent: 100,
                ..OutlierDetection::default()
            }
            .into(),
        );
        if let ClusterKind::Static(assignment) = &mut reviews.kind {
            Arc::get_mut(assignment).unwrap().hosts[1].priority = 1;
        }
        scene.proxy(outbound(
            RouteActionKind::Forward(to(REVIEWS)),
            vec![reviews],
        ));
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(scene.get("/").await.body);
        }
        assert_eq!(seen, ["near", "near", "near", "far", "far", "far"]);
        broken.set(false);
        scene.env(CALLER).sleep(ms(5000)).await;
        for _ in 0..4 {
            assert_eq!(scene.get("/").await.body, "near");
        }
    });
}

#[test]
fn no_healthy_host_yields_uh_unless_a_panic_threshold_allows_a_try() {
    for (percent, status) in [(0, 503), (50, 200)] {
        play(move |scene| async move {
            scene.answer(UP1, 9080, 200, "1");
            let mut reviews = cluster(REVIEWS, &[at(UP1, 9080)]);
            reviews.lb_options.panic_percent = percent;
            if let ClusterKind::Static(assignment) = &mut reviews.kind {
                Arc::get_mut(assignment).unwrap().hosts[0].healthy = false;
            }
            scene.proxy(outbound(
                RouteActionKind::Forward(to(REVIEWS)),
                vec![reviews],
            ));
            let answer = scene.get("/").await;
            assert_eq!(answer.status, status);
            if status == 503 {
                assert_eq!(answer.body, "no healthy upstream");
                assert_eq!(outcome(&scene), (503, "UH".into(), 1));
            }
        });
    }
}

/// A route to the subset of a version, in a cluster with v1 and v2.
fn to_version(text: &str) -> shakedown_xds::table::Table {
    let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
    let version = |text: &str| (Arc::from("version"), Label::Text(text.into()));
    if let ClusterKind::Static(assignment) = &mut reviews.kind {
        let hosts = &mut Arc::get_mut(assignment).unwrap().hosts;
        hosts[0].labels = [version("v1")].into();
        hosts[1].labels = [version("v2")].into();
    }
    reviews.lb_options.subsets = Some(Arc::new(Subsets {
        selectors: vec![Selector {
            keys: vec!["version".into()],
            fallback: None,
        }],
        fallback: Fallback::None,
        default_subset: Default::default(),
    }));
    let mut action = to(REVIEWS);
    action.labels = Some([version(text)].into());
    outbound(RouteActionKind::Forward(action), vec![reviews])
}

#[test]
fn a_route_reaches_the_subset_that_it_asks_for() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "v1");
        scene.answer(UP2, 9080, 200, "v2");
        scene.proxy(to_version("v2"));
        for _ in 0..4 {
            assert_eq!(scene.get("/").await.body, "v2");
        }
    });
}

#[test]
fn a_route_to_a_subset_without_hosts_returns_no_healthy_upstream() {
    play(|scene| async move {
        scene.proxy(to_version("v3"));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (503, "no healthy upstream"));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(outcome(&scene), (503, "UH".into(), 1));
        assert_eq!(details(&scene), "no_healthy_upstream");
    });
}

#[test]
fn the_host_that_answers_slowly_is_asked_less() {
    play(|scene| async move {
        let env = scene.env(UP1);
        scene.serve(UP1, 9080, move |_| {
            let env = env.clone();
            async move {
                env.sleep(ms(200)).await;
                reply(200, "slow")
            }
        });
        scene.answer(UP2, 9080, 200, "fast");
        let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
        reviews.lb = LbPolicy::PeakEwma(PeakEwma::FINAGLE);
        scene.proxy(outbound(
            RouteActionKind::Forward(to(REVIEWS)),
            vec![reviews],
        ));
        let seen = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..20 {
            let answer = scene.get("/").await;
            seen.borrow_mut().push(answer.body);
        }
        let slow = seen.borrow().iter().filter(|body| *body == "slow").count();
        assert!((1..=2).contains(&slow), "{:?}", seen.borrow());
    });
}

#[test]
fn the_cookie_of_a_connection_is_the_same_for_all_its_requests() {
    let ends = ConnectionEnds {
        caller: "10.0.0.1:1".parse().unwrap(),
        own: "10.0.0.2:2".parse().unwrap(),
    };
    let policies = [HashPolicy {
        by: HashBy::Cookie(HashCookie {
            name: "a".into(),
            ttl: Some(Duration::ZERO),
            path: "".into(),
            attributes: Vec::new(),
        }),
        terminal: false,
    }];
    let headers = http::HeaderMap::new();
    let hash = |ends| {
        let request = HashInputs {
            view: RequestView {
                method: "GET",
                path: "/",
                authority: "reviews",
                scheme: "http",
                headers: &headers,
            },
            ends: Some(ends),
        };
        RequestHash::compute(&policies, &request)
    };
    assert_eq!(hash(ends), hash(ends));
    let mut other = ends;
    other.caller.set_port(9);
    assert_ne!(hash(ends), hash(other));
}
