//! The state of an app, which all of its connections and requests share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Response};
use shakedown_env::Env;
use shakedown_loadgen::{CallingHost, REQUEST_ID_HEADER, message};
use shakedown_results::{Outcome, PodId};
use shakedown_scenarios::scenario::{
    Abandoned, Protocol, ServiceId, ServiceSpec, Step, StepStatus, Version, VersionId,
};
use shakedown_wire::Drain;

use super::answer::{AppBody, answer};
use super::concurrency::ConcurrencyLimits;
use super::cores::Cores;
use super::draws::Draws;
use super::meter::Meter;
use super::path::Endpoints;
use super::queue::Servers;
use crate::cpu::CpuClock;
use crate::injected_faults::InjectedFaults;
use crate::journal::Journal;
use crate::run_context::RunContext;

/// Trace context headers, which every app forwards. Sources: W3C Trace Context; B3 Propagation.
const ALWAYS_FORWARDED: [HeaderName; 9] = [
    REQUEST_ID_HEADER,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-b3-traceid"),
    HeaderName::from_static("x-b3-spanid"),
    HeaderName::from_static("x-b3-parentspanid"),
    HeaderName::from_static("x-b3-sampled"),
    HeaderName::from_static("x-b3-flags"),
];
/// The identity of an app: its replica.
#[derive(Debug)]
pub(crate) struct AppIdentity {
    pub(crate) pod: PodId,
    pub(crate) service: ServiceId,
    pub(crate) version: VersionId,
    /// Number of earlier starts of the pod.
    pub(crate) life: u32,
    pub(crate) injected_faults: Rc<InjectedFaults>,
    pub(crate) cpu: Rc<CpuClock>,
    /// Closes the connections gracefully.
    pub(crate) drain: Drain,
    /// The runner's own host, whose random draws do not depend on the replica.
    pub(crate) runner_env: Env,
}

/// The app of one replica, from a start of its pod to its end.
pub(crate) struct App {
    pub(super) env: Env,
    pub(super) context: Rc<RunContext>,
    pub(super) journal: Arc<Journal>,
    pub(super) role: AppIdentity,
    pub(super) endpoints: Endpoints,
    pub(super) forwarded: Vec<HeaderName>,
    pub(super) workers: Option<Rc<Servers>>,
    pub(super) cores: Cores,
    pub(super) draws: Draws,
    pub(super) caller: CallingHost,
    pub(super) limits: ConcurrencyLimits,
    /// Request and response bodies, by (is gRPC, size). Bounded by the number of steps in the scenario that
    /// send a body.
    messages: RefCell<BTreeMap<(bool, u64), Bytes>>,
}

impl App {
    /// The app of a replica that starts now.
    pub(super) fn new(
        env: &Env,
        context: &Rc<RunContext>,
        journal: &Arc<Journal>,
        role: AppIdentity,
        caller: CallingHost,
    ) -> App {
        let service = context.scenario.service(role.service);
        let version = context.scenario.version(role.service, role.version);
        let (pod, life) = (role.pod, role.life);
        let drops_gone = version.abandoned == Abandoned::Drop;
        let counts_cores = version.workers.is_none() && version.cores.is_some();
        let to = counts_cores.then(|| (Arc::clone(journal), pod));
        let meter = Meter::new(Rc::clone(&role.cpu), to);
        let queue = version.queue;
        let workers = version
            .workers
            .map(|count| Servers::new(count, queue.limit, queue.order, drops_gone));
        App {
            env: env.clone(),
            context: Rc::clone(context),
            journal: Arc::clone(journal),
            draws: Draws::new(
                env.clone(),
                role.runner_env.clone(),
                Rc::clone(&context.scenario),
                life,
            ),
            cores: Cores::new(env, version, meter, drops_gone),
            role,
            endpoints: Endpoints::new(&service.endpoints),
            forwarded: ALWAYS_FORWARDED
                .iter()
                .chain(&version.forward)
                .cloned()
                .collect(),
            workers,
            caller,
            limits: ConcurrencyLimits::default(),
            messages: RefCell::default(),
        }
    }

    pub(super) fn service(&self) -> &ServiceSpec {
        self.context.scenario.service(self.role.service)
    }

    pub(super) fn version(&self) -> &Version {
        &self.service().versions[self.role.version.index()]
    }

    /// Returns a body of `size` bytes; for gRPC, a framed message, even if `size` is 0.
    pub(super) fn message(&self, protocol: Protocol, size: u64) -> Bytes {
        let grpc = protocol == Protocol::Grpc;
        if size == 0 && !grpc {
            return Bytes::new();
        }
        let mut messages = self.messages.borrow_mut();
        let known = messages.entry((grpc, size));
        known.or_insert_with(|| message(protocol, size)).clone()
    }

    /// A response with a status and an empty message.
    pub(super) fn plain(&self, status: StepStatus) -> (Response<AppBody>, Outcome) {
        let protocol = self.service().protocol;
        answer(protocol, status, self.message(protocol, 0), &[])
    }

    /// Returns the steps of an endpoint; `None` if this version does not implement it.
    pub(super) fn steps(&self, endpoint: u16) -> Option<&[Step]> {
        self.version()
            .endpoints
            .get(usize::from(endpoint))?
            .as_deref()
    }
}
