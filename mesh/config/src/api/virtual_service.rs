//! `VirtualService`: how requests to a host are routed. Source: Istio, networking/v1.

use indexmap::IndexMap;
use serde::Deserialize;

use super::duration::GoDuration;
use crate::decode::Spanned;

/// How requests to some hosts are routed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// The hosts: short names, full names, or wildcards.
    pub hosts: Vec<Spanned<String>>,
    /// Where it holds. Only `mesh`, which is also the default, is supported.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// The routes, in order.
    #[serde(default)]
    pub http: Vec<Spanned<HttpRoute>>,
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
    /// How long all tries together may take; none or `0s`: no bound.
    pub timeout: Option<Spanned<GoDuration>>,
    /// When it is tried again; none: Istio's default.
    pub retries: Option<Spanned<HttpRetry>>,
}

/// What a route takes: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    /// Its name, appended to the route's.
    pub name: Option<String>,
    /// The path, without its query. A prefix is a prefix of the text, not of segments.
    pub uri: Option<Spanned<StringMatch>>,
    /// `http` or `https`.
    pub scheme: Option<Spanned<StringMatch>>,
    /// The method.
    pub method: Option<Spanned<StringMatch>>,
    /// The authority.
    pub authority: Option<Spanned<StringMatch>>,
    /// Headers. An empty condition asks for presence.
    #[serde(default)]
    pub headers: IndexMap<Spanned<String>, Spanned<StringMatch>>,
    /// Headers that must not be such.
    #[serde(default)]
    pub without_headers: IndexMap<Spanned<String>, Spanned<StringMatch>>,
    /// Parameters of the query. An empty condition asks for presence.
    #[serde(default)]
    pub query_params: IndexMap<Spanned<String>, Spanned<StringMatch>>,
    /// Whether the case of `uri` is ignored.
    #[serde(default)]
    pub ignore_uri_case: bool,
    /// The port of the host that is asked for.
    pub port: Option<u16>,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenMatch")]
pub enum StringMatch {
    /// This.
    Exact(String),
    /// Begins with this.
    Prefix(String),
    /// Matches this expression, in RE2's syntax, as a whole.
    Regex(String),
    /// There. Written `{}`, or `{regex: "*"}`.
    Present,
}

#[derive(Deserialize)]
#[serde(rename = "StringMatch")]
struct WrittenMatch {
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
}

impl TryFrom<WrittenMatch> for StringMatch {
    type Error = &'static str;

    fn try_from(written: WrittenMatch) -> Result<Self, Self::Error> {
        match (written.exact, written.prefix, written.regex) {
            (None, None, None) => Ok(StringMatch::Present),
            (Some(text), None, None) => Ok(StringMatch::Exact(text)),
            (None, Some(text), None) => Ok(StringMatch::Prefix(text)),
            (None, None, Some(text)) if text == "*" => Ok(StringMatch::Present),
            (None, None, Some(text)) => Ok(StringMatch::Regex(text)),
            _ => Err("expected one of `exact`, `prefix` or `regex`, found several"),
        }
    }
}

/// A destination and its share.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteDestination {
    /// Where.
    pub destination: Destination,
    /// Its share of the sum; a single destination needs none.
    pub weight: Option<Spanned<i64>>,
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

/// When and how often a request is tried again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRetry {
    /// Tries after the first; 0: none.
    pub attempts: u32,
    /// How long each try may take, the first, too; none: the route's timeout.
    pub per_try_timeout: Option<Spanned<GoDuration>>,
    /// Conditions and statuses, with commas between; none: Istio's default.
    pub retry_on: Option<Spanned<String>>,
}
