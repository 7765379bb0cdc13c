//! The run context: the scenario, and everything that can be computed once before the first request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_loadgen::CallTarget;
use shakedown_results::{Participants, Pod, PodId};
use shakedown_scenarios::scenario::{
    AttemptBound, Callee, DrawId, LoadSpec, ParticipantRole, Protocol, ResolvedScenario, ServiceId,
    ServiceSpec, Step, Success, Version, VersionId,
};

/// A scenario, its participants and its pods.
pub(crate) struct RunContext {
    pub(crate) scenario: Rc<ResolvedScenario>,
    /// All participants and pods at 0 s.
    pub(crate) participants: Arc<Participants>,
    /// All pods so far, including those that have been removed.
    pods: RefCell<Vec<Pod>>,
    /// Targets of calls to services, by [`ServiceId`].
    services: Vec<CallTarget>,
    /// Targets of calls to hosts that are not services, by index.
    hosts: Vec<CallTarget>,
    /// The success condition of calls between apps.
    pub(crate) success: Success,
    /// True if some call uses the rest of its caller's deadline. All requests then carry their timeout in a
    /// header.
    pub(crate) passes_deadlines: bool,
    end: Cell<Time>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum PodRole<'a> {
    Replica(ServiceId, &'a ServiceSpec, &'a Version),
    Client(&'a LoadSpec),
    Control,
}

impl RunContext {
    /// Returns `None` if a service's name is not valid in a `host` header, which the scenario's reader
    /// prevents.
    pub(crate) fn new(
        scenario: Rc<ResolvedScenario>,
        participants: Arc<Participants>,
    ) -> Option<RunContext> {
        let services = scenario.services.iter();
        let services = services.map(|s| CallTarget::new(&dns_name(s), s.port, s.protocol));
        let services = services.collect::<Option<Vec<_>>>()?;
        let hosts = scenario.hosts.iter();
        let hosts = hosts.map(|host| CallTarget::new(&host.name, host.port, Protocol::Http));
        let hosts = hosts.collect::<Option<Vec<_>>>()?;
        let passes_deadlines = passes_deadlines(&scenario);
        Some(RunContext {
            scenario,
            pods: RefCell::new(participants.pods.clone()),
            participants,
            services,
            hosts,
            success: Success::default(),
            passes_deadlines,
            end: Cell::new(Time::FAR),
        })
    }

    /// Returns the target of calls to a callee.
    pub(crate) fn target(&self, callee: Callee) -> &CallTarget {
        match callee {
            Callee::Service(service) => &self.services[service.index()],
            Callee::Host(host) => &self.hosts[host.index()],
        }
    }

    /// Deadline of calls without one of their own. It is after the end of the run, which cancels them first.
    pub(crate) fn last_deadline(&self) -> Time {
        self.end() + Duration::from_secs(1)
    }

    /// End of the run, including the drain; [`Time::FAR`] until 0 s is known.
    pub(crate) fn end(&self) -> Time {
        self.end.get()
    }

    pub(crate) fn set_zero(&self, zero: Time) {
        self.end
            .set(zero + self.scenario.duration + self.scenario.drain);
    }

    /// Returns the ids of all pods so far, in order.
    pub(crate) fn pods(&self) -> impl Iterator<Item = PodId> + use<> {
        (0..number_of(self.pods.borrow().len()).0).map(PodId)
    }

    pub(crate) fn pod(&self, id: PodId) -> Pod {
        self.pods.borrow()[id.0 as usize].clone()
    }

    /// Returns the ids of a version's replicas so far, including those that have been removed.
    pub(crate) fn replicas(
        &self,
        service: ServiceId,
        version: VersionId,
    ) -> impl Iterator<Item = PodId> {
        let (participant, version) = (service.participant(), version.number());
        self.pods().filter(move |id| {
            let pod = &self.pods.borrow()[id.0 as usize];
            pod.participant == participant && pod.version == version
        })
    }

    /// Returns all pods so far, including those that have been removed.
    pub(crate) fn roster(&self) -> Vec<Pod> {
        self.pods.borrow().clone()
    }

    pub(crate) fn add(&self, pod: Pod) -> PodId {
        let mut pods = self.pods.borrow_mut();
        pods.push(pod);
        number_of(pods.len() - 1)
    }

    /// Returns the path of a source location that draws, which labels its random stream.
    pub(crate) fn path(&self, draw_id: DrawId) -> &str {
        self.scenario.draw_path(draw_id)
    }

    /// Returns a pod's name: `reviews/v1/0`.
    pub(crate) fn name(&self, id: PodId) -> String {
        self.participants.name(&self.pod(id))
    }

    /// Returns the role of a pod.
    ///
    /// # Panics
    /// If the participants do not belong to this scenario.
    pub(crate) fn role(&self, id: PodId) -> PodRole<'_> {
        let pod = self.pod(id);
        match self.scenario.role(pod.participant) {
            ParticipantRole::Service(id) => {
                let version = self.scenario.version(id, pod.version.into());
                PodRole::Replica(id, self.scenario.service(id), version)
            }
            ParticipantRole::Load(load) => PodRole::Client(self.scenario.load(load)),
            ParticipantRole::Control => PodRole::Control,
            ParticipantRole::Host(_) => unreachable!("a host without a service has no pods"),
        }
    }

    /// Returns a pod's Kubernetes name, unique in the run: `reviews-v1-0`.
    pub(crate) fn pod_name(&self, id: PodId) -> String {
        self.name(id).replace('/', "-")
    }
}

fn passes_deadlines(scenario: &ResolvedScenario) -> bool {
    let versions = scenario
        .services
        .iter()
        .flat_map(|service| &service.versions);
    let mut steps = versions.flat_map(|version| version.endpoints.iter().flatten().flatten());
    steps.any(|step| {
        step.any(
            &|step| matches!(step, Step::Call(call) if call.timeout == Some(AttemptBound::Rest)),
        )
    })
}

fn number_of(index: usize) -> PodId {
    PodId(u32::try_from(index).expect("pods are numbered in 32 bits"))
}

/// Returns the DNS name by which other pods call a service. In the default namespace it is the short name, as
/// between pods of the same Kubernetes namespace.
fn dns_name(service: &ServiceSpec) -> String {
    match service.namespace.as_str() {
        "default" => service.name.clone(),
        namespace => format!("{}.{namespace}", service.name),
    }
}

/// Returns all DNS names of a service.
pub(crate) fn dns_names(service: &ServiceSpec) -> [String; 3] {
    let long = format!("{}.{}", service.name, service.namespace);
    let full = format!("{long}.svc.cluster.local");
    [service.name.clone(), long, full]
}
