//! Builds scenarios by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use shakedown_scenarios::scenario::{
    Abandoned, Arrivals, Call, Callee, ChaosAction, ChaosItem, ControlPlane, CpuScheduling, Draw,
    DrawId, Drawn, EndpointId, FireTimes, LatencyRules, LoadId, LoadSpec, MixEntry, OnError, Order,
    Path, PodCount, PodSelector, PodTarget, Protocol, QueueSpec, RateStage, ResolvedScenario,
    ServiceId, ServiceSpec, Step, StepFailure, StepStatus, Success, Timed, Version, Zone,
};
use shakedown_scenarios::value::{Distribution, Rate, Share};

/// A scenario under construction.
pub(super) struct Build {
    pub(super) scenario: ResolvedScenario,
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Build {
    /// An empty scenario of `length` seconds.
    pub(super) fn new(length: u64) -> Build {
        let latency = |nanos| Distribution::constant_ns(nanos);
        let scenario = ResolvedScenario {
            name: "test".to_owned(),
            story: String::new(),
            variant: "base".to_owned(),
            seed: 1,
            seeds: (1, 1),
            duration: seconds(length),
            warm_up: Duration::ZERO,
            drain: seconds(5),
            epoch_unix_ns: 0,
            zones: vec![Zone {
                name: "a".into(),
                region: "local".into(),
                subzone: String::new(),
            }],
            latency: LatencyRules {
                zones: BTreeMap::new(),
                participants: BTreeMap::new(),
                same_zone: latency(250_000),
                cross_zone: latency(1_000_000),
                cross_region: latency(30_000_000),
            },
            services: Vec::new(),
            hosts: Vec::new(),
            mesh: Vec::new(),
            control: ControlPlane {
                zone: 0,
                outbound_allow_any: true,
                debounce: millis(100),
                ejection_delay: seconds(1),
                canaries: true,
                telemetry: seconds(15),
                trust_domain: "cluster.local".to_owned(),
                root_namespace: "istio-system".to_owned(),
                destination_rules_for: Default::default(),
                virtual_services_for: Default::default(),
            },
            loads: Vec::new(),
            chaos: Vec::new(),
            checks: Vec::new(),
            breaks: None,
            draw_paths: Vec::new(),
            expanded: String::new(),
            omissions: Vec::new(),
            warnings: Vec::new(),
        };
        Build { scenario }
    }

    pub(super) fn draw_id(&mut self, path: &str) -> DrawId {
        self.scenario.draw_paths.push(path.to_owned());
        DrawId(u32::try_from(self.scenario.draw_paths.len() - 1).unwrap())
    }

    pub(super) fn draw(&mut self, text: &str) -> Draw {
        let draw_id = self.draw_id(&format!("draw {} {text}", self.scenario.draw_paths.len()));
        Draw {
            from: Distribution::parse_duration(text).unwrap(),
            draw_id,
        }
    }

    pub(super) fn work(&mut self, text: &str) -> Step {
        Step::Work(Timed {
            time: self.draw(text),
            drawn: Drawn::Attempt,
        })
    }

    pub(super) fn sleep(&mut self, text: &str) -> Step {
        Step::Sleep(Timed {
            time: self.draw(text),
            drawn: Drawn::Attempt,
        })
    }

    /// A call of service `service`'s only endpoint.
    pub(super) fn call(&mut self, service: u32) -> Call {
        let draw_id = self.draw_id("call");
        let one = || Draw {
            from: Distribution::constant_count(1),
            draw_id,
        };
        Call {
            callee: Callee::Service(ServiceId::new(service)),
            endpoint: Some(EndpointId::new(0)),
            method: Method::GET,
            path: "/".to_owned(),
            probability: Share::ALL,
            times: one(),
            fan_out: one(),
            headers: Vec::new(),
            size: 0,
            timeout: None,
            deadline: None,
            retries: None,
            hedge: None,
            pool: None,
            on_error: OnError::Fail,
            draw_id,
        }
    }

    /// Adds a service of one replica that serves `GET /` with these steps.
    pub(super) fn service(&mut self, name: &str, steps: Vec<Step>) -> &mut Version {
        let labels = [("app", name), ("version", "v1")];
        let version = Version {
            name: "v1".to_owned(),
            replicas: 1,
            zones: vec![0],
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            workers: None,
            cores: None,
            cpu: CpuScheduling::Ps,
            queue: QueueSpec {
                limit: Some(1_000),
                order: Order::Fifo,
                full: StepFailure::Status(StepStatus::Http(StatusCode::SERVICE_UNAVAILABLE)),
            },
            abandoned: Abandoned::Finish,
            keep_alive_idle: seconds(60),
            keep_alive_requests: None,
            boot: seconds(1),
            sidecar: true,
            forward: vec![HeaderName::from_static("end-user")],
            endpoints: vec![Some(steps)],
        };
        self.scenario.services.push(ServiceSpec {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            account: name.to_owned(),
            port: 8080,
            protocol: Protocol::Http,
            endpoints: vec![Path {
                method: Method::GET,
                path: "/".to_owned(),
            }],
            versions: vec![version],
        });
        &mut self.scenario.services.last_mut().unwrap().versions[0]
    }

    /// Adds a load on service `service`.
    pub(super) fn load(&mut self, service: u32, rate: &str) -> &mut LoadSpec {
        let draw_id = self.draw_id("load.users");
        let rate = Rate::parse(rate).unwrap();
        let entry = MixEntry {
            name: String::new(),
            weight: 1,
            callee: Callee::Service(ServiceId::new(service)),
            endpoint: Some(EndpointId::new(0)),
            method: Method::GET,
            path: "/".to_owned(),
            headers: Vec::new(),
            size: 0,
        };
        self.scenario.loads.push(LoadSpec {
            name: "users".to_owned(),
            entries: vec![entry],
            arrivals: Arrivals::Constant,
            stages: vec![RateStage {
                length: None,
                from: rate,
                to: rate,
            }],
            timeout: seconds(1),
            retries: None,
            ok: Success::default(),
            start: Duration::ZERO,
            stop: self.scenario.duration,
            zones: vec![0],
            clients: 1,
            sidecar: true,
            new_connections: false,
            target: None,
            in_flight: 10_000,
            namespace: "default".to_owned(),
            account: "users".to_owned(),
            draw_id,
        });
        self.scenario.loads.last_mut().unwrap()
    }

    /// Removes all sidecars and latencies.
    pub(super) fn bare(&mut self) {
        let versions = self
            .scenario
            .services
            .iter_mut()
            .flat_map(|service| &mut service.versions);
        versions.for_each(|version| version.sidecar = false);
        self.scenario
            .loads
            .iter_mut()
            .for_each(|load| load.sidecar = false);
        self.scenario.latency.same_zone = Distribution::constant_ns(0);
    }

    /// Adds a fault at `at` for `length`.
    pub(super) fn fault(&mut self, at: &str, length: &str, action: ChaosAction) -> &mut ChaosItem {
        let (at, length) = (self.draw(at), self.draw(length));
        let draw_id = self.draw_id("chaos");
        let name = format!("chaos.{}", self.scenario.chaos.len());
        self.scenario.chaos.push(ChaosItem {
            name,
            when: FireTimes::At(at),
            length: Some(length),
            action,
            may_miss: false,
            draw_id,
        });
        self.scenario.chaos.last_mut().unwrap()
    }
}

/// Targets all pods of a participant. The scenarios of these tests declare a called service before its caller.
pub(super) fn all_of(name: &str) -> PodTarget {
    let service = |index| PodSelector::Service {
        service: ServiceId::new(index),
        version: None,
        replica: None,
    };
    let of = match name {
        "server" | "back" | "db" => service(0),
        "front" | "idle" => service(1),
        "users" => PodSelector::Load(LoadId::new(0)),
        "control" => PodSelector::Control,
        _ => panic!("no participant `{name}`"),
    };
    PodTarget {
        of,
        zone: None,
        label: None,
        part: PodCount::All,
        text: name.to_owned(),
    }
}
