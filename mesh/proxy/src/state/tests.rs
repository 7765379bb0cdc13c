//! What survives a swap of the table, and what does not.

use std::sync::Arc;

use shakedown_config::table::{ClusterKind, Table};
use shakedown_env::Env;

use super::*;
use crate::tests::scene::{POD, REVIEWS, UP1, UP2, at, bootstrap, cluster, ms, play};

fn state(env: Env) -> State {
    State::new(env, POD.parse().unwrap(), Named::new(&bootstrap()))
}

fn table(cluster: Cluster) -> Table {
    let mut table = Table::default();
    table.clusters.put(Arc::new(cluster));
    table
}

/// Runs a check on a host that has a world.
fn on_a_pod(check: impl FnOnce(State) + 'static) {
    play(|scene| async move { check(state(scene.env(POD))) });
}

#[test]
fn a_host_that_stays_keeps_its_active_requests() {
    on_a_pod(|state| {
        state.swap(table(cluster(REVIEWS, &[at(UP1, 1)])));
        let upstream = state.upstream(REVIEWS).unwrap();
        let busy = Busy::new(upstream.pick(&PickContext::default()).unwrap());
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
        let place = |address| hosts.iter().position(|host| *host == address).unwrap();
        assert_eq!(place(second), (place(first) + 1) % 3);
    });
}

#[test]
fn other_connection_settings_make_other_pools_and_keep_the_counts() {
    on_a_pod(|state| {
        state.swap(table(cluster(REVIEWS, &[at(UP1, 1)])));
        let upstream = state.upstream(REVIEWS).unwrap();
        let host = upstream.pick(&PickContext::default()).unwrap();
        let _busy = Busy::new(Rc::clone(&host));
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
