//! `VirtualService`: how requests to a host are routed. Source: Istio, networking/v1.

mod answer;
mod base64;
mod condition;
mod cors;
mod fault;
mod retry;

pub use answer::{Body, DIRECT_BODY_MAX, DerivePort, DirectResponse, Redirect};
pub use condition::{HttpMatch, StringMatch};
pub use cors::{CorsPolicy, UnmatchedPreflights};
pub use fault::{Abort, Delay, Fault, Percentage};
pub use retry::{HttpRetry, parse_retry_on, retry_on_names};

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::Spanned;

use super::duration::GoDuration;

/// How requests to some hosts are routed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// The hosts: short names, full names, or wildcards. One without any is what others delegate to.
    #[serde(default)]
    pub hosts: Vec<Spanned<String>>,
    /// Where it holds: `mesh`, which is the default, means sidecars; other names mean gateways.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// The routes, in order.
    #[serde(default)]
    pub http: Vec<Spanned<HttpRoute>>,
    /// Whose callers it is for: `*` all, `.` those of its own namespace, or a namespace. None: all.
    #[serde(default)]
    pub export_to: Vec<Spanned<String>>,
}

/// A route: what it takes, where that goes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// Its name, for statistics and messages.
    pub name: Option<String>,
    /// What it takes: any of these; without any, everything.
    #[serde(default)]
    pub r#match: Vec<Spanned<HttpMatch>>,
    /// Where it goes, by weight.
    #[serde(default)]
    pub route: Vec<Spanned<RouteDestination>>,
    /// Sends the caller elsewhere instead.
    pub redirect: Option<Spanned<Redirect>>,
    /// Answers instead.
    pub direct_response: Option<Spanned<DirectResponse>>,
    /// Takes the routes of another VirtualService instead.
    pub delegate: Option<Spanned<Delegate>>,
    /// How host and path change on the way.
    pub rewrite: Option<Spanned<Rewrite>>,
    /// How long all tries together may take; none or `0s`: no bound.
    pub timeout: Option<Spanned<GoDuration>>,
    /// When it is tried again; none: Istio's default.
    pub retries: Option<Spanned<HttpRetry>>,
    /// What is done to requests on purpose.
    pub fault: Option<Spanned<Fault>>,
    /// Where copies go.
    pub mirror: Option<Spanned<Destination>>,
    /// The share of requests that are copied; none: all.
    pub mirror_percentage: Option<Spanned<Percentage>>,
    /// The same in whole percent: Istio's older form, which counts only without the other.
    pub mirror_percent: Option<Spanned<u32>>,
    /// Where copies go, each with its share.
    #[serde(default)]
    pub mirrors: Vec<Spanned<MirrorPolicy>>,
    /// Which cross-origin requests are allowed.
    pub cors_policy: Option<Spanned<CorsPolicy>>,
    /// What is done to headers.
    pub headers: Option<Spanned<Headers>>,
}

/// A destination and its share.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteDestination {
    /// Where.
    pub destination: Destination,
    /// Its share of the sum; a single destination needs none.
    pub weight: Option<Spanned<i64>>,
    /// What is done to headers of requests that go there, and of their responses.
    pub headers: Option<Spanned<Headers>>,
}

/// A service, and perhaps a part of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// The service: a short or full name.
    pub host: Spanned<String>,
    /// A subset that a DestinationRule of the host defines.
    pub subset: Option<Spanned<String>>,
    /// Which port; without it the only one, or the one that was asked for.
    pub port: Option<PortSelector>,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortSelector {
    /// Its number.
    pub number: Spanned<u16>,
}

/// Where copies go.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorPolicy {
    /// Where.
    pub destination: Destination,
    /// The share of requests that are copied; none: all.
    pub percentage: Option<Spanned<Percentage>>,
}

/// Another VirtualService, whose routes are taken.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delegate {
    /// Its name.
    pub name: Spanned<String>,
    /// Its namespace; none: the root's own.
    pub namespace: Option<String>,
}

/// How host and path change on the way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// What takes the place of the path, or of the prefix that the route matched.
    pub uri: Option<Spanned<String>>,
    /// The new host.
    pub authority: Option<Spanned<String>>,
    /// What takes the place of all that an expression finds in the path.
    pub uri_regex_rewrite: Option<Spanned<RegexRewrite>>,
}

/// An expression, and what takes the place of all that it finds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegexRewrite {
    /// The expression, in RE2's syntax; it need not match the whole path.
    pub r#match: String,
    /// The new text; `\1` is the first group.
    pub rewrite: String,
}

/// What is done to headers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Headers {
    /// Of requests.
    pub request: Option<HeaderOperations>,
    /// Of responses.
    pub response: Option<HeaderOperations>,
}

/// What is done to the headers of a message.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderOperations {
    /// Put in the place of those that are there.
    #[serde(default)]
    pub set: IndexMap<Spanned<String>, Spanned<String>>,
    /// Put beside them.
    #[serde(default)]
    pub add: IndexMap<Spanned<String>, Spanned<String>>,
    /// Taken away.
    #[serde(default)]
    pub remove: Vec<Spanned<String>>,
}
