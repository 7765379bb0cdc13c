//! Tests concurrent attempts: the first good response wins, and the others are reset.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use shakedown_types::ResponseFlags;
use shakedown_wire::Body;
use shakedown_xds::table::{HedgePolicy, RetryOn, RouteAction, RouteActionKind};

use super::scene::*;

/// The round trip to establish a connection.
const CONNECT: Duration = Duration::from_millis(2);

/// Answers each attempt by its number: after this time, with this status, and the number as the body.
fn by_try(scene: &Scene, script: &'static [(u64, u16)]) -> Rc<Cell<u32>> {
    let env = scene.env(UP1);
    let had = Rc::new(Cell::new(0));
    let count = Rc::clone(&had);
    scene.serve(UP1, 9080, move |request| {
        count.set(count.get() + 1);
        let number = request.headers()["x-envoy-attempt-count"].to_str().unwrap();
        let number: usize = number.parse().unwrap();
        let (wait, status) = script[number - 1];
        let wait = env.sleep(ms(wait));
        async move {
            let _ = Body::from(request.into_body()).collect(4 << 20).await;
            wait.await;
            reply(status, ["", "1", "2", "3", "4"][number])
        }
    });
    had
}

fn via(scene: &Scene, change: impl FnOnce(&mut RouteAction)) {
    let mut action = to(REVIEWS);
    change(&mut action);
    let cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
    scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
}

/// Envoy's hedging on a timeout of 40 ms, without backoff before the second attempt.
fn on_timeout(action: &mut RouteAction, on: RetryOn, times: u32) {
    let mut policy = retry(on);
    policy.per_try_timeout = Some(ms(40));
    policy.times = times;
    policy.base_interval = ms(1);
    policy.max_interval = ms(1);
    action.retry = Some(policy.into());
    action.hedge.on_per_try_timeout = true;
}

fn after(millis: u64, times: u32) -> HedgePolicy {
    HedgePolicy {
        after: Some(ms(millis)),
        times,
        ..HedgePolicy::default()
    }
}

/// Number, hedge flag, status and flags of each attempt, in the order of their ends.
fn tries(scene: &Scene) -> Vec<(u32, bool, u16, ResponseFlags)> {
    let of = |attempt: &shakedown_types::AttemptEvent| {
        (attempt.number, attempt.hedge, attempt.status, attempt.flags)
    };
    scene.attempts().iter().map(of).collect()
}

#[test]
fn a_try_that_timed_out_goes_on_and_may_win() {
    play(|scene| async move {
        by_try(&scene, &[(100, 200), (60_000, 200)]);
        via(&scene, |action| {
            on_timeout(action, RetryOn::CONNECT_FAILURE, 1)
        });
        assert_eq!(scene.get("/").await.body, "1");
        // The second attempt also reached its timeout, and no third was allowed. Envoy reports this as URX.
        assert_eq!(outcome(&scene), (200, "URX".into(), 2));
        assert_eq!(
            tries(&scene),
            [
                (2, true, 0, ResponseFlags::LR),
                (1, false, 200, ResponseFlags::empty())
            ]
        );
    });
}

#[test]
fn the_second_try_wins_and_the_first_is_reset() {
    play(|scene| async move {
        by_try(&scene, &[(60_000, 200), (0, 200)]);
        via(&scene, |action| {
            on_timeout(action, RetryOn::CONNECT_FAILURE, 1)
        });
        assert_eq!(scene.get("/").await.body, "2");
        assert_eq!(
            tries(&scene),
            [
                (1, false, 0, ResponseFlags::LR),
                (2, true, 200, ResponseFlags::empty())
            ]
        );
        // 40 ms from the first attempt's connection, then the second's connect, request and response.
        assert_eq!(
            scene.took(),
            CONNECT + ms(40) + CONNECT + ms(2) + REQUEST_COST
        );
    });
}

