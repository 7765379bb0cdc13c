//! Tests the effects of routes and filters on requests, as callers and upstreams see them. Each was observed in a real
//! Envoy.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use shakedown_wire::Body;
use shakedown_xds::table::{
    Abort, AppendAction, Bucket, Cors, DirectResponse, Fault, Filter, HeaderOp, HeaderOps,
    HostRules, Mirror, PathMatcher, PathRewrite, RateLimit, Redirect, RequestShare, RetryOn,
    Rewrite, Route, RouteAction, RouteActionKind, RouteMatcher, StringMatcher, Template,
    WeightedCluster,
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

fn ops(name: &'static str, value: &str) -> Arc<HeaderOps> {
    Arc::new(HeaderOps {
        remove: Vec::new(),
        add: vec![HeaderOp {
            name: HeaderName::from_static(name),
            value: Template::parse(value).unwrap(),
            action: AppendAction::Append,
            keep_empty: false,
        }],
    })
}

fn abort(status: u16) -> Fault {
    Fault {
        delay: None,
        abort: Some((Abort::Http(status), RequestShare::ALL)),
        upstream_cluster: None,
        headers: Vec::new(),
    }
}

fn with_fault(mut route: Route, fault: Fault) -> Route {
    route.filters.fault = Some(Arc::new(fault));
    route
}

fn direct(status: u16, body: &[u8]) -> RouteActionKind {
    RouteActionKind::Respond(DirectResponse {
        status,
        body: body.into(),
    })
}

const FAULT: Filter = Filter::Fault(None);

#[test]
fn a_request_reaches_the_cluster_that_it_names() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "reviews");
        let target = WeightedCluster::named_by(HeaderName::from_static("x-cluster"), 1);
        let action = RouteAction::new(vec![target]).unwrap();
        let reviews = cluster(REVIEWS, &[at(UP1, 9080)]);
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![reviews]));
        let named = |name: &str| {
            let request = Request::get("/").header("host", "reviews:9080");
            request.header("x-cluster", name).body(Body::Empty).unwrap()
        };
        assert_eq!(scene.send(named(REVIEWS)).await.body, "reviews");
        let nobody = scene.send(named("nobody")).await;
        assert_eq!(nobody.status, 503);
        let silent = scene.get("/").await;
        assert_eq!(silent.status, 503);
        let flags: Vec<String> = scene
            .requests()
            .iter()
            .map(|request| request.flags.to_string())
            .collect();
        assert_eq!(flags, ["-", "NC", "NC"]);
    });
}

#[test]
fn an_abort_is_answered_before_any_try_with_the_routes_headers() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut route = with_fault(route(RouteActionKind::Forward(to(REVIEWS))), abort(555));
        route.response_headers = vec![ops("x-r", "r")];
        scene.proxy(routed(
            route,
            vec![FAULT],
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (555, "fault filter abort"));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("x-r"), Some("r"));
        assert_eq!(outcome(&scene), (555, "FI".into(), 0));
        let request = &scene.requests()[0];
        assert_eq!(
            (&*request.details, &*request.cluster),
            ("fault_filter_abort", REVIEWS)
        );
    });
}

#[test]
fn an_abort_is_not_retried_here() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut action = to(REVIEWS);
        action.retry = Some(retry(RetryOn::SERVER_ERROR).into());
        let route = with_fault(route(RouteActionKind::Forward(action)), abort(503));
        scene.proxy(routed(
            route,
            vec![FAULT],
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        assert_eq!(scene.get("/").await.status, 503);
        assert_eq!(outcome(&scene), (503, "FI".into(), 0));
    });
}

#[test]
fn a_delay_fault_has_millisecond_precision_and_may_precede_an_abort() {
    play(|scene| async move {
        let mut fault = abort(418);
        fault.delay = Some((ms(50), RequestShare::ALL));
        let route = with_fault(route(RouteActionKind::Forward(to(REVIEWS))), fault);
        scene.proxy(routed(route, vec![FAULT], vec![cluster(REVIEWS, &[])]));
        assert_eq!(scene.get("/").await.status, 418);
        assert_eq!(outcome(&scene), (418, "DI,FI".into(), 0));
        assert_eq!(scene.took(), ms(50) + REQUEST_COST);
    });
}

#[test]
fn a_direct_response_has_faults_too_and_then_not_the_routes_headers() {
    play(|scene| async move {
        let mut route = with_fault(route(direct(207, b"hello")), abort(555));
        route.response_headers = vec![ops("x-r", "r")];
        scene.proxy(routed(route, vec![FAULT], Vec::new()));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, answer.header("x-r")), (555, None));
    });
}

