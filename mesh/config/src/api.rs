//! Configuration as the user wrote it: Istio's documents, and Flagger's, exactly as they would be applied to a cluster.
//!
//! A field that Istio has and this mesh does not have yet is refused as "not supported yet", one that Istio does not
//! have as unknown; nothing is dropped in silence. [`mod@validate`] finds what only the whole mesh can tell.

pub mod advise;
mod canary;
mod destination_rule;
mod duration;
mod meta;
mod proxy_policy;
pub mod validate;
mod virtual_service;

pub use advise::advise;
pub use canary::{
    Analysis, BuiltinMetric, Canary, CanaryMetric, CanaryService, Decimal, TargetRef,
    ThresholdRange,
};
pub use destination_rule::{
    ConnectionPool, ConsistentHash, CookieAttribute, DestinationRule, Distribute, Failover,
    H2UpgradePolicy, HttpCookie, HttpPool, LoadBalancer, LocalityLb, Maglev, OutlierDetection,
    Percent, PortPolicy, RetryBudget, RingHash, SimpleLb, Subset, TcpPool, TrafficPolicy, Warmup,
};
pub use duration::{GoDuration, GoDurationOrZero};
pub use meta::{Key, Meta};
pub use proxy_policy::{
    AdaptiveConcurrency, AdaptiveThrottle, Hedge, LocalRateLimit, PolicyBalancer, Portion,
    ProxyPolicy, RateLimit, Shed, WorkloadSelector,
};
pub use validate::validate;
pub use virtual_service::{
    Abort, Body, CorsPolicy, Delay, Delegate, DerivePort, Destination, DirectResponse, Fault,
    HeaderOperations, Headers, HttpMatch, HttpRetry, HttpRoute, MirrorPolicy, Percentage,
    PortSelector, Redirect, RegexRewrite, Rewrite, RouteDestination, StringMatch,
    UnmatchedPreflights, VirtualService,
};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::decode::{Decoder, Later, Spanned};
use crate::diagnostic::{Diagnostics, Place};
use crate::suggest;
use crate::tree::Node;
use meta::Header;

/// A document of a kind that this mesh knows.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a mesh has few documents, and each is read once: no indirection is worth its noise"
)]
pub enum Document {
    /// How requests to a host are routed.
    VirtualService(Resource<VirtualService>),
    /// What happens to them after routing: subsets, balancing, connections.
    DestinationRule(Resource<DestinationRule>),
    /// How a new version of a service is rolled out. The control plane acts on it; nothing is translated from it.
    Canary(Resource<Canary>),
    /// What Istio has no resource for: hedges, throttles, limits before an app.
    ProxyPolicy(Resource<ProxyPolicy>),
}

/// A document: who it is, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<T> {
    /// Name, namespace, labels.
    pub meta: Meta,
    /// What it says.
    pub spec: Spanned<T>,
    /// Where it begins.
    pub place: Place,
}

/// The kinds that are read.
pub const KINDS: &[&str] = &["VirtualService", "DestinationRule", "Canary", "ProxyPolicy"];

/// Kinds that exist elsewhere.
const LATER_KINDS: &[&str] = &[
    "AuthorizationPolicy",
    "BackendTLSPolicy",
    "EnvoyFilter",
    "GRPCRoute",
    "Gateway",
    "HTTPRoute",
    "PeerAuthentication",
    "ProxyConfig",
    "ReferenceGrant",
    "RequestAuthentication",
    "ServiceEntry",
    "Sidecar",
    "TCPRoute",
    "TLSRoute",
    "Telemetry",
    "WasmPlugin",
    "WorkloadEntry",
    "WorkloadGroup",
];

/// The versions of Istio's networking documents; what they say is the same.
const NETWORKING: &[&str] = &[
    "networking.istio.io/v1",
    "networking.istio.io/v1beta1",
    "networking.istio.io/v1alpha3",
];

/// The version of Flagger's documents.
const FLAGGER: &[&str] = &["flagger.app/v1beta1"];

/// The version of our own documents.
const OWN: &[&str] = &["shakedown.dev/v1"];

