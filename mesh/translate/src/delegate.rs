//! Merging of a VirtualService's routes with those of the VirtualServices it delegates to. Source: Istio,
//! `pilot/pkg/model/virtualservice.go`, `mergeHTTPRoutes`.

use std::borrow::Cow;

use shakedown_istio::registry::Hostname;
use shakedown_istio::{
    Delegate, Destination, HttpMatch, HttpRoute, Resource, StringMatch, VirtualService,
};
use shakedown_yaml::{Location, Spanned};

use super::index::Index;

/// A route, and the namespace in which its short names are resolved.
pub struct Merged<'a> {
    /// The route, merged with the one that delegates to it.
    pub route: Cow<'a, HttpRoute>,
    /// The namespace in which short names are resolved.
    pub namespace: &'a str,
    /// The position in the source document.
    pub place: &'a Location,
}

/// Returns the routes of a document, with each delegating route replaced by the delegate's routes. A delegate that
/// does not exist is omitted, as are routes of a delegate that could never match.
pub fn routes<'a>(document: &'a Resource<VirtualService>, index: &Index<'a>) -> Vec<Merged<'a>> {
    let own = document.meta.namespace.as_str();
    let mut routes = Vec::with_capacity(document.spec.http.len());
    for route in &document.spec.http {
        let Some(delegate) = &route.delegate else {
            routes.push(Merged {
                route: Cow::Borrowed(&route.value),
                namespace: own,
                place: &route.place,
            });
            continue;
        };
        let Some(found) = index.delegate(delegate, own) else {
            continue;
        };
        let merged = found.spec.http.iter().filter_map(|taken| {
            Some(Merged {
                route: Cow::Owned(merge(route, own, taken)?),
                namespace: &found.meta.namespace,
                place: &taken.place,
            })
        });
        routes.extend(merged);
    }
    routes
}

/// Returns the namespace and name of a delegate.
pub fn key<'a>(delegate: &'a Delegate, own: &'a str) -> (&'a str, &'a str) {
    let namespace = delegate
        .namespace
        .as_deref()
        .filter(|name| !name.is_empty());
    (namespace.unwrap_or(own), &delegate.name)
}

/// Merges a delegate's route with its root's, which provides the fields that the delegate leaves unset. `None` if no
/// request could match both.
pub fn merge(root: &HttpRoute, namespace: &str, taken: &HttpRoute) -> Option<HttpRoute> {
    let mut merged = taken.clone();
    merged.r#match = conditions(&root.r#match, &taken.r#match)?;
    merged.name = joined(root.name.as_ref(), taken.name.as_ref());
    merged.rewrite = merged.rewrite.or_else(|| root.rewrite.clone());
    merged.timeout = merged.timeout.or_else(|| root.timeout.clone());
    merged.retries = merged.retries.or_else(|| root.retries.clone());
    merged.fault = merged.fault.or_else(|| root.fault.clone());
    merged.cors_policy = merged.cors_policy.or_else(|| root.cors_policy.clone());
    merged.headers = merged.headers.or_else(|| root.headers.clone());
    merged.mirror_percentage = merged
        .mirror_percentage
        .or_else(|| root.mirror_percentage.clone());
    merged.mirror_percent = merged
        .mirror_percent
        .or_else(|| root.mirror_percent.clone());
    // The root's short names are resolved in its own namespace.
    let full = |to: &Destination| Destination {
        host: Spanned::new(
            Hostname::resolve(&to.host, namespace).to_string(),
            to.host.place.clone(),
        ),
        ..to.clone()
    };
    merged.mirror = merged.mirror.or_else(|| {
        let mirror = root.mirror.as_ref()?;
        Some(Spanned::new(full(mirror), mirror.place.clone()))
    });
    if merged.mirrors.is_empty() {
        merged.mirrors.clone_from(&root.mirrors);
        for mirror in &mut merged.mirrors {
            mirror.value.destination = full(&mirror.value.destination);
        }
    }
    Some(merged)
}

fn joined(root: Option<&String>, taken: Option<&String>) -> Option<String> {
    match (root, taken) {
        (Some(root), Some(taken)) => Some(format!("{root}-{taken}")),
        (one, other) => other.or(one).cloned(),
    }
}

/// Combines each of the delegate's conditions with each compatible one of the root's. `None` if one of the delegate's
/// is compatible with none.
fn conditions(
    root: &[Spanned<HttpMatch>],
    taken: &[Spanned<HttpMatch>],
) -> Option<Vec<Spanned<HttpMatch>>> {
    if root.is_empty() || taken.is_empty() {
        return Some(if root.is_empty() { taken } else { root }.to_vec());
    }
    let mut all = Vec::new();
    for own in taken {
        let before = all.len();
        let fitting = root.iter().filter(|root| !conflict(root, own));
        all.extend(fitting.map(|root| Spanned::new(both(root, own), own.place.clone())));
        if all.len() == before {
            return None;
        }
    }
    Some(all)
}

