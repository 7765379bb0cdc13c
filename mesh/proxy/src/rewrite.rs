//! Changes a request as its route configures: headers, host and path.

use std::borrow::Cow;

use http::header::{HOST, HeaderName, HeaderValue};
use shakedown_wire::{path_of, set_path};
use shakedown_xds::table::{Rewrite, Route, TargetHeaders, normalize_path};

use crate::headers::change_request;
use crate::request_head::RequestHead;
use crate::respond::LocalReply;

const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-envoy-original-host");
const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");

/// Changes a request for its destination: the destination's headers, the headers of the route and the levels above it,
/// then host and path. With `suppress_envoy_headers` the original host and path are not reported in headers.
/// Source: Envoy, `RouteEntryImplBase::finalizeRequestHeaders`.
pub(crate) fn toward(
    target: Option<&TargetHeaders>,
    route: &Route,
    rewrite: Option<&Rewrite>,
    head: &mut RequestHead,
    suppress_envoy_headers: bool,
) -> Result<(), LocalReply> {
    if let Some(target) = target {
        change_request(&target.request, head)?;
        if let Some(host) = &target.host {
            head.parts.headers.insert(HOST, host.clone());
        }
    }
    for ops in &route.request_headers {
        change_request(ops, head)?;
    }
    let Some(rewrite) = rewrite else {
        return Ok(());
    };
    let head = &mut head.parts;
    let by_header = || {
        let found = head.headers.get(rewrite.host_header.as_ref()?)?;
        Some(found.clone()).filter(|host| !host.is_empty())
    };
    if let Some(host) = rewrite.host.clone().or_else(by_header)
        && let Some(before) = head.headers.insert(HOST, host)
        && !suppress_envoy_headers
    {
        head.headers.insert(ORIGINAL_HOST, before);
    }
    if let Some(path) = &rewrite.path {
        let before = path_of(head);
        let original = HeaderValue::from_str(before).map_err(|_| LocalReply::BadPath)?;
        // `set_path` rejects a result that does not begin with a slash.
        let new = String::from_utf8(path.apply(before)).map_err(|_| LocalReply::BadPath)?;
        if !suppress_envoy_headers {
            head.headers.insert(ORIGINAL_PATH, original);
        }
        set_path(head, new).map_err(|_| LocalReply::BadPath)?;
    }
    Ok(())
}

/// Normalises the path of a request. Source: Envoy, `ConnectionManagerUtility::maybeNormalizePath`.
pub(crate) fn normalize(head: &mut RequestHead) -> Result<(), LocalReply> {
    let head = &mut head.parts;
    let written = path_of(head);
    // `OPTIONS *` has no path.
    if !written.starts_with('/') {
        return Ok(());
    }
    match normalize_path(written).map_err(|_| LocalReply::BadPath)? {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(normal) => set_path(head, normal).map_err(|_| LocalReply::BadPath),
    }
}

#[cfg(test)]
mod tests {
    use shakedown_xds::table::{
        PathMatcher, PathRewrite, RouteAction, RouteActionKind, RouteMatcher,
    };

    use super::*;
    use http::request::Parts;

    fn sent(target: Option<&TargetHeaders>, rewrite: &Rewrite) -> Parts {
        let action = RouteAction::new(vec![shakedown_xds::table::WeightedCluster::new("c", 1)]);
        let matcher = RouteMatcher {
            path: PathMatcher::Any,
            headers: Vec::new(),
            query: Vec::new(),
        };
        let route = Route::new("", matcher, RouteActionKind::Forward(action.unwrap()));
        let request = http::Request::get("/rw/x?q=1").header("host", "t");
        let mut head = RequestHead::new(request.body(()).unwrap().into_parts().0);
        toward(target, &route, Some(rewrite), &mut head, false).unwrap();
        head.parts
    }

    #[test]
    fn what_is_rewritten_is_told_as_it_was() {
        let rewrite = Rewrite {
            path: Some(PathRewrite::Prefix {
                matched: Some(3),
                with: "/new".into(),
            }),
            host: Some(HeaderValue::from_static("hh:1")),
            host_header: None,
        };
        let head = sent(None, &rewrite);
        assert_eq!(head.uri, "/new/x?q=1");
        assert_eq!(head.headers[HOST], "hh:1");
        assert_eq!(head.headers[ORIGINAL_HOST], "t");
        assert_eq!(head.headers[ORIGINAL_PATH], "/rw/x?q=1");
    }

    #[test]
    fn a_host_may_come_from_a_header_of_the_request() {
        let rewrite = |name| Rewrite {
            host_header: Some(HeaderName::from_static(name)),
            ..Rewrite::default()
        };
        // `host` is the only header of the request.
        let head = sent(None, &rewrite("host"));
        assert_eq!(
            (&head.headers[HOST], &head.headers[ORIGINAL_HOST]),
            (&"t".parse().unwrap(), &"t".parse().unwrap())
        );
        let head = sent(None, &rewrite("x-none"));
        assert_eq!(head.headers[HOST], "t");
        assert!(!head.headers.contains_key(ORIGINAL_HOST));
    }

    #[test]
    fn a_destinations_own_host_is_not_told() {
        let target = TargetHeaders {
            host: Some(HeaderValue::from_static("w1")),
            ..TargetHeaders::default()
        };
        let head = sent(Some(&target), &Rewrite::default());
        assert_eq!(head.headers[HOST], "w1");
        assert!(!head.headers.contains_key(ORIGINAL_HOST));
    }
}
