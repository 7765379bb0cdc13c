//! Accepted resources, compiled and encoded: one copy of each content for all proxies of a process.
//!
//! The sidecars of a mesh receive nearly the same configuration. Equal resources are decoded, compiled and stored once,
//! and found by a hash of their bytes. The cache contains weak references, so that a resource is freed with the last
//! proxy that uses it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prost::Message as _;
use prost::encoding;
use shakedown_env::StoreValue;
use shakedown_xds::compile::{
    CompileError, compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_xds::proto::discovery::{DeltaDiscoveryResponse, Resource};
use shakedown_xds::proto::protobuf::Any;
use shakedown_xds::proto::{ResourceKind, UnpackError, unpack};
use shakedown_xds::table::{
    Assignment, ChunkStore, Cluster, Listener, NameMap, NamedValue, RouteTable, Table,
};
use twox_hash::XxHash64;

/// The number of `resources` in `envoy.service.discovery.v3.DeltaDiscoveryResponse`.
const RESOURCES_FIELD: u32 = 2;
/// The number of entries below which no sweep for freed resources takes place.
const SWEEP_MIN: usize = 256;

/// The resources that the proxies of one process have accepted. Clones share one cache.
#[derive(Clone, Default)]
pub struct ResourceCache(Arc<CacheInner>);

#[derive(Default)]
struct CacheInner {
    known: Mutex<KnownResources>,
    accepted: ChunkStore<Accepted>,
    clusters: ChunkStore<Cluster>,
    endpoints: ChunkStore<Assignment>,
    names: ChunkStore<str>,
}

/// Bound: twice as many entries as there were live resources at the last sweep.
#[derive(Default)]
struct KnownResources {
    /// Keyed by the hash of the whole resource. Of two resources with one hash the later one is found.
    by_hash: BTreeMap<u64, Weak<Accepted>>,
    /// The number of entries at which freed resources are removed.
    sweep_at: usize,
}

/// A version of a resource, compiled.
#[derive(Debug)]
pub(crate) struct Accepted {
    kind: ResourceKind,
    pub(crate) version: Box<str>,
    /// The encoded message, for the store.
    body: Box<[u8]>,
    pub(crate) compiled: Compiled,
}

/// The compiled form of a resource.
#[derive(Debug)]
pub(crate) enum Compiled {
    Cluster(Arc<Cluster>),
    Endpoints(Arc<Assignment>),
    Listener(Arc<Listener>),
    Routes(Arc<RouteTable>),
}

/// The reason why a resource was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptError {
    #[error("expected a body, found none")]
    Empty,
    #[error("expected a body of type {expected}, found {found}")]
    Type {
        expected: &'static str,
        found: String,
    },
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error("{path}: {problem}", path = .0.path, problem = .0.problem)]
    Compile(#[from] CompileError),
    #[error("name mismatch: the body is named {inside}")]
    Name { inside: String },
    #[error("duplicate address {address}: listener {other} uses it")]
    Address { address: SocketAddr, other: String },
    #[error("cannot bind {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
}

impl ResourceCache {
    /// The compiled resource, shared with other proxies that have accepted the same.
    pub(crate) fn accept(
        &self,
        kind: ResourceKind,
        resource: Resource,
    ) -> Result<Arc<Accepted>, AcceptError> {
        let body = resource.resource.ok_or(AcceptError::Empty)?;
        if body.type_url != kind.url() {
            return Err(AcceptError::Type {
                expected: kind.url(),
                found: body.type_url,
            });
        }
        let hash = hash(kind, &resource.name, &resource.version, &body.value);
        let known = self.lock().find(hash);
        let is_same = |known: &Arc<Accepted>| {
            known.kind == kind
                && known.name() == resource.name
                && *known.version == *resource.version
                && *known.body == *body.value
        };
        if let Some(known) = known.filter(is_same) {
            return Ok(known);
        }
        let accepted = Arc::new(Accepted {
            kind,
            compiled: compile(kind, &resource.name, &body)?,
            version: resource.version.into(),
            body: body.value.into(),
        });
        self.lock().insert(hash, &accepted);
        Ok(accepted)
    }

