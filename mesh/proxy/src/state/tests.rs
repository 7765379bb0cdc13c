//! Tests of the state across table swaps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::Env;
use shakedown_wire::QuotaBound;
use shakedown_xds::table::{
    Cluster, ClusterKind, LbPolicy, OutlierDetection, Priority, RoundRobin, SlowStart, Table,
};

use super::*;
use crate::Secrets;
use crate::outlier::AttemptOutcome;
use crate::tests::scene::{POD, REVIEWS, UP1, UP2, at, bootstrap, cluster, ms, play};

fn state(env: Env) -> ProxyState {
    let (from, labeler) = (POD.parse().unwrap(), EdgeLabeler::new(&bootstrap()));
    ProxyState::new(env.clone(), from, labeler, Secrets::new(env))
}

fn table(cluster: Cluster) -> Table {
    let mut table = Table::default();
    table.clusters.put(Arc::new(cluster));
    table
}

/// Runs a check on a host of the simulator.
fn on_a_pod(check: impl FnOnce(ProxyState) + 'static) {
    play(|scene| async move { check(state(scene.env(POD))) });
}

#[test]
fn a_host_that_stays_keeps_its_active_requests() {
    on_a_pod(|state| {
        state.swap(table(cluster(REVIEWS, &[at(UP1, 1)])));
        let upstream = state.upstream(REVIEWS).unwrap();
        let busy = ActiveRequest::new(upstream.pick(&PickContext::default()).unwrap());
        state.swap(table(cluster(REVIEWS, &[at(UP2, 1), at(UP1, 1)])));
        let again = state.upstream(REVIEWS).unwrap();
        assert!(Rc::ptr_eq(&upstream, &again), "the cluster is the same");
        let active: Vec<_> = again
            .hosts()
            .iter()
            .map(|h| (h.address(), h.active()))
            .collect();
        assert_eq!(active, [(at(UP2, 1), 0), (at(UP1, 1), 1)]);
        drop(busy);
        assert_eq!(again.hosts()[1].active(), 0);
    });
}

#[test]
fn the_round_goes_on_where_it_was() {
    on_a_pod(|state| {
        let hosts = [at(UP1, 1), at(UP1, 2), at(UP1, 3)];
        state.swap(table(cluster(REVIEWS, &hosts)));
        let pick = || {
            state
                .upstream(REVIEWS)
                .unwrap()
                .pick(&PickContext::default())
                .unwrap()
                .address()
        };
        let first = pick();
        state.swap(table(cluster(REVIEWS, &hosts)));
        let second = pick();
        let position = |address| hosts.iter().position(|host| *host == address).unwrap();
        assert_eq!(position(second), (position(first) + 1) % 3);
    });
}

#[test]
fn other_connection_settings_make_other_pools_and_keep_the_counts() {
    on_a_pod(|state| {
        state.swap(table(cluster(REVIEWS, &[at(UP1, 1)])));
        let upstream = state.upstream(REVIEWS).unwrap();
        let host = upstream.pick(&PickContext::default()).unwrap();
        let _busy = ActiveRequest::new(Rc::clone(&host));
        let mut changed = cluster(REVIEWS, &[at(UP1, 1)]);
        changed.connect_timeout = ms(5);
        state.swap(table(changed));
        assert!(Rc::ptr_eq(&host, &upstream.hosts()[0]));
        assert_eq!(host.active(), 1);
        assert_eq!(upstream.cluster().connect_timeout, ms(5));
    });
}

#[test]
fn a_cluster_that_goes_is_not_found() {
    on_a_pod(|state| {
        state.swap(table(cluster(REVIEWS, &[at(UP1, 1)])));
        state.swap(Table::default());
        assert!(state.upstream(REVIEWS).is_none());
    });
}

#[test]
fn an_unhealthy_host_takes_no_traffic() {
    on_a_pod(|state| {
        let mut cluster = cluster(REVIEWS, &[at(UP1, 1)]);
        cluster.lb_options.panic_percent = 0;
        if let ClusterKind::Static(assignment) = &mut cluster.kind {
            Arc::get_mut(assignment).unwrap().hosts[0].healthy = false;
        }
        state.swap(table(cluster));
        assert!(
            state
                .upstream(REVIEWS)
                .unwrap()
                .pick(&PickContext::default())
                .is_none()
        );
    });
}

