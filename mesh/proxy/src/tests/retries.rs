//! Tests the retry loop: retried failures, hosts of retries, and the final response.

use std::cell::Cell;
use std::rc::Rc;

use rand::Rng as _;
use shakedown_env::BoxStream;
use shakedown_types::ResponseFlags;
use shakedown_wire::Body;
use shakedown_xds::table::{LbPolicy, RetryOn, RetryPolicy, RouteActionKind};

use super::scene::*;

/// The time to establish a connection, a round trip. An attempt's timeout starts after it.
const CONNECT: std::time::Duration = std::time::Duration::from_millis(2);

#[test]
fn a_refused_connection_is_tried_on_another_host() {
    play(|scene| async move {
        scene.answer(UP2, 9080, 200, "ok");
        // Any draw may select the host that failed, so only its avoidance selects the other host every time.
        let mut policy = retry(RetryOn::CONNECT_FAILURE);
        policy.host_selection_attempts = 30;
        let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
        reviews.lb = LbPolicy::Random;
        let mut action = to(REVIEWS);
        action.retry = Some(policy.into());
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![reviews]));
        for _ in 0..20 {
            assert_eq!(scene.get("/").await.status, 200);
        }
        let requests = scene.requests();
        assert!(
            requests
                .iter()
                .all(|request| request.flags == ResponseFlags::empty())
        );
        assert!(
            requests.iter().any(|request| request.attempts == 2),
            "{requests:?}"
        );
        assert!(
            requests.iter().all(|request| request.attempts <= 2),
            "{requests:?}"
        );
    });
}

#[test]
fn spent_retries_after_refusals_say_so_in_body_and_flags() {
    play(|scene| async move {
        scene.proxy(retried(retry(RetryOn::CONNECT_FAILURE), &[at(UP1, 9080)]));
        let answer = scene.get("/").await;
        assert_eq!(
            answer.body,
            "upstream connect error or disconnect/reset before headers. \
             retried and the latest reset reason: remote connection failure"
        );
        assert_eq!(outcome(&scene), (503, "URX,UF".into(), 3));
        assert_eq!(
            details(&scene),
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
        );
        assert_eq!(try_flags(&scene), [(0, ResponseFlags::UF); 3]);
    });
}

#[test]
fn an_apps_5xx_with_spent_retries_is_the_apps_own_with_urx() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 500, "broken");
        scene.proxy(retried(retry(RetryOn::SERVER_ERROR), &[at(UP1, 9080)]));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (500, "broken"));
        assert_eq!(outcome(&scene), (500, "URX".into(), 3));
        assert_eq!(details(&scene), "via_upstream");
        assert_eq!(try_flags(&scene), [(500, ResponseFlags::empty()); 3]);
    });
}

#[test]
fn istios_default_does_not_retry_a_503() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "busy");
        let default = RetryOn::CONNECT_FAILURE
            .with(RetryOn::REFUSED_STREAM)
            .with(RetryOn::UNAVAILABLE)
            .with(RetryOn::CANCELLED)
            .with(RetryOn::RETRIABLE_STATUS_CODES);
        scene.proxy(retried(retry(default), &[at(UP1, 9080)]));
        assert_eq!(scene.get("/").await.status, 503);
        assert_eq!(outcome(&scene), (503, "-".into(), 1));
    });
}

