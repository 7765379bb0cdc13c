//! Tests the precedence of settings at several levels: a destination over its route, a route over its listener. Also
//! tests settings that are disabled or absent.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use shakedown_wire::Body;
use shakedown_xds::table::{
    Abort, AppendAction, Bucket, Cors, DirectResponse, Fault, Filter, HeaderOp, HeaderOps,
    HostRules, Mirror, PathMatcher, RateLimit, RequestShare, Route, RouteAction, RouteActionKind,
    RouteMatcher, StringMatcher, TargetHeaders, Template, WeightedCluster,
};

use super::scene::*;

/// The name of another cluster.
const RATINGS: &str = "outbound|9080||ratings.default.svc.cluster.local";

fn route(action: RouteActionKind) -> Route {
    let matcher = RouteMatcher {
        path: PathMatcher::Any,
        headers: Vec::new(),
        query: Vec::new(),
    };
    Route::new("", matcher, action)
}

fn ops(remove: &[&'static str], name: &'static str, value: &str) -> HeaderOps {
    HeaderOps {
        remove: remove
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect(),
        add: vec![HeaderOp {
            name: HeaderName::from_static(name),
            value: Template::parse(value).unwrap(),
            action: AppendAction::Append,
            keep_empty: false,
        }],
    }
}

fn direct(status: u16) -> RouteActionKind {
    RouteActionKind::Respond(DirectResponse {
        status,
        body: Arc::from(&b""[..]),
    })
}

fn reviews() -> Vec<shakedown_xds::table::Cluster> {
    vec![cluster(REVIEWS, &[at(UP1, 9080)])]
}

type Seen = Rc<RefCell<Vec<HeaderMap>>>;

/// Records the headers of each request that an upstream receives, and adds a header to its response.
fn listen(scene: &Scene, host: &str) -> Seen {
    let seen = Seen::default();
    let sink = Rc::clone(&seen);
    scene.serve(host, 9080, move |request| {
        sink.borrow_mut().push(request.headers().clone());
        async move {
            let mut answer = reply(200, "ok");
            let own = HeaderValue::from_static("1");
            answer.headers_mut().insert("x-own", own);
            answer
        }
    });
    seen
}

fn get(headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::get("/a").header("host", "reviews:9080");
    headers
        .iter()
        .fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(Body::empty())
        .unwrap()
}

#[test]
fn a_destination_changes_headers_both_ways_before_its_route_does() {
    play(|scene| async move {
        let seen = listen(&scene, UP1);
        let mut target = WeightedCluster::new(REVIEWS, 1);
        target.headers = Some(Box::new(TargetHeaders {
            request: ops(&["x-gone"], "x-by", "destination"),
            response: ops(&["x-own"], "x-by", "destination"),
            host: None,
        }));
        let action = RouteAction::new(vec![target]).unwrap();
        let mut route = route(RouteActionKind::Forward(action));
        route.request_headers = vec![Arc::new(ops(&[], "x-by", "route"))];
        route.response_headers = vec![Arc::new(ops(&[], "x-by", "route"))];
        scene.proxy(routed(route, Vec::new(), reviews()));
        let answer = scene.send(get(&[("x-gone", "1")])).await;
        let by = |headers: &HeaderMap| -> Vec<String> {
            let all = headers.get_all("x-by").iter();
            all.map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        let sent = &seen.borrow()[0];
        assert_eq!(by(sent), ["destination", "route"]);
        assert!(!sent.contains_key("x-gone"));
        assert_eq!(by(&answer.headers), ["destination", "route"]);
        assert_eq!(answer.header("x-own"), None);
    });
}

#[test]
fn a_caller_cannot_call_itself_internal() {
    play(|scene| async move {
        let seen = listen(&scene, UP1);
        scene.proxy(simple(&[at(UP1, 9080)]));
        scene.send(get(&[("x-envoy-internal", "true")])).await;
        assert!(!seen.borrow()[0].contains_key("x-envoy-internal"));
    });
}

#[test]
fn a_request_with_an_empty_host_matches_the_wildcard_virtual_host() {
    play(|scene| async move {
        let seen = listen(&scene, UP1);
        scene.proxy(simple(&[at(UP1, 9080)]));
        let env = scene.env(CALLER);
        let mut stream = env.connect(at(POD, 15001), None).await.unwrap();
        write(&mut stream, "GET / HTTP/1.1\r\nhost: \r\n\r\n").await;
        let answer = read(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(seen.borrow().len(), 1);
    });
}

#[test]
fn a_direct_answer_that_sends_elsewhere_says_here() {
    for (status, location) in [
        (200, None),
        (201, Some("http://reviews:9080/a")),
        (301, Some("http://reviews:9080/a")),
        (399, Some("http://reviews:9080/a")),
        (400, None),
    ] {
        play(move |scene| async move {
            scene.proxy(routed(route(direct(status)), Vec::new(), Vec::new()));
            let answer = scene.get("/a").await;
            assert_eq!(
                (answer.status, answer.header("location")),
                (status, location)
            );
        });
    }
}

fn mirrored(share: RequestShare) -> RouteActionKind {
    let mut action = to(REVIEWS);
    action.mirrors = vec![Arc::new(Mirror {
        action: to(RATINGS),
        share,
        suffix: true,
    })];
    RouteActionKind::Forward(action)
}

fn both() -> Vec<shakedown_xds::table::Cluster> {
    let ratings = cluster(RATINGS, &[at(UP2, 9080)]);
    reviews().into_iter().chain([ratings]).collect()
}

#[test]
fn a_copy_goes_on_from_whom_its_request_was_forwarded_for() {
    play(|scene| async move {
        let (_original, copy) = (listen(&scene, UP1), listen(&scene, UP2));
        let route = route(mirrored(RequestShare::ALL));
        scene.proxy(routed(route, Vec::new(), both()));
        scene.send(get(&[("x-forwarded-for", "9.9.9.9")])).await;
        scene.env(CALLER).sleep(ms(20)).await;
        assert_eq!(copy.borrow()[0]["x-forwarded-for"], "9.9.9.9,127.0.0.2");
    });
}

#[test]
fn a_mirror_share_of_zero_copies_nothing_and_half_copies_about_half() {
    let copies = |numerator: u32| {
        play(move |scene| async move {
            let (original, copy) = (listen(&scene, UP1), listen(&scene, UP2));
            let share = RequestShare {
                numerator,
                ..RequestShare::ALL
            };
            scene.proxy(routed(route(mirrored(share)), Vec::new(), both()));
            for _ in 0..200 {
                scene.get("/").await;
            }
            scene.env(CALLER).sleep(ms(20)).await;
            assert_eq!(original.borrow().len(), 200);
            copy.borrow().len()
        })
    };
    assert_eq!(copies(0), 0);
    let half = copies(RequestShare::ALL.numerator / 2);
    assert!((70..130).contains(&half), "{half}");
}

fn abort(status: u16) -> Option<Arc<Fault>> {
    Some(Arc::new(Fault {
        delay: None,
        abort: Some((Abort::Http(status), RequestShare::ALL)),
        upstream_cluster: None,
        headers: Vec::new(),
    }))
}

#[test]
fn a_routes_fault_takes_the_place_of_its_listeners() {
    for (own, status) in [(None, 501), (abort(502), 502)] {
        play(move |scene| async move {
            let mut route = route(RouteActionKind::Forward(to(REVIEWS)));
            route.filters.fault = own;
            let filters = vec![Filter::Fault(abort(501))];
            scene.proxy(routed(route, filters, reviews()));
            assert_eq!(scene.get("/").await.status, status);
        });
    }
}

/// A limit of this number of requests in total. `report_state` adds the rate limit headers to responses.
fn limit(max: u32, report_state: bool) -> Option<Arc<RateLimit>> {
    Some(Arc::new(RateLimit {
        bucket: Some(Bucket {
            max,
            per_fill: 1,
            interval: ms(3_600_000),
        }),
        descriptors: Vec::new(),
        always_default: true,
        status: 429,
        enabled: RequestShare::ALL,
        enforced: RequestShare::ALL,
        response_headers: HeaderOps::default(),
        request_headers: HeaderOps::default(),
        per_connection: false,
        report_state,
        rules: Vec::new(),
        stage: 0,
        host_rules: HostRules::Override,
        resource_exhausted: false,
        dynamic_max: 20,
    }))
}

#[test]
fn a_routes_limit_takes_the_place_of_its_listeners() {
    for (own, passed) in [(None, 1), (limit(3, false), 3)] {
        play(move |scene| async move {
            let mut route = route(direct(200));
            route.filters.rate_limit = own;
            let filters = vec![Filter::RateLimit(limit(1, false))];
            scene.proxy(routed(route, filters, Vec::new()));
            let mut statuses = Vec::new();
            for _ in 0..5 {
                statuses.push(scene.get("/").await.status);
            }
            let good = statuses.iter().filter(|status| **status == 200).count();
            assert_eq!(good, passed, "{statuses:?}");
        });
    }
}

#[test]
fn a_limit_tells_its_state_only_where_that_is_asked_for() {
    for (report_state, expected) in [(false, None), (true, Some("1"))] {
        play(move |scene| async move {
            let mut route = route(direct(200));
            route.filters.rate_limit = limit(1, report_state);
            scene.proxy(routed(route, vec![Filter::RateLimit(None)], Vec::new()));
            for status in [200, 429] {
                let answer = scene.get("/").await;
                assert_eq!(answer.status, status);
                assert_eq!(answer.header("x-ratelimit-limit"), expected);
            }
        });
    }
}

#[test]
fn a_route_that_answers_by_itself_has_no_cors() {
    for (action, expected) in [
        (direct(200), None),
        (RouteActionKind::Forward(to(REVIEWS)), Some("http://a")),
    ] {
        play(move |scene| async move {
            let _seen = listen(&scene, UP1);
            let mut route = route(action);
            route.filters.cors = Some(Arc::new(Cors {
                enabled: RequestShare::ALL,
                allow_origins: vec![StringMatcher::Exact("http://a".into())],
                allow_methods: None,
                allow_headers: None,
                expose_headers: None,
                max_age: None,
                allow_credentials: false,
                forward_not_matching_preflights: true,
            }));
            scene.proxy(routed(route, vec![Filter::Cors], reviews()));
            let mut request = get(&[("origin", "http://a")]);
            *request.method_mut() = Method::GET;
            let answer = scene.send(request).await;
            assert_eq!(answer.header("access-control-allow-origin"), expected);
        });
    }
}
