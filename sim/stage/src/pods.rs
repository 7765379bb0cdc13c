//! The pods of a run and their lives: what runs in each, what a crash takes, what a restart brings back.

mod start;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_control::{Cluster, ControlError};
use shakedown_loadgen::Clients;
use shakedown_proxy::{ProxyError, ResourceCache};
use shakedown_results::{Event, Pod, PodId};
use shakedown_scenarios::is_meant;
use shakedown_scenarios::story::{self, Target};
use shakedown_wire::Drain;

use crate::ailments::{Ailment, Ailments};
use crate::cpu::CpuClock;
use crate::ground::Ground;
use crate::journal::Journal;
use crate::plot::{Part, Plot};

/// All pods of a run.
pub(crate) struct Pods {
    pub(crate) plot: Rc<Plot>,
    pub(crate) ground: Rc<dyn Ground>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) cluster: Cluster,
    /// Client hosts, by load.
    pub(crate) clients: Vec<Rc<Clients>>,
    /// By pod.
    states: RefCell<Vec<Rc<State>>>,
    /// The desired number of replicas, by service and version.
    pub(crate) desired: RefCell<BTreeMap<(usize, u16), u32>>,
    /// Ailments in force whose targets mean all of their pods: those that are added too.
    standing: RefCell<Vec<(Target, Rc<Ailment>)>>,
    failure: RefCell<Option<StartError>>,
    /// Resources that sidecars share.
    resources: ResourceCache,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The number of crashes in force.
    life: Cell<u32>,
    /// Crashes and pauses in force; they overlap.
    crashes: Cell<u32>,
    pauses: Cell<u32>,
    /// CPU time, which does not pass in a pause.
    cpu: Rc<CpuClock>,
    /// Terminating; and stopped for good.
    pub(crate) leaving: Cell<bool>,
    stopped: Cell<bool>,
    /// Set if its service's endpoints list it as ready.
    listed: Cell<bool>,
    ailments: Rc<Ailments>,
    /// Ends the connections of its app.
    pub(crate) app: RefCell<Option<Drain>>,
}

impl State {
    /// Neither crashed nor taken away.
    fn is_up(&self) -> bool {
        self.crashes.get() == 0 && !self.stopped.get()
    }
}

