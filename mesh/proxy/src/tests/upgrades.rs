//! Tests upgraded connections.

use shakedown_env::BoxStream;
use shakedown_types::ResponseFlags;
use shakedown_xds::table::{RetryOn, RouteActionKind, Table, Upgrades};

use super::scene::*;

const ASKS: &str =
    "GET /chat HTTP/1.1\r\nhost: reviews:9080\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
const AGREES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";

/// The allowed upgrades of a listener.
fn websocket(may: bool) -> Upgrades {
    Upgrades(vec![("websocket".into(), may)])
}

fn allowing(mut table: Table) -> Table {
    for listener in table.listeners.values_mut() {
        let listener = std::sync::Arc::make_mut(listener);
        listener.manager.upgrades = websocket(true);
    }
    table
}

fn one() -> Table {
    allowing(simple(&[at(UP1, 9080)]))
}

/// Reads until this text or the end of the connection. Returns everything received.
async fn until(stream: &mut BoxStream, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        let mut bytes = [0; 4096];
        let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
        let read = std::future::poll_fn(|cx| {
            hyper::rt::Read::poll_read(std::pin::Pin::new(&mut *stream), cx, buffer.unfilled())
        });
        if read.await.is_err() || buffer.filled().is_empty() {
            break;
        }
        all.push_str(std::str::from_utf8(buffer.filled()).unwrap());
    }
    all
}

/// An app that accepts the upgrade, and returns received text in brackets until it receives `bye`.
fn chat(scene: &Scene) {
    scene.accept(UP1, 9080, |mut stream| async move {
        let head = until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("upgrade: websocket"), "{head}");
        assert!(
            head.to_ascii_lowercase().contains("connection: upgrade"),
            "{head}"
        );
        write(&mut stream, AGREES).await;
        loop {
            let received = until(&mut stream, ".").await;
            if received.is_empty() || received == "bye." {
                return;
            }
            write(&mut stream, &format!("[{received}]")).await;
        }
    });
}

async fn caller(scene: &Scene) -> BoxStream {
    let connecting = scene.env(CALLER).connect(at(POD, 15001), None);
    connecting.await.unwrap()
}

/// A caller with an upgraded connection.
async fn upgraded(scene: &Scene) -> BoxStream {
    let mut stream = caller(scene).await;
    write(&mut stream, ASKS).await;
    let head = until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    stream
}

#[test]
fn a_web_socket_carries_both_ways_until_the_app_closes() {
    play(|scene| async move {
        chat(&scene);
        scene.proxy(one());
        let mut stream = upgraded(&scene).await;
        for text in ["one.", "two."] {
            write(&mut stream, text).await;
            assert_eq!(until(&mut stream, "]").await, format!("[{text}]"));
        }
        assert!(scene.requests().is_empty(), "it goes on");
        write(&mut stream, "bye.").await;
        assert_eq!(until(&mut stream, "never").await, "");
        // Observed in Envoy 1.40.
        assert_eq!(outcome(&scene), (101, "UC".into(), 1));
        let details = "upstream_reset_after_response_started{connection_termination}";
        assert_eq!(scene.requests()[0].details, details);
    });
}

#[test]
fn a_caller_that_closes_its_web_socket_closes_the_apps() {
    play(|scene| async move {
        let ended = std::rc::Rc::new(std::cell::Cell::new(false));
        let seen = std::rc::Rc::clone(&ended);
        scene.accept(UP1, 9080, move |mut stream| {
            let seen = std::rc::Rc::clone(&seen);
            async move {
                until(&mut stream, "\r\n\r\n").await;
                write(&mut stream, AGREES).await;
                assert_eq!(until(&mut stream, "never").await, "last words");
                seen.set(true);
            }
        });
        scene.proxy(one());
        let mut stream = upgraded(&scene).await;
        write(&mut stream, "last words").await;
        drop(stream);
        scene.env(CALLER).sleep(ms(20)).await;
        assert!(ended.get());
        assert_eq!(outcome(&scene), (101, "DC".into(), 1));
        assert_eq!(try_flags(&scene), [(101, ResponseFlags::DC)]);
    });
}

