//! Canaries in the simulator: proxies that acknowledge, pods with scripted metrics, and a simulated Kubernetes that
//! scales immediately.

use std::net::SocketAddr;

use shakedown_istio::registry::{Endpoint, Hostname, Locality, Port, Service};
use shakedown_types::{CanaryPhase, MeshEvent};

use super::fixture::{Simulation, pod};
use super::{document, ms};
use crate::proxy::Proxy;

/// The first pod of v1; the next constant is that of v2.
const V1: u8 = 50;
const V2: u8 = 60;

struct Rollout {
    simulation: Simulation,
    proxy: Proxy,
    second: u64,
}

fn hostname() -> Hostname {
    Hostname::for_service("a", "default")
}

/// The metrics of a pod that receives 20 requests a second, `failing` percent of which fail.
fn metrics(seconds: u64, failing: u64) -> String {
    let requests = 20 * seconds;
    let errors = requests * failing / 100;
    let good = requests - errors;
    let labels = "reporter=\"destination\",destination_version=\"v2\"";
    format!(
        "# TYPE istio_requests counter\n\
         istio_requests_total{{{labels},response_code=\"200\"}} {good}\n\
         istio_requests_total{{{labels},response_code=\"503\"}} {errors}\n\
         istio_request_duration_milliseconds_bucket{{{labels},le=\"25.0\"}} {requests}\n\
         istio_request_duration_milliseconds_bucket{{{labels},le=\"+Inf\"}} {requests}\n# EOF\n"
    )
}

impl Rollout {
    /// Three pods of v1, a proxy that is a client, a canary, and later pods of v2, `failing` percent of whose requests
    /// fail.
    fn new(failing: u64) -> Rollout {
        let rollout = Rollout::without_target(failing);
        rollout.target_comes();
        rollout.simulation.start_control();
        rollout
    }

    /// As [`Rollout::new`], but the service does not exist yet, and the control plane is not started.
    fn without_target(failing: u64) -> Rollout {
        let simulation = Simulation::new(3);
        simulation.cluster.apply(vec![document(
            "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {name: a}\nspec:\n  \
             targetRef: {apiVersion: apps/v1, kind: Deployment, name: a}\n  service: {port: 80}\n  \
             analysis:\n    interval: 15s\n    threshold: 2\n    maxWeight: 30\n    stepWeight: 10\n    \
             metrics:\n      - {name: request-success-rate, thresholdRange: {min: 99}}\n      \
             - {name: request-duration, thresholdRange: {max: 500}, interval: 30s}\n",
        )]);
        for n in 0..3 {
            simulation.start_metrics(V2 + n, move |now| {
                metrics(now.as_nanos() / 1_000_000_000, failing)
            });
        }
        Rollout {
            proxy: simulation.start_proxy(7),
            simulation,
            second: 0,
        }
    }

    fn target_comes(&self) {
        self.simulation.cluster.set_stable(&hostname(), "v1");
        self.simulation.cluster.set_replicas(&hostname(), "v1", 3);
        self.obey();
    }

    /// Applies the desired replicas, as Kubernetes would.
    fn obey(&self) {
        if self.simulation.cluster.replicas().is_empty() {
            return;
        }
        let mut service = Service::new("a", "default", vec![Port::http(80)]);
        for ((_, version), replicas) in self.simulation.cluster.replicas() {
            let first = if version == "v1" { V1 } else { V2 };
            for (_, at) in (0..replicas).zip(first..) {
                service.endpoints.push(Endpoint {
                    address: SocketAddr::new(pod(at), 80),
                    labels: [("version".to_owned(), version.clone())].into(),
                    locality: Locality::default(),
                    ready: true,
                    workload: format!("a-{version}"),
                });
            }
        }
        if self
            .simulation
            .cluster
            .snapshot()
            .registry
            .service(hostname().as_str())
            != Some(&service)
        {
            self.simulation
                .cluster
                .update(|registry| registry.insert(service));
        }
    }

    fn run_to(&mut self, second: u64) {
        while self.second < second {
            self.second += 1;
            self.simulation.run_until(ms(self.second * 1_000));
            self.obey();
        }
    }

    fn deploy(&self) {
        self.simulation.cluster.set_replicas(&hostname(), "v2", 1);
        self.obey();
    }

    /// Phase, weight and reason of every step.
    fn steps(&self) -> Vec<(CanaryPhase, u32, String)> {
        let step = |(_, event)| match event {
            MeshEvent::Canary {
                phase,
                weight_percent,
                reason,
                ..
            } => Some((phase, weight_percent, reason.to_string())),
            _ => None,
        };
        self.simulation
            .events()
            .into_iter()
            .filter_map(step)
            .collect()
    }

    /// The shares of v2 that were in force, in order.
    fn shares(&self) -> Vec<u32> {
        let share = |(_, event)| match event {
            MeshEvent::Weights { percent, .. } => percent
                .iter()
                .find(|(version, _)| version == "v2")
                .map(|(_, share)| *share),
            _ => None,
        };
        let mut shares: Vec<u32> = self
            .simulation
            .events()
            .into_iter()
            .filter_map(share)
            .collect();
        shares.dedup();
        shares
    }

    fn last(&self) -> (CanaryPhase, u32, String) {
        self.steps().pop().unwrap()
    }

    fn replicas(&self, version: &str) -> Option<u32> {
        let key = (hostname(), version.to_owned());
        self.simulation.cluster.replicas().get(&key).copied()
    }
}

