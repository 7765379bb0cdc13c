//! A hand-written delta client that follows the protocol and checks that the server does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{DeltaRequest, DeltaResponse};
use crate::snapshot::tests::resources;
use crate::snapshot::{ConfigSnapshot, ResourceKind, ResourceVersion, Resources, SnapshotView};

/// A view with shared resources only.
pub(super) fn view(push: u64, list: &[(ResourceKind, &str, &str)]) -> SnapshotView {
    SnapshotView {
        shared: Arc::new(ConfigSnapshot::empty().next(push, resources(list))),
        own: Arc::default(),
    }
}

/// The view of the next push.
pub(super) fn next(before: &SnapshotView, list: &[(ResourceKind, &str, &str)]) -> SnapshotView {
    next_of(before, resources(list))
}

/// The view of the next push.
pub(super) fn next_of(before: &SnapshotView, shared: Resources) -> SnapshotView {
    let shared = Arc::new(before.shared.next(before.push() + 1, shared));
    SnapshotView {
        shared,
        own: Arc::clone(&before.own),
    }
}

pub(super) fn request(kind: ResourceKind, subscribe: &[&str]) -> DeltaRequest {
    DeltaRequest {
        type_url: kind.url().to_owned(),
        subscribe: subscribe.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaRequest::default()
    }
}

pub(super) fn ack(response: &DeltaResponse) -> DeltaRequest {
    DeltaRequest {
        type_url: response.type_url.to_string(),
        nonce: response.nonce.clone(),
        ..DeltaRequest::default()
    }
}

pub(super) fn nack(response: &DeltaResponse, reason: &str) -> DeltaRequest {
    DeltaRequest {
        error: Some(reason.to_owned()),
        ..ack(response)
    }
}

/// Formats a response as `Cluster +a=1 -c @4`: the type, the added and the removed resources, and the push.
pub(super) fn show(response: &DeltaResponse) -> String {
    let kind = ResourceKind::of_url(&response.type_url).map_or("?", ResourceKind::name);
    let mut text = kind.to_owned();
    for entry in &response.resources {
        text += &format!(" +{}={}", entry.name, entry.version);
    }
    for name in &response.removed {
        text += &format!(" -{name}");
    }
    match response.version {
        Some(version) => text + &format!(" @{version}"),
        None => text,
    }
}

/// The name that a resource refers to: version `3>x` refers to `x`.
fn refers_to(version: &str) -> Option<&str> {
    version.split_once('>').map(|(_, name)| name)
}

/// A client that refuses versions that start with `bad`.
#[derive(Debug, Default)]
pub(super) struct Client {
    held: BTreeMap<ResourceKind, BTreeMap<String, Arc<ResourceVersion>>>,
    wanted: BTreeMap<ResourceKind, BTreeSet<String>>,
    /// The version of the last response that completed a push.
    pub(super) complete: Option<u64>,
}

impl Client {
    pub(super) fn versions(&self, kind: ResourceKind) -> BTreeMap<String, String> {
        let held = self.held.get(&kind).into_iter().flatten();
        held.map(|(name, entry)| (name.clone(), entry.version.to_string()))
            .collect()
    }

    pub(super) fn wanted(&self, kind: ResourceKind) -> BTreeSet<String> {
        self.wanted.get(&kind).cloned().unwrap_or_default()
    }

    /// The first requests of a stream.
    pub(super) fn open(&self) -> Vec<DeltaRequest> {
        let kinds = ResourceKind::ALL.into_iter();
        let kinds = kinds.filter(|kind| wildcard(*kind) || !self.wanted(*kind).is_empty());
        kinds
            .map(|kind| DeltaRequest {
                subscribe: self.wanted(kind).into_iter().collect(),
                initial_versions: self.versions(kind),
                ..request(kind, &[])
            })
            .collect()
    }

    /// Applies a response and returns the answers, as a proxy does. Valid resources apply even if others are refused.
    /// Newly required names are requested before the acknowledgement.
    pub(super) fn receive(&mut self, response: &DeltaResponse) -> Vec<DeltaRequest> {
        let kind = ResourceKind::of_url(&response.type_url).unwrap();
        let mut refused = Vec::new();
        for entry in &response.resources {
            if entry.version.starts_with("bad") {
                refused.push(entry.name.to_string());
            } else if wildcard(kind) || self.wanted(kind).contains(&*entry.name) {
                // Any other resource was unsubscribed from while it was in flight.
                let held = self.held.entry(kind).or_default();
                held.insert(entry.name.to_string(), Arc::clone(entry));
            }
        }
        for name in &response.removed {
            self.held.entry(kind).or_default().remove(&**name);
        }
        self.complete = response.version.or(self.complete);
        let mut requests: Vec<DeltaRequest> = self.follow(kind).into_iter().collect();
        requests.push(if refused.is_empty() {
            ack(response)
        } else {
            nack(response, &format!("bad: {}", refused.join(", ")))
        });
        requests
    }

    /// Subscribes to the endpoints of the clusters, and to the routes of the listeners.
    fn follow(&mut self, kind: ResourceKind) -> Option<DeltaRequest> {
        let followed = match kind {
            ResourceKind::Cluster => ResourceKind::Endpoints,
            ResourceKind::Listener => ResourceKind::Routes,
            ResourceKind::Endpoints | ResourceKind::Routes => return None,
        };
        let held = self.held.get(&kind).into_iter().flatten();
        let names = held.filter_map(|(_, entry)| match kind {
            ResourceKind::Cluster => entry.endpoints.as_deref(),
            _ => refers_to(&entry.version),
        });
        let wanted: BTreeSet<String> = names.map(str::to_owned).collect();
        let before = self
            .wanted
            .insert(followed, wanted.clone())
            .unwrap_or_default();
        if wanted == before {
            return None;
        }
        for name in before.difference(&wanted) {
            self.held.entry(followed).or_default().remove(name);
        }
        Some(DeltaRequest {
            subscribe: wanted.difference(&before).cloned().collect(),
            unsubscribe: before.difference(&wanted).cloned().collect(),
            ..request(followed, &[])
        })
    }

    /// Asserts that the client has the cluster and the endpoints of every route.
    pub(super) fn check_routes(&self) {
        for (name, version) in self.versions(ResourceKind::Routes) {
            let cluster = refers_to(&version).unwrap();
            for kind in [ResourceKind::Cluster, ResourceKind::Endpoints] {
                assert!(
                    self.versions(kind).contains_key(cluster),
                    "{name} ({version}): no {kind}"
                );
            }
        }
    }
}

pub(super) fn wildcard(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Cluster | ResourceKind::Listener)
}
