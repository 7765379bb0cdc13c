//! Tests successful requests: headers, balancing, connections, the inbound listener, port 15020, and a change under
//! load.

use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderMap, Request};
use shakedown_types::{RequestId, ResponseFlags, Side};
use shakedown_wire::Body;
use shakedown_xds::table::{ClusterKind, LbPolicy, RetryOn, RouteActionKind};

use super::scene::*;

/// An upstream that records the headers of its requests.
fn keep_headers(scene: &Scene) -> Rc<RefCell<Vec<HeaderMap>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&seen);
    scene.serve(UP1, 9080, move |request| {
        sink.borrow_mut().push(request.headers().clone());
        async { reply(200, "ok") }
    });
    seen
}

#[test]
fn an_upstream_gets_envoys_headers_and_keeps_the_host() {
    play(|scene| async move {
        let seen = keep_headers(&scene);
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(900));
        scene.proxy(outbound(
            RouteActionKind::Forward(action),
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        let answer = scene.get("/").await;
        let headers = &seen.borrow()[0];
        assert_eq!(headers["host"], "reviews:9080");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-envoy-expected-rq-timeout-ms"], "900");
        assert_eq!(headers["x-envoy-attempt-count"], "1");
        let id = RequestId::parse(headers["x-request-id"].as_bytes());
        assert!(id.is_some());
        assert_eq!(scene.requests()[0].id, id);
        // Connect and exchange, 1 ms in each direction.
        assert_eq!(answer.header("x-envoy-upstream-service-time"), Some("4"));
        assert_eq!(scene.attempts()[0].upstream, at(UP1, 9080));
    });
}

#[test]
fn a_request_id_is_forwarded_as_it_came() {
    play(|scene| async move {
        let seen = keep_headers(&scene);
        scene.proxy(simple(&[at(UP1, 9080)]));
        let id = "01234567-89ab-4def-8123-456789abcdef";
        let request = Request::get("/")
            .header("host", "r")
            .header("x-request-id", id);
        scene.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(seen.borrow()[0]["x-request-id"], id);
        assert_eq!(scene.requests()[0].id, RequestId::parse(id.as_bytes()));
    });
}

#[test]
fn round_robin_shares_evenly_and_reuses_connections() {
    play(|scene| async move {
        let connections = Rc::new(std::cell::Cell::new(0));
        for host in [UP1, UP2] {
            let env = scene.env(host);
            let listener = env.listen(at(host, 9080)).unwrap();
            let count = Rc::clone(&connections);
            scene.env(host).spawn("upstream", async move {
                let options = shakedown_wire::ServerOptions::default();
                shakedown_wire::accept_loop(&env, listener, &options, "upstream", |_| {
                    count.set(count.get() + 1);
                    |_request| async { reply(200, "ok") }
                })
                .await;
            });
        }
        scene.proxy(simple(&[at(UP1, 9080), at(UP2, 9080)]));
        let caller = scene.caller();
        for _ in 0..10 {
            let request = Request::get("/")
                .header("host", "r")
                .body(Body::empty())
                .unwrap();
            Answer::from_response(caller.send(request).await.unwrap()).await;
        }
        let attempts = scene.attempts();
        let to = |host| {
            attempts
                .iter()
                .filter(|a| a.upstream == at(host, 9080))
                .count()
        };
        assert_eq!((to(UP1), to(UP2)), (5, 5));
        assert_eq!(connections.get(), 2);
    });
}

#[test]
fn an_inbound_request_reaches_the_app_and_its_error_is_not_retried() {
    play(|scene| async move {
        scene.answer(POD, 20000, 500, "app");
        let mut action = to("inbound|9080||");
        action.retry = Some(retry(RetryOn::RESET_BEFORE_REQUEST).into());
        let app = cluster("inbound|9080||", &[at(POD, 20000)]);
        scene.proxy(with_inbound(simple(&[]), 9080, action, app));
        let pool = scene.caller_of(at(POD, 9080));
        let request = Request::get("/")
            .header("host", "pages")
            .body(Body::empty())
            .unwrap();
        let answer = Answer::from_response(pool.send(request).await.unwrap()).await;
        assert_eq!((answer.status, &*answer.body), (500, "app"));
        assert_eq!(scene.requests()[0].side, Side::Inbound);
        assert_eq!(outcome(&scene), (500, "-".into(), 1));
        assert!(
            scene.attempts().is_empty(),
            "tries are told by the outbound side"
        );
    });
}

#[test]
fn a_crashed_app_is_tried_again_inbound_since_nothing_was_sent() {
    play(|scene| async move {
        let mut action = to("inbound|9080||");
        action.retry = Some(retry(RetryOn::RESET_BEFORE_REQUEST).into());
        let app = cluster("inbound|9080||", &[at(POD, 20000)]);
        scene.proxy(with_inbound(simple(&[]), 9080, action, app));
        let pool = scene.caller_of(at(POD, 9080));
        let request = Request::get("/")
            .header("host", "pages")
            .body(Body::empty())
            .unwrap();
        assert_eq!(pool.send(request).await.unwrap().status(), 503);
        assert_eq!(outcome(&scene), (503, "URX,UF".into(), 3));
    });
}

#[test]
fn a_passthrough_finds_its_host_by_name() {
    play(|scene| async move {
        scene.answer(UP1, 8080, 200, "outside");
        scene
            .net()
            .set_name("example.org", vec![UP1.parse().unwrap()]);
        let mut outside = cluster("PassthroughCluster", &[]);
        outside.kind = ClusterKind::OriginalDst;
        scene.proxy(outbound(
            RouteActionKind::Forward(to("PassthroughCluster")),
            vec![outside],
        ));
        let get = |host: &'static str| {
            let request = Request::get("/")
                .header("host", host)
                .body(Body::empty())
                .unwrap();
            scene.send(request)
        };
        assert_eq!(get("example.org:8080").await.body, "outside");
        assert_eq!(get("nowhere.org").await.body, "no healthy upstream");
        assert_eq!(get("127.0.0.11:8080").await.body, "outside");
    });
}

