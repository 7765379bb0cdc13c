//! Compiles `RouteMatch` and its parts.

use super::problem::{FieldProblem, Result, fields, named};
use crate::proto::matcher::string_matcher::MatchPattern;
use crate::proto::matcher::{self, RegexMatcher};
use crate::proto::route as message;
use crate::proto::route::header_matcher::HeaderMatchSpecifier;
use crate::proto::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use crate::proto::route::route_match::PathSpecifier;
use crate::table::{
    HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, RouteMatcher, StringMatcher, ValueMatcher,
};

pub(super) fn route(message: &message::RouteMatch) -> Result<RouteMatcher> {
    fields!(message => message::RouteMatch {
        refused: runtime_fraction cookies grpc tls_context dynamic_metadata filter_state;
        used: case_sensitive headers query_parameters path_specifier;
    });
    Ok(RouteMatcher {
        headers: headers(&message.headers)?,
        query: parameters(&message.query_parameters)?,
        path: path(message)?,
    })
}

/// Compiles header conditions, from the field `headers`.
pub(super) fn headers(messages: &[message::HeaderMatcher]) -> Result<Vec<HeaderMatcher>> {
    let mut headers = Vec::with_capacity(messages.len());
    for (index, written) in messages.iter().enumerate() {
        headers
            .push(header(written).map_err(|problem| problem.within(&format!("headers[{index}]")))?);
    }
    Ok(headers)
}

/// Compiles query conditions, from the field `query_parameters`.
pub(super) fn parameters(messages: &[message::QueryParameterMatcher]) -> Result<Vec<QueryMatcher>> {
    let mut query = Vec::with_capacity(messages.len());
    for (index, written) in messages.iter().enumerate() {
        query.push(
            parameter(written)
                .map_err(|problem| problem.within(&format!("query_parameters[{index}]")))?,
        );
    }
    Ok(query)
}

fn path(message: &message::RouteMatch) -> Result<PathMatcher> {
    let ignore_case = message
        .case_sensitive
        .as_ref()
        .is_some_and(|sensitive| !sensitive.value);
    Ok(match &message.path_specifier {
        // These prefixes match everything: every path begins with a slash.
        Some(PathSpecifier::Prefix(prefix)) if prefix.is_empty() || prefix == "/" => {
            PathMatcher::Any
        }
        Some(PathSpecifier::Prefix(prefix)) if ignore_case => {
            PathMatcher::String(StringMatcher::PrefixIgnoringCase(prefix.as_str().into()))
        }
        Some(PathSpecifier::Prefix(prefix)) => {
            PathMatcher::String(StringMatcher::Prefix(prefix.as_str().into()))
        }
        Some(PathSpecifier::Path(path)) if ignore_case => {
            PathMatcher::String(StringMatcher::ExactIgnoringCase(path.as_str().into()))
        }
        Some(PathSpecifier::Path(path)) => {
            PathMatcher::String(StringMatcher::Exact(path.as_str().into()))
        }
        Some(PathSpecifier::SafeRegex(written)) => {
            PathMatcher::String(regex("safe_regex", written)?)
        }
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains(['?', '#']) {
                let text = format!("expected `/name` without a trailing slash, found `{prefix}`");
                return Err(FieldProblem::new("path_separated_prefix", text));
            }
            PathMatcher::Below(prefix.as_str().into(), ignore_case)
        }
        Some(PathSpecifier::ConnectMatcher(_)) => {
            return Err(FieldProblem::unsupported("connect_matcher"));
        }
        Some(PathSpecifier::PathMatchPolicy(_)) => {
            return Err(FieldProblem::unsupported("path_match_policy"));
        }
        None => {
            let text =
                "expected `prefix`, `path`, `safe_regex` or `path_separated_prefix`, found nothing";
            return Err(FieldProblem::new("path_specifier", text));
        }
    })
}

