//! The documents that configure the mesh.

use indexmap::IndexMap;
use shakedown_yaml::{Location, Spanned};

use super::canary::Canary;
use super::destination_rule::DestinationRule;
use super::meta::{DocumentKey, Meta};
use super::proxy_policy::ProxyPolicy;
use super::virtual_service::VirtualService;

/// A document of a modelled kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a mesh has few documents and each is read once, so boxing would not pay off"
)]
pub enum Document {
    /// Routing of requests to a host.
    VirtualService(Resource<VirtualService>),
    /// Policies applied after routing: subsets, load balancing, connections.
    DestinationRule(Resource<DestinationRule>),
    /// The rollout of a new version of a service. Consumed by the control plane, not translated to xDS.
    Canary(Resource<Canary>),
    /// Settings without an Istio resource: hedges, throttles, limits in front of an app.
    ProxyPolicy(Resource<ProxyPolicy>),
}

/// A document's metadata and specification.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<T> {
    pub meta: Meta,
    pub spec: Spanned<T>,
    /// The source location of the document's first line.
    pub place: Location,
}

impl Document {
    /// Returns the kind as written in `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Document::VirtualService(_) => "VirtualService",
            Document::DestinationRule(_) => "DestinationRule",
            Document::Canary(_) => "Canary",
            Document::ProxyPolicy(_) => "ProxyPolicy",
        }
    }

    pub fn meta(&self) -> &Meta {
        match self {
            Document::VirtualService(resource) => &resource.meta,
            Document::DestinationRule(resource) => &resource.meta,
            Document::Canary(resource) => &resource.meta,
            Document::ProxyPolicy(resource) => &resource.meta,
        }
    }

    /// Returns the source location of the document.
    pub fn place(&self) -> &Location {
        match self {
            Document::VirtualService(resource) => &resource.place,
            Document::DestinationRule(resource) => &resource.place,
            Document::Canary(resource) => &resource.place,
            Document::ProxyPolicy(resource) => &resource.place,
        }
    }

    /// Returns the unique key of the document.
    pub fn key(&self) -> DocumentKey {
        let meta = self.meta();
        DocumentKey {
            kind: self.kind().into(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }
    }
}

/// Returns the effective documents. Of two with the same key this is the later one, in the position of the first.
pub fn in_force(documents: &[Document]) -> impl Iterator<Item = &Document> {
    let mut by_key: IndexMap<DocumentKey, &Document> = IndexMap::new();
    for document in documents {
        by_key.insert(document.key(), document);
    }
    by_key.into_values()
}
