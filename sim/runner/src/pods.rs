//! The pods of a run: starts their software, and applies crashes, restarts, pauses and removals.

mod start;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_control::{ControlError, ManagedMesh};
use shakedown_loadgen::LoadClients;
use shakedown_proxy::{ProxyError, ResourceCache};
use shakedown_results::{Event, Pod, PodId};
use shakedown_scenarios::is_meant;
use shakedown_scenarios::scenario::{self, ParticipantRole, PodTarget, ServiceId, VersionId};
use shakedown_wire::Drain;

use crate::backend::Backend;
use crate::cpu::CpuClock;
use crate::injected_faults::{InjectedFault, InjectedFaults};
use crate::journal::Journal;
use crate::run_context::{PodRole, RunContext};

/// All pods of a run.
pub(crate) struct Pods {
    pub(crate) context: Rc<RunContext>,
    pub(crate) backend: Rc<dyn Backend>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) cluster: ManagedMesh,
    /// Clients, by load.
    pub(crate) clients: Vec<Rc<LoadClients>>,
    /// By pod id.
    states: RefCell<Vec<Rc<PodsState>>>,
    /// Desired number of replicas, by service index and version.
    pub(crate) desired: RefCell<BTreeMap<(ServiceId, VersionId), u32>>,
    /// Faults in force that target all pods of a kind, and therefore apply to pods added later.
    for_all_pods: RefCell<Vec<(PodTarget, Rc<InjectedFault>)>>,
    failure: RefCell<Option<StartError>>,
    /// Compiled resources that all sidecars share.
    resources: ResourceCache,
}

#[derive(Debug, Default)]
pub(crate) struct PodsState {
    /// Incremented by each crash and stop, so that a task of an earlier life can detect them.
    life: Cell<u32>,
    /// Number of crashes in force. Crashes and pauses may overlap.
    crashes: Cell<u32>,
    pauses: Cell<u32>,
    cpu: Rc<CpuClock>,
    /// Set when the pod begins to terminate. `stopped` is set when it has.
    pub(crate) leaving: Cell<bool>,
    stopped: Cell<bool>,
    /// Set if the service's endpoints list the pod as ready.
    listed: Cell<bool>,
    injected_faults: Rc<InjectedFaults>,
    /// Closes the connections of the app.
    pub(crate) app: RefCell<Option<Drain>>,
}

impl PodsState {
    /// True if the pod has neither crashed nor stopped.
    fn is_up(&self) -> bool {
        self.crashes.get() == 0 && !self.stopped.get()
    }
}

/// Software of a pod did not start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The backend has no host for the pod.
    #[error("add a host for {pod}")]
    Host { pod: String, source: io::Error },
    /// The app cannot listen on its port.
    #[error("listen for the app of {pod}")]
    App { pod: String, source: io::Error },
    /// The sidecar has ended.
    #[error("run the sidecar of {pod}")]
    Sidecar { pod: String, source: ProxyError },
    /// The control plane has ended.
    #[error("run the control plane")]
    Control { source: ControlError },
}

impl Pods {
    /// Creates the pods of a scenario on a backend, without starting them.
    pub(crate) fn new(
        context: Rc<RunContext>,
        backend: Rc<dyn Backend>,
        journal: Arc<Journal>,
        cluster: ManagedMesh,
    ) -> Pods {
        let clients = context
            .scenario
            .loads
            .iter()
            .map(|_| Rc::default())
            .collect();
        let states = context.pods().map(|_| {
            let state = PodsState::default();
            state.listed.set(true);
            Rc::new(state)
        });
        let states = RefCell::new(states.collect());
        Pods {
            context,
            backend,
            journal,
            cluster,
            clients,
            states,
            desired: RefCell::default(),
            for_all_pods: RefCell::default(),
            failure: RefCell::default(),
            resources: ResourceCache::default(),
        }
    }

    pub(crate) fn state(&self, pod: PodId) -> Rc<PodsState> {
        Rc::clone(&self.states.borrow()[pod.0 as usize])
    }

    /// Returns true unless the pod is terminating or has stopped. A crashed pod counts, because it will
    /// restart.
    pub(crate) fn is_there(&self, pod: PodId) -> bool {
        let state = self.state(pod);
        !state.leaving.get() && !state.stopped.get()
    }

