//! Match conditions of a route.

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::Spanned;

/// A match condition. All given fields must match.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    /// The name, appended to the route's name.
    pub name: Option<String>,
    /// The path without its query. A prefix is compared as text, not by path segments.
    pub uri: Option<Spanned<StringMatch>>,
    pub scheme: Option<Spanned<StringMatch>>,
    pub method: Option<Spanned<StringMatch>>,
    pub authority: Option<Spanned<StringMatch>>,
    /// The headers. An empty condition matches any value.
    #[serde(default)]
    pub headers: IndexMap<Spanned<String>, Spanned<StringMatch>>,
    /// Headers that must not match.
    #[serde(default)]
    pub without_headers: IndexMap<Spanned<String>, Spanned<StringMatch>>,
    /// The query parameters. An empty condition matches any value.
    #[serde(default)]
    pub query_params: IndexMap<Spanned<String>, Spanned<StringMatch>>,
    /// True if `uri` is compared without regard to case.
    #[serde(default)]
    pub ignore_uri_case: bool,
    /// The port of the addressed host.
    pub port: Option<u16>,
    /// Labels that the caller's pod must have.
    #[serde(default)]
    pub source_labels: IndexMap<String, String>,
    /// The namespace of the caller's pod.
    pub source_namespace: Option<String>,
    /// The gateways to which the condition applies, with `mesh` for sidecars. Empty: those of the VirtualService. If
    /// given, source labels and namespaces are ignored.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// The prefix of Envoy's statistics of the route. Unused, because this proxy has no statistics per route.
    pub stat_prefix: Option<String>,
}

/// A condition on a text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StringMatchForm")]
pub enum StringMatch {
    /// Equal to this text.
    Exact(String),
    /// Begins with this text.
    Prefix(String),
    /// Matches this expression as a whole, in RE2's syntax.
    Regex(String),
    /// Present with any value. Written `{}`, or `{regex: "*"}`.
    Present,
}

#[derive(Deserialize)]
#[serde(rename = "StringMatch")]
struct StringMatchForm {
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
}

impl TryFrom<StringMatchForm> for StringMatch {
    type Error = &'static str;

    fn try_from(written: StringMatchForm) -> Result<Self, Self::Error> {
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
