//! What a route takes.

use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_yaml::Spanned;

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
    /// Labels that the caller's pod has.
    #[serde(default)]
    pub source_labels: IndexMap<String, String>,
    /// The namespace that the caller's pod is in.
    pub source_namespace: Option<String>,
    /// Where it holds: `mesh`, or gateways. None: wherever its document does. One that names any holds for all callers there.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// What Envoy's statistics of the route are called; this proxy counts no statistics by route.
    pub stat_prefix: Option<String>,
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
