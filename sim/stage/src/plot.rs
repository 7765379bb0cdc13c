//! The story as the stage needs it: with all that can be made once, before the first request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_loadgen::Target;
use shakedown_results::{Cast, PartyId, Pod, PodId};
use shakedown_scenarios::story::{
    Bound, Load, Place, Protocol, Service, Step, Story, Success, Version,
};

/// A story and its cast.
pub(crate) struct Plot {
    pub(crate) story: Rc<Story>,
    /// Everybody as it was at 0 s.
    pub(crate) cast: Arc<Cast>,
    /// All pods so far, those that are gone too.
    pods: RefCell<Vec<Pod>>,
    /// Targets of callees by index: services, then hosts without one.
    pub(crate) targets: Vec<Target>,
    /// The success condition of an app's calls.
    pub(crate) success: Success,
    /// Set if a call takes the rest of its caller's deadline: every request then carries its timeout.
    pub(crate) passes_deadlines: bool,
    end: Cell<Time>,
}

/// The role of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// A replica of a service: its index, and its version.
    Replica(usize, &'a Service, &'a Version),
    /// A client host of a load.
    Client(&'a Load),
    /// The control plane.
    Control,
}

impl Plot {
    /// `None` if a service's name is not valid in a `host` header, which the scenario's reader prevents.
    pub(crate) fn new(story: Rc<Story>, cast: Arc<Cast>) -> Option<Plot> {
        let targets = story
            .services
            .iter()
            .map(|s| Target::new(&dns_name(s), s.port, s.protocol));
        let hosts = story.hosts.iter();
        let hosts = hosts.map(|host| Target::new(&host.name, host.port, Protocol::Http));
        let targets = targets.chain(hosts);
        let targets = targets.collect::<Option<Vec<_>>>()?;
        let passes_deadlines = passes_deadlines(&story);
        Some(Plot {
            story,
            pods: RefCell::new(cast.pods.clone()),
            cast,
            targets,
            success: Success::default(),
            passes_deadlines,
            end: Cell::new(Time::FAR),
        })
    }

    /// The deadline of calls that have none of their own: after the end, which ends them as it ends all else.
    pub(crate) fn last_deadline(&self) -> Time {
        self.end() + Duration::from_secs(1)
    }

    /// The end of the run, drain included; far in the future until 0 s is known.
    pub(crate) fn end(&self) -> Time {
        self.end.get()
    }

    pub(crate) fn set_zero(&self, zero: Time) {
        self.end.set(zero + self.story.duration + self.story.drain);
    }

    /// All pods so far, in the cast's order.
    pub(crate) fn pods(&self) -> impl Iterator<Item = PodId> + use<> {
        (0..number_of(self.pods.borrow().len()).0).map(PodId)
    }

    pub(crate) fn pod(&self, id: PodId) -> Pod {
        self.pods.borrow()[id.0 as usize].clone()
    }

    /// All pods so far, as they are.
    pub(crate) fn roster(&self) -> Vec<Pod> {
        self.pods.borrow().clone()
    }

    /// Adds a pod during the run.
    pub(crate) fn add(&self, pod: Pod) -> PodId {
        let mut pods = self.pods.borrow_mut();
        pods.push(pod);
        number_of(pods.len() - 1)
    }

    /// The path of a place of the story: the label of its random stream.
    pub(crate) fn path(&self, place: Place) -> &str {
        &self.story.places[place.0 as usize]
    }

    /// A pod's name in the cast: `reviews/v1/0`.
    pub(crate) fn name(&self, id: PodId) -> String {
        let pod = self.pod(id);
        let party = &self.cast.parties[usize::from(pod.party.0)];
        match party.versions.get(usize::from(pod.version)) {
            Some(version) => format!("{}/{}/{}", party.name, version, pod.replica),
            None => format!("{}/{}", party.name, pod.replica),
        }
    }

    /// The role of a pod.
    ///
    /// # Panics
    /// If the cast is not of this story: parties are services, loads, then the control plane.
    pub(crate) fn part(&self, id: PodId) -> Part<'_> {
        let pod = self.pod(id);
        let party = usize::from(pod.party.0);
        let services = self.story.services.len();
        if let Some(service) = self.story.services.get(party) {
            Part::Replica(party, service, &service.versions[usize::from(pod.version)])
        } else if let Some(load) = self.story.loads.get(party - services) {
            Part::Client(load)
        } else {
            Part::Control
        }
    }

    /// The party of a load, by its index.
    pub(crate) fn load_party(&self, load: usize) -> PartyId {
        party_id(self.story.services.len() + load)
    }

    /// A pod's name in Kubernetes, unique in the run: `reviews-v1-0`.
    pub(crate) fn pod_name(&self, id: PodId) -> String {
        self.name(id).replace('/', "-")
    }
}

fn passes_deadlines(story: &Story) -> bool {
    let versions = story.services.iter().flat_map(|service| &service.versions);
    let mut steps = versions.flat_map(|version| version.endpoints.iter().flatten().flatten());
    steps.any(|step| {
        step.any(&|step| matches!(step, Step::Call(call) if call.timeout == Some(Bound::Rest)))
    })
}

fn number_of(index: usize) -> PodId {
    PodId(u32::try_from(index).expect("pods are numbered in 32 bits"))
}

/// The name by which other pods ask for a service: short in the default namespace, as within any one namespace of
/// Kubernetes.
fn dns_name(service: &Service) -> String {
    match service.namespace.as_str() {
        "default" => service.name.clone(),
        namespace => format!("{}.{namespace}", service.name),
    }
}

/// Every name that resolvers know a service by.
pub(crate) fn dns_names(service: &Service) -> [String; 3] {
    let long = format!("{}.{}", service.name, service.namespace);
    let full = format!("{long}.svc.cluster.local");
    [service.name.clone(), long, full]
}

pub(crate) fn party_id(index: usize) -> PartyId {
    PartyId(u16::try_from(index).expect("the cast numbers parties in 16 bits"))
}