    /// Replaces parts of a map by equal parts of other proxies' maps.
    pub(crate) fn share(&self, accepted: &mut NameMap<Accepted>) {
        accepted.share(&self.0.accepted);
    }

    /// Replaces parts of a set of names by equal parts of other proxies' sets.
    pub(crate) fn share_names(&self, names: &mut NameMap<str>) {
        names.share(&self.0.names);
    }

    /// Builds a table of resources, given by kind. Equal parts are shared with other proxies' tables.
    pub(crate) fn table<'a>(
        &self,
        accepted: impl Fn(ResourceKind) -> &'a NameMap<Accepted>,
    ) -> Table {
        let clusters = accepted(ResourceKind::Cluster)
            .values()
            .filter_map(|resource| match &resource.compiled {
                Compiled::Cluster(cluster) => Some(Arc::clone(cluster)),
                _ => None,
            });
        let endpoints = accepted(ResourceKind::Endpoints)
            .values()
            .filter_map(|resource| match &resource.compiled {
                Compiled::Endpoints(assignment) => Some(Arc::clone(assignment)),
                _ => None,
            });
        let listeners = accepted(ResourceKind::Listener)
            .values()
            .filter_map(|resource| match &resource.compiled {
                Compiled::Listener(listener) => {
                    Some((Arc::clone(&listener.name), Arc::clone(listener)))
                }
                _ => None,
            });
        let routes = accepted(ResourceKind::Routes)
            .values()
            .filter_map(|resource| match &resource.compiled {
                Compiled::Routes(routes) => Some((Arc::clone(&routes.name), Arc::clone(routes))),
                _ => None,
            });
        let mut table = Table {
            clusters: NameMap::from_sorted(clusters),
            endpoints: NameMap::from_sorted(endpoints),
            listeners: listeners.collect(),
            routes: routes.collect(),
        };
        table.clusters.share(&self.0.clusters);
        table.endpoints.share(&self.0.endpoints);
        table
    }

    /// The number of entries, with freed resources that are not removed yet.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().by_hash.len()
    }

    /// Ignores poisoning, because every change is one call: a panic under the lock leaves the map consistent.
    fn lock(&self) -> MutexGuard<'_, KnownResources> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ResourceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceCache")
            .field("entries", &self.lock().by_hash.len())
            .finish()
    }
}

impl KnownResources {
    fn find(&self, hash: u64) -> Option<Arc<Accepted>> {
        self.by_hash.get(&hash)?.upgrade()
    }

    fn insert(&mut self, hash: u64, accepted: &Arc<Accepted>) {
        if self.by_hash.len() >= self.sweep_at {
            self.by_hash.retain(|_, known| known.strong_count() > 0);
            self.sweep_at = SWEEP_MIN.max(2 * self.by_hash.len());
        }
        self.by_hash.insert(hash, Arc::downgrade(accepted));
    }
}

impl NamedValue for Accepted {
    fn name(&self) -> &str {
        self.compiled.name()
    }
}

impl Compiled {
    fn name(&self) -> &str {
        match self {
            Compiled::Cluster(cluster) => &cluster.name,
            Compiled::Endpoints(assignment) => &assignment.name,
            Compiled::Listener(listener) => &listener.name,
            Compiled::Routes(routes) => &routes.name,
        }
    }
}

/// The value that the store keeps for a kind: a response with all its resources.
pub(crate) struct SavedResponse {
    kind: ResourceKind,
    accepted: NameMap<Accepted>,
}

impl SavedResponse {
    pub(crate) fn new(kind: ResourceKind, accepted: NameMap<Accepted>) -> SavedResponse {
        SavedResponse { kind, accepted }
    }
}

