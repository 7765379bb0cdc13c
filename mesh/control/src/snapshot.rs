//! What there is to send: the resources of one push, encoded once, and how one push differs from those before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use shakedown_translate::{Otherwise, Outbound, Own};
use shakedown_xds::proto::discovery::Resource as WireResource;
use shakedown_xds::proto::protobuf::Any;
use shakedown_xds::proto::{self, cluster};
use shakedown_xds::table::Named;

pub use shakedown_xds::proto::Kind;

/// How many pushes back a connection can be and still be told the changes only. One that is further behind is compared
/// resource by resource.
const HISTORY_PUSHES_MAX: usize = 16;

/// One version of one resource, as it goes on the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Arc<str>,
    /// A hash of its content.
    pub version: Arc<str>,
    /// An encoded `envoy.service.discovery.v3.Resource`: shared by every response that carries it.
    pub wire: Bytes,
    /// For a cluster that takes its endpoints from EDS: their name there.
    pub endpoints: Option<Arc<str>>,
}

impl Entry {
    /// Encodes a resource. `endpoints`: a cluster's name in EDS, where it has one.
    pub fn new(name: &str, version: &str, body: Any, endpoints: Option<&str>) -> Entry {
        let wire = WireResource {
            name: name.to_owned(),
            version: version.to_owned(),
            resource: Some(body),
            ..WireResource::default()
        };
        let name: Arc<str> = name.into();
        // Nearly every cluster is named in EDS as itself: share the text.
        let endpoints = endpoints.map(|e| {
            if *e == *name {
                Arc::clone(&name)
            } else {
                e.into()
            }
        });
        Entry {
            name,
            version: version.into(),
            wire: wire.encode_to_vec().into(),
            endpoints,
        }
    }
}

impl Entry {
    /// A version that a client has, of which no more is known.
    pub(crate) fn held(name: Arc<str>, version: Arc<str>) -> Entry {
        Entry {
            name,
            version,
            wire: Bytes::new(),
            endpoints: None,
        }
    }
}

impl Named for Entry {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Resources by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    present: [BTreeMap<Arc<str>, Arc<Entry>>; 4],
    /// Names of what others have and is not there.
    absent: [BTreeSet<Arc<str>>; 4],
}

impl Resources {
    /// What all sidecars share, encoded.
    pub fn outbound(outbound: Outbound) -> Resources {
        let Outbound {
            clusters,
            endpoints,
            routes,
        } = outbound;
        let mut all = Resources::default();
        all.extend(Kind::Cluster, clusters);
        all.extend(Kind::Endpoints, endpoints);
        all.extend(Kind::Routes, routes);
        all
    }

    /// What one sidecar has for itself, encoded.
    pub fn own(own: Own) -> Resources {
        let Own {
            clusters,
            listeners,
        } = own;
        let mut all = Resources::default();
        all.extend(Kind::Cluster, clusters);
        all.extend(Kind::Listener, listeners);
        all
    }

    /// Endpoints as some clients are to see them, encoded, without those that they see anyway: of what is `shared` the
    /// first of a name, in the same version. What is as it was in `previous` is the same entry.
    pub fn nearby(
        endpoints: Vec<proto::Resource>,
        shared: [&Resources; 2],
        previous: &Resources,
    ) -> Resources {
        let mut all = Resources::default();
        all.extend(
            Kind::Endpoints,
            not_in(&shared, Kind::Endpoints, endpoints).collect(),
        );
        all.share(previous);
        all
    }

    /// What the callers of an audience have otherwise than others, encoded, without what is `shared` by all all the same.
    /// What is as it was in `previous` is the same entry.
    pub fn otherwise(own: Otherwise, shared: &Resources, previous: &Resources) -> Resources {
        let mut all = Resources::default();
        let Outbound {
            clusters,
            endpoints,
            routes,
        } = own.outbound;
        for (kind, list) in [
            (Kind::Cluster, clusters),
            (Kind::Endpoints, endpoints),
            (Kind::Routes, routes),
        ] {
            all.extend(kind, not_in(&[shared], kind, list).collect());
        }
        all.share(previous);
        for name in &own.absent {
            for kind in [Kind::Cluster, Kind::Endpoints] {
                if let Some(entry) = shared.find(kind, name) {
                    all.hide(kind, Arc::clone(&entry.name));
                }
            }
        }
        all
    }

    /// The routes that some callers are to see, encoded.
    pub fn routed(routes: proto::Resource) -> Resources {
        let mut all = Resources::default();
        all.extend(Kind::Routes, vec![routes]);
        all
    }

