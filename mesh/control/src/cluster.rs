//! What the Kubernetes API would say: services, endpoints, the user's documents, how many replicas there shall be. It lives
//! outside the control plane's host and survives its crash, and with it which version of each document was last found
//! good, as a document's status would, and how canaries split their services, as the documents that Flagger writes would.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use shakedown_istio::registry::{Hostname, Mesh, MeshOptions, Registry};
use shakedown_istio::{Canary, Document, Key, Resource};

use crate::admission::{Admission, Refusal};
use crate::canary::{Split, generate};
use crate::watch::{Watch, Watcher};

/// A cluster. A handle: clones are the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    state: Arc<Watch<State>>,
}

#[derive(Debug)]
pub(crate) struct State {
    registry: Registry,
    documents: BTreeMap<Key, Document>,
    options: MeshOptions,
    admission: Admission,
    replicas: BTreeMap<(Hostname, String), u32>,
    /// When versions were last given replicas after having none, as the number of that change among all of its kind.
    raised: BTreeMap<(Hostname, String), u64>,
    raises: u64,
    stable: BTreeMap<Hostname, String>,
    splits: BTreeMap<Key, Split>,
}

/// What a control plane is to bring in force.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The version of the cluster that this was made of.
    pub(crate) version: u64,
    /// The registry, and of each document the newest good version.
    pub(crate) mesh: Arc<Mesh>,
    /// What is not in force, where that is news.
    pub(crate) refused: Vec<Refusal>,
}

impl Cluster {
    /// A cluster without services and documents.
    pub fn new(options: MeshOptions) -> Cluster {
        let state = State {
            registry: Registry::new(),
            documents: BTreeMap::new(),
            options,
            admission: Admission::default(),
            replicas: BTreeMap::new(),
            raised: BTreeMap::new(),
            raises: 0,
            stable: BTreeMap::new(),
            splits: BTreeMap::new(),
        };
        Cluster {
            state: Arc::new(Watch::new(state)),
        }
    }

    /// Replaces the services.
    pub fn set_registry(&self, registry: Registry) {
        self.state.change(|state| state.registry = registry);
    }

    /// Changes the services. `change` must not come back to this cluster.
    pub fn update(&self, change: impl FnOnce(&mut Registry)) {
        self.state.change(|state| change(&mut state.registry));
    }

    /// Adds documents, or replaces those of the same key, as one change. Nobody has looked at them: the control plane may
    /// refuse them.
    pub fn apply(&self, documents: Vec<Document>) {
        self.state.change(|state| {
            for document in documents {
                state.documents.insert(document.key(), document);
            }
        });
    }

    /// Removes a document.
    pub fn remove(&self, key: &Key) {
        self.state.change(|state| {
            state.documents.remove(key);
        });
    }

    /// Says how many replicas a version of a service shall have, as a Deployment would. Whoever runs the pods watches this
    /// and makes it so; a canary's controller sets it, too. A version that shall have some, and is not the stable one, is
    /// rolled out if its service has a `Canary`. What is said again is no change.
    pub fn set_replicas(&self, service: &Hostname, version: &str, replicas: u32) {
        let key = (service.clone(), version.to_owned());
        if self
            .state
            .with(|state, _| state.replicas.get(&key) == Some(&replicas))
        {
            return;
        }
        self.state.change(|state| {
            let before = state.replicas.insert(key.clone(), replicas);
            if before.unwrap_or(0) == 0 && replicas > 0 {
                state.raises += 1;
                state.raised.insert(key, state.raises);
            }
        });
    }

    /// How many replicas the versions of services shall have, as far as anybody has said.
    pub fn replicas(&self) -> BTreeMap<(Hostname, String), u32> {
        self.state.with(|state, _| state.replicas.clone())
    }

    /// Says which version of a service is the stable one: a canary's primary. A promotion makes it another.
    pub fn set_stable(&self, service: &Hostname, version: &str) {
        if self.stable(service).as_deref() == Some(version) {
            return;
        }
        self.state.change(|state| {
            state.stable.insert(service.clone(), version.to_owned());
        });
    }

    /// The stable version of a service: as was said, or else that of its first endpoint.
    pub fn stable(&self, service: &Hostname) -> Option<String> {
        self.state.with(|state, _| state.stable(service))
    }

    /// Says how a canary splits its service.
    pub(crate) fn set_split(&self, canary: &Key, split: Split) {
        self.state.change(|state| {
            state.splits.insert(canary.clone(), split);
        });
    }

    /// Forgets how a canary splits its service.
    pub(crate) fn forget_split(&self, canary: &Key) {
        if self
            .state
            .with(|state, _| state.splits.contains_key(canary))
        {
            self.state.change(|state| {
                state.splits.remove(canary);
            });
        }
    }

