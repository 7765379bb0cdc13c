//! The state of the Kubernetes API: services, endpoints, the user's documents and the desired replicas. It is stored
//! outside the control plane's host and survives a crash of that host. It also contains the last good version of each
//! document, as a document's status would, and the traffic splits of canaries, as the documents that Flagger writes
//! would.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use shakedown_istio::registry::{Hostname, Mesh, MeshOptions, Registry};
use shakedown_istio::{Canary, Document, DocumentKey, Resource};

use crate::admission::{AdmissionOutcome, RefusedDocument};
use crate::canary::{Split, generate};
use crate::watch::{Watched, Watcher};

/// A cluster. Clones are handles of the same cluster.
#[derive(Clone, Debug)]
pub struct ManagedMesh {
    state: Arc<Watched<ManagedState>>,
}

#[derive(Debug)]
pub(crate) struct ManagedState {
    registry: Registry,
    documents: BTreeMap<DocumentKey, Document>,
    options: MeshOptions,
    admission: AdmissionOutcome,
    replicas: BTreeMap<(Hostname, String), u32>,
    /// The number of the change that last raised a version's replicas from zero, counted over all such changes.
    raised: BTreeMap<(Hostname, String), u64>,
    raises: u64,
    stable: BTreeMap<Hostname, String>,
    splits: BTreeMap<DocumentKey, Split>,
}

/// The configuration that a control plane must apply.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The version of the cluster from which this was built.
    pub(crate) version: u64,
    /// The registry, and the newest good version of each document.
    pub(crate) mesh: Arc<Mesh>,
    /// Refused documents that have not been reported yet.
    pub(crate) refused: Vec<RefusedDocument>,
}

impl ManagedMesh {
    /// A cluster without services and documents.
    pub fn new(options: MeshOptions) -> ManagedMesh {
        let state = ManagedState {
            registry: Registry::new(),
            documents: BTreeMap::new(),
            options,
            admission: AdmissionOutcome::default(),
            replicas: BTreeMap::new(),
            raised: BTreeMap::new(),
            raises: 0,
            stable: BTreeMap::new(),
            splits: BTreeMap::new(),
        };
        ManagedMesh {
            state: Arc::new(Watched::new(state)),
        }
    }

    /// Replaces the services.
    pub fn set_registry(&self, registry: Registry) {
        self.state.change(|state| state.registry = registry);
    }

    /// Changes the services. `change` must not call this cluster: it runs under the lock.
    pub fn update(&self, change: impl FnOnce(&mut Registry)) {
        self.state.change(|state| change(&mut state.registry));
    }

    /// Adds documents, or replaces those of the same key, as one change. They are not validated here: the control plane
    /// may refuse them.
    pub fn apply(&self, documents: Vec<Document>) {
        self.state.change(|state| {
            for document in documents {
                state.documents.insert(document.key(), document);
            }
        });
    }

    /// Removes a document.
    pub fn remove(&self, key: &DocumentKey) {
        self.state.change(|state| {
            state.documents.remove(key);
        });
    }

    /// Sets the desired replicas of a version of a service, as a Deployment would. The code that runs the pods watches
    /// this and applies it. A canary's controller sets it, too. If the service has a `Canary`, a version with replicas
    /// that is not the stable one is rolled out. Setting the same number again is not a change.
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

    /// The desired replicas of each version of a service, where they have been set.
    pub fn replicas(&self) -> BTreeMap<(Hostname, String), u32> {
        self.state.with(|state, _| state.replicas.clone())
    }

    /// Sets the stable version of a service, which is the primary of its canary. A promotion changes it.
    pub fn set_stable(&self, service: &Hostname, version: &str) {
        if self.stable(service).as_deref() == Some(version) {
            return;
        }
        self.state.change(|state| {
            state.stable.insert(service.clone(), version.to_owned());
        });
    }

    /// The stable version of a service: the one that was set, or else the version of its first endpoint that has one.
    pub fn stable(&self, service: &Hostname) -> Option<String> {
        self.state.with(|state, _| state.stable(service))
    }

