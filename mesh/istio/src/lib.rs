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
mod document;
mod duration;
pub mod export;
mod fields;
pub mod gateways;
mod kinds;
mod manifest;
mod meta;
mod omission;
mod proxy_policy;
mod read;
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
pub use document::{Document, Resource, in_force};
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

#[cfg(test)]
mod tests;