    /// Creates the state of an added pod, including the faults that apply to it.
    pub(crate) fn add_state(&self, id: PodId, pod: &Pod) {
        let state = Rc::new(PodsState::default());
        for (target, injected) in self.for_all_pods.borrow().iter() {
            if is_meant(&self.context.scenario, pod, target) {
                state.injected_faults.add(injected);
            }
        }
        let mut states = self.states.borrow_mut();
        debug_assert_eq!(states.len(), id.0 as usize);
        states.push(state);
    }

    /// Adds a fault to these pods, and to those added later if `target` means all pods.
    pub(crate) fn inject(&self, pods: &[PodId], target: &PodTarget, injected: &Rc<InjectedFault>) {
        for pod in pods {
            self.state(*pod).injected_faults.add(injected);
        }
        if target.part == scenario::PodCount::All {
            let for_all_pods = (target.clone(), Rc::clone(injected));
            self.for_all_pods.borrow_mut().push(for_all_pods);
        }
    }

    /// Clears this fault on all pods.
    pub(crate) fn clear(&self, fault: usize) {
        self.for_all_pods
            .borrow_mut()
            .retain(|(_, injected)| injected.fault != fault);
        for state in self.states.borrow().iter() {
            state.injected_faults.clear(fault);
        }
    }

    /// Takes the first failure: software that did not start, or has ended.
    pub(crate) fn failure(&self) -> Option<StartError> {
        self.failure.borrow_mut().take()
    }

    /// Returns the pods that have a sidecar.
    pub(crate) fn meshed(&self) -> Vec<PodId> {
        self.context
            .pods()
            .filter(|pod| self.context.pod(*pod).meshed)
            .collect()
    }

    /// Crashes the pod. Returns false if it has been removed. A pod that has already crashed stays down until
    /// the last of its crashes ends.
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
        // Must precede the crash of the host: a client without a host must not send.
        self.take_client(pod);
        self.backend.crash(pod);
        self.journal.forget(pod);
        self.journal.record(self.now(), Event::Crashed { pod });
        true
    }

    /// Ends one crash of the pod, and boots it if it was the last.
    pub(crate) fn revive(self: &Rc<Pods>, pod: PodId) {
        let state = self.state(pod);
        state.crashes.set(state.crashes.get() - 1);
        if state.crashes.get() > 0 || state.stopped.get() {
            return;
        }
        self.backend.restart(pod);
        if state.pauses.get() > 0 {
            self.backend.pause(pod);
        }
        let (pods, life) = (Rc::clone(self), state.life.get());
        self.backend
            .runner_env()
            .spawn("runner-boot", async move { pods.boot(pod, life).await });
    }

    /// Pauses the pod. Returns false if it is down. A pod that is already paused stays so until the last of
    /// its pauses ends.
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
            self.backend.pause(pod);
        }
        true
    }

    /// Ends one pause of the pod, and resumes it if it was the last. Returns false if it is down.
    pub(crate) fn resume(&self, pod: PodId) -> bool {
        let state = self.state(pod);
        state.pauses.set(state.pauses.get() - 1);
        let last = state.pauses.get() == 0;
        if last {
            state.cpu.resume(self.now());
        }
        if last && state.is_up() {
            self.backend.resume(pod);
        }
        state.is_up()
    }

    /// Stops a terminating pod.
    pub(crate) fn stop(&self, pod: PodId) {
        let state = self.state(pod);
        state.stopped.set(true);
        state.life.set(state.life.get() + 1);
        if state.crashes.get() == 0 {
            self.backend.crash(pod);
        }
        self.journal.forget(pod);
        self.journal.record(self.now(), Event::Stopped { pod });
    }

    pub(crate) async fn boot(self: Rc<Pods>, pod: PodId, life: u32) {
        let boot = match self.context.role(pod) {
            PodRole::Replica(_, _, version) => version.boot,
            PodRole::Client(_) | PodRole::Control => std::time::Duration::ZERO,
        };
        self.backend.runner_env().sleep(boot).await;
        if !self.is_alive(pod, life) {
            return;
        }
        self.start(pod);
        if self.context.pod(pod).meshed {
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
        self.backend.runner_env().now()
    }

    fn take_client(&self, pod: PodId) {
        if let Some(clients) = self.clients_of(pod) {
            clients.take(pod);
        }
    }

    fn clients_of(&self, pod: PodId) -> Option<&Rc<LoadClients>> {
        let participant = self.context.pod(pod).participant;
        match self.context.scenario.role(participant) {
            ParticipantRole::Load(load) => self.clients.get(load.index()),
            _ => None,
        }
    }

    pub(crate) fn fail(&self, error: StartError) {
        // Only the first failure is kept.
        self.failure.borrow_mut().get_or_insert(error);
    }
}