/// A pod's software did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The world has no host for it.
    #[error("add a host for {pod}")]
    Host {
        /// The pod.
        pod: String,
        /// Why not.
        source: io::Error,
    },
    /// The app's port cannot be listened on.
    #[error("listen for the app of {pod}")]
    App {
        /// The pod.
        pod: String,
        /// Why not.
        source: io::Error,
    },
    /// The sidecar ended.
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
        let states = plot.pods().map(|_| {
            let state = State::default();
            state.listed.set(true);
            Rc::new(state)
        });
        let states = RefCell::new(states.collect());
        Pods {
            plot,
            ground,
            journal,
            cluster,
            clients,
            states,
            desired: RefCell::default(),
            standing: RefCell::default(),
            failure: RefCell::default(),
            resources: ResourceCache::default(),
        }
    }

    pub(crate) fn state(&self, pod: PodId) -> Rc<State> {
        Rc::clone(&self.states.borrow()[pod.0 as usize])
    }

    /// Returns true if a pod exists, or is about to be back: it has not been taken away.
    pub(crate) fn is_there(&self, pod: PodId) -> bool {
        let state = self.state(pod);
        !state.leaving.get() && !state.stopped.get()
    }

    /// The state of a pod that was added: with the ailments that mean it, too.
    pub(crate) fn add_state(&self, id: PodId, pod: &Pod) {
        let state = Rc::new(State::default());
        for (target, ailment) in self.standing.borrow().iter() {
            if is_meant(&self.plot.story, pod, target) {
                state.ailments.add(ailment);
            }
        }
        let mut states = self.states.borrow_mut();
        debug_assert_eq!(states.len(), id.0 as usize);
        states.push(state);
    }

    /// Adds a fault to these pods; and to those that are added later, if `target` means all pods.
    pub(crate) fn ail(&self, pods: &[PodId], target: &Target, ailment: &Rc<Ailment>) {
        for pod in pods {
            self.state(*pod).ailments.add(ailment);
        }
        if target.part == story::Part::All {
            let standing = (target.clone(), Rc::clone(ailment));
            self.standing.borrow_mut().push(standing);
        }
    }

    /// Ends this fault at all pods.
    pub(crate) fn cure(&self, fault: usize) {
        self.standing
            .borrow_mut()
            .retain(|(_, ailment)| ailment.fault != fault);
        for state in self.states.borrow().iter() {
            state.ailments.cure(fault);
        }
    }

    /// Takes the first failure: software that did not start, or stopped by itself.
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

    /// The pod is gone. False when it was taken away before; a pod that is down already stays down until the last of its
    /// crashes is over.
    pub(crate) fn crash(&self, pod: PodId) -> bool {
        let state = self.state(pod);
        let crashes = state.crashes.replace(state.crashes.get() + 1);
        if state.stopped.get() {
            return false;
        }
        if crashes > 0 {
            return true;
        }
        state.life.set(state.life.get() + 1);
        // Before its host crashes, so that no client without a host sends.
        self.take_client(pod);
        self.ground.crash(pod);
        self.journal.forget(pod);
        self.journal.record(self.now(), Event::Crashed { pod });
        true
    }

    /// Ends a crash of the pod; with the last it boots.
    pub(crate) fn revive(self: &Rc<Pods>, pod: PodId) {
        let state = self.state(pod);
        state.crashes.set(state.crashes.get() - 1);
        if state.crashes.get() > 0 || state.stopped.get() {
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

    /// Nothing of the pod runs. False when it is down; a pod that is paused already stays so until the last of its pauses is
    /// over.
    pub(crate) fn pause(&self, pod: PodId) -> bool {
        let state = self.state(pod);
        let pauses = state.pauses.replace(state.pauses.get() + 1);
        if pauses == 0 {
            state.cpu.pause(self.now());
        }
        if !state.is_up() {
            return false;
        }
        if pauses == 0 {
            self.ground.pause(pod);
        }
        true
    }

    /// Ends a pause of the pod; with the last it continues. Returns false if it is down.
    pub(crate) fn resume(&self, pod: PodId) -> bool {
        let state = self.state(pod);
        state.pauses.set(state.pauses.get() - 1);
        let last = state.pauses.get() == 0;
        if last {
            state.cpu.resume(self.now());
        }
        if last && state.is_up() {
            self.ground.resume(pod);
        }
        state.is_up()
    }

    /// Stops a terminating pod.
    pub(crate) fn stop(&self, pod: PodId) {
        let state = self.state(pod);
        state.stopped.set(true);
        state.life.set(state.life.get() + 1);
        if state.crashes.get() == 0 {
            self.ground.crash(pod);
        }
        self.journal.forget(pod);
        self.journal.record(self.now(), Event::Stopped { pod });
    }

    pub(crate) async fn boot(self: Rc<Pods>, pod: PodId, life: u32) {
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
        if !self.is_alive(pod, life) {
            return;
        }
        self.journal.record(self.now(), Event::Ready { pod });
        let state = self.state(pod);
        if self.is_there(pod) && !state.listed.replace(true) {
            self.list(pod, true);
        }
    }

    fn is_alive(&self, pod: PodId, life: u32) -> bool {
        let state = self.state(pod);
        state.life.get() == life && state.crashes.get() == 0
    }

    pub(crate) fn now(&self) -> shakedown_env::Time {
        self.ground.stage().now()
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

    pub(crate) fn fail(&self, error: StartError) {
        // The first counts.
        self.failure.borrow_mut().get_or_insert(error);
    }
}
