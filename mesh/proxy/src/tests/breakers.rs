//! Tests circuit breakers through the whole proxy: Envoy's behaviour with 3 or 4 slow requests in parallel.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use shakedown_types::{BreakerLimit, MeshEvent};
use shakedown_wire::Body;
use shakedown_xds::table::{Cluster, Priority, RetryBudget, RetryOn, RouteActionKind};

use super::scene::*;

const OVERFLOW: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: overflow";

/// Answers after 100 ms. Returns the number of requests received.
fn slow(scene: &Scene, host: &str, status: u16) -> Rc<Cell<u32>> {
    let env = scene.env(host);
    let had = Rc::new(Cell::new(0));
    let count = Rc::clone(&had);
    scene.serve(host, 9080, move |_| {
        count.set(count.get() + 1);
        let wait = env.sleep(ms(100));
        async move {
            wait.await;
            reply(status, "")
        }
    });
    had
}

/// Sends requests at once, and returns the status and time of each response in order of arrival.
async fn timed(scene: &Scene, number: usize) -> Vec<(u16, Duration)> {
    let env = scene.env(CALLER);
    let begun = env.now();
    let one = || async {
        let answer = scene.get("/").await;
        if answer.status == 503 && answer.body == OVERFLOW {
            assert_eq!(answer.header("x-envoy-overloaded"), Some("true"));
            assert_eq!(answer.header("content-type"), Some("text/plain"));
        }
        (answer.status, env.now().since(begun))
    };
    let mut answers = join_all((0..number).map(|_| one())).await;
    answers.sort_by_key(|(_, after)| *after);
    answers
}

/// Sends requests at once, and returns their statuses, sorted.
async fn at_once(scene: &Scene, number: usize) -> Vec<u16> {
    let answers = timed(scene, number).await;
    let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    statuses
}

/// The response time of the n-th request if the proxy answers after `span`: connect, request and answer are in transit
/// for 4 ms, and the pod processes requests one after another.
fn after(n: u32, span: Duration) -> Duration {
    ms(4) + REQUEST_COST * n + span
}

/// The round trip to the upstream plus its work.
const WORK: Duration = Duration::from_millis(102);
/// A round trip.
const CONNECT: Duration = Duration::from_millis(2);

fn limited(hosts: &[&str], change: impl FnOnce(&mut Cluster)) -> Cluster {
    let addresses: Vec<_> = hosts.iter().map(|host| at(host, 9080)).collect();
    let mut cluster = cluster(REVIEWS, &addresses);
    change(&mut cluster);
    cluster
}

fn routed(cluster: Cluster) -> shakedown_xds::table::Table {
    outbound(RouteActionKind::Forward(to(REVIEWS)), vec![cluster])
}

fn flags(scene: &Scene) -> Vec<String> {
    let mut flags: Vec<_> = scene
        .requests()
        .iter()
        .map(|request| request.flags.to_string())
        .collect();
    flags.sort();
    flags
}

#[test]
fn one_connection_and_one_pending_allow_one_active_one_queued_one_overflow() {
    play(|scene| async move {
        slow(&scene, UP1, 200);
        scene.proxy(routed(limited(&[UP1], |cluster| {
            cluster.limits.default.connections = 1;
            cluster.limits.default.pending = 1;
        })));
        // Opens a connection, so that the first of the three requests does not wait for one.
        at_once(&scene, 1).await;
        assert_eq!(
            timed(&scene, 3).await,
            [
                (503, after(3, ms(0))),
                (200, after(1, WORK)),
                (200, after(1, WORK * 2)),
            ]
        );
        assert_eq!(flags(&scene), ["-", "-", "-", "UO"]);
    });
}

#[test]
fn one_request_allows_no_queue() {
    play(|scene| async move {
        slow(&scene, UP1, 200);
        scene.proxy(routed(limited(&[UP1], |cluster| {
            cluster.limits.default.requests = 1;
            cluster.limits.default.pending = 100;
        })));
        at_once(&scene, 1).await;
        // Excess requests are refused when the first has its connection, long before it has a response.
        assert_eq!(
            timed(&scene, 4).await,
            [
                (503, after(2, CONNECT)),
                (503, after(2, CONNECT)),
                (503, after(2, CONNECT)),
                (200, after(1, WORK)),
            ]
        );
    });
}