#[test]
fn a_good_version_is_promoted_step_by_step() {
    let mut rollout = Rollout::new(0);
    rollout.run_to(10);
    assert_eq!(rollout.last().0, CanaryPhase::Initialized);
    rollout.deploy();
    rollout.run_to(90);
    let steps = rollout.steps();
    assert_eq!(rollout.last().0, CanaryPhase::Succeeded, "{steps:#?}");
    assert_eq!(rollout.shares(), [0, 10, 20, 30, 100], "{steps:#?}");
    assert_eq!(
        (rollout.replicas("v1"), rollout.replicas("v2")),
        (Some(0), Some(3))
    );
    assert_eq!(
        rollout.simulation.cluster.stable(&hostname()).as_deref(),
        Some("v2")
    );
    let words = "request-success-rate 100% >= 99% over 15 s (300 requests), \
                 request-duration p99 24 ms <= 500 ms over 15 s (300 requests): weight 10% -> 20%";
    assert!(
        steps.iter().any(|(.., reason)| reason == words),
        "{steps:#?}"
    );
}

#[test]
fn a_canary_waits_for_a_service_that_does_not_exist_yet() {
    let mut rollout = Rollout::without_target(0);
    // Documents are validated against services only if the registry contains some.
    let other = Service::new("other", "default", vec![Port::http(80)]);
    rollout
        .simulation
        .cluster
        .update(|registry| registry.insert(other));
    rollout.simulation.start_control();
    rollout.run_to(10);
    assert_eq!(
        rollout.last(),
        (
            CanaryPhase::Initializing,
            0,
            "no endpoint of a has a label `version` yet".into()
        )
    );
    rollout.target_comes();
    rollout.run_to(20);
    assert_eq!(
        rollout.last().0,
        CanaryPhase::Initialized,
        "{:#?}",
        rollout.steps()
    );
    rollout.deploy();
    rollout.run_to(100);
    assert_eq!(
        rollout.last().0,
        CanaryPhase::Succeeded,
        "{:#?}",
        rollout.steps()
    );
    assert_eq!(rollout.shares(), [0, 10, 20, 30, 100]);
}

#[test]
fn a_bad_version_is_rolled_back_with_the_numbers_that_decided() {
    let mut rollout = Rollout::new(5);
    rollout.run_to(10);
    rollout.deploy();
    rollout.run_to(60);
    let (phase, weight, reason) = rollout.last();
    assert_eq!(
        (phase, weight),
        (CanaryPhase::Failed, 0),
        "{:#?}",
        rollout.steps()
    );
    assert_eq!(
        reason,
        "request-success-rate 95% < 99% over 30 s (600 requests): 2 of 2 failed checks, rolled back"
    );
    assert_eq!(rollout.shares(), [0, 10, 0]);
    assert_eq!(
        (rollout.replicas("v1"), rollout.replicas("v2")),
        (Some(3), Some(0))
    );
}

#[test]
fn the_new_versions_cluster_is_there_before_a_route_names_it() {
    let mut rollout = Rollout::new(0);
    rollout.run_to(10);
    rollout.proxy.clear_log();
    rollout.deploy();
    rollout.run_to(12);
    let log = rollout.proxy.log();
    let at = |what: &str| log.iter().position(|line| line.contains(what));
    let cluster = at("Cluster +outbound|80|v2|a.default.svc.cluster.local");
    let weighted = log
        .iter()
        .rposition(|line| line.contains("RouteConfiguration +15001"));
    assert!(cluster.is_some() && cluster < weighted, "{log:#?}");
}

#[test]
fn a_proxy_that_does_not_acknowledge_holds_the_weight_back() {
    let mut rollout = Rollout::new(0);
    rollout.run_to(10);
    rollout.simulation.start_silent_proxy(8);
    rollout.run_to(11);
    rollout.deploy();
    rollout.run_to(25);
    assert_eq!(rollout.last().1, 0, "{:#?}", rollout.steps());
    // The proxy is disconnected at its time limit and reconnects. It never acknowledges the weight.
    assert_eq!(rollout.shares(), Vec::<u32>::new());
}

#[test]
fn a_control_plane_that_crashes_goes_on_with_its_canary() {
    let mut rollout = Rollout::new(0);
    rollout.run_to(10);
    rollout.deploy();
    rollout.run_to(30);
    assert_eq!(rollout.last().1, 20, "{:#?}", rollout.steps());
    rollout.simulation.crash_control();
    rollout.run_to(50);
    rollout.simulation.restart_control();
    rollout.run_to(120);
    assert_eq!(
        rollout.last().0,
        CanaryPhase::Succeeded,
        "{:#?}",
        rollout.steps()
    );
    assert_eq!(rollout.shares(), [0, 10, 20, 30, 100]);
    // The rollout did not restart.
    let weights: Vec<u32> = rollout
        .steps()
        .iter()
        .map(|(_, weight, _)| *weight)
        .collect();
    assert!(weights.is_sorted(), "{:#?}", rollout.steps());
}

#[test]
fn the_same_seed_gives_the_same_rollout() {
    let run = || {
        let mut rollout = Rollout::new(5);
        rollout.run_to(5);
        rollout.deploy();
        rollout.run_to(60);
        let events = rollout.simulation.events().into_iter();
        events
            .filter(|(_, event)| {
                matches!(event, MeshEvent::Canary { .. } | MeshEvent::Weights { .. })
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
