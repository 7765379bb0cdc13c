//! A simulation with a control plane and proxies.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shakedown_control::{ConnectedProxies, ControlOptions, ManagedMesh};
use shakedown_engine::{HostSpec, LinkLatency, Sim, SimLink, SimOptions};
use shakedown_env::{Env, Time, UnixTime};
use shakedown_istio::registry::{Endpoint, Locality, MeshOptions, Port, Service};
use shakedown_types::MeshEvent;
use shakedown_wire::{Body, ServerOptions, accept_loop};
use tonic::codegen::http::Response;

use crate::proxy::{Proxy, Script};

pub(crate) struct Simulation {
    sim: Sim,
    pub(crate) cluster: ManagedMesh,
    pub(crate) status: ConnectedProxies,
    events: Arc<Mutex<Vec<(Time, MeshEvent)>>>,
}

const CONTROL: [u8; 4] = [127, 16, 0, 1];

pub(crate) fn pod(n: u8) -> IpAddr {
    IpAddr::from([127, 16, 1, n])
}

/// A service whose endpoints are the first `replicas` pods.
pub(crate) fn service(name: &str, replicas: u8) -> Service {
    let mut service = Service::new(name, "default", vec![Port::http(80)]);
    for n in 0..replicas {
        service.endpoints.push(Endpoint {
            address: SocketAddr::new(pod(n), 80),
            labels: [("version".to_owned(), "v1".to_owned())].into(),
            locality: Locality::default(),
            ready: true,
            workload: format!("{name}-v1"),
        });
    }
    service
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Simulation {
        let sim = Sim::new(SimOptions {
            seed,
            epoch: UnixTime::default(),
            noise: None,
        });
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        sim.net().set_event_sink(Box::new(move |time, _, event| {
            sink.lock().unwrap().push((time, event))
        }));
        sim.net().set_link(Box::new(|_, _| SimLink {
            latency: LinkLatency::Constant(Duration::from_micros(500)),
            ..SimLink::default()
        }));
        let cluster = ManagedMesh::new(MeshOptions::default());
        Simulation {
            sim,
            cluster,
            status: ConnectedProxies::default(),
            events,
        }
    }

    fn host(&self, name: &str, address: IpAddr) -> Env {
        self.sim.add_host(HostSpec {
            name: name.to_owned(),
            address,
            request_cost: Duration::ZERO,
            handshake_cost: Duration::ZERO,
            cost_workers: 1,
        })
    }

    pub(crate) fn start_control(&self) {
        self.run_control(self.host("control", CONTROL.into()));
    }

    pub(crate) fn restart_control(&self) {
        let control = self.sim.host_id("control").unwrap();
        self.sim.net().crash(control);
        self.run_control(self.sim.net().restart(control));
    }

    fn run_control(&self, env: Env) {
        let mut options = ControlOptions::new(SocketAddr::new(CONTROL.into(), 15_010));
        options.status = self.status.clone();
        let running = shakedown_control::run(env.clone(), self.cluster.clone(), options);
        env.spawn("control", async move { running.await.unwrap() });
    }

    pub(crate) fn start_proxy(&self, n: u8) -> Proxy {
        self.start(
            n,
            Script {
                node: node(n),
                acknowledges: true,
            },
        )
    }

    pub(crate) fn start_silent_proxy(&self, n: u8) -> Proxy {
        self.start(
            n,
            Script {
                node: node(n),
                acknowledges: false,
            },
        )
    }

    pub(crate) fn start_proxy_as(&self, n: u8, node: &str) -> Proxy {
        self.start(
            n,
            Script {
                node: node.to_owned(),
                acknowledges: true,
            },
        )
    }

    fn start(&self, n: u8, script: Script) -> Proxy {
        let env = self.host(&format!("pod-{n}"), pod(n));
        let proxy = Proxy::default();
        env.spawn(
            "proxy",
            proxy
                .clone()
                .run(env.clone(), SocketAddr::new(CONTROL.into(), 15_010), script),
        );
        proxy
    }

    /// A pod whose sidecar returns `text` of the current time on its metrics port.
    pub(crate) fn start_metrics(&self, n: u8, text: impl Fn(Time) -> String + 'static) {
        let env = self.host(&format!("metrics-{n}"), pod(n));
        let listener = env.listen(SocketAddr::new(pod(n), 15_020)).unwrap();
        let text = Rc::new(text);
        env.spawn("metrics", {
            let env = env.clone();
            async move {
                let clock = env.clone();
                let make = |_| {
                    let (clock, text) = (clock.clone(), Rc::clone(&text));
                    move |_| std::future::ready(Response::new(Body::full(text(clock.now()))))
                };
                accept_loop(&env, listener, &ServerOptions::default(), "metrics", make).await;
            }
        });
    }

    pub(crate) fn crash_control(&self) {
        let control = self.sim.host_id("control").unwrap();
        self.sim.net().crash(control);
    }

    pub(crate) fn crash_proxy(&self, n: u8) {
        self.sim
            .net()
            .crash(self.sim.host_id(&format!("pod-{n}")).unwrap());
    }

    pub(crate) fn run_until(&self, end: Time) {
        self.sim.run_until(end).unwrap();
    }

    pub(crate) fn events(&self) -> Vec<(Time, MeshEvent)> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn config_changes(&self) -> Vec<(Time, u64)> {
        let pushes = self
            .events()
            .into_iter()
            .filter_map(|(time, event)| match event {
                MeshEvent::ConfigChanged { version } => Some((time, version)),
                _ => None,
            });
        pushes.collect()
    }
}

fn node(n: u8) -> String {
    format!(
        "sidecar~{}~pod-{n}.default~default.svc.cluster.local",
        pod(n)
    )
}