#[test]
fn hosts_outside_the_mesh_are_remembered_by_address() {
    on_a_pod(|state| {
        let mut outside = cluster("PassthroughCluster", &[]);
        outside.kind = ClusterKind::OriginalDst;
        state.swap(table(outside));
        let upstream = state.upstream("PassthroughCluster").unwrap();
        let host = upstream.outside(at(UP1, 80));
        assert!(Rc::ptr_eq(&host, &upstream.outside(at(UP1, 80))));
        assert!(!Rc::ptr_eq(&host, &upstream.outside(at(UP2, 80))));
    });
}

/// A cluster whose outlier detection runs each second.
fn detecting(hosts: &[SocketAddr]) -> Cluster {
    let mut cluster = cluster(REVIEWS, hosts);
    cluster.update_merge_window = Duration::ZERO;
    cluster.outlier = Some(
        OutlierDetection {
            consecutive_5xx: 1,
            interval: ms(1000),
            base_ejection_time: ms(100),
            max_ejection_percent: 100,
            ..OutlierDetection::default()
        }
        .into(),
    );
    cluster
}

#[test]
fn no_state_is_created_before_a_cluster_is_asked_for() {
    on_a_pod(|state| {
        state.swap(table(detecting(&[at(UP1, 1)])));
        state.swap(table(detecting(&[at(UP1, 1), at(UP2, 1)])));
        assert!(state.upstream_in_use(REVIEWS).is_none());
        assert_eq!(state.upstream(REVIEWS).unwrap().hosts().len(), 2);
        assert!(state.upstream_in_use(REVIEWS).is_some());
    });
}

#[test]
fn an_interval_counts_from_the_configuration_and_not_from_the_first_request() {
    play(|scene| async move {
        let env = scene.env(POD);
        let state = state(env.clone());
        state.swap(table(detecting(&[at(UP1, 1)])));
        env.sleep(ms(1700)).await;
        let upstream = state.upstream(REVIEWS).unwrap();
        let host = upstream.pick(&PickContext::default()).unwrap();
        upstream.observe(host.health(), AttemptOutcome::Status(503));
        assert!(!host.is_healthy());
        // The ejection ends at 1.8 s, and the interval that started with the configuration at 2 s.
        env.sleep(ms(250)).await;
        assert!(!host.is_healthy());
        env.sleep(ms(100)).await;
        assert!(host.is_healthy());
    });
}

#[test]
fn slow_start_counts_from_the_configuration_that_brought_the_host() {
    play(|scene| async move {
        let env = scene.env(POD);
        let state = state(env.clone());
        let slow = |hosts: &[SocketAddr]| {
            let mut slow = cluster(REVIEWS, hosts);
            slow.lb = LbPolicy::RoundRobin(RoundRobin {
                slow_start: Some(SlowStart {
                    window: ms(10_000),
                    aggression: 1.0,
                    min_weight: 0.1,
                }),
            });
            table(slow)
        };
        state.swap(slow(&[at(UP1, 1)]));
        env.sleep(ms(60_000)).await;
        state.swap(slow(&[at(UP1, 1), at(UP2, 1)]));
        env.sleep(ms(1_000)).await;
        let upstream = state.upstream(REVIEWS).unwrap();
        let pick = || upstream.pick(&PickContext::default()).unwrap().address();
        let new = (0..110).filter(|_| pick() == at(UP2, 1)).count();
        // A tenth of the slow start window has passed: 1 in 11.
        assert!((5..=15).contains(&new), "{new}");
    });
}

#[test]
fn a_cluster_that_changes_often_gets_its_state() {
    on_a_pod(|state| {
        for port in 1..20 {
            state.swap(table(cluster(REVIEWS, &[at(UP1, port)])));
        }
        let upstream = state.upstream_in_use(REVIEWS).unwrap();
        assert_eq!(upstream.hosts()[0].address(), at(UP1, 19));
    });
}

#[test]
fn a_breaker_that_a_configuration_opens_is_reported_before_any_request() {
    play(|scene| async move {
        let state = state(scene.env(POD));
        state.swap(table(cluster(REVIEWS, &[at(UP1, 1)])));
        let mut closed = cluster(REVIEWS, &[at(UP1, 1)]);
        closed.limits.default.requests = 0;
        state.swap(table(closed));
        let upstream = state.upstream_in_use(REVIEWS).unwrap();
        assert!(
            upstream
                .breaker(Priority::Default)
                .quota()
                .is_open(QuotaBound::Requests)
        );
    });
}