#[test]
fn a_listeners_own_fault_is_met_by_requests_without_a_route() {
    play(|scene| async move {
        let filter = Filter::Fault(Some(Arc::new(abort(418))));
        let mut table = routed(route(direct(200, b"")), vec![filter], Vec::new());
        table.routes.clear();
        table.routes.insert("15001".into(), empty_routes());
        scene.proxy(table);
        assert_eq!(scene.get("/").await.status, 418);
        assert_eq!(outcome(&scene), (418, "FI".into(), 0));
    });
}

#[test]
fn a_redirect_says_where() {
    play(|scene| async move {
        let redirect = Redirect {
            status: 302,
            scheme: Some("https".into()),
            host: Some("other".into()),
            port: None,
            path: None,
            strip_query: false,
        };
        let mut route = route(RouteActionKind::Redirect(redirect));
        route.response_headers = vec![ops("x-r", "%REQ(:path)%")];
        scene.proxy(routed(route, Vec::new(), Vec::new()));
        let answer = scene.get("/a?b").await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), Some("https://other/a?b"));
        assert_eq!(answer.header("x-r"), Some("/a?b"));
        assert_eq!(outcome(&scene), (302, "-".into(), 0));
        assert_eq!(scene.requests()[0].details, "direct_response");
    });
}

type Seen = Rc<RefCell<Vec<(String, HeaderMap)>>>;

/// Records target and headers of each request that an upstream receives.
fn listen(scene: &Scene, host: &str) -> Seen {
    let seen = Seen::default();
    let sink = Rc::clone(&seen);
    scene.serve(host, 9080, move |request| {
        let kept = (request.uri().to_string(), request.headers().clone());
        sink.borrow_mut().push(kept);
        async move { reply(200, "ok") }
    });
    seen
}

fn rewritten() -> RouteAction {
    let mut action = to(REVIEWS);
    action.rewrite = Some(Box::new(Rewrite {
        path: Some(PathRewrite::Prefix {
            matched: Some(3),
            with: "/new".into(),
        }),
        host: Some(HeaderValue::from_static("hh:1")),
        host_header: None,
    }));
    action
}

#[test]
fn an_upstream_gets_what_the_rewrites_made_and_is_told_what_was() {
    play(|scene| async move {
        let seen = listen(&scene, UP1);
        let mut route = route(RouteActionKind::Forward(rewritten()));
        route.request_headers = vec![ops("x-a", "r"), ops("x-a", "g")];
        route.response_headers = vec![ops("x-path", "%REQ(:path)% %RESP(content-length)%")];
        scene.proxy(routed(
            route,
            Vec::new(),
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        let answer = scene.get("/rw/x?q=1").await;
        assert_eq!(answer.header("x-path"), Some("/new/x?q=1 2"));
        let seen = seen.borrow();
        let (uri, headers) = &seen[0];
        assert_eq!(uri, "/new/x?q=1");
        assert_eq!(headers["host"], "hh:1");
        assert_eq!(headers["x-envoy-original-host"], "reviews:9080");
        assert_eq!(headers["x-envoy-original-path"], "/rw/x?q=1");
        let added: Vec<_> = headers.get_all("x-a").iter().collect();
        assert_eq!(added, ["r", "g"]);
    });
}

fn mirrored(share: RequestShare) -> RouteAction {
    let mut action = to(REVIEWS);
    action.mirrors = vec![Arc::new(Mirror {
        action: to(RATINGS),
        share,
        suffix: true,
    })];
    action
}

#[test]
fn a_copy_goes_to_the_mirror_and_nobody_is_told() {
    play(|scene| async move {
        let (original, copy) = (listen(&scene, UP1), listen(&scene, UP2));
        let clusters = vec![
            cluster(REVIEWS, &[at(UP1, 9080)]),
            cluster(RATINGS, &[at(UP2, 9080)]),
        ];
        let route = route(RouteActionKind::Forward(mirrored(RequestShare::ALL)));
        scene.proxy(routed(route, Vec::new(), clusters));
        let request = Request::post("/p").header("host", "reviews:9080");
        let answer = scene.send(request.body(Body::full("abc")).unwrap()).await;
        assert_eq!(answer.status, 200);
        scene.env(CALLER).sleep(ms(20)).await;
        assert_eq!(original.borrow()[0].1["host"], "reviews:9080");
        let copy = copy.borrow().clone();
        let (uri, headers) = &copy[0];
        assert_eq!((uri.as_str(), copy.len()), ("/p", 1));
        assert_eq!(headers["host"], "reviews-shadow:9080");
        assert_eq!(headers["content-length"], "3");
        assert_eq!(headers["x-envoy-internal"], "true");
        assert_eq!(headers["x-forwarded-for"], POD);
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
        assert_eq!(scene.attempts().len(), 1);
        let admin = scene.caller_of(at(POD, 15020));
        let scrape = Request::get("/stats/prometheus").header("host", "a");
        let response = admin
            .send(scrape.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let metrics = Answer::from_response(response).await.body;
        assert!(
            metrics.contains("shakedown_mirrored_requests_total 1"),
            "{metrics}"
        );
        assert!(metrics.contains("shakedown_mirrored_requests_failed_total 0"));
    });
}

#[test]
fn a_mirror_that_fails_or_is_not_there_is_no_matter() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut action = mirrored(RequestShare::ALL);
        let gone = Mirror {
            action: to("nowhere"),
            ..Mirror::clone(&action.mirrors[0])
        };
        action.mirrors.push(Arc::new(gone));
        let clusters = vec![
            cluster(REVIEWS, &[at(UP1, 9080)]),
            cluster(RATINGS, &[at(UP2, 9080)]),
        ];
        scene.proxy(routed(
            route(RouteActionKind::Forward(action)),
            Vec::new(),
            clusters,
        ));
        assert_eq!(scene.get("/").await.status, 200);
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
    });
}