#[test]
fn what_a_caller_says_before_the_answer_is_passed_on() {
    play(|scene| async move {
        chat(&scene);
        scene.proxy(one());
        let mut stream = caller(&scene).await;
        write(&mut stream, &format!("{ASKS}early.")).await;
        let all = until(&mut stream, "]").await;
        assert!(all.ends_with("\r\n\r\n[early.]"), "{all}");
    });
}

#[test]
fn a_web_socket_ends_when_it_has_been_idle_for_long_enough() {
    play(|scene| async move {
        chat(&scene);
        let mut table = one();
        for listener in table.listeners.values_mut() {
            std::sync::Arc::make_mut(listener).stream_idle_timeout = Some(ms(300));
        }
        scene.proxy(table);
        let mut stream = upgraded(&scene).await;
        scene.env(CALLER).sleep(ms(200)).await;
        write(&mut stream, "one.").await;
        until(&mut stream, "]").await;
        let received_at = scene.env(CALLER).now();
        assert_eq!(until(&mut stream, "never").await, "");
        // The response reached the caller a millisecond after the proxy, and so does the end.
        assert_eq!(scene.env(CALLER).now().since(received_at), ms(300));
        assert_eq!(outcome(&scene), (101, "SI".into(), 1));
        assert_eq!(scene.requests()[0].details, "stream_idle_timeout");
    });
}

#[test]
fn max_stream_duration_bounds_a_websocket_and_the_route_timeout_does_not() {
    play(|scene| async move {
        chat(&scene);
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(50));
        let mut table = allowing(outbound(
            RouteActionKind::Forward(action),
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        for listener in table.listeners.values_mut() {
            std::sync::Arc::make_mut(listener)
                .manager
                .max_stream_duration = Some(ms(500));
        }
        scene.proxy(table);
        let mut stream = upgraded(&scene).await;
        scene.env(CALLER).sleep(ms(200)).await;
        write(&mut stream, "one.").await;
        assert_eq!(until(&mut stream, "]").await, "[one.]");
        assert_eq!(until(&mut stream, "never").await, "");
        assert_eq!(scene.took(), ms(500));
        assert_eq!(scene.requests()[0].details, "max_duration_timeout");
    });
}

#[test]
fn a_web_socket_that_is_not_answered_in_time_is_answered_504() {
    // Observed in Envoy 1.40.
    play(|scene| async move {
        scene.accept(UP1, 9080, |mut stream| async move {
            until(&mut stream, "never").await;
        });
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(50));
        let hosts = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
        scene.proxy(allowing(outbound(RouteActionKind::Forward(action), hosts)));
        let mut stream = caller(&scene).await;
        write(&mut stream, ASKS).await;
        let all = until(&mut stream, "never").await;
        assert!(all.starts_with("HTTP/1.1 504 "), "{all}");
        assert_eq!(outcome(&scene), (504, "UT".into(), 1));
        assert_eq!(scene.took(), ms(50) + REQUEST_COST);
    });
}

#[test]
fn a_web_socket_holds_its_place_among_the_connections() {
    play(|scene| async move {
        chat(&scene);
        let mut cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
        cluster.limits.default.connections = 1;
        let action = RouteActionKind::Forward(to(REVIEWS));
        scene.proxy(allowing(outbound(action, vec![cluster])));
        let mut stream = upgraded(&scene).await;
        let env = scene.env(CALLER);
        let began = env.now();
        let bye = async {
            env.sleep(ms(100)).await;
            write(&mut stream, "bye.").await;
        };
        let (mut second, ()) = futures_util::future::join(upgraded(&scene), bye).await;
        let waited = env.now().since(began);
        assert!(waited > ms(100), "it has waited for the first: {waited:?}");
        write(&mut second, "x.").await;
        assert_eq!(until(&mut second, "]").await, "[x.]");
    });
}

