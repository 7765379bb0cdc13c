//! Local rate limits.

use std::time::Duration;

use shakedown_xds::table::{Bucket, HostRules, RateLimit};

use super::*;

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
        report_state: true,
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