#[test]
fn a_bad_answer_waits_for_the_other_try() {
    play(|scene| async move {
        by_try(&scene, &[(60, 503), (60, 200)]);
        via(&scene, |action| {
            on_timeout(action, RetryOn::SERVER_ERROR, 1)
        });
        assert_eq!(scene.get("/").await.body, "2");
        assert_eq!(
            tries(&scene),
            [
                (1, false, 503, ResponseFlags::empty()),
                (2, true, 200, ResponseFlags::empty())
            ]
        );
    });
}

#[test]
fn the_routes_timeout_ends_all_tries() {
    // Envoy 1.40: 504, URX,UT, response_timeout, three attempts.
    play(|scene| async move {
        by_try(&scene, &[(60_000, 200), (60_000, 200), (60_000, 200)]);
        via(&scene, |action| {
            on_timeout(action, RetryOn::SERVER_ERROR, 2);
            action.timeout = Some(ms(200));
        });
        assert_eq!(scene.get("/").await.status, 504);
        assert_eq!(outcome(&scene), (504, "URX,UT".into(), 3));
        assert_eq!(scene.requests()[0].details, "response_timeout");
        assert_eq!(scene.took(), ms(200) + REQUEST_COST);
    });
}

#[test]
fn another_try_begins_after_the_delay_and_wins() {
    play(|scene| async move {
        let had = by_try(&scene, &[(60_000, 200), (0, 200)]);
        via(&scene, |action| action.hedge = after(50, 1));
        assert_eq!(scene.get("/").await.body, "2");
        assert_eq!(outcome(&scene), (200, "-".into(), 2));
        assert_eq!(scene.took(), ms(50) + CONNECT + ms(2) + REQUEST_COST);
        assert_eq!(had.get(), 2);
    });
}

#[test]
fn no_other_try_begins_when_the_answer_comes_in_time() {
    play(|scene| async move {
        let had = by_try(&scene, &[(40, 200)]);
        via(&scene, |action| action.hedge = after(50, 3));
        assert_eq!(scene.get("/").await.body, "1");
        assert_eq!(had.get(), 1);
    });
}

#[test]
fn hedges_end_after_their_number_and_any_may_win() {
    play(|scene| async move {
        let had = by_try(&scene, &[(500, 200), (60_000, 200), (60_000, 200)]);
        via(&scene, |action| action.hedge = after(50, 2));
        assert_eq!(scene.get("/").await.body, "1");
        assert_eq!(had.get(), 3);
        let hedges: Vec<_> = tries(&scene).iter().map(|(.., flags)| *flags).collect();
        assert_eq!(
            hedges,
            [ResponseFlags::LR, ResponseFlags::LR, ResponseFlags::empty()]
        );
    });
}

#[test]
fn without_a_retry_policy_a_failed_try_waits_for_the_hedge() {
    play(|scene| async move {
        by_try(&scene, &[(70, 500), (70, 200)]);
        via(&scene, |action| action.hedge = after(50, 1));
        assert_eq!(scene.get("/").await.body, "2");
    });
}

#[test]
fn a_spent_budget_allows_one_hedge_a_second() {
    play(|scene| async move {
        let had = by_try(&scene, &[(100, 200), (100, 200)]);
        via(&scene, |action| {
            action.hedge = HedgePolicy {
                budget_ppm: Some(0),
                ..after(50, 1)
            };
        });
        for _ in 0..5 {
            scene.get("/").await;
        }
        assert_eq!(had.get(), 6, "five in half a second, and one hedge");
    });
}

#[test]
fn a_request_whose_body_streams_through_is_not_hedged() {
    play(|scene| async move {
        let had = by_try(&scene, &[(100, 200), (100, 200)]);
        via(&scene, |action| action.hedge = after(50, 1));
        let body = Body::full(vec![7u8; (1 << 20) + 1]);
        let request = http::Request::post("/")
            .header("host", "reviews")
            .body(body);
        assert_eq!(scene.send(request.unwrap()).await.body, "1");
        assert_eq!(had.get(), 1);
    });
}
