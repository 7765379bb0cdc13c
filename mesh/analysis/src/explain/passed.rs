//! Descriptions of the reason why a route did not match a request: its first condition that is not met.

use shakedown_xds::table::{
    HeaderKey, HeaderMatcher, PathMatcher, QueryMatcher, RequestView, RouteMatcher, StringMatcher,
    ValueMatcher, query_value,
};

/// Describes the reason. `None` if the route matches the request.
pub(super) fn reason(matcher: &RouteMatcher, request: &RequestView<'_>) -> Option<String> {
    if !matcher.path.matches(request.path) {
        return Some(path(&matcher.path, request.path));
    }
    let header = matcher
        .headers
        .iter()
        .find(|header| !header.matches(request));
    if let Some(header) = header {
        return Some(self::header(header, request));
    }
    let parameter = matcher
        .query
        .iter()
        .find(|parameter| !parameter.matches(request.path));
    parameter.map(|parameter| query(parameter, request.path))
}

fn path(wanted: &PathMatcher, path_and_query: &str) -> String {
    let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
    match wanted {
        PathMatcher::Any => unreachable!("any path matches"),
        PathMatcher::String(wanted) => {
            let mut words = format!("the path `{path}` {}", is_not(wanted));
            if let StringMatcher::Exact(wanted) = wanted
                && wanted.trim_end_matches('/') == path.trim_end_matches('/')
            {
                words.push_str("; a trailing `/` is significant");
            } else {
                words.push_str(case(wanted, path.as_bytes()));
            }
            words
        }
        PathMatcher::Below(wanted, _) => {
            format!("the path `{path}` is neither `{wanted}` nor below it")
        }
    }
}

fn header(wanted: &HeaderMatcher, request: &RequestView<'_>) -> String {
    let name = match &wanted.name {
        HeaderKey::Name(name) => format!("header `{name}`"),
        HeaderKey::Method => "method".into(),
        HeaderKey::Path => "path".into(),
        HeaderKey::Authority => "authority".into(),
        HeaderKey::Scheme => "scheme".into(),
    };
    let first = wanted.name.first(request);
    let Some(value) = first else {
        return match &wanted.value {
            ValueMatcher::String(string) if !wanted.invert => {
                format!("it has no {name}; expected {}", one(string))
            }
            _ => format!("it has no {name}"),
        };
    };
    let text = String::from_utf8_lossy(value);
    match (&wanted.value, wanted.invert) {
        (ValueMatcher::Present(there), invert) if *there != invert => {
            unreachable!("a header with a value is present")
        }
        (ValueMatcher::Present(_), _) => format!("it has a {name}: `{text}`"),
        (ValueMatcher::String(string), false) => {
            format!(
                "its {name} `{text}` {}{}",
                is_not(string),
                case(string, value)
            )
        }
        (ValueMatcher::String(string), true) => {
            format!(
                "its {name} is `{text}`; expected anything but {}",
                one(string)
            )
        }
        (ValueMatcher::Range(from, below), invert) => {
            let not = if invert { "" } else { "not " };
            format!(
                "its {name} `{text}` is {not}a number from {from} (inclusive) to {below} (exclusive)"
            )
        }
    }
}

fn query(wanted: &QueryMatcher, path: &str) -> String {
    let name = &wanted.name;
    match (query_value(path, name), &wanted.value) {
        (None, _) => format!("it has no query parameter `{name}`"),
        (Some(value), ValueMatcher::String(string)) => format!(
            "its query parameter `{name}` `{value}` {}{}",
            is_not(string),
            case(string, value.as_bytes())
        ),
        (Some(value), _) => format!("it has a query parameter `{name}`: `{value}`"),
    }
}

/// Returns a remark about case sensitivity, if only the case differs.
fn case(wanted: &StringMatcher, text: &[u8]) -> &'static str {
    let lower = text.to_ascii_lowercase();
    let same = match wanted {
        StringMatcher::Exact(wanted) => wanted.as_bytes().eq_ignore_ascii_case(text),
        StringMatcher::Prefix(wanted) => lower.starts_with(wanted.to_ascii_lowercase().as_bytes()),
        _ => false,
    };
    if same {
        "; the match is case-sensitive"
    } else {
        ""
    }
}

