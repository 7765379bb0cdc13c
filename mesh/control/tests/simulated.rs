//! The control plane in the simulator, with hand-written delta clients over the real wire.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "simulated/callers.rs"]
mod callers;
#[path = "simulated/canary.rs"]
mod canary;
#[path = "simulated/fixture.rs"]
mod fixture;
#[path = "simulated/near.rs"]
mod near;
#[path = "simulated/proxy.rs"]
mod proxy;
#[path = "simulated/rules.rs"]
mod rules;

use shakedown_env::Time;
use shakedown_istio::Document;
use shakedown_types::MeshEvent;
use shakedown_yaml::{Node, tree};

use fixture::{Simulation, service};

fn ms(n: u64) -> Time {
    Time::from_nanos(n * 1_000_000)
}

fn document(yaml: &str) -> Document {
    let nodes: Vec<Node> = tree::parse("mesh.yaml", yaml).unwrap();
    Document::read(&nodes[0]).unwrap()
}

fn rule(version: &str) -> Document {
    document(&format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\n\
         spec: {{host: a, subsets: [{{name: v1, labels: {{version: {version}}}}}]}}\n"
    ))
}

fn routes(subset: &str) -> Document {
    document(&format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
         spec: {{hosts: [a], http: [{{route: [{{destination: {{host: a, subset: {subset}}}}}]}}]}}\n"
    ))
}

#[test]
fn every_proxy_gets_everything_and_acknowledges_it() {
    let simulation = Simulation::new(1);
    simulation
        .cluster
        .update(|registry| registry.insert(service("a", 2)));
    simulation.start_control();
    let proxies: Vec<_> = (0..3).map(|n| simulation.start_proxy(n)).collect();
    simulation.run_until(ms(500));
    assert_eq!(
        simulation.status.unsynced(1),
        Vec::<std::sync::Arc<str>>::new()
    );
    assert_eq!(simulation.status.proxies().len(), 3);
    for proxy in &proxies {
        assert_eq!(
            proxy
                .version_of("Cluster", "outbound|80||a.default.svc.cluster.local")
                .len(),
            16
        );
        assert_eq!(
            proxy
                .version_of(
                    "ClusterLoadAssignment",
                    "outbound|80||a.default.svc.cluster.local"
                )
                .len(),
            16
        );
        assert_eq!(proxy.version_of("RouteConfiguration", "15001").len(), 16);
        assert_eq!(proxy.complete(), Some(1));
    }
    // The first two are pods of the service, the third is only a client.
    let inbound = |n: usize| {
        proxies[n]
            .names("Cluster")
            .iter()
            .any(|c| c.starts_with("inbound|"))
    };
    assert_eq!((inbound(0), inbound(1), inbound(2)), (true, true, false));
}

#[test]
fn a_change_is_pushed_after_the_quiet_time_and_only_what_changed() {
    let simulation = Simulation::new(1);
    simulation.cluster.update(|registry| {
        registry.insert(service("a", 2));
        registry.insert(service("b", 1));
    });
    simulation.start_control();
    let proxy = simulation.start_proxy(7);
    simulation.run_until(ms(1_000));
    proxy.clear_log();
    simulation
        .cluster
        .update(|registry| registry.insert(service("a", 1)));
    simulation.run_until(ms(2_000));
    assert_eq!(
        proxy.log(),
        ["ClusterLoadAssignment +outbound|80||a.default.svc.cluster.local @2"]
    );
    let pushes: Vec<(Time, u64)> = simulation.config_changes();
    assert_eq!(pushes, [(ms(0), 1), (ms(1_100), 2)]);
    assert!(simulation.status.unsynced(2).is_empty());
}

