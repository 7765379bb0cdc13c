//! Tests outlier detection through the whole proxy: ejected hosts, the balancer's view of them, and results that do not
//! count.

use std::sync::Arc;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_types::{Detector, MeshEvent, ResponseFlags};
use shakedown_xds::table::{
    Cluster, ClusterKind, Limits, OutlierDetection, RetryOn, RouteActionKind,
};

use super::scene::*;

const SEC: u64 = 1000;

/// Two hosts of which one may be ejected for 3 s, with an interval of one second.
fn detected(change: impl FnOnce(&mut OutlierDetection)) -> Cluster {
    let mut settings = OutlierDetection {
        consecutive_5xx: 3,
        interval: ms(SEC),
        base_ejection_time: ms(3 * SEC),
        max_ejection_percent: 50,
        ..OutlierDetection::default()
    };
    change(&mut settings);
    let mut reviews = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
    reviews.outlier = Some(settings.into());
    reviews.lb_options.panic_percent = 0;
    reviews
}

fn routed(cluster: Cluster) -> shakedown_xds::table::Table {
    outbound(RouteActionKind::Forward(to(REVIEWS)), vec![cluster])
}

/// The ejections and returns with their times.
fn changes(scene: &Scene) -> Vec<(Time, Option<Detector>)> {
    let change = |(at, event): (Time, MeshEvent)| match event {
        MeshEvent::Ejected { host, by, .. } => {
            assert_eq!(host.ip().to_string(), UP1);
            Some((at, Some(by)))
        }
        MeshEvent::Returned { .. } => Some((at, None)),
        _ => None,
    };
    scene
        .timed_events()
        .into_iter()
        .filter_map(change)
        .collect()
}

/// The times of requests to the failing host.
fn attempt_times(scene: &Scene) -> Vec<Time> {
    let attempts = scene.attempts();
    let bad = attempts
        .iter()
        .filter(|attempt| attempt.upstream == at(UP1, 9080));
    bad.map(|attempt| attempt.started).collect()
}

/// Sends a request every 10 ms for the given time.
async fn ask_for(scene: &Scene, span: Duration) {
    let env = scene.env(CALLER);
    let end = env.now() + span;
    while env.now() < end {
        scene.get("/").await;
        env.sleep(ms(10)).await;
    }
}

#[test]
fn ejection_is_immediate_and_ends_on_the_first_tick_after_its_time() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        scene.answer(UP2, 9080, 200, "");
        scene.proxy(routed(detected(|_| {})));
        ask_for(&scene, ms(3 * SEC)).await;
        let changes = changes(&scene);
        let times = attempt_times(&scene);
        assert_eq!(
            times.len(),
            3,
            "none after the third, though the merge window is 1 s"
        );
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].1, Some(Detector::Consecutive5xx));
        ask_for(&scene, ms(SEC)).await;
        let back = super::outliers::changes(&scene)[1];
        // Intervals are counted from the time at which the configuration is applied, which is the start of the proxy.
        assert_eq!(back, (Time::from_nanos(4 * 1_000_000_000), None));
    });
}

#[test]
fn a_change_within_the_merge_window_is_seen_a_window_after_it() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        scene.answer(UP2, 9080, 200, "");
        scene.proxy(routed(detected(|_| {})));
        ask_for(&scene, ms(6 * SEC)).await;
        let changes = changes(&scene);
        assert_eq!(changes.len(), 3, "{changes:?}");
        let (returned, again) = (changes[1].0, changes[2].0);
        assert!(
            again.since(returned) < ms(200),
            "three failures take that long"
        );
        let last = *attempt_times(&scene).last().unwrap();
        let seen = again + ms(SEC);
        assert!(last < seen && seen.since(last) < ms(50), "{last} {seen}");
    });
}

#[test]
fn all_but_the_first_host_returned_by_one_tick_wait_one_window() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        scene.answer(UP2, 9080, 503, "");
        scene.proxy(routed(detected(|settings| {
            settings.max_ejection_percent = 100;
        })));
        ask_for(&scene, ms(6 * SEC)).await;
        let events = scene.timed_events();
        let returned: Vec<Time> = events
            .iter()
            .filter(|(_, event)| matches!(event, MeshEvent::Returned { .. }))
            .map(|(at, _)| *at)
            .collect();
        assert_eq!(returned[0], returned[1], "on one tick");
        let attempts = scene.attempts();
        let first = |upstream| {
            let times = attempts
                .iter()
                .filter(|attempt| attempt.upstream == at(upstream, 9080));
            let mut times = times.map(|attempt| attempt.started);
            times
                .find(|started| *started >= returned[0])
                .unwrap()
                .since(returned[0])
        };
        let mut waits = [first(UP1), first(UP2)];
        waits.sort_unstable();
        assert!(waits[0] < ms(50), "{waits:?}");
        assert!((ms(SEC)..ms(SEC + 50)).contains(&waits[1]), "{waits:?}");
    });
}

#[test]
fn without_a_window_every_change_is_seen_at_once() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        scene.answer(UP2, 9080, 200, "");
        let mut cluster = detected(|_| {});
        cluster.update_merge_window = Duration::ZERO;
        scene.proxy(routed(cluster));
        ask_for(&scene, ms(6 * SEC)).await;
        assert_eq!(attempt_times(&scene).len(), 6, "three each time");
    });
}

#[test]
fn with_all_hosts_out_there_is_no_healthy_upstream() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        let mut cluster = detected(|settings| settings.max_ejection_percent = 100);
        cluster.kind = super::scene::cluster(REVIEWS, &[at(UP1, 9080)]).kind;
        scene.proxy(routed(cluster));
        for _ in 0..3 {
            assert_eq!(scene.get("/").await.body, "");
        }
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (503, "no healthy upstream"));
        let last = scene.requests().pop().unwrap();
        assert_eq!(last.flags.to_string(), "UH");
        assert_eq!(last.details, "no_healthy_upstream");
    });
}

