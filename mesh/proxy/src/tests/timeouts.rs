//! Tests timeouts to the millisecond.

use std::time::Duration;

use shakedown_types::ResponseFlags;
use shakedown_wire::Body;
use shakedown_xds::table::{RetryOn, RouteAction, RouteActionKind};

use super::scene::*;

/// The time to connect to an upstream, a round trip.
const CONNECT: Duration = Duration::from_millis(2);

/// An upstream that never answers.
fn hang(scene: &Scene) {
    scene.answer_after(ms(3_600_000), UP1, 9080, 200, "");
}

fn via(scene: &Scene, change: impl FnOnce(&mut RouteAction)) {
    let mut action = to(REVIEWS);
    change(&mut action);
    let cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
    scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
}

#[test]
fn the_routes_timeout_covers_the_connect() {
    play(|scene| async move {
        hang(&scene);
        via(&scene, |action| action.timeout = Some(ms(50)));
        let answer = scene.get("/").await;
        assert_eq!(
            (answer.status, &*answer.body),
            (504, "upstream request timeout")
        );
        assert_eq!(outcome(&scene), (504, "UT".into(), 1));
        assert_eq!(scene.requests()[0].details, "response_timeout");
        assert_eq!(scene.took(), ms(50) + REQUEST_COST);
    });
}

#[test]
fn a_per_try_timeout_counts_from_the_connection() {
    play(|scene| async move {
        hang(&scene);
        via(&scene, |action| {
            let mut policy = retry(RetryOn::CONNECT_FAILURE);
            policy.per_try_timeout = Some(ms(50));
            action.retry = Some(policy.into());
        });
        scene.get("/").await;
        assert_eq!(scene.requests()[0].details, "upstream_per_try_timeout");
        assert_eq!(scene.took(), ms(50) + CONNECT + REQUEST_COST);
    });
}

#[test]
fn a_per_try_timeout_starts_when_the_try_gets_a_connection() {
    // Envoy 1.40 with `max_connections: 1` and 200 ms: 504 after 201 ms and after 383 ms.
    play(|scene| async move {
        hang(&scene);
        let mut action = to(REVIEWS);
        let mut policy = retry(RetryOn::CONNECT_FAILURE);
        policy.per_try_timeout = Some(ms(50));
        action.retry = Some(policy.into());
        let mut cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
        cluster.limits.default.connections = 1;
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        futures_util::future::join(scene.get("/"), scene.get("/")).await;
        let ended = |(at, event): (shakedown_env::Time, shakedown_types::MeshEvent)| match event {
            shakedown_types::MeshEvent::Attempt(attempt) => Some(at.since(attempt.started)),
            _ => None,
        };
        let took: Vec<_> = scene.timed_events().into_iter().filter_map(ended).collect();
        assert_eq!(took[0], CONNECT + ms(50));
        assert!(took[1] >= (CONNECT + ms(50)) * 2 - REQUEST_COST, "{took:?}");
        assert!(took[1] <= (CONNECT + ms(50)) * 2 + ms(1), "{took:?}");
    });
}

#[test]
fn a_connect_that_hangs_is_not_bounded_by_the_per_try_timeout() {
    play(|scene| async move {
        scene.net().crash(scene.id(UP1));
        via(&scene, |action| {
            let mut policy = retry(RetryOn::RESET_BEFORE_REQUEST);
            policy.per_try_timeout = Some(ms(50));
            policy.times = 0;
            action.retry = Some(policy.into());
        });
        let answer = scene.get("/").await;
        assert!(
            answer.body.ends_with("reset reason: connection timeout"),
            "{}",
            answer.body
        );
        assert_eq!(scene.took(), ms(10_000) + REQUEST_COST);
    });
}

#[test]
fn an_idle_try_is_retried_and_finally_reports_per_try_idle_timeout() {
    // Envoy 1.40: 504, URX,UT, upstream_per_try_idle_timeout, two attempts.
    play(|scene| async move {
        hang(&scene);
        via(&scene, |action| {
            let mut policy = retry(RetryOn::SERVER_ERROR);
            policy.per_try_idle_timeout = Some(ms(50));
            policy.times = 1;
            action.retry = Some(policy.into());
        });
        let answer = scene.get("/").await;
        assert_eq!(
            (answer.status, &*answer.body),
            (504, "upstream request timeout")
        );
        assert_eq!(outcome(&scene), (504, "URX,UT".into(), 2));
        assert_eq!(scene.requests()[0].details, "upstream_per_try_idle_timeout");
    });
}

#[test]
fn an_idle_request_is_answered_504_with_si() {
    // Observed in Envoy 1.40.
    play(|scene| async move {
        hang(&scene);
        via(&scene, |action| action.idle_timeout = Some(ms(300)));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (504, "stream timeout"));
        assert_eq!(outcome(&scene), (504, "SI".into(), 1));
        assert_eq!(scene.requests()[0].details, "stream_idle_timeout");
        assert_eq!(scene.took(), ms(300) + REQUEST_COST);
    });
}

