//! Tests the effects of routes and filters on requests, as callers and upstreams see them. Each was observed in a real
//! Envoy.

mod faults;
mod mirrors;
mod rate_limits;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use shakedown_wire::Body;
use shakedown_xds::table::{
    AppendAction, Cors, DirectResponse, Filter, HeaderOp, HeaderOps, PathMatcher, PathRewrite,
    Redirect, RequestShare, Rewrite, Route, RouteAction, RouteActionKind, RouteMatcher,
    StringMatcher, Template, WeightedCluster,
};

use super::scene::*;

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

fn direct(status: u16, body: &[u8]) -> RouteActionKind {
    RouteActionKind::Respond(DirectResponse {
        status,
        body: body.into(),
    })
}

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