#[test]
fn metrics_and_readiness_are_served_at_15020() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        scene.proxy(simple(&[at(UP1, 9080)]));
        scene.get("/").await;
        let admin = scene.caller_of(at(POD, 15020));
        let ask = async |path: &str| {
            let request = Request::get(path)
                .header("host", "admin")
                .body(Body::empty())
                .unwrap();
            Answer::from_response(admin.send(request).await.unwrap()).await
        };
        assert_eq!(ask("/healthz/ready").await.status, 200);
        let metrics = ask("/stats/prometheus").await.body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("istio_requests_total{"))
            .unwrap();
        for label in [
            "reporter=\"source\"",
            "source_workload=\"pages-1\"",
            "destination_workload=\"reviews-v1\"",
            "destination_service=\"reviews.default.svc.cluster.local\"",
            "response_code=\"200\"",
            "response_flags=\"-\"",
        ] {
            assert!(line.contains(label), "{label} in {line}");
        }
        let dump = ask("/config_dump").await.body;
        assert!(
            dump.contains(REVIEWS) && dump.contains("127.0.0.11:9080"),
            "{dump}"
        );
        let dump: serde_json::Value = serde_json::from_str(&dump).expect("it is JSON");
        assert_eq!(dump["clusters"][0]["lb_policy"], "ROUND_ROBIN", "{dump}");
        assert_eq!(ask("/quitquitquit").await.status, 404);
    });
}