/// Fields that Istio, or Flagger, has.
const LATER: Later = &[
    (
        "Canary",
        &[
            "metricsServer",
            "autoscalerRef",
            "ingressRef",
            "routeRef",
            "upstreamRef",
            "revertOnDeletion",
            "suspend",
            "canaryAnalysis",
        ],
    ),
    (
        "CanaryService",
        &[
            "portName",
            "targetPort",
            "portDiscovery",
            "appProtocol",
            "gatewayRefs",
            "match",
            "rewrite",
            "headers",
            "mirror",
            "corsPolicy",
            "backends",
            "apex",
            "primary",
            "canary",
            "delegation",
            "unmanagedMetadata",
        ],
    ),
    (
        "Analysis",
        &[
            "mirror",
            "mirrorWeight",
            "webhooks",
            "alerts",
            "primaryReadyThreshold",
            "canaryReadyThreshold",
            "sessionAffinity",
            "canaryService",
        ],
    ),
    (
        "CanaryMetric",
        &["templateRef", "templateVariables", "query", "threshold"],
    ),
    ("VirtualService", &["tls", "tcp"]),
    ("HttpRoute", &["mirror_percent", "websocketUpgrade"]),
    ("Delay", &["exponentialDelay"]),
    ("Abort", &["http2Error"]),
    ("TrafficPolicy", &["tls", "tunnel", "proxyProtocol"]),
    ("PortPolicy", &["tls"]),
    ("RetryBudget", &["budgetInterval"]),
    ("SimpleLb", &["PASSTHROUGH"]),
    ("TcpPool", &["tcpKeepalive"]),
    ("OutlierDetection", &["consecutiveErrors"]),
];

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// All that is wrong with it, each error with its place, and the document's kind and name.
    pub fn read(node: &Node) -> Result<Document, Diagnostics> {
        let header = Header::read(node)?;
        match header.kind.value.as_str() {
            "VirtualService" => {
                let read = resource(node, &header, NETWORKING)?;
                Ok(Document::VirtualService(read))
            }
            "DestinationRule" => {
                let read = resource(node, &header, NETWORKING)?;
                Ok(Document::DestinationRule(read))
            }
            "Canary" => Ok(Document::Canary(resource(node, &header, FLAGGER)?)),
            "ProxyPolicy" => Ok(Document::ProxyPolicy(resource(node, &header, OWN)?)),
            kind if LATER_KINDS.contains(&kind) => Err(Diagnostics::one(
                header.kind.place,
                format!("not supported yet: kind `{kind}`"),
            )),
            kind => {
                let hint = suggest::hint(kind, KINDS.iter().copied());
                Err(Diagnostics::one(
                    header.kind.place,
                    format!("unknown kind `{kind}`: {hint}"),
                ))
            }
        }
    }

    /// Its kind, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Document::VirtualService(_) => "VirtualService",
            Document::DestinationRule(_) => "DestinationRule",
            Document::Canary(_) => "Canary",
            Document::ProxyPolicy(_) => "ProxyPolicy",
        }
    }

    /// Its name, namespace and labels.
    pub fn meta(&self) -> &Meta {
        match self {
            Document::VirtualService(resource) => &resource.meta,
            Document::DestinationRule(resource) => &resource.meta,
            Document::Canary(resource) => &resource.meta,
            Document::ProxyPolicy(resource) => &resource.meta,
        }
    }

    /// Where it begins.
    pub fn place(&self) -> &Place {
        match self {
            Document::VirtualService(resource) => &resource.place,
            Document::DestinationRule(resource) => &resource.place,
            Document::Canary(resource) => &resource.place,
            Document::ProxyPolicy(resource) => &resource.place,
        }
    }

    /// What tells it from all others.
    pub fn key(&self) -> Key {
        let meta = self.meta();
        Key {
            kind: self.kind().into(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }
    }
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
    /// What a cluster reports; `kubectl get -o yaml` prints it, and it configures nothing.
    #[expect(dead_code, reason = "listed so that it is a known key")]
    status: Option<serde::de::IgnoredAny>,
}

fn resource<T: DeserializeOwned>(
    node: &Node,
    header: &Header,
    versions: &[&str],
) -> Result<Resource<T>, Diagnostics> {
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
    let decoder = Decoder::new().word("field").prefix(prefix).later(LATER);
    match decoder.decode::<Envelope<T>>(node) {
        Ok(read) if errors.is_empty() => Ok(Resource {
            meta: read.metadata,
            spec: read.spec,
            place: node.place.clone(),
        }),
        Ok(_) => Err(errors),
        Err(found) => {
            errors.append(found);
            Err(errors.sorted())
        }
    }
}

#[cfg(test)]
mod tests;
