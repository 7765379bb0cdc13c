//! Tests that a request releases its position in adaptive concurrency and in the app's queue, regardless of
//! cancellation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use shakedown_xds::table::{
    AdaptiveConcurrency, Filter, PathMatcher, Route, RouteActionKind, RouteMatcher, Shed, Table,
};

use super::scene::*;

/// Allows a single concurrent request at the app, with a queue of this length.
fn queue(queue_max: u32) -> Filter {
    Filter::Shed(Arc::new(Shed {
        concurrency: 1,
        queue_max,
        target: ms(50),
        interval: ms(1000),
    }))
}

/// Allows a single concurrent request, constantly for the whole test.
fn adaptive() -> Filter {
    Filter::AdaptiveConcurrency(Arc::new(AdaptiveConcurrency {
        limit_min: 1,
        limit_max: 1,
        min_rtt_requests: 1_000_000,
        ..AdaptiveConcurrency::default()
    }))
}

fn behind(filter: Filter) -> Table {
    let matcher = RouteMatcher {
        path: PathMatcher::Any,
        headers: Vec::new(),
        query: Vec::new(),
    };
    let route = Route::new("", matcher, RouteActionKind::Forward(to(REVIEWS)));
    let clusters = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
    routed(route, vec![filter], clusters)
}

/// Answers after 20 ms.
fn slow(scene: &Scene) {
    scene.answer_after(ms(20), UP1, 9080, 200, "");
}

async fn at_once(scene: &Scene, number: usize) -> Vec<(u16, String)> {
    let all = join_all((0..number).map(|_| scene.get("/"))).await;
    let mut answers: Vec<_> = all
        .into_iter()
        .map(|answer| (answer.status, answer.body))
        .collect();
    answers.sort();
    answers
}

#[test]
fn a_concurrency_of_one_serves_serially_and_rejects_on_a_full_queue() {
    play(|scene| async move {
        slow(&scene);
        scene.proxy(behind(queue(1)));
        let good = || (200, String::new());
        for _ in 0..3 {
            let refused = (503, "shed by queue time".to_owned());
            assert_eq!(at_once(&scene, 3).await, [good(), good(), refused]);
        }
        let details = &scene.requests()[0].details;
        assert_eq!(details, "shed_by_queue_time");
        assert_eq!(scene.requests()[0].flags.to_string(), "OM");
    });
}

#[test]
fn one_too_many_for_adaptive_concurrency_is_told_so() {
    play(|scene| async move {
        slow(&scene);
        scene.proxy(behind(adaptive()));
        for _ in 0..3 {
            let refused = (503, "reached concurrency limit".to_owned());
            assert_eq!(at_once(&scene, 2).await, [(200, String::new()), refused]);
        }
        assert_eq!(scene.requests()[0].details, "reached_concurrency_limit");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_place_is_given_back_whoever_goes_when(
        callers in prop::collection::vec((0..100_000u64, 0..60_000u64), 1..12),
        queue_max in prop::option::of(0..4u32),
    ) {
        play(move |scene| async move {
            slow(&scene);
            scene.proxy(behind(queue_max.map_or_else(adaptive, queue)));
            let env = scene.env(CALLER);
            for (at_us, patience_us) in callers {
                let own = scene.clone();
                env.spawn("caller", async move {
                    let env = own.env(CALLER);
                    env.sleep(Duration::from_micros(at_us)).await;
                    let patience = Duration::from_micros(patience_us);
                    let _ = env.timeout(patience, own.get("/")).await;
                });
            }
            env.sleep(ms(2_000)).await;
            // The limit is one, so no request would succeed if its position were lost.
            for _ in 0..2 {
                assert_eq!(scene.get("/").await.status, 200);
            }
        });
    }
}