impl StoreValue for SavedResponse {
    fn parts(&self, sink: &mut dyn FnMut(&[u8])) {
        let head = DeltaDiscoveryResponse {
            type_url: self.kind.url().into(),
            ..Default::default()
        };
        sink(&head.encode_to_vec());
        for accepted in self.accepted.values() {
            sink(&accepted.encode());
        }
    }
}

impl Accepted {
    /// The resource as received, encoded as a field of a response.
    fn encode(&self) -> Vec<u8> {
        let resource = Resource {
            name: self.name().to_owned(),
            version: self.version.to_string(),
            resource: Some(Any {
                type_url: self.kind.url().to_owned(),
                value: self.body.to_vec(),
            }),
            ..Default::default()
        };
        let mut wire = Vec::new();
        encoding::message::encode(RESOURCES_FIELD, &resource, &mut wire);
        wire
    }
}

fn hash(kind: ResourceKind, name: &str, version: &str, body: &[u8]) -> u64 {
    let named = XxHash64::oneshot(kind as u64, name.as_bytes());
    XxHash64::oneshot(XxHash64::oneshot(named, version.as_bytes()), body)
}

fn compile(kind: ResourceKind, name: &str, body: &Any) -> Result<Compiled, AcceptError> {
    let compiled = match kind {
        ResourceKind::Cluster => Compiled::Cluster(Arc::new(compile_cluster(&unpack(body)?)?)),
        ResourceKind::Endpoints => {
            Compiled::Endpoints(Arc::new(compile_endpoints(&unpack(body)?)?))
        }
        ResourceKind::Listener => Compiled::Listener(Arc::new(compile_listener(&unpack(body)?)?)),
        ResourceKind::Routes => Compiled::Routes(Arc::new(compile_routes(&unpack(body)?)?)),
    };
    let inside = compiled.name();
    if inside != name {
        return Err(AcceptError::Name {
            inside: inside.to_string(),
        });
    }
    Ok(compiled)
}

#[cfg(test)]
mod tests {
    use shakedown_xds::proto::{cluster, pack};

    use super::*;

    fn resource(name: &str, version: &str) -> Resource {
        let message = cluster::Cluster {
            name: name.into(),
            ..Default::default()
        };
        Resource {
            name: name.into(),
            version: version.into(),
            resource: Some(pack(&message)),
            ..Default::default()
        }
    }

    fn accept(cache: &ResourceCache, name: &str, version: &str) -> Arc<Accepted> {
        cache
            .accept(ResourceKind::Cluster, resource(name, version))
            .unwrap()
    }

    #[test]
    fn equal_resources_of_two_proxies_are_one() {
        let cache = ResourceCache::default();
        let (one, two) = (accept(&cache, "a", "1"), accept(&cache.clone(), "a", "1"));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &accept(&cache, "a", "2")));
        assert!(!Arc::ptr_eq(&one, &accept(&cache, "b", "1")));
    }

    #[test]
    fn a_hash_that_two_contents_share_does_not_mix_them() {
        let cache = ResourceCache::default();
        let one = accept(&cache, "a", "1");
        let sent = resource("b", "1");
        let body = &sent.resource.as_ref().unwrap().value;
        let hash = hash(ResourceKind::Cluster, "b", "1", body);
        cache.lock().insert(hash, &one);
        assert_eq!(accept(&cache, "b", "1").name(), "b");
    }

    #[test]
    fn resources_go_with_the_last_proxy_that_holds_them() {
        let cache = ResourceCache::default();
        let kept = accept(&cache, "kept", "1");
        let weak = Arc::downgrade(&accept(&cache, "gone", "1"));
        assert!(weak.upgrade().is_none(), "the cache holds it");
        for number in 0..10 * SWEEP_MIN {
            accept(&cache, &format!("short-lived-{number}"), "1");
        }
        assert!(cache.len() <= SWEEP_MIN, "{} entries", cache.len());
        assert!(Arc::ptr_eq(&kept, &accept(&cache, "kept", "1")));
    }
}