    /// Sets the traffic split of a canary.
    pub(crate) fn set_split(&self, canary: &DocumentKey, split: Split) {
        self.state.change(|state| {
            state.splits.insert(canary.clone(), split);
        });
    }

    /// Removes the traffic split of a canary.
    pub(crate) fn forget_split(&self, canary: &DocumentKey) {
        if self
            .state
            .with(|state, _| state.splits.contains_key(canary))
        {
            self.state.change(|state| {
                state.splits.remove(canary);
            });
        }
    }

    /// The canaries in force, with the state of the services that they roll out.
    pub(crate) fn rollouts(&self) -> Vec<CanaryTarget> {
        self.state.with(|state, _| {
            let canaries = state.admission.in_force().filter_map(canary_of);
            canaries.map(|canary| state.rollout(canary)).collect()
        })
    }

    /// The number of changes so far.
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// Waits for a version after `since` and returns it. Has no timeout, because a cluster may never change.
    pub async fn changed(&self, since: u64) -> u64 {
        let mut watcher = self.state.watcher(since);
        poll_fn(|cx| watcher.poll_changed(cx)).await
    }

    /// Everything as it was last written, whether valid or not. Documents are in the order of their keys.
    pub fn snapshot(&self) -> Arc<Mesh> {
        self.state.with(|state, _| {
            let documents = state.documents.values().cloned().collect();
            Arc::new(state.mesh(documents))
        })
    }

    pub(crate) fn watcher(&self, since: u64) -> Watcher<ManagedState> {
        self.state.watcher(since)
    }

    /// Validates new documents and replaces invalid ones by their last good version. If `canaries` is set, the canaries
    /// in force route their services: to the stable version alone until their controller sets a split.
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

/// A canary in force and the state of its service.
#[derive(Clone, Debug)]
pub(crate) struct CanaryTarget {
    pub(crate) key: DocumentKey,
    pub(crate) canary: Resource<Canary>,
    pub(crate) service: Hostname,
    /// `None` if no version of the service is known.
    pub(crate) stable: Option<String>,
    pub(crate) versions: BTreeMap<String, VersionState>,
}

/// The pods of a version, desired and actual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VersionState {
    /// The desired number of pods, if it has been set.
    pub(crate) desired: Option<u32>,
    /// Orders versions by the time at which their replicas were last raised from zero; 0 if they were never set.
    pub(crate) raised: u64,
    /// The address of each existing pod, and true if it is ready.
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

impl ManagedState {
    fn mesh(&self, documents: Vec<Document>) -> Mesh {
        Mesh {
            registry: self.registry.clone(),
            documents,
            options: self.options.clone(),
        }
    }

    fn stable(&self, service: &Hostname) -> Option<String> {
        let recorded = self.stable.get(service).cloned();
        recorded.or_else(|| {
            let service = self.registry.services.get(service)?;
            let mut endpoints = service.endpoints.iter();
            endpoints.find_map(|endpoint| endpoint.labels.get(generate::VERSION_LABEL).cloned())
        })
    }

    fn rollout(&self, canary: &Resource<Canary>) -> CanaryTarget {
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
        CanaryTarget {
            key: Document::Canary(canary.clone()).key(),
            canary: canary.clone(),
            stable: self.stable(&service),
            service,
            versions,
        }
    }

    /// The documents that the canaries in force generate, as Flagger would.
    fn canary_documents(&self, in_force: &[Document]) -> Vec<Document> {
        let mut written = Vec::new();
        for canary in in_force.iter().filter_map(canary_of) {
            let service = hostname_of(canary);
            let key = Document::Canary(canary.clone()).key();
            let split = self.splits.get(&key).cloned();
            let split =
                split.or_else(|| self.stable(&service).map(|stable| Split::all_to(&stable)));
            // A service without a known version cannot be split, and is routed as without a canary.
            if let Some(split) = split {
                written.extend(generate::documents(canary, &service, &split));
            }
        }
        written
    }
}