#[test]
fn every_host_gets_one_connection_whatever_the_limit() {
    play(|scene| async move {
        let (one, two) = (slow(&scene, UP1, 200), slow(&scene, UP2, 200));
        scene.proxy(routed(limited(&[UP1, UP2], |cluster| {
            cluster.limits.default.connections = 1;
        })));
        assert_eq!(
            timed(&scene, 2).await,
            [
                (200, after(1, CONNECT + WORK)),
                (200, after(2, CONNECT + WORK)),
            ]
        );
        assert_eq!((one.get(), two.get()), (1, 1));
    });
}

#[test]
fn limits_are_each_proxys_own() {
    play(|scene| async move {
        let had = slow(&scene, UP1, 200);
        let one = || {
            let cluster = limited(&[UP1], |cluster| cluster.limits.default.requests = 1);
            routed(cluster)
        };
        scene.proxy_at(POD, one());
        scene.proxy_at(CONTROL, one());
        let get = |host: &'static str| {
            let request = http::Request::get("/").header("host", "reviews:9080");
            let pool = scene.caller_of(at(host, 15001));
            async move {
                let sent = pool.send(request.body(Body::empty()).unwrap());
                Answer::from_response(sent.await.unwrap()).await.status
            }
        };
        let all = join_all([get(POD), get(CONTROL), get(POD), get(CONTROL)]).await;
        assert_eq!(all, [200, 200, 503, 503]);
        assert_eq!(had.get(), 2);
    });
}

#[test]
fn an_overflow_is_never_retried() {
    play(|scene| async move {
        let had = slow(&scene, UP1, 200);
        let mut action = to(REVIEWS);
        action.retry = Some(retry(RetryOn::SERVER_ERROR.with(RetryOn::RESET)).into());
        let cluster = limited(&[UP1], |cluster| cluster.limits.default.requests = 0);
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (503, OVERFLOW));
        assert_eq!(outcome(&scene), (503, "UO".into(), 1));
        assert_eq!(
            scene.requests()[0].details,
            "upstream_reset_before_response_started{overflow}"
        );
        assert_eq!(had.get(), 0);
    });
}

#[test]
fn requests_of_high_priority_have_limits_of_their_own() {
    play(|scene| async move {
        slow(&scene, UP1, 200);
        let mut action = to(REVIEWS);
        action.priority = Priority::High;
        let cluster = limited(&[UP1], |cluster| {
            cluster.limits.default.requests = 0;
            cluster.limits.high.requests = 2;
        });
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        assert_eq!(at_once(&scene, 3).await, [200, 200, 503]);
    });
}

#[test]
fn a_retry_without_room_leaves_the_apps_own_answer_with_uo() {
    // Envoy 1.40 with `max_retries: 0`: 503 UO via_upstream, one attempt.
    play(|scene| async move {
        let had = slow(&scene, UP1, 503);
        let mut action = to(REVIEWS);
        action.retry = Some(retry(RetryOn::SERVER_ERROR).into());
        let cluster = limited(&[UP1], |cluster| cluster.limits.default.retries = 0);
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        assert_eq!(scene.get("/").await.body, "");
        assert_eq!(outcome(&scene), (503, "UO".into(), 1));
        assert_eq!(scene.requests()[0].details, "via_upstream");
        assert_eq!(had.get(), 1);
    });
}

#[test]
fn retries_in_hand_are_counted_from_their_verdict_to_the_next() {
    play(|scene| async move {
        let had = slow(&scene, UP1, 503);
        let mut action = to(REVIEWS);
        let mut policy = retry(RetryOn::SERVER_ERROR);
        policy.times = 1;
        action.retry = Some(policy.into());
        let cluster = limited(&[UP1], |cluster| cluster.limits.default.retries = 2);
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        at_once(&scene, 5).await;
        assert_eq!(had.get(), 7, "five, and two of them again");
        assert_eq!(flags(&scene), ["UO", "UO", "UO", "URX", "URX"]);
        at_once(&scene, 1).await;
        assert_eq!(had.get(), 9, "the two were given back");
    });
}

