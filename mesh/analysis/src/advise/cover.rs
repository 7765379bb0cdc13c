//! Coverage between match conditions: true if one matches everything that another does. The answer is false if this
//! cannot be decided.

use indexmap::IndexMap;
use shakedown_istio::gateways::include_sidecars;
use shakedown_istio::{HttpMatch, StringMatch};
use shakedown_xds::table::re2;
use shakedown_yaml::Spanned;

/// Returns true if every request at a sidecar that matches `later` also matches `earlier`.
pub(super) fn covers(earlier: &HttpMatch, later: &HttpMatch) -> bool {
    is_for_sidecars(earlier)
        && covers_uri(earlier, later)
        && covers_line(&earlier.scheme, &later.scheme)
        && covers_line(&earlier.method, &later.method)
        && covers_line(&earlier.authority, &later.authority)
        && covers_map(&earlier.headers, &later.headers)
        // Negation reverses the direction: the later condition must exclude at least as much.
        && earlier.without_headers.iter().all(|(name, unwanted)| {
            condition(&later.without_headers, name).is_some_and(|more| covers_text(more, unwanted))
        })
        && covers_map(&earlier.query_params, &later.query_params)
        && (earlier.port.is_none() || earlier.port == later.port)
        && covers_callers(earlier, later)
}

/// Returns true if a condition applies to sidecars.
pub(super) fn is_for_sidecars(condition: &HttpMatch) -> bool {
    include_sidecars(&condition.gateways)
}

/// Returns true if the callers of `earlier` include those of `later`. Callers are not checked by a condition that
/// names gateways.
fn covers_callers(earlier: &HttpMatch, later: &HttpMatch) -> bool {
    if !earlier.gateways.is_empty() {
        return true;
    }
    let checks_callers = later.gateways.is_empty();
    let labelled = |(name, value): (&String, &String)| {
        checks_callers
            && later
                .source_labels
                .get(name)
                .is_some_and(|label| label == value)
    };
    let namespace = earlier.source_namespace.as_ref();
    earlier.source_labels.iter().all(labelled)
        && namespace
            .filter(|name| !name.is_empty())
            .is_none_or(|name| checks_callers && later.source_namespace.as_ref() == Some(name))
}

fn covers_uri(earlier: &HttpMatch, later: &HttpMatch) -> bool {
    let Some(wide) = &earlier.uri else {
        return true;
    };
    let narrow = later.uri.as_deref().unwrap_or(&StringMatch::Present);
    if wide.value == StringMatch::Prefix("/".into()) {
        return true;
    }
    match (earlier.ignore_uri_case, later.ignore_uri_case) {
        (false, false) => covers_text(wide, narrow),
        (true, _) => match (lower(wide), lower(narrow)) {
            (Some(wide), Some(narrow)) => covers_text(&wide, &narrow),
            _ => **wide == StringMatch::Present,
        },
        (false, true) => **wide == StringMatch::Present,
    }
}

/// Returns the match in lower case. `None` for a regular expression, because lower case would change its meaning.
fn lower(text: &StringMatch) -> Option<StringMatch> {
    Some(match text {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_ascii_lowercase()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_ascii_lowercase()),
        StringMatch::Present => StringMatch::Present,
        StringMatch::Regex(_) => return None,
    })
}

fn covers_line(
    earlier: &Option<Spanned<StringMatch>>,
    later: &Option<Spanned<StringMatch>>,
) -> bool {
    match (earlier, later) {
        (None, _) => true,
        (Some(earlier), Some(later)) => covers_text(earlier, later),
        // An absent condition matches every value, and this part of the request line is always present.
        (Some(earlier), None) => earlier.value == StringMatch::Present,
    }
}

type Conditions = IndexMap<Spanned<String>, Spanned<StringMatch>>;

fn condition<'c>(conditions: &'c Conditions, name: &str) -> Option<&'c StringMatch> {
    let mut all = conditions.iter();
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, wanted)| &wanted.value)
}

fn covers_map(earlier: &Conditions, later: &Conditions) -> bool {
    earlier
        .iter()
        .all(|(name, wide)| condition(later, name).is_some_and(|narrow| covers_text(wide, narrow)))
}

/// Returns true if every text that matches `narrow` also matches `wide`.
fn covers_text(wide: &StringMatch, narrow: &StringMatch) -> bool {
    match (wide, narrow) {
        (StringMatch::Present, _) => true,
        (StringMatch::Prefix(wide), _) if wide.is_empty() => true,
        (StringMatch::Regex(wide), _) if wide == ".*" => true,
        (StringMatch::Exact(wide), StringMatch::Exact(narrow)) => wide == narrow,
        (StringMatch::Prefix(wide), StringMatch::Exact(narrow) | StringMatch::Prefix(narrow)) => {
            narrow.starts_with(wide.as_str())
        }
        (StringMatch::Prefix(wide), StringMatch::Regex(narrow)) => {
            literal_head(narrow).starts_with(wide.as_str())
        }
        (StringMatch::Regex(wide), StringMatch::Regex(narrow)) => wide == narrow,
        (StringMatch::Regex(wide), StringMatch::Exact(narrow)) => {
            re2::compile_whole(wide).is_ok_and(|wide| wide.is_match(narrow.as_bytes()))
        }
        _ => false,
    }
}

/// Returns the literal prefix of a regular expression.
pub(super) fn literal_head(regex: &str) -> &str {
    if regex.contains('|') {
        return "";
    }
    let end = regex.find(|letter: char| r"\.+*?()[]{}^$".contains(letter));
    let Some(end) = end else { return regex };
    let head = &regex[..end];
    match regex[end..].chars().next() {
        // The last character is optional.
        Some('*' | '?' | '{') => {
            let mut letters = head.chars();
            letters.next_back();
            letters.as_str()
        }
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::StringMatch::{Exact, Prefix, Present, Regex};
    use super::*;

    #[test]
    fn a_text_covers_another_only_if_that_is_sure() {
        let covers = |wide: StringMatch, narrow: StringMatch| covers_text(&wide, &narrow);
        assert!(covers(Present, Regex("a+".into())));
        assert!(covers(Prefix("/od10".into()), Prefix("/od100".into())));
        assert!(covers(Prefix("/a".into()), Exact("/a".into())));
        assert!(covers(Prefix("/a".into()), Regex("/a/[0-9]+".into())));
        assert!(covers(Regex("/a.*".into()), Exact("/ab".into())));
        assert!(covers(Regex(".*".into()), Prefix("/".into())));
        assert!(!covers(Prefix("/ab".into()), Prefix("/a".into())));
        assert!(!covers(Prefix("/ab".into()), Regex("/ab?c".into())));
        assert!(!covers(Prefix("/a".into()), Regex("/a|/b".into())));
        assert!(!covers(Regex("/a.*".into()), Prefix("/a".into())));
        assert!(!covers(Exact("a".into()), Present));
    }
}