#[test]
fn a_body_that_stops_breaks_off_after_the_idle_timeout() {
    play(|scene| async move {
        let env = scene.env(UP1);
        scene.accept(UP1, 9080, move |mut stream| {
            let slow = env.sleep(ms(60_000));
            async move {
                write(
                    &mut stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
                )
                .await;
                slow.await;
            }
        });
        via(&scene, |action| action.idle_timeout = Some(ms(300)));
        let request = http::Request::get("/").header("host", "reviews:9080");
        let response = scene
            .caller()
            .send(request.body(Body::empty()).unwrap())
            .await;
        let body = response.unwrap().into_body();
        assert!(body.collect(1000).await.is_err());
        assert_eq!(outcome(&scene), (200, "SI".into(), 1));
        assert_eq!(try_flags(&scene), [(200, ResponseFlags::SI)]);
    });
}

#[test]
fn each_piece_of_a_body_starts_the_idle_timeout_again() {
    play(|scene| async move {
        let env = scene.env(UP1);
        scene.accept(UP1, 9080, move |mut stream| {
            let env = env.clone();
            async move {
                write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
                for _ in 0..5 {
                    env.sleep(ms(200)).await;
                    write(&mut stream, "x").await;
                }
            }
        });
        via(&scene, |action| action.idle_timeout = Some(ms(300)));
        assert_eq!(scene.get("/").await.body, "xxxxx");
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
    });
}

#[test]
fn a_caller_cannot_say_how_often_or_how_long() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        via(&scene, |_| ());
        let request = http::Request::get("/")
            .header("host", "reviews:9080")
            .header("x-envoy-retry-on", "5xx")
            .header("x-envoy-max-retries", "5")
            .header("x-envoy-upstream-rq-timeout-ms", "1");
        assert_eq!(
            scene
                .send(request.body(Body::empty()).unwrap())
                .await
                .status,
            503
        );
        assert_eq!(outcome(&scene), (503, "-".into(), 1));
    });
}

/// Sends a part of a body, then each piece after a delay. Returns the response.
async fn upload(scene: &Scene, first: &str, pieces: &[(u64, &str)]) -> String {
    let env = scene.env(CALLER);
    let mut stream = env.connect(at(POD, 15001), None).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: reviews:9080\r\ncontent-length: 10\r\n\r\n";
    write(&mut stream, &format!("{head}{first}")).await;
    for (wait, text) in pieces {
        env.sleep(ms(*wait)).await;
        write(&mut stream, text).await;
    }
    read(&mut stream).await
}

#[test]
fn an_incomplete_request_that_stops_is_answered_408_with_si() {
    // Observed in Envoy 1.40.
    play(|scene| async move {
        hang(&scene);
        via(&scene, |action| action.idle_timeout = Some(ms(300)));
        let answer = upload(&scene, "abc", &[]).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.ends_with("stream timeout"), "{answer}");
        assert_eq!(outcome(&scene), (408, "SI".into(), 1));
        assert_eq!(scene.took(), ms(300) + REQUEST_COST);
    });
}

#[test]
fn request_chunks_reset_the_idle_timeout_and_the_last_starts_route_timeout() {
    play(|scene| async move {
        hang(&scene);
        via(&scene, |action| {
            action.idle_timeout = Some(ms(300));
            action.timeout = Some(ms(100));
        });
        let pieces = [(200, "12"), (200, "34"), (200, "567")];
        let answer = upload(&scene, "abc", &pieces).await;
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        assert_eq!(outcome(&scene), (504, "UT".into(), 1));
        assert_eq!(scene.took(), ms(600) + ms(100));
    });
}

#[test]
fn a_try_that_fails_during_the_upload_is_retried_with_all_data() {
    play(|scene| async move {
        let tries = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = std::rc::Rc::clone(&tries);
        scene.serve(UP1, 9080, move |request| {
            count.set(count.get() + 1);
            let first = count.get() == 1;
            async move {
                if first {
                    return reply(503, "");
                }
                let body = Body::from(request.into_body()).collect(100).await.unwrap();
                assert_eq!(&body[..], b"abc1234567");
                reply(200, "all")
            }
        });
        via(&scene, |action| {
            action.retry = Some(retry(RetryOn::SERVER_ERROR).into())
        });
        let answer = upload(&scene, "abc", &[(200, "1234567")]).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!((tries.get(), outcome(&scene)), (2, (200, "-".into(), 2)));
    });
}

fn with_manager(
    table: &mut shakedown_xds::table::Table,
    change: impl Fn(&mut shakedown_xds::table::Manager),
) {
    for listener in table.listeners.values_mut() {
        change(&mut std::sync::Arc::make_mut(listener).manager);
    }
}