    /// The canaries in force, and the services that they roll out.
    pub(crate) fn rollouts(&self) -> Vec<Rollout> {
        self.state.with(|state, _| {
            let canaries = state.admission.in_force().filter_map(canary_of);
            canaries.map(|canary| state.rollout(canary)).collect()
        })
    }

    /// How many changes there have been.
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// Waits for a version after `since`, and gives it. It has no timeout: a cluster may never change.
    pub async fn changed(&self, since: u64) -> u64 {
        let mut watcher = self.state.watcher(since);
        poll_fn(|cx| watcher.poll_changed(cx)).await
    }

    /// Everything as it was last written, good or not, documents in order of their keys.
    pub fn snapshot(&self) -> Arc<Mesh> {
        self.state.with(|state, _| {
            let documents = state.documents.values().cloned().collect();
            Arc::new(state.mesh(documents))
        })
    }

    pub(crate) fn watcher(&self, since: u64) -> Watcher<State> {
        self.state.watcher(since)
    }

    /// Validates what is new, and takes the last good version of what is not good. With `canaries`, those in force route
    /// their services: to the stable version alone, until their controller says otherwise.
    pub(crate) fn admit(&self, canaries: bool) -> Admitted {
        self.state.with(|state, version| {
            let mesh = state.mesh(Vec::new());
            let (mut mesh, refused) = state.admission.admit(mesh, &state.documents);
            if canaries {
                let routes = state.canary_documents(&mesh.documents);
                mesh.documents.extend(routes);
            }
            Admitted {
                version,
                mesh: Arc::new(mesh),
                refused,
            }
        })
    }
}

/// A canary in force and what is known of its service.
#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    pub(crate) key: Key,
    pub(crate) canary: Resource<Canary>,
    pub(crate) service: Hostname,
    /// `None` while no version of the service is known.
    pub(crate) stable: Option<String>,
    pub(crate) versions: BTreeMap<String, VersionState>,
}

/// The pods of a version, as they shall be and as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VersionState {
    /// How many there shall be, if anybody has said.
    pub(crate) desired: Option<u32>,
    /// Orders versions by when they were last given replicas after having none; 0 if nobody has said.
    pub(crate) raised: u64,
    /// Those that there are, and whether they are ready.
    pub(crate) pods: BTreeMap<std::net::IpAddr, bool>,
}

fn canary_of(document: &Document) -> Option<&Resource<Canary>> {
    match document {
        Document::Canary(canary) => Some(canary),
        _ => None,
    }
}

fn hostname_of(canary: &Resource<Canary>) -> Hostname {
    Hostname::resolve(canary.spec.service_name(), &canary.meta.namespace)
}

impl State {
    fn mesh(&self, documents: Vec<Document>) -> Mesh {
        Mesh {
            registry: self.registry.clone(),
            documents,
            options: self.options.clone(),
        }
    }

    fn stable(&self, service: &Hostname) -> Option<String> {
        let said = self.stable.get(service).cloned();
        said.or_else(|| {
            let service = self.registry.services.get(service)?;
            let mut endpoints = service.endpoints.iter();
            endpoints.find_map(|endpoint| endpoint.labels.get(generate::VERSION_LABEL).cloned())
        })
    }

    fn rollout(&self, canary: &Resource<Canary>) -> Rollout {
        let service = hostname_of(canary);
        let mut versions: BTreeMap<String, VersionState> = BTreeMap::new();
        let known = self.registry.services.get(&service);
        for endpoint in known.map_or(&[][..], |service| &service.endpoints) {
            if let Some(version) = endpoint.labels.get(generate::VERSION_LABEL) {
                let pods = &mut versions.entry(version.clone()).or_default().pods;
                pods.insert(endpoint.address.ip(), endpoint.ready);
            }
        }
        for ((of, version), replicas) in &self.replicas {
            if *of == service {
                let state = versions.entry(version.clone()).or_default();
                state.desired = Some(*replicas);
                let key = (service.clone(), version.clone());
                state.raised = self.raised.get(&key).copied().unwrap_or(0);
            }
        }
        Rollout {
            key: Document::Canary(canary.clone()).key(),
            canary: canary.clone(),
            stable: self.stable(&service),
            service,
            versions,
        }
    }

    /// What the canaries in force write, as Flagger would.
    fn canary_documents(&self, in_force: &[Document]) -> Vec<Document> {
        let mut written = Vec::new();
        for canary in in_force.iter().filter_map(canary_of) {
            let service = hostname_of(canary);
            let key = Document::Canary(canary.clone()).key();
            let split = self.splits.get(&key).cloned();
            let split =
                split.or_else(|| self.stable(&service).map(|stable| Split::all_to(&stable)));
            // A service of which no version is known cannot be split, and is routed as without a canary.
            if let Some(split) = split {
                written.extend(generate::documents(canary, &service, &split));
            }
        }
        written
    }
}