#[test]
fn a_head_request_is_complete_without_a_body() {
    play(|scene| async move {
        scene.serve(UP1, 9080, |_| async {
            http::Response::builder()
                .header("content-length", "5")
                .body(Body::empty())
                .unwrap()
        });
        scene.proxy(simple(&[at(UP1, 9080)]));
        let request = Request::head("/")
            .header("host", "r")
            .body(Body::empty())
            .unwrap();
        let answer = scene.send(request).await;
        assert_eq!(answer.header("content-length"), Some("5"));
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
    });
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let run = || {
        play(|scene| async move {
            scene.answer(UP2, 9080, 200, "ok");
            let policy = retry(RetryOn::CONNECT_FAILURE);
            scene.proxy(retried(policy, &[at(UP1, 9080), at(UP2, 9080)]));
            for _ in 0..20 {
                scene.get("/").await;
            }
            scene.events()
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn responses_carry_the_hosts_date() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        scene.proxy(simple(&[at(UP1, 9080)]));
        let answer = scene.get("/").await;
        assert_eq!(answer.header("date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    });
}

#[test]
fn a_request_pays_its_cpu_once_a_side() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        scene.proxy(simple(&[at(UP1, 9080)]));
        scene.get("/").await;
        assert_eq!(scene.took(), ms(4) + REQUEST_COST);
    });
}

#[test]
fn an_outage_of_many_requests_leaves_no_tasks_behind() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        scene.proxy(simple(&[at(UP1, 9080)]));
        let env = scene.env(CALLER);
        let caller = scene.caller();
        let get = || {
            Request::get("/")
                .header("host", "r")
                .body(Body::empty())
                .unwrap()
        };
        for _ in 0..5 {
            Answer::from_response(caller.send(get()).await.unwrap()).await;
        }
        env.sleep(ms(100)).await;
        let before = scene.net().stats();
        for _ in 0..500 {
            Answer::from_response(caller.send(get()).await.unwrap()).await;
        }
        env.sleep(ms(100)).await;
        let after = scene.net().stats();
        assert_eq!(
            (before.tasks, before.live_timers),
            (after.tasks, after.live_timers)
        );
    });
}

/// Reads a request, answers with these pieces half a second apart, then keeps the connection open.
fn serve_in_pieces(scene: &Scene, pieces: [&'static str; 2]) {
    let env = scene.env(UP1);
    scene.accept(UP1, 9080, move |mut stream| {
        let env = env.clone();
        async move {
            for piece in pieces {
                write(&mut stream, piece).await;
                env.sleep(ms(500)).await;
            }
            env.sleep(ms(60_000)).await;
        }
    });
}

const PIECES: [&str; 2] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst",
    "later",
];

#[test]
fn a_response_streams_through_and_is_over_with_its_last_byte() {
    play(|scene| async move {
        serve_in_pieces(&scene, PIECES);
        scene.proxy(simple(&[at(UP1, 9080)]));
        let request = Request::get("/")
            .header("host", "r")
            .body(Body::empty())
            .unwrap();
        let mut body = scene.caller().send(request).await.unwrap().into_body();
        let first = frame(&mut body).await.unwrap();
        assert_eq!(first, "first");
        assert!(scene.requests().is_empty(), "the body is not over");
        assert_eq!(frame(&mut body).await.unwrap(), "later");
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
    });
}

#[test]
fn a_caller_disconnect_during_the_body_yields_dc_with_the_sent_status() {
    play(|scene| async move {
        serve_in_pieces(&scene, PIECES);
        scene.proxy(simple(&[at(UP1, 9080)]));
        let request = Request::get("/")
            .header("host", "r")
            .body(Body::empty())
            .unwrap();
        let mut body = scene.caller().send(request).await.unwrap().into_body();
        frame(&mut body).await.unwrap();
        drop(body);
        scene.env(CALLER).sleep(ms(1_000)).await;
        assert_eq!(outcome(&scene), (200, "DC".into(), 1));
        assert_eq!(try_flags(&scene), [(200, ResponseFlags::DC)]);
    });
}

#[test]
fn least_request_turns_away_from_a_host_that_hangs() {
    play(|scene| async move {
        scene.answer_after(ms(60_000), UP1, 9080, 200, "slow");
        scene.answer(UP2, 9080, 200, "fast");
        let mut cluster = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
        cluster.lb = LbPolicy::LEAST_REQUEST;
        scene.proxy(outbound(
            RouteActionKind::Forward(to(REVIEWS)),
            vec![cluster],
        ));
        for _ in 0..200 {
            let (own, env) = (scene.clone(), scene.env(CALLER));
            env.spawn("get", async move {
                own.get("/").await;
            });
            env.sleep(ms(10)).await;
        }
        let stuck = scene.attempts().len();
        // A request is sent to the slow host only if both draws select it, which is a quarter.
        assert!((130..=170).contains(&stuck), "{stuck} of 200 came back");
    });
}
