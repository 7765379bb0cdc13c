//! Parser and validator of the user's configuration: Istio's and Flagger's documents, exactly as applied to a cluster.
//!
//! A kind or field that exists but is not modelled is skipped and reported as an [`Omission`], with its effect on the
//! result. A kind or field that does not exist is an error. Nothing is dropped silently. [`validate_documents`] finds
//! the errors that only the whole mesh shows. The crate also contains the [`registry`] of services that documents refer
//! to.
//!
//! Pure: no input or output, and the same result for the same documents.

mod canary;
mod decimal;
mod destination_rule;
mod duration;
pub mod export;
mod fields;
pub mod gateways;
mod kinds;
mod manifest;
mod meta;
mod omission;
mod proxy_policy;
pub mod registry;
mod validate;
mod virtual_service;

pub use canary::{
    Analysis, BuiltinMetric, Canary, CanaryMetric, CanaryService, TargetRef, ThresholdRange,
};
pub use decimal::MetricBound;
pub use destination_rule::{
    ConnectionPool, ConsistentHash, CookieAttribute, DestinationRule, Distribute, Failover,
    H2UpgradePolicy, HttpCookie, HttpPool, LoadBalancer, LocalityLb, Maglev, OutlierDetection,
    Percent, PortPolicy, RetryBudget, RingHash, SimpleLb, Subset, TcpPool, TrafficPolicy, Warmup,
};
pub use duration::{GoDuration, GoDurationOrZero};
pub use kinds::{DocumentKind, KINDS, Treatment};
pub use manifest::{Content, Manifest, documents_of, items_of};
pub use meta::{DocumentKey, Meta};
pub use omission::{Omission, refused};
pub use proxy_policy::{
    AdaptiveConcurrency, AdaptiveThrottle, Hedge, LocalRateLimit, PolicyBalancer, Portion,
    ProxyPolicy, RateLimit, Shed, WorkloadSelector,
};
pub use validate::validate_documents;
pub use virtual_service::{
    Abort, CorsPolicy, DIRECT_BODY_MAX, Delay, Delegate, DerivePort, Destination, DirectBody,
    DirectResponse, Fault, HeaderOperations, Headers, HttpMatch, HttpRetry, HttpRoute,
    MirrorPolicy, Percentage, PortSelector, Redirect, RegexRewrite, Rewrite, RouteDestination,
    StringMatch, UnmatchedPreflights, VirtualService, parse_retry_on, retry_on_names,
};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shakedown_yaml::{Decoder, Diagnostics, Location, Node, Spanned, suggest};

use meta::DocumentHeader;

/// A document of a modelled kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a mesh has few documents, and each is read once: no indirection is worth its noise"
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

/// The API versions of Istio's networking documents, which have the same content.
const NETWORKING: &[&str] = &[
    "networking.istio.io/v1",
    "networking.istio.io/v1beta1",
    "networking.istio.io/v1alpha3",
];

/// The API version of Flagger's documents.
const FLAGGER: &[&str] = &["flagger.app/v1beta1"];

/// The API version of Shakedown's own documents.
const OWN: &[&str] = &["shakedown.dev/v1"];

impl Document {
    /// Reads a document that must be modelled completely.
    ///
    /// # Errors
    /// All errors and all omissions, each with its source location and the document's kind and name.
    pub fn read(node: &Node) -> Result<Document, Diagnostics> {
        let read = Manifest::read(node)?;
        match read.content {
            Content::Document(document) if read.omissions.is_empty() => Ok(document),
            Content::Services(_) if read.omissions.is_empty() => Err(Diagnostics::one(
                node.place.clone(),
                "a Service configures no requests: expected another kind",
            )),
            _ => Err(refused(&read.omissions)),
        }
    }

    /// Reads a document of a modelled kind, and skips its fields that are not modelled. `None`: nothing is left without
    /// one of them.
    fn read_modelled(node: &Node) -> Result<(Option<Document>, Vec<Omission>), Diagnostics> {
        let header = DocumentHeader::read(node)?;
        Ok(match header.kind.value.as_str() {
            "VirtualService" => {
                let (read, mut omissions) = resource(node, &header, NETWORKING)?;
                let read = read.and_then(|mut read: Resource<VirtualService>| {
                    fields::pass_over_routes(&mut read, &mut omissions)
                        .then_some(Document::VirtualService(read))
                });
                (read, omissions)
            }
            "DestinationRule" => {
                let mut errors = destination_rule::empty_policies(node, &header.name);
                let (read, omissions) = match resource(node, &header, NETWORKING) {
                    Ok(read) => errors.or(read)?,
                    Err(others) => {
                        errors.append(others);
                        return Err(errors.sorted());
                    }
                };
                (read.map(Document::DestinationRule), omissions)
            }
            "Canary" => {
                let (read, mut omissions) = resource(node, &header, FLAGGER)?;
                let read = read.map(|mut read: Resource<Canary>| {
                    fields::pass_over_canary(&mut read, &mut omissions);
                    Document::Canary(read)
                });
                (read, omissions)
            }
            _ => {
                let (read, omissions) = resource(node, &header, OWN)?;
                (read.map(Document::ProxyPolicy), omissions)
            }
        })
    }

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename = "Document")]
struct Envelope<T> {
    #[expect(
        dead_code,
        reason = "read by the header already; listed so that it is a known key"
    )]
    api_version: String,
    #[expect(
        dead_code,
        reason = "read by the header already; listed so that it is a known key"
    )]
    kind: String,
    metadata: Meta,
    spec: Spanned<T>,
    /// Reported by a cluster and printed by `kubectl get -o yaml`. Configures nothing.
    #[expect(dead_code, reason = "listed so that it is a known key")]
    status: Option<serde::de::IgnoredAny>,
}

fn resource<T: DeserializeOwned>(
    node: &Node,
    header: &DocumentHeader,
    versions: &[&str],
) -> Result<(Option<Resource<T>>, Vec<Omission>), Diagnostics> {
    let prefix = format!("{} {}: ", header.kind, header.name);
    let mut errors = Diagnostics::new();
    if !versions.contains(&header.api_version.as_str()) {
        let accepted = suggest::one_of(versions);
        let message = format!(
            "{prefix}unknown apiVersion `{}`: expected {accepted}",
            header.api_version
        );
        errors.add(&header.api_version.place, message);
    }
    let decoder = Decoder::new()
        .word("field")
        .prefix(prefix)
        .later(fields::NOT_MODELLED);
    let read = decoder.decode_partial::<Envelope<T>>(node);
    errors.append(read.errors);
    let document = DocumentHeader::key(node, &header.kind);
    let mut omissions: Vec<Omission> = read
        .passed
        .into_iter()
        .map(|passed| Omission {
            document: document.clone(),
            field: Some(passed.key),
            place: passed.place,
            effect: Some(passed.effect.to_owned()).filter(|effect| !effect.is_empty()),
        })
        .collect();
    let resource = read.value.map(|read| Resource {
        meta: read.metadata,
        spec: read.spec,
        place: node.place.clone(),
    });
    if resource.is_none() && errors.is_empty() {
        omissions.push(Omission {
            document,
            field: None,
            place: node.place.clone(),
            effect: Some("nothing is left of it without the fields that are not modelled".into()),
        });
    }
    errors.or((resource, omissions))
}

#[cfg(test)]
mod tests;