#[test]
fn a_streams_longest_duration_covers_all_tries_and_ends_with_504() {
    // Observed in Envoy 1.40.
    play(|scene| async move {
        hang(&scene);
        let mut policy = retry(RetryOn::SERVER_ERROR);
        policy.per_try_timeout = Some(ms(40));
        policy.times = 100;
        let mut table = retried(policy, &[at(UP1, 9080)]);
        with_manager(&mut table, |manager| {
            manager.max_stream_duration = Some(ms(500));
        });
        scene.proxy(table);
        let answer = scene.get("/").await;
        assert_eq!(
            (answer.status, &*answer.body),
            (504, "downstream duration timeout")
        );
        let request = &scene.requests()[0];
        assert_eq!(
            (&*request.details, request.flags),
            ("max_duration_timeout", ResponseFlags::empty())
        );
        assert!(request.attempts > 3);
        assert_eq!(scene.took(), ms(500));
    });
}

#[test]
fn a_streams_longest_duration_cuts_the_answers_body() {
    play(|scene| async move {
        let env = scene.env(UP1);
        scene.accept(UP1, 9080, move |mut stream| {
            let slow = env.sleep(ms(60_000));
            async move {
                write(
                    &mut stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
                )
                .await;
                slow.await;
            }
        });
        via(&scene, |action| {
            action.stream_duration = Some(shakedown_xds::table::StreamDuration {
                max: Some(ms(300)),
                ..Default::default()
            });
        });
        let request = http::Request::get("/").header("host", "reviews:9080");
        let response = scene
            .caller()
            .send(request.body(Body::empty()).unwrap())
            .await;
        assert!(response.unwrap().into_body().collect(1000).await.is_err());
        assert_eq!(scene.requests()[0].details, "max_duration_timeout");
        assert_eq!(scene.took(), ms(300));
    });
}

#[test]
fn a_request_that_does_not_end_in_time_is_answered_408() {
    // Observed in Envoy 1.40.
    play(|scene| async move {
        hang(&scene);
        let mut table = simple(&[at(UP1, 9080)]);
        with_manager(&mut table, |manager| {
            manager.request_timeout = Some(ms(300))
        });
        scene.proxy(table);
        let pieces = [(100, "1"), (100, "2"), (90, "3")];
        let answer = upload(&scene, "abc", &pieces).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("request timeout"), "{answer}");
        assert_eq!(scene.requests()[0].details, "request_overall_timeout");
        assert_eq!(scene.took(), ms(300));
    });
}

#[test]
fn what_has_come_of_a_request_goes_on_before_the_rest_has() {
    play(|scene| async move {
        let seen = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let sink = std::rc::Rc::clone(&seen);
        scene.accept(UP1, 9080, move |mut stream| {
            let sink = std::rc::Rc::clone(&sink);
            async move {
                let text = read(&mut stream).await;
                sink.borrow_mut().push_str(&text);
            }
        });
        via(&scene, |action| action.idle_timeout = Some(ms(300)));
        let answer = upload(&scene, "abc", &[]).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        scene.env(CALLER).sleep(ms(20)).await;
        assert!(seen.borrow().ends_with("\r\n\r\nabc"), "{}", seen.borrow());
    });
}

/// Returns the response to a caller that sends only this text, and the time until its end.
async fn half_a_head(scene: &Scene, text: &str) -> (String, Duration) {
    let env = scene.env(CALLER);
    let mut stream = env.connect(at(POD, 15001), None).await.unwrap();
    env.sleep(ms(2_000)).await;
    let began = env.now();
    write(&mut stream, text).await;
    let answer = read(&mut stream).await;
    (answer, env.now().since(began))
}

#[test]
fn incomplete_headers_time_out_with_408_and_an_idle_connection_does_not() {
    // Observed in Envoy 1.40.
    play(|scene| async move {
        hang(&scene);
        let mut table = simple(&[at(UP1, 9080)]);
        with_manager(&mut table, |manager| {
            manager.request_headers_timeout = Some(ms(300));
        });
        scene.proxy(table);
        let (answer, took) = half_a_head(&scene, "GET / HTTP/1.1\r\nhost:").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("request header timeout"), "{answer}");
        // Plus a round trip.
        assert_eq!(took, ms(300) + CONNECT);
        let request = &scene.requests()[0];
        assert_eq!(
            (request.status, &*request.details),
            (408, "request_header_timeout")
        );
    });
}

#[test]
fn a_connections_next_head_has_its_own_time() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut table = simple(&[at(UP1, 9080)]);
        with_manager(&mut table, |manager| {
            manager.request_headers_timeout = Some(ms(300));
        });
        scene.proxy(table);
        let env = scene.env(CALLER);
        let mut stream = env.connect(at(POD, 15001), None).await.unwrap();
        for _ in 0..3 {
            write(&mut stream, "GET / HTTP/1.1\r\nhost: reviews:9080\r\n\r\n").await;
            assert!(read(&mut stream).await.starts_with("HTTP/1.1 200 "));
            // The connection is idle for longer than the headers' timeout.
            env.sleep(ms(1_000)).await;
        }
        write(&mut stream, "GET").await;
        assert!(read(&mut stream).await.starts_with("HTTP/1.1 408 "));
    });
}
