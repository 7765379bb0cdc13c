//! The resources of one push, encoded once, and their difference from earlier pushes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use shakedown_translate::{Outbound, ScopedResources, SidecarResources};
use shakedown_xds::proto::discovery::Resource as WireResource;
use shakedown_xds::proto::protobuf::Any;
use shakedown_xds::proto::{self, cluster};
use shakedown_xds::table::NamedValue;

pub use shakedown_xds::proto::ResourceKind;

/// The maximum number of pushes that a connection can be behind and still receive the recorded changes. A connection
/// that is further behind is compared resource by resource.
const HISTORY_PUSHES_MAX: usize = 16;

/// A version of a resource, encoded for the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceVersion {
    pub name: Arc<str>,
    /// A hash of its content.
    pub version: Arc<str>,
    /// An encoded `envoy.service.discovery.v3.Resource`, shared by every response that carries it.
    pub wire: Bytes,
    /// For a cluster that uses EDS: the name of its endpoints there.
    pub endpoints: Option<Arc<str>>,
}

impl ResourceVersion {
    /// Encodes a resource. `endpoints` is the EDS name of a cluster that uses EDS.
    pub fn new(name: &str, version: &str, body: Any, endpoints: Option<&str>) -> ResourceVersion {
        let wire = WireResource {
            name: name.to_owned(),
            version: version.to_owned(),
            resource: Some(body),
            ..WireResource::default()
        };
        let name: Arc<str> = name.into();
        // Nearly every cluster uses its own name in EDS, so the text is shared.
        let endpoints = endpoints.map(|e| {
            if *e == *name {
                Arc::clone(&name)
            } else {
                e.into()
            }
        });
        ResourceVersion {
            name,
            version: version.into(),
            wire: wire.encode_to_vec().into(),
            endpoints,
        }
    }
}

impl ResourceVersion {
    /// A version that a client reported, of which only the name and version are known.
    pub(crate) fn held(name: Arc<str>, version: Arc<str>) -> ResourceVersion {
        ResourceVersion {
            name,
            version,
            wire: Bytes::new(),
            endpoints: None,
        }
    }
}

impl NamedValue for ResourceVersion {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Resources by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    present: [BTreeMap<Arc<str>, Arc<ResourceVersion>>; 4],
    /// Names of shared resources that are hidden.
    absent: [BTreeSet<Arc<str>>; 4],
}

impl Resources {
    /// The resources that all sidecars share, encoded.
    pub fn outbound(outbound: Outbound) -> Resources {
        let Outbound {
            clusters,
            endpoints,
            routes,
        } = outbound;
        let mut all = Resources::default();
        all.extend(ResourceKind::Cluster, clusters);
        all.extend(ResourceKind::Endpoints, endpoints);
        all.extend(ResourceKind::Routes, routes);
        all
    }

    /// The resources that only one sidecar has, encoded.
    pub fn own(own: SidecarResources) -> Resources {
        let SidecarResources {
            clusters,
            listeners,
        } = own;
        let mut all = Resources::default();
        all.extend(ResourceKind::Cluster, clusters);
        all.extend(ResourceKind::Listener, listeners);
        all
    }

    /// The endpoints of clients at one locality, encoded, without those that they see anyway: resources whose first
    /// match by name in `shared` has the same version. Unchanged resources reuse the entry of `previous`.
    pub fn nearby(
        endpoints: Vec<proto::Resource>,
        shared: [&Resources; 2],
        previous: &Resources,
    ) -> Resources {
        let mut all = Resources::default();
        all.extend(
            ResourceKind::Endpoints,
            not_in(&shared, ResourceKind::Endpoints, endpoints).collect(),
        );
        all.share(previous);
        all
    }

    /// The resources of a sidecar scope that differ from `shared`, encoded. Unchanged resources reuse the entry of
    /// `previous`.
    pub fn otherwise(own: ScopedResources, shared: &Resources, previous: &Resources) -> Resources {
        let mut all = Resources::default();
        let Outbound {
            clusters,
            endpoints,
            routes,
        } = own.outbound;
        for (kind, list) in [
            (ResourceKind::Cluster, clusters),
            (ResourceKind::Endpoints, endpoints),
            (ResourceKind::Routes, routes),
        ] {
            all.extend(kind, not_in(&[shared], kind, list).collect());
        }
        all.share(previous);
        for name in &own.absent {
            for kind in [ResourceKind::Cluster, ResourceKind::Endpoints] {
                if let Some(entry) = shared.find(kind, name) {
                    all.hide(kind, Arc::clone(&entry.name));
                }
            }
        }
        all
    }

