//! Tests every local reply of this proxy, as its caller receives it and as it is reported.

use shakedown_types::ResponseFlags;
use shakedown_wire::Body;
use shakedown_xds::table::{DirectResponse, RouteActionKind};

use super::scene::*;

/// Announces more bytes than it sends.
const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort";
const RESET: &str = "upstream connect error or disconnect/reset before headers. ";

#[test]
fn a_cluster_without_endpoints_is_no_healthy_upstream() {
    play(|scene| async move {
        scene.proxy(simple(&[]));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (503, "no healthy upstream"));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(outcome(&scene), (503, "UH".into(), 1));
        assert_eq!(details(&scene), "no_healthy_upstream");
        assert_eq!(&*scene.requests()[0].cluster, REVIEWS);
    });
}

#[test]
fn a_refused_connection_is_an_upstream_connection_failure() {
    play(|scene| async move {
        scene.proxy(simple(&[at(UP1, 9080)]));
        let answer = scene.get("/").await;
        let reason = format!("{RESET}reset reason: remote connection failure");
        assert_eq!((answer.status, &answer.body), (503, &reason));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(outcome(&scene), (503, "UF".into(), 1));
        assert_eq!(
            details(&scene),
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
        );
        assert_eq!(try_flags(&scene), [(0, ResponseFlags::UF)]);
    });
}

#[test]
fn an_upstream_that_never_answers_the_connect_times_out_after_its_time() {
    play(|scene| async move {
        scene.net().crash(scene.id(UP1));
        scene.proxy(simple(&[at(UP1, 9080)]));
        let answer = scene.get("/").await;
        assert_eq!(
            answer.body,
            format!("{RESET}reset reason: connection timeout")
        );
        assert_eq!(outcome(&scene), (503, "UF".into(), 1));
        assert_eq!(
            details(&scene),
            "upstream_reset_before_response_started{connection_timeout}"
        );
        assert_eq!(scene.took(), ms(10_000) + REQUEST_COST);
    });
}

#[test]
fn a_connection_that_closes_before_the_headers_is_a_termination() {
    play(|scene| async move {
        scene.accept(UP1, 9080, |stream| async move { drop(stream) });
        scene.proxy(simple(&[at(UP1, 9080)]));
        let answer = scene.get("/").await;
        let reason = format!("{RESET}reset reason: connection termination");
        assert_eq!((answer.status, answer.body), (503, reason));
        assert_eq!(outcome(&scene), (503, "UC".into(), 1));
        assert_eq!(
            details(&scene),
            "upstream_reset_before_response_started{connection_termination}"
        );
        // Connect and request take 3 ms, and the end of the connection arrives at the same time.
        assert_eq!(scene.took(), ms(4) + REQUEST_COST);
    });
}

#[test]
fn the_routes_timeout_answers_to_the_millisecond() {
    play(|scene| async move {
        scene.answer_after(ms(5000), UP1, 9080, 200, "late");
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(100));
        scene.proxy(outbound(
            RouteActionKind::Forward(action),
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        let answer = scene.get("/").await;
        assert_eq!(
            (answer.status, &*answer.body),
            (504, "upstream request timeout")
        );
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(outcome(&scene), (504, "UT".into(), 1));
        assert_eq!(details(&scene), "response_timeout");
        assert_eq!(try_flags(&scene), [(0, ResponseFlags::UT)]);
        assert_eq!(scene.took(), ms(100) + REQUEST_COST);
    });
}

#[test]
fn no_virtual_host_is_no_route() {
    play(|scene| async move {
        scene.proxy(outbound_for(
            "ratings",
            RouteActionKind::Forward(to(REVIEWS)),
            Vec::new(),
        ));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (404, ""));
        assert_eq!(answer.header("content-type"), None);
        assert_eq!(outcome(&scene), (404, "NR".into(), 0));
        assert_eq!(details(&scene), "route_not_found");
    });
}