#[test]
fn a_budget_allows_its_minimum_and_overrides_the_limit() {
    play(|scene| async move {
        let had = slow(&scene, UP1, 503);
        let mut action = to(REVIEWS);
        let mut policy = retry(RetryOn::SERVER_ERROR);
        policy.times = 1;
        action.retry = Some(policy.into());
        let cluster = limited(&[UP1], |cluster| {
            cluster.limits.default.retries = 0;
            cluster.limits.default.retry_budget = Some(RetryBudget::ENVOY);
        });
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        at_once(&scene, 10).await;
        assert_eq!(
            had.get(),
            13,
            "ten, and three again: a fifth of ten is less than 3"
        );
    });
}

#[test]
fn a_breaker_tells_when_it_opens_and_when_it_closes() {
    play(|scene| async move {
        slow(&scene, UP1, 200);
        scene.proxy(routed(limited(&[UP1], |cluster| {
            cluster.limits.default.requests = 2;
        })));
        at_once(&scene, 3).await;
        let reports: Vec<_> = scene
            .events()
            .into_iter()
            .filter_map(|event| match event {
                MeshEvent::Breaker {
                    cluster,
                    limit,
                    open,
                } => Some((cluster.to_string(), limit, open)),
                _ => None,
            })
            .collect();
        let both = [true, false].map(|open| (REVIEWS.to_owned(), BreakerLimit::Requests, open));
        assert_eq!(reports, both);
    });
}

#[test]
fn callers_that_go_leave_nothing_in_hand() {
    play(|scene| async move {
        slow(&scene, UP1, 200);
        scene.proxy(routed(limited(&[UP1], |cluster| {
            cluster.limits.default.requests = 3;
            cluster.limits.default.connections = 1;
            cluster.limits.default.pending = 2;
        })));
        let env = scene.env(CALLER);
        for wait in [0, 1, 3, 5, 40, 99, 101, 103] {
            let three = join_all((0..3).map(|_| scene.get("/")));
            // The requests are dropped in any state: connecting, waiting, or in progress.
            let _ = env.timeout(ms(wait), three).await;
            env.sleep(ms(10)).await;
        }
        env.sleep(ms(500)).await;
        // Opens a connection, because all requests are pending while the first connection is established.
        at_once(&scene, 1).await;
        assert_eq!(at_once(&scene, 3).await, [200, 200, 200]);
    });
}

/// Runs requests that are cancelled after the given times, three at a time, under limits. Returns the upstream's
/// maximum concurrency and the last report of each limit.
fn play_limits(
    waits: Vec<u64>,
    requests: u32,
    connections: u32,
) -> (u32, Vec<(BreakerLimit, bool)>) {
    play(move |scene| async move {
        let env = scene.env(UP1);
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let seen = Rc::clone(&most);
        scene.serve(UP1, 9080, move |_| {
            let (now, most, wait) = (Rc::clone(&now), Rc::clone(&most), env.sleep(ms(20)));
            async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                let _count = Count(now);
                wait.await;
                reply(503, "")
            }
        });
        let mut action = to(REVIEWS);
        action.retry = Some(retry(RetryOn::SERVER_ERROR).into());
        let cluster = limited(&[UP1], |cluster| {
            cluster.limits.default.requests = requests;
            cluster.limits.default.connections = connections;
            cluster.limits.default.pending = 2;
            cluster.limits.default.retries = 1;
        });
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        let env = scene.env(CALLER);
        for wait in waits {
            let three = join_all((0..3).map(|_| scene.get("/")));
            let _ = env.timeout(ms(wait), three).await;
        }
        env.sleep(ms(2000)).await;
        let mut last: Vec<(BreakerLimit, bool)> = Vec::new();
        for event in scene.events() {
            if let MeshEvent::Breaker { limit, open, .. } = event {
                last.retain(|(known, _)| *known != limit);
                last.push((limit, open));
            }
        }
        (seen.get(), last)
    })
}

/// Decrements the count when dropped.
struct Count(Rc<Cell<u32>>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cancelling_at_any_time_exceeds_no_breaker_limit_and_leaks_no_resource(
        waits in prop::collection::vec(0..80u64, 1..12),
        requests in 1..4u32,
        connections in 1..4u32,
    ) {
        let (most, last) = play_limits(waits, requests, connections);
        // The reset of a cancelled request is in transit for 1 ms, so it may still be processed while the next one
        // begins.
        prop_assert!(most <= requests + 3, "{} at once", most);
        for (limit, open) in last {
            // Connections remain open while idle.
            prop_assert!(!open || limit == BreakerLimit::Connections, "{:?} is still open", limit);
        }
    }
}