    /// The routes that some callers receive, encoded.
    pub fn routed(routes: proto::Resource) -> Resources {
        let mut all = Resources::default();
        all.extend(ResourceKind::Routes, vec![routes]);
        all
    }

    /// These resources merged with others. If both have a name, the other one wins.
    #[must_use]
    pub fn with(&self, others: &Resources) -> Resources {
        let mut all = self.clone();
        for (kind, entries) in others.present.iter().enumerate() {
            for (name, entry) in entries {
                all.absent[kind].remove(name);
                all.present[kind].insert(Arc::clone(name), Arc::clone(entry));
            }
        }
        for (kind, names) in others.absent.iter().enumerate() {
            for name in names {
                all.present[kind].remove(name);
                all.absent[kind].insert(Arc::clone(name));
            }
        }
        all
    }

    /// Returns true if it contains neither resources nor hidden names.
    pub fn is_empty(&self) -> bool {
        self.present.iter().all(BTreeMap::is_empty) && self.absent.iter().all(BTreeSet::is_empty)
    }

    fn extend(&mut self, kind: ResourceKind, list: Vec<proto::Resource>) {
        for resource in list {
            let endpoints = (kind == ResourceKind::Cluster)
                .then(|| endpoints_of(&resource))
                .flatten();
            let proto::Resource {
                name,
                version,
                body,
            } = resource;
            self.insert(
                kind,
                Arc::new(ResourceVersion::new(
                    &name,
                    &version,
                    body,
                    endpoints.as_deref(),
                )),
            );
        }
    }

    /// Adds a resource, or replaces the one with the same name.
    pub fn insert(&mut self, kind: ResourceKind, entry: Arc<ResourceVersion>) {
        self.present[kind as usize].insert(Arc::clone(&entry.name), entry);
    }

    /// Hides the shared resource of a name.
    pub(crate) fn hide(&mut self, kind: ResourceKind, name: Arc<str>) {
        self.absent[kind as usize].insert(name);
    }

    /// The resource of a name.
    pub fn find(&self, kind: ResourceKind, name: &str) -> Option<&Arc<ResourceVersion>> {
        self.present[kind as usize].get(name)
    }

    /// All resources of a kind, by name.
    pub fn of_kind(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<ResourceVersion>> {
        self.present[kind as usize].values()
    }

    /// Returns true if the shared resource of a name is hidden.
    fn lacks(&self, kind: ResourceKind, name: &str) -> bool {
        self.absent[kind as usize].contains(name)
    }

    /// Replaces entries by those of `previous` with the same version, so that equal bytes are stored once.
    pub(crate) fn share(&mut self, previous: &Resources) {
        for (now, before) in self.present.iter_mut().zip(&previous.present) {
            for (name, entry) in now.iter_mut() {
                if let Some(old) = before.get(name).filter(|old| old.version == entry.version) {
                    *entry = Arc::clone(old);
                }
            }
        }
    }

    /// The names that differ from `previous`.
    pub(crate) fn changes_from(&self, previous: &Resources) -> ResourceChanges {
        let mut changes = ResourceChanges::default();
        let entries = self.present.iter().zip(&previous.present);
        for (changed, (now, before)) in changes.0.iter_mut().zip(entries) {
            let differs = |entry: &&Arc<ResourceVersion>| {
                before
                    .get(&entry.name)
                    .is_none_or(|old| old.version != entry.version)
            };
            changed.extend(
                now.values()
                    .filter(differs)
                    .map(|entry| Arc::clone(&entry.name)),
            );
            changed.extend(
                before
                    .keys()
                    .filter(|name| !now.contains_key(*name))
                    .cloned(),
            );
        }
        let names = self.absent.iter().zip(&previous.absent);
        for (changed, (now, before)) in changes.0.iter_mut().zip(names) {
            changed.extend(now.symmetric_difference(before).cloned());
        }
        changes
    }
}

/// The resources that are not in `known` with the same version. Only the first of `known` that has the name counts.
fn not_in(
    known: &[&Resources],
    kind: ResourceKind,
    list: Vec<proto::Resource>,
) -> impl Iterator<Item = proto::Resource> {
    let is_known = move |resource: &proto::Resource| {
        let found = known.iter().find_map(|all| all.find(kind, &resource.name));
        found.is_some_and(|entry| *entry.version == *resource.version)
    };
    list.into_iter().filter(move |resource| !is_known(resource))
}

/// The EDS name of a cluster; `None` if its endpoints do not come from EDS.
fn endpoints_of(resource: &proto::Resource) -> Option<String> {
    let cluster: cluster::Cluster = resource
        .message()
        .expect("translation packs each message with its own type");
    let service = cluster.eds_cluster_config?.service_name;
    Some(if service.is_empty() {
        cluster.name
    } else {
        service
    })
}

/// Names that were added, changed or removed, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceChanges([Vec<Arc<str>>; 4]);

impl ResourceChanges {
    /// The names of a kind, each at least once.
    pub fn of_kind(&self, kind: ResourceKind) -> &[Arc<str>] {
        &self.0[kind as usize]
    }

