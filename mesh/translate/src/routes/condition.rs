//! Translation of match conditions.

use shakedown_istio::gateways::include_sidecars;
use shakedown_istio::{HttpMatch, StringMatch};
use shakedown_xds::proto::matcher::string_matcher::MatchPattern;
use shakedown_xds::proto::matcher::{RegexMatcher, StringMatcher};
use shakedown_xds::proto::protobuf;
use shakedown_xds::proto::route::header_matcher::HeaderMatchSpecifier;
use shakedown_xds::proto::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use shakedown_xds::proto::route::route_match::PathSpecifier;
use shakedown_xds::proto::route::{HeaderMatcher, QueryParameterMatcher, RouteMatch};

use crate::caller::Caller;

/// A condition that matches every request.
pub(crate) fn any_path() -> RouteMatch {
    RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".into())),
        ..Default::default()
    }
}

/// Returns true if a condition applies to sidecars and to this caller. The caller is not checked for a condition that
/// names gateways. Source: Istio, `sourceMatchHTTP`.
pub(super) fn is_for(condition: &HttpMatch, caller: &Caller) -> bool {
    if !condition.gateways.is_empty() {
        return include_sidecars(&condition.gateways);
    }
    let labelled = |(name, value): (&String, &String)| caller.labels.get(name) == Some(value);
    let in_namespace = |namespace: &String| namespace.is_empty() || *namespace == caller.namespace;
    condition.source_labels.iter().all(labelled)
        && condition.source_namespace.as_ref().is_none_or(in_namespace)
}

/// Returns true if the condition matches every request.
pub(super) fn takes_everything(condition: &HttpMatch) -> bool {
    let any_uri = match condition.uri.as_deref() {
        None | Some(StringMatch::Present) => true,
        Some(StringMatch::Prefix(prefix)) => prefix == "/" || prefix.is_empty(),
        _ => false,
    };
    any_uri
        && condition.scheme.is_none()
        && condition.method.is_none()
        && condition.authority.is_none()
        && condition.headers.is_empty()
        && condition.without_headers.is_empty()
        && condition.query_params.is_empty()
}

pub(super) fn route_match(condition: &HttpMatch) -> RouteMatch {
    let path = match condition.uri.as_deref() {
        None | Some(StringMatch::Present) => PathSpecifier::Prefix("/".into()),
        Some(StringMatch::Exact(path)) => PathSpecifier::Path(path.clone()),
        Some(StringMatch::Prefix(path)) => PathSpecifier::Prefix(path.clone()),
        Some(StringMatch::Regex(regex)) => PathSpecifier::SafeRegex(regex_matcher(regex)),
    };
    let mut headers = Vec::new();
    for (name, wanted) in [
        (":method", &condition.method),
        (":authority", &condition.authority),
        (":scheme", &condition.scheme),
    ] {
        headers.extend(wanted.as_ref().map(|wanted| header(name, wanted)));
    }
    headers.extend(
        condition
            .headers
            .iter()
            .map(|(name, wanted)| header(name, wanted)),
    );
    for (name, unwanted) in &condition.without_headers {
        let mut matcher = header(name, unwanted);
        matcher.invert_match = true;
        // An absent header satisfies the condition. For a presence match, Envoy handles that itself.
        matcher.treat_missing_header_as_empty = **unwanted != StringMatch::Present;
        headers.push(matcher);
    }
    let query = condition
        .query_params
        .iter()
        .map(|(name, wanted)| QueryParameterMatcher {
            name: name.value.clone(),
            query_parameter_match_specifier: Some(match string_matcher(wanted) {
                None => QueryParameterMatchSpecifier::PresentMatch(true),
                Some(matcher) => QueryParameterMatchSpecifier::StringMatch(matcher),
            }),
        });
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: condition
            .ignore_uri_case
            .then_some(protobuf::BoolValue { value: false }),
        headers,
        query_parameters: query.collect(),
        ..Default::default()
    }
}

fn header(name: &str, wanted: &StringMatch) -> HeaderMatcher {
    HeaderMatcher {
        name: name.into(),
        header_match_specifier: Some(match string_matcher(wanted) {
            None => HeaderMatchSpecifier::PresentMatch(true),
            Some(matcher) => HeaderMatchSpecifier::StringMatch(matcher),
        }),
        ..Default::default()
    }
}

/// Translates a string match. `None` means that only presence is required.
pub(super) fn string_matcher(wanted: &StringMatch) -> Option<StringMatcher> {
    let pattern = match wanted {
        StringMatch::Present => return None,
        StringMatch::Exact(text) => MatchPattern::Exact(text.clone()),
        // Every value has an empty prefix, and Envoy rejects an empty one.
        StringMatch::Prefix(text) if text.is_empty() => return None,
        StringMatch::Prefix(text) => MatchPattern::Prefix(text.clone()),
        StringMatch::Regex(regex) => MatchPattern::SafeRegex(regex_matcher(regex)),
    };
    Some(StringMatcher {
        match_pattern: Some(pattern),
        ignore_case: false,
    })
}

pub(super) fn regex_matcher(regex: &str) -> RegexMatcher {
    RegexMatcher {
        regex: regex.into(),
        ..Default::default()
    }
}
