//! The pods of a run and their lives: what runs in each, what a crash takes, what a restart brings back.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_control::{Cluster, ControlError, ControlOptions};
use shakedown_env::Env;
use shakedown_loadgen::{Caller, Clients, Outlet};
use shakedown_proxy::{Bootstrap, ProxyError, Workload};
use shakedown_results::{Event, PodId};
use shakedown_scenarios::story::{Load, Service, Version};

use crate::app::{App, Role};
use crate::ground::Ground;
use crate::journal::Journal;
use crate::layout::{APP_PORT, XDS_PORT, at};
use crate::plot::{Part, Plot};

/// All pods of a run.
pub(crate) struct Pods {
    pub(crate) plot: Rc<Plot>,
    pub(crate) ground: Rc<dyn Ground>,
    pub(crate) journal: Arc<Journal>,
    cluster: Cluster,
    /// Client hosts, by load.
    pub(crate) clients: Vec<Rc<Clients>>,
    /// By pod.
    states: Vec<State>,
    failure: RefCell<Option<StartError>>,
}

#[derive(Debug, Default)]
struct State {
    /// How often it has crashed.
    life: Cell<u32>,
    /// Crashes and pauses in force; they overlap.
    crashes: Cell<u32>,
    pauses: Cell<u32>,
}

/// A pod's software did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The app's port cannot be listened on.
    #[error("listen for the app of {pod}")]
    App {
        /// The pod.
        pod: String,
        /// Why not.
        source: io::Error,
    },
    /// Its sidecar ended.
    #[error("run the sidecar of {pod}")]
    Sidecar {
        /// The pod.
        pod: String,
        /// Why.
        source: ProxyError,
    },
    /// The control plane ended.
    #[error("run the control plane")]
    Control {
        /// Why.
        source: ControlError,
    },
}

impl Pods {
    /// Pods of a story on a ground; nothing runs yet.
    pub(crate) fn new(
        plot: Rc<Plot>,
        ground: Rc<dyn Ground>,
        journal: Arc<Journal>,
        cluster: Cluster,
    ) -> Pods {
        let clients = plot.story.loads.iter().map(|_| Rc::default()).collect();
        let states = plot.pods().map(|_| State::default()).collect();
        Pods {
            plot,
            ground,
            journal,
            cluster,
            clients,
            states,
            failure: RefCell::default(),
        }
    }

    /// Starts all software of a pod, on the host's present life.
    pub(crate) fn start(self: &Rc<Pods>, pod: PodId) {
        let env = self.ground.env(pod);
        match self.plot.part(pod) {
            Part::Replica(index, service, version) => {
                if version.sidecar {
                    self.start_sidecar(&env, pod, Some((service, version)), &service.namespace);
                }
                self.start_app(&env, pod, index, service, version);
            }
            Part::Client(load) => {
                if load.sidecar {
                    self.start_sidecar(&env, pod, None, &load.namespace);
                }
                self.start_client(&env, pod, load);
            }
            Part::Control => self.start_control(&env, pod),
        }
    }

    /// What has failed to start, or stopped by itself.
    pub(crate) fn failure(&self) -> Option<StartError> {
        self.failure.borrow_mut().take()
    }

    /// Pods that have a sidecar.
    pub(crate) fn meshed(&self) -> Vec<PodId> {
        self.plot
            .pods()
            .filter(|pod| self.plot.pod(*pod).meshed)
            .collect()
    }

    /// The pod is gone. False when it was gone before.
    pub(crate) fn crash(&self, pod: PodId) -> bool {
        let state = &self.states[pod.0 as usize];
        let crashes = state.crashes.replace(state.crashes.get() + 1);
        if crashes > 0 {
            return false;
        }
        state.life.set(state.life.get() + 1);
        // Before its host goes, so that nothing is sent by a client that is no more.
        self.take_client(pod);
        self.ground.crash(pod);
        self.journal.forget(pod);
        self.journal.record(self.now(), Event::Crashed { pod });
        true
    }

    /// One crash of the pod is over; with the last it boots.
    pub(crate) fn revive(self: &Rc<Pods>, pod: PodId) {
        let state = &self.states[pod.0 as usize];
        state.crashes.set(state.crashes.get() - 1);
        if state.crashes.get() > 0 {
            return;
        }
        self.ground.restart(pod);
        if state.pauses.get() > 0 {
            self.ground.pause(pod);
        }
        let (pods, life) = (Rc::clone(self), state.life.get());
        self.ground
            .stage()
            .spawn("stage-boot", async move { pods.boot(pod, life).await });
    }

    /// Nothing of the pod runs. False when nothing did before.
    pub(crate) fn pause(&self, pod: PodId) -> bool {
        let state = &self.states[pod.0 as usize];
        let pauses = state.pauses.replace(state.pauses.get() + 1);
        if state.crashes.get() > 0 || pauses > 0 {
            return false;
        }
        self.ground.pause(pod);
        true
    }

    /// One pause of the pod is over; with the last it goes on.
    pub(crate) fn resume(&self, pod: PodId) {
        let state = &self.states[pod.0 as usize];
        state.pauses.set(state.pauses.get() - 1);
        if state.pauses.get() == 0 && state.crashes.get() == 0 {
            self.ground.resume(pod);
        }
    }