#[test]
fn an_upgrade_that_nobody_has_allowed_is_refused_and_closes() {
    play(|scene| async move {
        chat(&scene);
        scene.proxy(simple(&[at(UP1, 9080)]));
        let mut stream = caller(&scene).await;
        write(&mut stream, ASKS).await;
        let all = until(&mut stream, "never").await;
        assert!(all.starts_with("HTTP/1.1 403 "), "{all}");
        assert!(all.contains("connection: close\r\n"), "{all}");
        assert_eq!(outcome(&scene), (403, "-".into(), 0));
        assert_eq!(scene.requests()[0].details, "upgrade_failed");
    });
}

#[test]
fn a_route_may_forbid_what_its_listener_allows() {
    play(|scene| async move {
        chat(&scene);
        let mut action = to(REVIEWS);
        action.upgrades = websocket(false);
        let hosts = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
        scene.proxy(allowing(outbound(RouteActionKind::Forward(action), hosts)));
        let mut stream = caller(&scene).await;
        write(&mut stream, ASKS).await;
        let all = until(&mut stream, "never").await;
        assert!(all.starts_with("HTTP/1.1 403 "), "{all}");
    });
}

#[test]
fn an_app_that_does_not_take_the_upgrade_answers_as_ever() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 404, "no");
        scene.proxy(one());
        let mut stream = caller(&scene).await;
        write(&mut stream, ASKS).await;
        let all = until(&mut stream, "never").await;
        assert!(all.starts_with("HTTP/1.1 404 "), "{all}");
        assert!(all.ends_with("\r\n\r\nno"), "{all}");
        assert_eq!(outcome(&scene), (404, "-".into(), 1));
    });
}

#[test]
fn an_upgrade_that_fails_is_tried_again() {
    play(|scene| async move {
        chat(&scene);
        // Nothing listens at the other host.
        let policy = retry(RetryOn::CONNECT_FAILURE);
        scene.proxy(allowing(retried(policy, &[at(UP2, 9080), at(UP1, 9080)])));
        let mut first = upgraded(&scene).await;
        let mut second = upgraded(&scene).await;
        write(&mut first, "bye.").await;
        write(&mut second, "bye.").await;
        until(&mut first, "never").await;
        until(&mut second, "never").await;
        let tries: u32 = scene
            .requests()
            .iter()
            .map(|request| request.attempts)
            .sum();
        assert_eq!(tries, 3, "one of both began with the host that refuses");
    });
}

#[test]
fn a_web_socket_counts_against_the_breaker_until_it_ends() {
    play(|scene| async move {
        chat(&scene);
        let mut cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
        cluster.limits.default.requests = 1;
        scene.proxy(allowing(outbound(
            RouteActionKind::Forward(to(REVIEWS)),
            vec![cluster],
        )));
        let mut stream = upgraded(&scene).await;
        scene.env(CALLER).sleep(ms(50)).await;
        assert_eq!(scene.get("/").await.status, 503);
        write(&mut stream, "bye.").await;
        until(&mut stream, "never").await;
        let mut again = upgraded(&scene).await;
        write(&mut again, "x.").await;
        assert_eq!(until(&mut again, "]").await, "[x.]");
    });
}

#[test]
fn a_protocol_that_nobody_has_asked_for_is_an_error() {
    play(|scene| async move {
        scene.accept(UP1, 9080, |mut stream| async move {
            until(&mut stream, "\r\n\r\n").await;
            write(&mut stream, AGREES).await;
            until(&mut stream, "never").await;
        });
        scene.proxy(one());
        let answer = scene.get("/").await;
        assert_eq!(answer.status, 502);
        assert_eq!(outcome(&scene), (502, "UPE".into(), 1));
    });
}

#[test]
fn a_gate_that_closes_ends_its_web_sockets() {
    play(|scene| async move {
        chat(&scene);
        let env = scene.env(POD);
        let own = env.clone();
        let proxy = env.spawn_owned("proxy", async move {
            let running = crate::run_with_table(own, bootstrap(), one());
            running.await.unwrap();
        });
        let mut stream = upgraded(&scene).await;
        drop(proxy);
        assert_eq!(until(&mut stream, "never").await, "");
        assert_eq!(outcome(&scene), (101, "-".into(), 1));
    });
}