    /// These and others; of two of one name the other.
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

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.present.iter().all(BTreeMap::is_empty) && self.absent.iter().all(BTreeSet::is_empty)
    }

    fn extend(&mut self, kind: Kind, list: Vec<proto::Resource>) {
        for resource in list {
            let endpoints = (kind == Kind::Cluster)
                .then(|| endpoints_of(&resource))
                .flatten();
            let proto::Resource {
                name,
                version,
                body,
            } = resource;
            self.insert(
                kind,
                Arc::new(Entry::new(&name, &version, body, endpoints.as_deref())),
            );
        }
    }

    /// Adds a resource, or replaces the one of its name.
    pub fn insert(&mut self, kind: Kind, entry: Arc<Entry>) {
        self.present[kind as usize].insert(Arc::clone(&entry.name), entry);
    }

    /// Says that what others have of a name is not there.
    pub(crate) fn hide(&mut self, kind: Kind, name: Arc<str>) {
        self.absent[kind as usize].insert(name);
    }

    /// The resource of a name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Arc<Entry>> {
        self.present[kind as usize].get(name)
    }

    /// All resources of a kind, by name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Arc<Entry>> {
        self.present[kind as usize].values()
    }

    /// Whether what others have of a name is not there.
    fn lacks(&self, kind: Kind, name: &str) -> bool {
        self.absent[kind as usize].contains(name)
    }

    /// Takes the entries of `previous` where the version is the same: same version, same bytes, one copy for all.
    pub(crate) fn share(&mut self, previous: &Resources) {
        for (now, before) in self.present.iter_mut().zip(&previous.present) {
            for (name, entry) in now.iter_mut() {
                if let Some(old) = before.get(name).filter(|old| old.version == entry.version) {
                    *entry = Arc::clone(old);
                }
            }
        }
    }

    /// What differs from `previous`.
    pub(crate) fn changes_from(&self, previous: &Resources) -> Changes {
        let mut changes = Changes::default();
        let entries = self.present.iter().zip(&previous.present);
        for (changed, (now, before)) in changes.0.iter_mut().zip(entries) {
            let differs = |entry: &&Arc<Entry>| {
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

/// Those that are not in one of `known` already, in the first that has the name: same version, same bytes.
fn not_in(
    known: &[&Resources],
    kind: Kind,
    list: Vec<proto::Resource>,
) -> impl Iterator<Item = proto::Resource> {
    let is_known = move |resource: &proto::Resource| {
        let found = known.iter().find_map(|all| all.find(kind, &resource.name));
        found.is_some_and(|entry| *entry.version == *resource.version)
    };
    list.into_iter().filter(move |resource| !is_known(resource))
}

/// A cluster's name in EDS, if that is where its endpoints come from.
fn endpoints_of(resource: &proto::Resource) -> Option<String> {
    let cluster: cluster::Cluster = resource
        .message()
        .expect("translate packs clusters as clusters");
    let service = cluster.eds_cluster_config?.service_name;
    Some(if service.is_empty() {
        cluster.name
    } else {
        service
    })
}

/// Names that were added, changed or removed, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes([Vec<Arc<str>>; 4]);

impl Changes {
    /// The names of a kind, each at least once.
    pub fn of(&self, kind: Kind) -> &[Arc<str>] {
        &self.0[kind as usize]
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    fn extend(&mut self, other: &Changes) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.extend_from_slice(theirs);
        }
    }
}

/// What one push offers to every proxy alike.
#[derive(Debug, Default)]
pub struct Snapshot {
    push: u64,
    resources: Resources,
    /// What each of the latest pushes changed, oldest first; the last is this one.
    history: VecDeque<(u64, Arc<Changes>)>,
}

impl Snapshot {
    /// The snapshot before the first push: nothing.
    pub fn empty() -> Snapshot {
        Snapshot::default()
    }

    /// The snapshot of push number `push`, which follows this one. Numbers grow by one, or start anew above it.
    pub fn next(&self, push: u64, mut resources: Resources) -> Snapshot {
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
        Snapshot {
            push,
            resources,
            history,
        }
    }

    /// The push's number; 0 before the first.
    pub fn push(&self) -> u64 {
        self.push
    }

    /// The shared resources.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// What this push changed in the shared resources.
    pub fn changes(&self) -> Option<&Changes> {
        self.history.back().map(|(_, changes)| &**changes)
    }

    /// What changed since an earlier push; `None` when that is too long ago to know.
    pub fn changes_since(&self, push: u64) -> Option<Changes> {
        let (oldest, _) = self.history.front()?;
        if push + 1 < *oldest || push > self.push {
            return None;
        }
        let mut all = Changes::default();
        for (_, changes) in self.history.iter().filter(|(number, _)| *number > push) {
            all.extend(changes);
        }
        Some(all)
    }
}

/// What one proxy is to have: everyone's resources, and its own.
#[derive(Clone, Debug)]
pub struct View {
    /// Everyone's.
    pub shared: Arc<Snapshot>,
    /// Its own: listeners, inbound clusters, endpoints that are for clients at its place, and routes and clusters that are for
    /// callers like it.
    pub own: Arc<Resources>,
}

impl View {
    /// The push that this view is of.
    pub fn push(&self) -> u64 {
        self.shared.push()
    }

    /// The resource of a name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Arc<Entry>> {
        if self.own.lacks(kind, name) {
            return None;
        }
        self.own
            .find(kind, name)
            .or_else(|| self.shared.resources().find(kind, name))
    }

    /// All resources of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Arc<Entry>> {
        let shared = self.shared.resources().of(kind);
        let shared = shared.filter(move |entry| !self.own.lacks(kind, &entry.name));
        self.own.of(kind).chain(shared)
    }

    /// What differs from an earlier view; `None` when that is too long ago to know.
    pub fn changes_since(&self, earlier: &View) -> Option<Changes> {
        let mut changes = self.shared.changes_since(earlier.push())?;
        if !Arc::ptr_eq(&self.own, &earlier.own) {
            changes.extend(&self.own.changes_from(&earlier.own));
        }
        Some(changes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