    async fn boot(self: Rc<Pods>, pod: PodId, life: u32) {
        let boot = match self.plot.part(pod) {
            Part::Replica(_, _, version) => version.boot,
            Part::Client(_) | Part::Control => std::time::Duration::ZERO,
        };
        self.ground.stage().sleep(boot).await;
        if !self.is_alive(pod, life) {
            return;
        }
        self.start(pod);
        if self.plot.pod(pod).meshed {
            poll_fn(|cx| self.journal.poll_in_force(&[pod], cx)).await;
        }
        if self.is_alive(pod, life) {
            self.journal.record(self.now(), Event::Ready { pod });
        }
    }

    fn is_alive(&self, pod: PodId, life: u32) -> bool {
        let state = &self.states[pod.0 as usize];
        state.life.get() == life && state.crashes.get() == 0
    }

    fn now(&self) -> shakedown_env::Time {
        self.ground.stage().now()
    }

    fn start_app(&self, env: &Env, pod: PodId, index: usize, service: &Service, version: &Version) {
        let port = if version.sidecar {
            APP_PORT
        } else {
            service.port
        };
        let listener = match env.listen(at(self.ground.address(pod), port)) {
            Ok(listener) => listener,
            Err(source) => {
                return self.fail(StartError::App {
                    pod: self.plot.cast.pod_name(pod),
                    source,
                });
            }
        };
        let role = Role {
            pod,
            service: index,
            version: usize::from(self.plot.pod(pod).version),
            life: self.states[pod.0 as usize].life.get(),
        };
        let caller = self.caller(env, pod, version.sidecar, true);
        App::start(env, &self.plot, &self.journal, role, caller, listener);
    }

    fn start_client(&self, env: &Env, pod: PodId, load: &Load) {
        let client = self.caller(env, pod, load.sidecar, !load.new_connections);
        if let Some(clients) = self.clients_of(pod) {
            clients.put(Rc::new(client));
        }
    }

    fn take_client(&self, pod: PodId) {
        if let Some(clients) = self.clients_of(pod) {
            clients.take(pod);
        }
    }

    fn clients_of(&self, pod: PodId) -> Option<&Rc<Clients>> {
        let party = usize::from(self.plot.pod(pod).party.0);
        self.clients
            .get(party.checked_sub(self.plot.story.services.len())?)
    }

    fn caller(&self, env: &Env, pod: PodId, sidecar: bool, reuse: bool) -> Caller {
        let life = self.states[pod.0 as usize].life.get();
        let outlet = if sidecar {
            Outlet::through_sidecar(env.clone(), self.ground.address(pod), reuse)
        } else {
            Outlet::direct(env.clone(), reuse, env.rng(&format!("replica@{life}")))
        };
        Caller::new(env.clone(), pod, outlet, self.journal.recorder())
    }

    fn start_sidecar(
        self: &Rc<Pods>,
        env: &Env,
        pod: PodId,
        serves: Option<(&Service, &Version)>,
        namespace: &str,
    ) {
        let control = self
            .plot
            .pods()
            .find(|pod| matches!(self.plot.part(*pod), Part::Control));
        let control = control.expect("every cast has a control plane");
        let control = at(self.ground.address(control), XDS_PORT);
        let address = self.ground.address(pod);
        let mut bootstrap =
            Bootstrap::sidecar(&self.plot.pod_name(pod), namespace, address, control);
        bootstrap.workload = workload(&self.plot, pod, serves, namespace);
        bootstrap.service =
            serves.map(|(service, _)| format!("{}.{namespace}.svc.cluster.local", service.name));
        let pods = Rc::clone(self);
        let own = env.clone();
        env.spawn("sidecar", async move {
            if let Err(source) = shakedown_proxy::run(own, bootstrap).await {
                let pod = pods.plot.cast.pod_name(pod);
                pods.fail(StartError::Sidecar { pod, source });
            }
        });
    }

    fn start_control(self: &Rc<Pods>, env: &Env, pod: PodId) {
        let mut options = ControlOptions::new(at(self.ground.address(pod), XDS_PORT));
        options.debounce = self.plot.story.control.debounce;
        let pods = Rc::clone(self);
        let own = env.clone();
        env.spawn("control", async move {
            let cluster = pods.cluster.clone();
            if let Err(source) = shakedown_control::run(own, cluster, options).await {
                pods.fail(StartError::Control { source });
            }
        });
    }

    fn fail(&self, error: StartError) {
        // The first counts.
        self.failure.borrow_mut().get_or_insert(error);
    }
}

/// A pod as the metrics of its sidecar name it.
fn workload(
    plot: &Plot,
    pod: PodId,
    serves: Option<(&Service, &Version)>,
    namespace: &str,
) -> Workload {
    let party = &plot.cast.parties[usize::from(plot.pod(pod).party.0)];
    let (name, version) = match serves {
        Some((service, version)) => (
            format!("{}-{}", service.name, version.name),
            version.name.as_str(),
        ),
        None => (party.name.clone(), "unknown"),
    };
    Workload {
        name: name.into(),
        namespace: namespace.into(),
        app: party.name.as_str().into(),
        version: version.into(),
        ..Workload::unknown()
    }
}