#[test]
fn without_a_host_for_the_original_there_is_no_copy() {
    play(|scene| async move {
        let copy = listen(&scene, UP2);
        let clusters = vec![cluster(REVIEWS, &[]), cluster(RATINGS, &[at(UP2, 9080)])];
        let route = route(RouteActionKind::Forward(mirrored(RequestShare::ALL)));
        scene.proxy(routed(route, Vec::new(), clusters));
        assert_eq!(scene.get("/").await.status, 503);
        scene.env(CALLER).sleep(ms(20)).await;
        assert!(copy.borrow().is_empty());
    });
}

#[test]
fn a_preflight_is_answered_and_an_allowed_origin_told_so() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let cors = Cors {
            enabled: RequestShare::ALL,
            allow_origins: vec![StringMatcher::Exact("http://a".into())],
            allow_methods: Some(HeaderValue::from_static("GET")),
            allow_headers: None,
            expose_headers: None,
            max_age: None,
            allow_credentials: false,
            forward_not_matching_preflights: true,
        };
        let mut route = route(RouteActionKind::Forward(to(REVIEWS)));
        route.filters.cors = Some(Arc::new(cors));
        route.response_headers = vec![ops("x-r", "r")];
        let clusters = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
        scene.proxy(routed(route, vec![Filter::Cors], clusters));
        let preflight = Request::options("/")
            .header("host", "reviews")
            .header("origin", "http://a")
            .header("access-control-request-method", "GET");
        let answer = scene.send(preflight.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("http://a")
        );
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET"));
        assert_eq!(answer.header("x-r"), None, "it never came to the router");
        assert_eq!(scene.requests()[0].details, "cors_response");
        let get = Request::get("/")
            .header("host", "reviews")
            .header("origin", "http://a");
        let answer = scene.send(get.body(Body::empty()).unwrap()).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("http://a")
        );
        assert_eq!(answer.header("x-r"), Some("r"));
    });
}

fn limit(max: u32, interval: Duration) -> RateLimit {
    RateLimit {
        bucket: Some(Bucket {
            max,
            per_fill: 1,
            interval,
        }),
        descriptors: Vec::new(),
        always_default: true,
        status: 429,
        enabled: RequestShare::ALL,
        enforced: RequestShare::ALL,
        response_headers: HeaderOps::clone(&ops("x-limited", "1")),
        request_headers: HeaderOps::default(),
        per_connection: false,
        tell: true,
        rules: Vec::new(),
        stage: 0,
        host_rules: HostRules::Override,
        resource_exhausted: false,
        dynamic_max: 20,
    }
}

fn limited(limit: RateLimit) -> Route {
    let mut route = route(direct(207, b"hello"));
    route.filters.rate_limit = Some(Arc::new(limit));
    route
}