fn both(root: &HttpMatch, taken: &HttpMatch) -> HttpMatch {
    let mut both = taken.clone();
    both.name = joined(root.name.as_ref(), taken.name.as_ref());
    both.uri = both.uri.or_else(|| root.uri.clone());
    both.scheme = both.scheme.or_else(|| root.scheme.clone());
    both.method = both.method.or_else(|| root.method.clone());
    both.authority = both.authority.or_else(|| root.authority.clone());
    for (all, roots) in [
        (&mut both.headers, &root.headers),
        (&mut both.without_headers, &root.without_headers),
        (&mut both.query_params, &root.query_params),
    ] {
        for (name, wanted) in roots {
            if !all.keys().any(|known| known.value == name.value) {
                all.insert(name.clone(), wanted.clone());
            }
        }
    }
    both.port = both.port.or(root.port);
    for (name, value) in &root.source_labels {
        let labels = &mut both.source_labels;
        labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let written = |namespace: &String| !namespace.is_empty();
    both.source_namespace = both.source_namespace.filter(written);
    both.source_namespace = both
        .source_namespace
        .or_else(|| root.source_namespace.clone());
    if both.gateways.is_empty() {
        both.gateways.clone_from(&root.gateways);
    }
    both.stat_prefix = both.stat_prefix.or_else(|| root.stat_prefix.clone());
    both
}

fn conflict(root: &HttpMatch, taken: &HttpMatch) -> bool {
    let line = |condition: &HttpMatch| {
        [
            condition.uri.clone(),
            condition.scheme.clone(),
            condition.method.clone(),
            condition.authority.clone(),
        ]
    };
    let of_line = line(root).iter().zip(&line(taken)).any(|(root, taken)| {
        root.as_deref()
            .zip(taken.as_deref())
            .is_some_and(|(root, taken)| strings_conflict(root, taken))
    });
    let maps = [
        (&root.headers, &taken.headers),
        (&root.without_headers, &taken.without_headers),
        (&root.query_params, &taken.query_params),
    ];
    let of_maps = maps.iter().any(|(root, taken)| {
        taken.iter().any(|(name, taken)| {
            root.iter()
                .find(|(known, _)| known.value == name.value)
                .is_some_and(|(_, root)| strings_conflict(root, taken))
        })
    });
    let of_port = matches!((root.port, taken.port), (Some(one), Some(other)) if one != other);
    of_line
        || of_maps
        || of_port
        || root.ignore_uri_case != taken.ignore_uri_case
        || callers_conflict(root, taken)
}

/// Returns true if the delegate's condition covers callers or gateways that the root's does not. If the root names a
/// namespace, the delegate must name the same one.
fn callers_conflict(root: &HttpMatch, taken: &HttpMatch) -> bool {
    let namespace = |of: &HttpMatch| of.source_namespace.clone().filter(|name| !name.is_empty());
    let of_namespace = namespace(root).is_some() && namespace(root) != namespace(taken);
    let of_labels = taken.source_labels.iter().any(|(name, value)| {
        let known = root.source_labels.get(name);
        known.is_some_and(|known| known != value)
    });
    let has = |gateway: &Spanned<String>| {
        root.gateways
            .iter()
            .any(|known| known.value == gateway.value)
    };
    let of_gateways = !root.gateways.is_empty() && !taken.gateways.iter().all(has);
    of_namespace || of_labels || of_gateways
}

/// Returns true if the delegate's condition is not known to be within the root's.
fn strings_conflict(root: &StringMatch, taken: &StringMatch) -> bool {
    match (root, taken) {
        (StringMatch::Exact(root), StringMatch::Exact(taken)) => root != taken,
        (StringMatch::Prefix(root), StringMatch::Prefix(taken) | StringMatch::Exact(taken)) => {
            !taken.starts_with(root.as_str())
        }
        // Expressions are not compared, and an exact match contains no prefix match.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegate_may_only_narrow_what_its_root_takes() {
        use StringMatch::{Exact, Prefix, Regex};
        let clash = |root: StringMatch, taken: StringMatch| strings_conflict(&root, &taken);
        assert!(!clash(Prefix("/a".into()), Prefix("/a/b".into())));
        assert!(!clash(Prefix("/a".into()), Exact("/a/b".into())));
        assert!(!clash(Exact("/a".into()), Exact("/a".into())));
        assert!(clash(Prefix("/a/b".into()), Prefix("/a".into())));
        assert!(clash(Exact("/a".into()), Prefix("/a".into())));
        assert!(clash(Prefix("/a".into()), Regex("/a.*".into())));
    }
}