#[test]
fn a_cluster_that_does_not_exist_is_not_found() {
    play(|scene| async move {
        scene.proxy(outbound(RouteActionKind::Forward(to(REVIEWS)), Vec::new()));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (503, ""));
        assert_eq!(outcome(&scene), (503, "NC".into(), 0));
        assert_eq!(details(&scene), "cluster_not_found");
    });
}

#[test]
fn the_black_hole_answers_502() {
    play(|scene| async move {
        let hole = cluster("BlackHoleCluster", &[]);
        scene.proxy(outbound(
            RouteActionKind::Forward(to("BlackHoleCluster")),
            vec![hole],
        ));
        assert_eq!(scene.get("/").await.status, 502);
        assert_eq!(outcome(&scene), (502, "-".into(), 0));
    });
}

#[test]
fn a_direct_response_is_the_routes_own() {
    play(|scene| async move {
        let direct = DirectResponse {
            status: 418,
            body: (*b"teapot").into(),
        };
        scene.proxy(outbound(RouteActionKind::Respond(direct), Vec::new()));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (418, "teapot"));
        assert_eq!(outcome(&scene), (418, "-".into(), 0));
    });
}

#[test]
fn headers_that_are_too_large_are_431() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "");
        scene.proxy(simple(&[at(UP1, 9080)]));
        let request = http::Request::get("/")
            .header("host", "reviews")
            .header("big", "x".repeat(61 * 1024));
        let answer = scene.send(request.body(Body::empty()).unwrap()).await;
        let body = "Request Header Fields Too Large";
        assert_eq!((answer.status, &*answer.body), (431, body));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(outcome(&scene), (431, "DPE".into(), 0));
        assert_eq!(details(&scene), "http1.headers_too_large");
        assert!(scene.attempts().is_empty());
    });
}

#[test]
fn a_caller_that_goes_cancels_the_try_and_leaves_dc() {
    play(|scene| async move {
        scene.answer_after(ms(60_000), UP1, 9080, 200, "");
        scene.proxy(simple(&[at(UP1, 9080)]));
        let env = scene.env(CALLER);
        assert!(
            env.timeout(ms(50), scene.get("/")).await.is_err(),
            "the upstream is slow"
        );
        env.sleep(ms(10)).await;
        assert_eq!(outcome(&scene), (0, "DC".into(), 1));
        assert_eq!(details(&scene), "downstream_remote_disconnect");
        // The request arrived after 3 ms, and the disconnect at 50 ms is noticed 1 ms later.
        assert_eq!(scene.took(), ms(50 + 1 - 3));
        assert_eq!(try_flags(&scene), [(0, ResponseFlags::DC)]);
    });
}

#[test]
fn a_body_that_breaks_off_is_reported_although_its_status_was_good() {
    play(|scene| async move {
        scene.accept(UP1, 9080, |mut stream| async move {
            write(&mut stream, SHORT).await;
        });
        scene.proxy(simple(&[at(UP1, 9080)]));
        let request = http::Request::get("/")
            .header("host", "reviews")
            .body(Body::empty());
        let response = scene.caller().send(request.unwrap()).await;
        if let Ok(response) = response {
            assert_eq!(response.status(), 200);
            assert!(response.into_body().collect(1000).await.is_err());
        }
        assert_eq!(outcome(&scene), (200, "UPE".into(), 1));
    });
}

#[test]
fn the_routes_timeout_covers_the_body() {
    play(|scene| async move {
        let env = scene.env(UP1);
        scene.accept(UP1, 9080, move |mut stream| {
            let hold = env.sleep(ms(60_000));
            async move {
                write(&mut stream, SHORT).await;
                hold.await;
            }
        });
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(100));
        scene.proxy(outbound(
            RouteActionKind::Forward(action),
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        let request = http::Request::get("/")
            .header("host", "reviews")
            .body(Body::empty());
        let response = scene.caller().send(request.unwrap()).await.unwrap();
        assert!(response.into_body().collect(1000).await.is_err());
        assert_eq!(outcome(&scene), (200, "UT".into(), 1));
        assert_eq!(scene.took(), ms(100) + REQUEST_COST);
    });
}