    /// Returns true if nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    fn extend(&mut self, other: &ResourceChanges) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.extend_from_slice(theirs);
        }
    }
}

/// The resources of one push that all proxies share.
#[derive(Debug, Default)]
pub struct ConfigSnapshot {
    push: u64,
    resources: Resources,
    /// The changes of each of the latest pushes, oldest first. The last is this push.
    history: VecDeque<(u64, Arc<ResourceChanges>)>,
}

impl ConfigSnapshot {
    /// The empty snapshot before the first push.
    pub fn empty() -> ConfigSnapshot {
        ConfigSnapshot::default()
    }

    /// The snapshot of push number `push`, which follows this one. Numbers increase by one, or by more after a restart.
    pub fn next(&self, push: u64, mut resources: Resources) -> ConfigSnapshot {
        resources.share(&self.resources);
        let changes = Arc::new(resources.changes_from(&self.resources));
        // A gap in the numbers (the first push after a restart) means that older connections cannot exist.
        let mut history = if push == self.push + 1 {
            self.history.clone()
        } else {
            VecDeque::new()
        };
        history.push_back((push, changes));
        while history.len() > HISTORY_PUSHES_MAX {
            history.pop_front();
        }
        ConfigSnapshot {
            push,
            resources,
            history,
        }
    }

    /// The number of the push; 0 before the first.
    pub fn push(&self) -> u64 {
        self.push
    }

    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The changes of this push to the shared resources; `None` before the first.
    pub fn changes(&self) -> Option<&ResourceChanges> {
        self.history.back().map(|(_, changes)| &**changes)
    }

    /// The changes since an earlier push; `None` if it is older than the history.
    pub fn changes_since(&self, push: u64) -> Option<ResourceChanges> {
        let (oldest, _) = self.history.front()?;
        if push + 1 < *oldest || push > self.push {
            return None;
        }
        let mut all = ResourceChanges::default();
        for (_, changes) in self.history.iter().filter(|(number, _)| *number > push) {
            all.extend(changes);
        }
        Some(all)
    }
}

/// The resources that one proxy must have: the shared ones and its own.
#[derive(Clone, Debug)]
pub struct SnapshotView {
    /// The resources that all proxies share.
    pub shared: Arc<ConfigSnapshot>,
    /// The proxy's own: listeners, inbound clusters, endpoints by its locality, and routes and clusters by its caller
    /// attributes. They take precedence over the shared ones.
    pub own: Arc<Resources>,
}

impl SnapshotView {
    /// The number of the push that this view belongs to.
    pub fn push(&self) -> u64 {
        self.shared.push()
    }

    /// The resource of a name.
    pub fn find(&self, kind: ResourceKind, name: &str) -> Option<&Arc<ResourceVersion>> {
        if self.own.lacks(kind, name) {
            return None;
        }
        self.own
            .find(kind, name)
            .or_else(|| self.shared.resources().find(kind, name))
    }

    /// All resources of a kind.
    pub fn of_kind(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<ResourceVersion>> {
        let shared = self.shared.resources().of_kind(kind);
        let shared = shared.filter(move |entry| !self.own.lacks(kind, &entry.name));
        self.own.of_kind(kind).chain(shared)
    }

    /// The changes since an earlier view; `None` if it is older than the history.
    pub fn changes_since(&self, earlier: &SnapshotView) -> Option<ResourceChanges> {
        let mut changes = self.shared.changes_since(earlier.push())?;
        if !Arc::ptr_eq(&self.own, &earlier.own) {
            changes.extend(&self.own.changes_from(&earlier.own));
        }
        Some(changes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