#[test]
fn envoys_panic_threshold_sends_to_hosts_that_are_out() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        let mut cluster = detected(|settings| settings.max_ejection_percent = 100);
        cluster.kind = super::scene::cluster(REVIEWS, &[at(UP1, 9080)]).kind;
        cluster.lb_options.panic_percent = 50;
        scene.proxy(routed(cluster));
        for _ in 0..5 {
            assert_eq!(scene.get("/").await.body, "");
        }
    });
}

#[test]
fn refused_connections_count_as_503_or_by_themselves_where_split() {
    for (split, by) in [
        (false, Detector::Consecutive5xx),
        (true, Detector::ConsecutiveLocalOriginFailure),
    ] {
        play(move |scene| async move {
            scene.answer(UP2, 9080, 200, "");
            scene.proxy(routed(detected(move |settings| {
                settings.split_local_origin = split;
                settings.consecutive_local_origin_failure = 4;
                settings.consecutive_5xx = 4;
            })));
            ask_for(&scene, ms(500)).await;
            assert_eq!(attempt_times(&scene).len(), 4);
            assert_eq!(changes(&scene)[0].1, Some(by));
        });
    }
}

#[test]
fn a_try_that_times_out_counts_as_504() {
    play(|scene| async move {
        scene.answer_after(ms(60 * SEC), UP1, 9080, 200, "");
        scene.answer(UP2, 9080, 200, "");
        let mut action = to(REVIEWS);
        let mut policy = retry(RetryOn::CONNECT_FAILURE);
        policy.per_try_timeout = Some(ms(20));
        action.retry = Some(policy.into());
        let cluster = detected(|settings| {
            settings.enforcing.consecutive_5xx = 0;
            settings.enforcing.consecutive_gateway_failure = 100;
            settings.consecutive_gateway_failure = 2;
        });
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        ask_for(&scene, ms(300)).await;
        assert_eq!(attempt_times(&scene).len(), 2);
        assert_eq!(
            changes(&scene)[0].1,
            Some(Detector::ConsecutiveGatewayFailure)
        );
    });
}

#[test]
fn an_overflow_does_not_count() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "");
        scene.answer(UP2, 9080, 200, "");
        let mut cluster = detected(|settings| settings.max_ejection_percent = 100);
        cluster.limits.default.requests = 0;
        scene.proxy(routed(cluster));
        for _ in 0..10 {
            assert_eq!(scene.get("/").await.status, 503);
        }
        assert!(
            scene
                .requests()
                .iter()
                .all(|request| request.flags.to_string() == "UO")
        );
        assert_eq!(changes(&scene), []);
    });
}

#[test]
fn no_limit_that_is_met_counts_against_a_host() {
    // Each limit refuses 50 times the number of requests that would eject the host. The held requests are not failures.
    let limits: [fn(&mut Limits); 3] = [
        |limits| limits.requests = 1,
        |limits| limits.pending = 0,
        |limits| (limits.connections, limits.pending) = (1, 1),
    ];
    for (split, limit) in [(false, 0), (true, 0), (false, 1), (false, 2), (true, 2)] {
        play(move |scene| async move {
            scene.answer_after(ms(30 * SEC), UP1, 9080, 200, "");
            let mut cluster = detected(|settings| {
                settings.max_ejection_percent = 100;
                settings.split_local_origin = split;
                settings.consecutive_local_origin_failure = 3;
            });
            cluster.kind = super::scene::cluster(REVIEWS, &[at(UP1, 9080)]).kind;
            limits[limit](&mut cluster.limits.default);
            scene.proxy(routed(cluster));
            let env = scene.env(CALLER);
            // The first request has the connection, the second waits for it.
            let mut held = Vec::new();
            for _ in 0..2 {
                let own = scene.clone();
                held.push(env.spawn_owned("held", async move {
                    own.get("/").await;
                }));
                env.sleep(ms(20)).await;
            }
            for _ in 0..50 {
                assert_eq!(scene.get("/").await.status, 503);
            }
            let requests = scene.requests();
            assert!(
                requests
                    .iter()
                    .all(|request| request.flags == ResponseFlags::UO)
            );
            assert_eq!(changes(&scene), []);
            drop(held);
        });
    }
}

#[test]
fn the_cap_is_one_for_the_hosts_of_all_priorities() {
    // Half of one host per priority would round down to 0, and half of both hosts is one. The second host is never
    // ejected.
    for (percent, out) in [(49, 0), (50, 1), (100, 2)] {
        play(move |scene| async move {
            scene.answer(UP1, 9080, 503, "");
            scene.answer(UP2, 9080, 503, "");
            let mut cluster = detected(|settings| settings.max_ejection_percent = percent);
            if let ClusterKind::Static(assignment) = &mut cluster.kind {
                Arc::get_mut(assignment).unwrap().hosts[1].priority = 1;
            }
            scene.proxy(routed(cluster));
            ask_for(&scene, ms(2500)).await;
            let events = scene.events();
            let ejected = events
                .iter()
                .filter(|event| matches!(event, MeshEvent::Ejected { .. }));
            assert_eq!(ejected.count(), out, "{percent}%");
        });
    }
}

#[test]
fn a_cluster_without_detection_has_no_task_and_ejects_nobody() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 503, "");
        scene.answer(UP2, 9080, 200, "");
        let mut cluster = detected(|_| {});
        cluster.outlier = None;
        scene.proxy(routed(cluster));
        ask_for(&scene, ms(SEC)).await;
        assert_eq!(changes(&scene), []);
        assert!(attempt_times(&scene).len() > 20);
    });
}