fn is_not(wanted: &StringMatcher) -> String {
    match wanted {
        StringMatcher::Exact(_) | StringMatcher::ExactIgnoringCase(_) => {
            format!("is not {}", text(wanted))
        }
        StringMatcher::Prefix(_) | StringMatcher::PrefixIgnoringCase(_) => {
            format!("does not begin with {}", text(wanted))
        }
        StringMatcher::Suffix(_) | StringMatcher::SuffixIgnoringCase(_) => {
            format!("does not end with {}", text(wanted))
        }
        StringMatcher::Contains(_) | StringMatcher::ContainsIgnoringCase(_) => {
            format!("does not contain {}", text(wanted))
        }
        StringMatcher::Regex(_) => format!("does not match {} as a whole", text(wanted)),
    }
}

/// Describes the texts that would match.
fn one(wanted: &StringMatcher) -> String {
    let how = match wanted {
        StringMatcher::Exact(_) | StringMatcher::ExactIgnoringCase(_) => return text(wanted),
        StringMatcher::Prefix(_) | StringMatcher::PrefixIgnoringCase(_) => "begins with",
        StringMatcher::Suffix(_) | StringMatcher::SuffixIgnoringCase(_) => "ends with",
        StringMatcher::Contains(_) | StringMatcher::ContainsIgnoringCase(_) => "contains",
        StringMatcher::Regex(_) => "matches",
    };
    format!("a value that {how} {}", text(wanted))
}

fn text(wanted: &StringMatcher) -> String {
    match wanted {
        StringMatcher::Exact(text)
        | StringMatcher::ExactIgnoringCase(text)
        | StringMatcher::Prefix(text)
        | StringMatcher::PrefixIgnoringCase(text)
        | StringMatcher::Suffix(text)
        | StringMatcher::SuffixIgnoringCase(text)
        | StringMatcher::Contains(text)
        | StringMatcher::ContainsIgnoringCase(text) => format!("`{text}`"),
        StringMatcher::Regex(regex) => format!("`{}`", as_written(regex.as_str())),
    }
}

/// Returns an expression without the anchors that make it match the whole text.
fn as_written(regex: &str) -> &str {
    let inner = regex
        .strip_prefix("^(?:")
        .and_then(|rest| rest.strip_suffix(")$"));
    inner.unwrap_or(regex)
}

#[cfg(test)]
mod tests {
    use http::header::HeaderMap;

    use super::*;

    fn matcher(path: PathMatcher) -> RouteMatcher {
        RouteMatcher {
            path,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    fn describe(
        matcher: &RouteMatcher,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> String {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        let headers: HeaderMap = headers.iter().map(pair).collect();
        let request = RequestView {
            method: "GET",
            path,
            authority: "a",
            scheme: "http",
            headers: &headers,
        };
        reason(matcher, &request).unwrap_or_else(|| "it takes it".into())
    }

    #[test]
    fn a_path_that_differs_in_little_is_told_in_what() {
        let exact = matcher(PathMatcher::String(StringMatcher::Exact("/a".into())));
        assert_eq!(describe(&exact, "/a?q", &[]), "it takes it");
        assert_eq!(describe(&exact, "/b", &[]), "the path `/b` is not `/a`");
        assert_eq!(
            describe(&exact, "/a/", &[]),
            "the path `/a/` is not `/a`; a trailing `/` is significant"
        );
        let regex = StringMatcher::regex("/a[0-9]").unwrap();
        assert_eq!(
            describe(&matcher(PathMatcher::String(regex)), "/a10", &[]),
            "the path `/a10` does not match `/a[0-9]` as a whole"
        );
    }

    #[test]
    fn a_header_in_the_wrong_case_is_told_so() {
        let mut wanted = matcher(PathMatcher::Any);
        wanted.headers.push(HeaderMatcher {
            name: HeaderKey::named("end-user").unwrap(),
            value: ValueMatcher::String(StringMatcher::Exact("Jason".into())),
            invert: false,
            missing_is_empty: false,
        });
        assert_eq!(
            describe(&wanted, "/", &[("end-user", "jason")]),
            "its header `end-user` `jason` is not `Jason`; the match is case-sensitive"
        );
        assert_eq!(
            describe(&wanted, "/", &[]),
            "it has no header `end-user`; expected `Jason`"
        );
        wanted.headers[0].invert = true;
        assert_eq!(
            describe(&wanted, "/", &[("end-user", "Jason")]),
            "its header `end-user` is `Jason`; expected anything but `Jason`"
        );
    }
}