#[expect(deprecated, reason = "older control planes send the deprecated forms")]
pub(super) fn header(message: &message::HeaderMatcher) -> Result<HeaderMatcher> {
    fields!(message => message::HeaderMatcher {
        used: name invert_match treat_missing_header_as_empty header_match_specifier;
    });
    named("name", &message.name)?;
    let name = HeaderKey::named(&message.name).ok_or_else(|| {
        FieldProblem::new("name", format!("invalid header name `{}`", message.name))
    })?;
    let text = |text: &String| text.as_str().into();
    let value = match &message.header_match_specifier {
        None => ValueMatcher::Present(true),
        Some(HeaderMatchSpecifier::PresentMatch(present)) => ValueMatcher::Present(*present),
        Some(HeaderMatchSpecifier::StringMatch(written)) => {
            ValueMatcher::String(string(written).map_err(|problem| problem.within("string_match"))?)
        }
        Some(HeaderMatchSpecifier::ExactMatch(exact)) => {
            ValueMatcher::String(StringMatcher::Exact(text(exact)))
        }
        Some(HeaderMatchSpecifier::PrefixMatch(prefix)) => {
            ValueMatcher::String(StringMatcher::Prefix(text(prefix)))
        }
        Some(HeaderMatchSpecifier::SuffixMatch(suffix)) => {
            ValueMatcher::String(StringMatcher::Suffix(text(suffix)))
        }
        Some(HeaderMatchSpecifier::ContainsMatch(part)) => {
            ValueMatcher::String(StringMatcher::Contains(text(part)))
        }
        Some(HeaderMatchSpecifier::SafeRegexMatch(written)) => {
            ValueMatcher::String(regex("safe_regex_match", written)?)
        }
        Some(HeaderMatchSpecifier::RangeMatch(range)) => {
            ValueMatcher::Range(range.start, range.end)
        }
    };
    Ok(HeaderMatcher {
        name,
        value,
        invert: message.invert_match,
        missing_is_empty: message.treat_missing_header_as_empty,
    })
}

fn parameter(message: &message::QueryParameterMatcher) -> Result<QueryMatcher> {
    fields!(message => message::QueryParameterMatcher {
        used: name query_parameter_match_specifier;
    });
    named("name", &message.name)?;
    let value = match &message.query_parameter_match_specifier {
        None => ValueMatcher::Present(true),
        Some(QueryParameterMatchSpecifier::PresentMatch(present)) => {
            ValueMatcher::Present(*present)
        }
        Some(QueryParameterMatchSpecifier::StringMatch(written)) => {
            ValueMatcher::String(string(written).map_err(|problem| problem.within("string_match"))?)
        }
    };
    Ok(QueryMatcher {
        name: message.name.as_str().into(),
        value,
    })
}

pub(super) fn string(message: &matcher::StringMatcher) -> Result<StringMatcher> {
    fields!(message => matcher::StringMatcher {
        used: ignore_case match_pattern;
    });
    let text = |text: &String| text.as_str().into();
    Ok(match (&message.match_pattern, message.ignore_case) {
        (Some(MatchPattern::Exact(exact)), false) => StringMatcher::Exact(text(exact)),
        (Some(MatchPattern::Exact(exact)), true) => StringMatcher::ExactIgnoringCase(text(exact)),
        (Some(MatchPattern::Prefix(prefix)), false) => StringMatcher::Prefix(text(prefix)),
        (Some(MatchPattern::Prefix(prefix)), true) => {
            StringMatcher::PrefixIgnoringCase(text(prefix))
        }
        (Some(MatchPattern::Suffix(suffix)), false) => StringMatcher::Suffix(text(suffix)),
        (Some(MatchPattern::Suffix(suffix)), true) => {
            StringMatcher::SuffixIgnoringCase(text(suffix))
        }
        (Some(MatchPattern::Contains(part)), false) => StringMatcher::Contains(text(part)),
        (Some(MatchPattern::Contains(part)), true) => {
            StringMatcher::ContainsIgnoringCase(part.to_ascii_lowercase().into())
        }
        // Envoy ignores the case flag for expressions.
        (Some(MatchPattern::SafeRegex(written)), _) => regex("safe_regex", written)?,
        (Some(MatchPattern::Custom(_)), _) => return Err(FieldProblem::unsupported("custom")),
        (None, _) => {
            let text =
                "expected `exact`, `prefix`, `suffix`, `contains` or `safe_regex`, found nothing";
            return Err(FieldProblem::new("match_pattern", text));
        }
    })
}

fn regex(field: &str, message: &RegexMatcher) -> Result<StringMatcher> {
    fields!(message => RegexMatcher {
        used: regex;
        ignored: engine_type;
    });
    StringMatcher::regex(&message.regex).map_err(|error| {
        let text = format!(
            "invalid regular expression `{}` (RE2): {error}",
            message.regex
        );
        FieldProblem::new(&format!("{field}.regex"), text)
    })
}