#[test]
fn one_too_many_is_429_and_the_bucket_tells_its_state() {
    play(|scene| async move {
        let route = limited(limit(2, ms(10_000)));
        scene.proxy(routed(route, vec![Filter::RateLimit(None)], Vec::new()));
        let mut rows = Vec::new();
        for _ in 0..3 {
            let answer = scene.get("/").await;
            let header = |name: &str| answer.header(name).unwrap_or("-").to_owned();
            rows.push((
                answer.status,
                header("x-ratelimit-remaining"),
                header("x-ratelimit-reset"),
                header("x-limited"),
            ));
            assert_eq!(header("x-ratelimit-limit"), "2");
        }
        let row = |status, left: &str, reset: &str, limited: &str| {
            (
                status,
                left.to_owned(),
                reset.to_owned(),
                limited.to_owned(),
            )
        };
        assert_eq!(
            rows,
            [
                row(207, "1", "0", "-"),
                row(207, "0", "10", "-"),
                row(429, "0", "10", "1")
            ]
        );
        let request = &scene.requests()[2];
        assert_eq!(request.flags.to_string(), "RL");
        assert_eq!(request.details, "local_rate_limited");
        scene.env(CALLER).sleep(ms(10_000)).await;
        assert_eq!(scene.get("/").await.status, 207, "a token has come in");
    });
}

#[test]
fn a_limit_per_connection_gives_each_its_own_bucket() {
    play(|scene| async move {
        let mut each = limit(1, ms(10_000));
        each.per_connection = true;
        scene.proxy(routed(
            limited(each),
            vec![Filter::RateLimit(None)],
            Vec::new(),
        ));
        let get = || {
            Request::get("/")
                .header("host", "a")
                .body(Body::empty())
                .unwrap()
        };
        let one = scene.caller();
        let first = Answer::from_response(one.send(get()).await.unwrap()).await;
        let second = Answer::from_response(one.send(get()).await.unwrap()).await;
        assert_eq!((first.status, second.status), (207, 429));
        assert_eq!(scene.get("/").await.status, 207, "another connection");
    });
}

#[test]
fn an_unenforced_rate_limit_marks_the_request_and_lets_it_pass() {
    play(|scene| async move {
        let seen = listen(&scene, UP1);
        let mut watched = limit(1, ms(10_000));
        watched.enforced = RequestShare::NONE;
        watched.request_headers = HeaderOps::clone(&ops("x-would", "1"));
        let mut route = route(RouteActionKind::Forward(to(REVIEWS)));
        route.filters.rate_limit = Some(Arc::new(watched));
        let clusters = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
        scene.proxy(routed(route, vec![Filter::RateLimit(None)], clusters));
        for _ in 0..2 {
            assert_eq!(scene.get("/").await.status, 200);
        }
        let marked = |at: usize| seen.borrow()[at].1.contains_key("x-would");
        assert!(!marked(0) && marked(1));
    });
}

#[test]
fn the_response_reports_the_attempt_count_if_any_try_was_made() {
    play(|scene| async move {
        let count = |scene: Scene, clusters| async move {
            let mut table = routed(
                route(RouteActionKind::Forward(to(REVIEWS))),
                Vec::new(),
                clusters,
            );
            include_attempt_count(&mut table);
            scene.proxy(table);
            let answer = scene.get("/").await;
            let attempts = answer.header("x-envoy-attempt-count").map(str::to_owned);
            (answer.status, attempts)
        };
        let refused = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
        assert_eq!(count(scene, refused).await, (503, Some("1".into())));
    });
    play(|scene| async move {
        let mut table = routed(
            route(RouteActionKind::Forward(to(REVIEWS))),
            Vec::new(),
            Vec::new(),
        );
        include_attempt_count(&mut table);
        scene.proxy(table);
        let answer = scene.get("/").await;
        assert_eq!(
            (answer.status, answer.header("x-envoy-attempt-count")),
            (503, None)
        );
    });
}

#[test]
fn a_grpc_caller_gets_a_local_reply_it_can_read() {
    play(|scene| async move {
        scene.proxy(simple(&[]));
        let request = Request::post("/s/m")
            .header("host", "reviews")
            .header("content-type", "application/grpc");
        let answer = scene.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, &*answer.body), (200, ""));
        assert_eq!(answer.header("content-type"), Some("application/grpc"));
        assert_eq!(answer.header("grpc-status"), Some("14"));
        assert_eq!(answer.header("grpc-message"), Some("no healthy upstream"));
        assert_eq!(outcome(&scene), (200, "UH".into(), 1));
    });
}