#[test]
fn each_try_carries_its_number_and_the_body_again() {
    play(|scene| async move {
        let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = Rc::clone(&seen);
        scene.serve(UP1, 9080, move |request| {
            let sink = Rc::clone(&sink);
            async move {
                let count = request.headers()["x-envoy-attempt-count"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                let body = Body::Incoming(request.into_body())
                    .collect(100)
                    .await
                    .unwrap();
                sink.borrow_mut().push((count, body));
                let status = if sink.borrow().len() < 3 { 503 } else { 200 };
                reply(status, "")
            }
        });
        scene.proxy(retried(retry(RetryOn::GATEWAY_ERROR), &[at(UP1, 9080)]));
        let request = http::Request::post("/")
            .header("host", "reviews")
            .body(Body::full("abc"));
        assert_eq!(scene.send(request.unwrap()).await.status, 200);
        let seen = seen.borrow();
        assert_eq!(
            seen.iter().map(|(count, _)| &**count).collect::<Vec<_>>(),
            ["1", "2", "3"]
        );
        assert!(seen.iter().all(|(_, body)| &body[..] == b"abc"));
        assert_eq!(outcome(&scene), (200, "-".into(), 3));
    });
}

#[test]
fn a_body_over_a_mebibyte_streams_through_and_is_tried_once() {
    play(|scene| async move {
        let bytes = Rc::new(Cell::new(0));
        let sink = Rc::clone(&bytes);
        scene.serve(UP1, 9080, move |request| {
            let sink = Rc::clone(&sink);
            async move {
                let body = Body::Incoming(request.into_body())
                    .collect(4 << 20)
                    .await
                    .unwrap();
                sink.set(body.len());
                reply(503, "")
            }
        });
        scene.proxy(retried(retry(RetryOn::SERVER_ERROR), &[at(UP1, 9080)]));
        let body = Body::full(vec![7u8; (1 << 20) + 1]);
        let request = http::Request::post("/")
            .header("host", "reviews")
            .body(body);
        assert_eq!(scene.send(request.unwrap()).await.status, 503);
        assert_eq!(bytes.get(), (1 << 20) + 1);
        assert_eq!(outcome(&scene), (503, "-".into(), 1));
    });
}

#[test]
fn per_try_timeout_bounds_each_try_and_is_not_retried_without_5xx() {
    let run = |on: RetryOn| {
        play(move |scene| async move {
            scene.answer_after(ms(60_000), UP1, 9080, 200, "");
            let mut policy = retry(on);
            policy.per_try_timeout = Some(ms(40));
            // With a bound of 1 ms, the backoff is always 0.
            (policy.base_interval, policy.max_interval) = (ms(1), ms(1));
            scene.proxy(retried(policy, &[at(UP1, 9080)]));
            let answer = scene.get("/").await;
            assert_eq!(
                (answer.status, &*answer.body),
                (504, "upstream request timeout")
            );
            assert_eq!(answer.header("content-type"), Some("text/plain"));
            assert_eq!(details(&scene), "upstream_per_try_timeout");
            (outcome(&scene), scene.took())
        })
    };
    assert_eq!(
        run(RetryOn::CONNECT_FAILURE),
        ((504, "UT".into(), 1), CONNECT + ms(40) + REQUEST_COST)
    );
    for on in [
        RetryOn::SERVER_ERROR,
        RetryOn::GATEWAY_ERROR,
        RetryOn::RESET,
    ] {
        assert_eq!(
            run(on),
            (
                (504, "URX,UT".into(), 3),
                (CONNECT + ms(40)) * 3 + REQUEST_COST
            ),
            "{on:?}"
        );
    }
}

#[test]
fn the_wait_before_each_retry_is_drawn_to_the_millisecond() {
    play(|scene| async move {
        let arrivals = Rc::new(std::cell::RefCell::new(Vec::new()));
        let (env, sink) = (scene.env(UP1), Rc::clone(&arrivals));
        scene.serve(UP1, 9080, move |_| {
            sink.borrow_mut().push(env.now());
            async { reply(503, "") }
        });
        let mut policy = retry(RetryOn::SERVER_ERROR);
        policy.times = 7;
        scene.proxy(retried(policy, &[at(UP1, 9080)]));
        scene.get("/").await;
        // The bound doubles from 25 ms up to ten times that. Each backoff is the next number of the proxy's stream,
        // modulo its bound.
        let mut random = scene.env(POD).rng("proxy/backoff");
        let bounds = [25, 50, 100, 200, 250, 250, 250];
        let waits = bounds.map(|bound| ms(random.next_u64() % bound));
        let arrivals = arrivals.borrow();
        // The response and the next request are in transit for 2 ms, and the connection is reused.
        let gaps: Vec<_> = arrivals
            .windows(2)
            .map(|pair| pair[1].since(pair[0]) - ms(2))
            .collect();
        assert_eq!(gaps, waits);
    });
}

/// Istio's default policy of inbound listeners.
fn inbound() -> RetryPolicy {
    RetryPolicy {
        on: RetryOn::RESET_BEFORE_REQUEST,
        times: 2,
        ..RetryPolicy::default()
    }
}

/// Reads the available part of a request's head.
async fn read_head(stream: &mut BoxStream) {
    let mut bytes = [0; 4096];
    let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
    let read = std::future::poll_fn(|cx| {
        hyper::rt::Read::poll_read(std::pin::Pin::new(&mut *stream), cx, buffer.unfilled())
    });
    read.await.unwrap();
}

#[test]
fn istios_inbound_default_retries_only_unsent_requests_at_most_twice() {
    play(|scene| async move {
        // Nothing listens, so no byte was sent.
        scene.proxy(retried(inbound(), &[at(UP1, 9080)]));
        assert_eq!(scene.get("/").await.status, 503);
        assert_eq!(outcome(&scene), (503, "URX,UF".into(), 3));
    });
    play(|scene| async move {
        // The request has been sent before the connection closes.
        scene.accept(UP1, 9080, |mut stream| async move {
            read_head(&mut stream).await;
        });
        scene.proxy(retried(inbound(), &[at(UP1, 9080)]));
        assert_eq!(scene.get("/").await.status, 503);
        assert_eq!(outcome(&scene), (503, "UC".into(), 1));
    });
}

#[test]
fn the_routes_timeout_ends_the_waits_too() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        let mut policy = retry(RetryOn::SERVER_ERROR);
        policy.times = 100;
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(200));
        action.retry = Some(policy.into());
        scene.proxy(outbound(
            RouteActionKind::Forward(action),
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        assert_eq!(scene.get("/").await.status, 504);
        let (status, flags, attempts) = outcome(&scene);
        assert_eq!((status, &*flags), (504, "UT"));
        assert!(attempts > 1);
        assert_eq!(scene.took(), ms(200) + REQUEST_COST);
    });
}
