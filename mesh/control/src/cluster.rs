//! What the Kubernetes API would say: services, endpoints, the user's documents. It lives outside the control plane's host
//! and survives its crash, and with it which version of each document was last found good, as a document's status would.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use shakedown_config::api::{Document, Key};
use shakedown_config::{Mesh, MeshOptions, Registry};

use crate::admission::{Admission, Refusal};
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

    /// Validates what is new, and takes the last good version of what is not good.
    pub(crate) fn admit(&self) -> Admitted {
        self.state.with(|state, version| {
            let mesh = state.mesh(Vec::new());
            let (mesh, refused) = state.admission.admit(mesh, &state.documents);
            Admitted {
                version,
                mesh: Arc::new(mesh),
                refused,
            }
        })
    }
}

impl State {
    fn mesh(&self, documents: Vec<Document>) -> Mesh {
        Mesh {
            registry: self.registry.clone(),
            documents,
            options: self.options.clone(),
        }
    }
}
