//! `VirtualService`: routing of requests to a host. Source: Istio, networking/v1.

mod answer;
mod base64;
mod condition;
mod cors;
mod fault;
mod retry;

pub use answer::{DIRECT_BODY_MAX, DerivePort, DirectBody, DirectResponse, Redirect};
pub use condition::{HttpMatch, StringMatch};
pub use cors::{CorsPolicy, UnmatchedPreflights};
pub use fault::{Abort, Delay, Fault, Percentage};
pub use retry::{HttpRetry, parse_retry_on, retry_on_names};

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::Spanned;

use super::duration::GoDuration;

/// The routes of requests to some hosts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// Short names, full names, or wildcards. Empty for a VirtualService that others delegate to.
    #[serde(default)]
    pub hosts: Vec<Spanned<String>>,
    /// The gateways to which the routes apply. `mesh`, the default, means sidecars.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// The routes, of which the first match is used.
    #[serde(default)]
    pub http: Vec<Spanned<HttpRoute>>,
    /// The namespaces whose callers the routes apply to: `*` for all, `.` for its own, or a name. Empty: all.
    #[serde(default)]
    pub export_to: Vec<Spanned<String>>,
}

/// A route: its conditions and its action.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// The name in statistics and messages.
    pub name: Option<String>,
    /// The conditions, any of which must match. Empty: every request matches.
    #[serde(default)]
    pub r#match: Vec<Spanned<HttpMatch>>,
    /// The destinations, chosen by weight.
    #[serde(default)]
    pub route: Vec<Spanned<RouteDestination>>,
    /// Responds with a redirect instead.
    pub redirect: Option<Spanned<Redirect>>,
    /// Responds directly instead.
    pub direct_response: Option<Spanned<DirectResponse>>,
    /// Uses the routes of another VirtualService instead.
    pub delegate: Option<Spanned<Delegate>>,
    /// Changes of host and path.
    pub rewrite: Option<Spanned<Rewrite>>,
    /// The maximum time of all attempts together. `None`: no bound.
    pub timeout: Option<Spanned<GoDuration>>,
    /// The retry policy. `None`: Istio's default.
    pub retries: Option<Spanned<HttpRetry>>,
    pub fault: Option<Spanned<Fault>>,
    /// The destination of mirrored requests.
    pub mirror: Option<Spanned<Destination>>,
    /// The share of requests that are mirrored. `None`: all.
    pub mirror_percentage: Option<Spanned<Percentage>>,
    /// The older form of `mirror_percentage` in whole percent, ignored if that is given.
    pub mirror_percent: Option<Spanned<u32>>,
    /// Further destinations of mirrored requests, each with its share.
    #[serde(default)]
    pub mirrors: Vec<Spanned<MirrorPolicy>>,
    pub cors_policy: Option<Spanned<CorsPolicy>>,
    /// Changes of request and response headers.
    pub headers: Option<Spanned<Headers>>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteDestination {
    pub destination: Destination,
    /// The weight relative to the sum of all weights. Not needed for a single destination.
    pub weight: Option<Spanned<i64>>,
    /// Changes of the headers of requests to this destination, and of its responses.
    pub headers: Option<Spanned<Headers>>,
}

/// A service, or a subset of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// The service, by its short or full name.
    pub host: Spanned<String>,
    /// A subset defined by a DestinationRule of the host.
    pub subset: Option<Spanned<String>>,
    /// The port. `None`: the service's only port, or the port of the request.
    pub port: Option<PortSelector>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortSelector {
    pub number: Spanned<u16>,
}

/// A destination of mirrored requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorPolicy {
    pub destination: Destination,
    /// The share of requests that are mirrored. `None`: all.
    pub percentage: Option<Spanned<Percentage>>,
}

/// A reference to another VirtualService whose routes are used.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delegate {
    pub name: Spanned<String>,
    /// The namespace. `None`: the namespace of the referring document.
    pub namespace: Option<String>,
}

/// Changes of a request's host and path.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// The replacement of the path, or of the prefix that the route matched.
    pub uri: Option<Spanned<String>>,
    pub authority: Option<Spanned<String>>,
    /// The replacement of all matches of an expression in the path.
    pub uri_regex_rewrite: Option<Spanned<RegexRewrite>>,
}

/// An expression and the replacement of its matches.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegexRewrite {
    /// The expression, in RE2's syntax. A partial match suffices.
    pub r#match: String,
    /// The replacement. `\1` is the first group.
    pub rewrite: String,
}

/// Changes of request and response headers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Headers {
    pub request: Option<HeaderOperations>,
    pub response: Option<HeaderOperations>,
}

/// Changes of the headers of a message.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderOperations {
    /// Headers that replace existing ones of the same name.
    #[serde(default)]
    pub set: IndexMap<Spanned<String>, Spanned<String>>,
    /// Headers that are added to existing ones of the same name.
    #[serde(default)]
    pub add: IndexMap<Spanned<String>, Spanned<String>>,
    /// Headers that are removed.
    #[serde(default)]
    pub remove: Vec<Spanned<String>>,
}