#[test]
fn an_invalid_document_is_rejected_and_its_last_valid_version_stays_active() {
    let simulation = Simulation::new(1);
    simulation
        .cluster
        .update(|registry| registry.insert(service("a", 1)));
    simulation.cluster.apply(vec![rule("v1"), routes("v1")]);
    simulation.start_control();
    let proxy = simulation.start_proxy(7);
    simulation.run_until(ms(1_000));
    let good = proxy.version_of("RouteConfiguration", "15001");
    let bad = document(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{}]}\n",
    );
    simulation.cluster.apply(vec![bad]);
    simulation.run_until(ms(2_000));
    assert_eq!(proxy.version_of("RouteConfiguration", "15001"), good);
    let refused: Vec<(String, String)> = simulation
        .events()
        .into_iter()
        .filter_map(|(_, event)| match event {
            MeshEvent::DocumentRefused { document, reason } => {
                Some((document.to_string(), reason.to_string()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].0, "VirtualService/a");
    assert!(refused[0].1.contains("`route` is empty"), "{refused:?}");
    // The refusal is reported once, even if something else changes. Valid changes are still pushed.
    simulation
        .cluster
        .update(|registry| registry.insert(service("b", 1)));
    simulation.run_until(ms(3_000));
    assert_eq!(simulation.config_changes().len(), 2);
    assert_eq!(proxy.complete(), Some(2));
}

#[test]
fn a_control_plane_that_restarts_is_told_what_its_proxies_hold() {
    let simulation = Simulation::new(1);
    simulation
        .cluster
        .update(|registry| registry.insert(service("a", 2)));
    simulation.start_control();
    let proxy = simulation.start_proxy(0);
    simulation.run_until(ms(1_000));
    proxy.clear_log();
    simulation.restart_control();
    simulation.run_until(ms(60_000));
    assert!(
        proxy
            .log()
            .iter()
            .all(|line| !line.contains('+') && !line.contains('-')),
        "{:?}",
        proxy.log()
    );
    // The numbers of pushes continue from before the crash.
    assert_eq!(proxy.complete(), Some(2));
    assert!(simulation.status.unsynced(2).is_empty());
}

#[test]
fn a_proxy_that_does_not_acknowledge_is_cut_off_in_its_time() {
    let simulation = Simulation::new(1);
    simulation.start_control();
    let proxy = simulation.start_silent_proxy(0);
    simulation.run_until(ms(29_000));
    assert_eq!(proxy.ends(), Vec::<String>::new());
    assert_eq!(simulation.status.unsynced(1).len(), 1);
    simulation.run_until(ms(31_000));
    assert_eq!(proxy.ends().len(), 1);
    assert!(
        proxy.ends()[0].contains("no response from the proxy within 30s"),
        "{:?}",
        proxy.ends()
    );
}

#[test]
fn a_node_id_that_is_none_is_refused_with_the_form() {
    let simulation = Simulation::new(1);
    simulation.start_control();
    let proxy = simulation.start_proxy_as(0, "who?");
    simulation.run_until(ms(500));
    assert!(
        proxy.ends()[0].contains("sidecar~<pod address>"),
        "{:?}",
        proxy.ends()
    );
    assert_eq!(simulation.status.proxies(), []);
}

#[test]
fn a_proxy_that_crashes_leaves_the_status() {
    let simulation = Simulation::new(1);
    simulation.start_control();
    simulation.start_proxy(0);
    simulation.run_until(ms(500));
    assert_eq!(simulation.status.proxies().len(), 1);
    simulation.crash_proxy(0);
    // The crash is detected only by unanswered pings.
    simulation.run_until(ms(60_000));
    assert_eq!(simulation.status.proxies(), []);
}

#[test]
fn the_same_seed_gives_the_same_exchange() {
    let run = || {
        let simulation = Simulation::new(5);
        simulation
            .cluster
            .update(|registry| registry.insert(service("a", 3)));
        simulation.start_control();
        let proxies: Vec<_> = (0..4).map(|n| simulation.start_proxy(n)).collect();
        simulation.run_until(ms(700));
        simulation
            .cluster
            .update(|registry| registry.insert(service("a", 1)));
        simulation.run_until(ms(2_000));
        proxies
            .iter()
            .map(|proxy| proxy.times())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn many_proxies_and_services_come_into_step() {
    let simulation = Simulation::new(1);
    simulation.cluster.update(|registry| {
        for n in 0..100 {
            registry.insert(service(&format!("s{n}"), 1));
        }
    });
    simulation.start_control();
    for n in 0..50 {
        simulation.start_proxy(n);
    }
    simulation.run_until(ms(1_000));
    simulation
        .cluster
        .update(|registry| registry.insert(service("s50", 3)));
    simulation.run_until(ms(2_000));
    assert_eq!(simulation.status.proxies().len(), 50);
    assert!(simulation.status.unsynced(2).is_empty());
}
