//! Tests requests that a proxy would send to itself.

use http::Request;
use shakedown_types::RequestEvent;
use shakedown_wire::Body;
use shakedown_xds::table::{Cluster, ClusterKind, Limits, PriorityLimits, RouteActionKind};

use super::scene::*;

/// A cluster whose upstream is the original destination of the request.
fn passthrough() -> Cluster {
    let mut outside = cluster("PassthroughCluster", &[]);
    outside.kind = ClusterKind::OriginalDst;
    outside
}

fn to_outside() -> RouteActionKind {
    RouteActionKind::Forward(to("PassthroughCluster"))
}

async fn ask(scene: &Scene, port: u16, host: &str) -> (u16, String) {
    let request = Request::get("/").header("host", host).body(Body::empty());
    let pool = scene.caller_of(at(POD, port));
    let answer = Answer::from_response(pool.send(request.unwrap()).await.unwrap()).await;
    (answer.status, answer.body)
}

fn refused() -> (u16, String) {
    (503, "no healthy upstream".into())
}

#[test]
fn a_request_that_names_the_proxy_itself_is_refused_without_a_connection() {
    play(|scene| async move {
        let app = cluster("inbound|9080||", &[at(POD, 20000)]);
        let table = outbound(to_outside(), vec![passthrough()]);
        scene.answer(POD, 20000, 200, "app");
        scene
            .net()
            .set_name("itself.example", vec![POD.parse().unwrap()]);
        let table = with_inbound(table, 9080, to("inbound|9080||"), app);
        scene.proxy(table);
        for host in [
            "127.0.0.2:15001",
            "itself.example:15001",
            "0.0.0.0:15001",
            "[::]:15001",
            "[::ffff:127.0.0.2]:15001",
            "127.0.0.2:15020",
        ] {
            assert_eq!(ask(&scene, 15001, host).await, refused(), "{host}");
        }
        assert_eq!(scene.requests().len(), 6, "none has come twice");
        let flags: Vec<String> = scene
            .requests()
            .iter()
            .map(|r| r.flags.to_string())
            .collect();
        assert_eq!(flags, ["UH"; 6]);
        // A pod may call itself: the inbound listener forwards to its app.
        assert_eq!(
            ask(&scene, 15001, "127.0.0.2:9080").await,
            (200, "app".into())
        );
    });
}

#[test]
fn an_endpoint_that_is_the_proxy_itself_is_refused_on_either_side() {
    play(|scene| async move {
        let table = outbound(
            RouteActionKind::Forward(to(REVIEWS)),
            vec![cluster(REVIEWS, &[at(POD, 15001)])],
        );
        // Inbound listeners that would forward to themselves or to the outbound listener.
        let app = cluster("inbound|9080||", &[at(POD, 9081)]);
        let table = with_inbound(table, 9080, to("inbound|9080||"), app);
        let app = cluster("inbound|9081||", &[at(POD, 15001)]);
        let table = with_inbound(table, 9081, to("inbound|9081||"), app);
        scene.proxy(table);
        for port in [15001, 9080, 9081] {
            assert_eq!(ask(&scene, port, "reviews:9080").await, refused(), "{port}");
        }
        assert_eq!(scene.requests().len(), 3, "none has come twice");
    });
}

/// Envoy does not detect such a loop either, unless its `cdn_loop` filter is configured, and Istio does not configure
/// it.
#[test]
fn a_loop_over_two_proxies_ends_at_the_request_limit_without_leaks() {
    const REQUESTS: u32 = 8;
    play(|scene| async move {
        let toward = |host| {
            let mut other = cluster(REVIEWS, &[at(host, 15001)]);
            let limits = Limits {
                requests: REQUESTS,
                ..Limits::UNLIMITED
            };
            other.limits = PriorityLimits::both(limits);
            outbound(RouteActionKind::Forward(to(REVIEWS)), vec![other])
        };
        let proxy = scene.open_proxy(toward(UP1));
        scene.proxy_at(UP1, toward(POD));
        let answer = scene.get("/").await;
        assert_eq!(answer.status, 503);
        assert!(answer.body.ends_with("reset reason: overflow"));
        let flags = |request: &RequestEvent| request.flags.to_string();
        let requests = scene.requests();
        assert_eq!(requests.len(), REQUESTS as usize + 1);
        assert_eq!(flags(&requests[0]), "UO", "the last turn ends first");
        assert!(requests[1..].iter().all(|request| flags(request) == "-"));
        scene.env(CALLER).sleep(ms(10)).await;
        let listeners = proxy.shared.listeners.list();
        let open: usize = listeners
            .iter()
            .map(|listener| listener.connections())
            .sum();
        assert!(open <= REQUESTS as usize + 1, "{open}");
        // The requests of the loop have been released.
        assert_eq!(scene.get("/").await.status, 503);
        assert_eq!(scene.requests().len(), 2 * (REQUESTS as usize + 1));
    });
}
