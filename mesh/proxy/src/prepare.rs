//! Changes to headers on receipt of a request, before sending it, and before returning its response.
//!
//! `host` is kept. Header names are Envoy's.

use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use rand::{Rng, RngExt as _};
use shakedown_types::RequestId;

use crate::header_overrides;
use crate::header_summary::HeaderSummary;
use crate::header_writer::{HeaderWriter, small};
use crate::origin::{DownstreamClient, FORWARDED_PROTO, INTERNAL};
use crate::request_head::RequestHead;

/// `http` or `https`.
pub(crate) type Scheme = &'static str;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");

/// Hop-by-hop headers as Envoy defines them. It forwards `proxy-authorization`, `proxy-authenticate` and `trailer`,
/// contrary to RFC 9110, section 7.6.1. The proxy itself answers `expect`, as Envoy does by default. Source: Envoy,
/// `ConnectionManagerUtility::mutateRequestHeaders`, and observed.
const HOP_BY_HOP: [&str; 6] = [
    "expect",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Normalizes a request before it is routed: removes hop-by-hop headers, reports the caller in headers, moves the
/// target's authority to `host`, and sets the scheme. `own` is the proxy's address, `transport` the scheme of the
/// connection.
///
/// `seen` is the summary of the headers. A request for an `upgrade` keeps `connection` and `upgrade`.
pub(crate) fn receive(
    head: &mut RequestHead,
    mut seen: HeaderSummary,
    caller: DownstreamClient,
    own: IpAddr,
    transport: Scheme,
    upgrade: bool,
) {
    let RequestHead {
        parts: head,
        scheme: found,
    } = head;
    let headers = &mut head.headers;
    if upgrade {
        remove_beside_upgrade(headers);
    } else if seen.hop {
        remove_hop_by_hop(headers);
        seen = HeaderSummary::from_headers(headers);
    }
    if seen.envoy {
        // Envoy sets this header itself, and never trusts a received one.
        headers.remove(INTERNAL);
        if !caller.is_internal {
            header_overrides::remove(headers);
        }
    }
    if caller != DownstreamClient::default() {
        caller.write_headers(headers, own, transport);
        seen.forwarded_proto = headers.contains_key(&FORWARDED_PROTO);
    }
    if !seen.forwarded_proto {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(transport));
    }
    *found = scheme(head, seen.forwarded_proto, transport);
    if head.uri.authority().is_some() {
        to_origin_form(head);
    } else if head.headers.len() > head.headers.keys_len() {
        join_values(&mut head.headers, &header::HOST);
    }
}

/// Joins several values of a header by commas. Source: Envoy, `HeaderMapImpl::addViaMove`, of inline headers.
pub(crate) fn join_values(headers: &mut HeaderMap, name: &HeaderName) {
    let mut values = headers.get_all(name).iter();
    if values.next().is_none() || values.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b","[..])) {
        headers.insert(name, joined);
    }
}

/// The scheme of the target, or else that of `x-forwarded-proto`, or else that of the connection. Source: Envoy,
/// `ConnectionManagerUtility::mutateRequestHeaders`.
fn scheme(head: &Parts, forwarded: bool, transport: Scheme) -> Scheme {
    let is_https = |proto: &[u8]| proto.eq_ignore_ascii_case(b"https");
    let https = match head.uri.scheme_str() {
        Some(scheme) => is_https(scheme.as_bytes()),
        None if forwarded => {
            let proto = head.headers.get(&FORWARDED_PROTO);
            proto.is_some_and(|proto| is_https(proto.as_bytes()))
        }
        None => transport == "https",
    };
    if https { "https" } else { "http" }
}

/// Prepares a response for the caller. `took` is the upstream's time with all attempts, if it is to be reported.
///
/// A response to an `upgrade` keeps `connection` and `upgrade`.
pub(crate) fn toward_caller(
    headers: &mut HeaderMap,
    took: Option<Duration>,
    upgrade: bool,
    writer: &HeaderWriter,
) {
    // Headers named by a response's `connection` are kept. Source: Envoy,
    // `ConnectionManagerUtility::mutateResponseHeaders`.
    if upgrade {
        remove_beside_upgrade(headers);
    } else if HeaderSummary::from_headers(headers).hop {
        remove_own(headers);
    }
    if let Some(took) = took {
        service_time(headers, took, writer);
    }
}

/// Converts an absolute-form target to path and `host`. Source: RFC 9112, section 3.2.2.
fn to_origin_form(head: &mut Parts) {
    let parts = std::mem::take(&mut head.uri).into_parts();
    let host = parts
        .authority
        .and_then(|authority| authority.as_str().try_into().ok());
    if let Some(host) = host {
        head.headers.insert(header::HOST, host);
    }
    head.uri = parts.path_and_query.map_or_else(Uri::default, Uri::from);
}

/// Removes hop-by-hop headers, and those that `connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        remove_nominated(headers);
    }
    remove_own(headers);
}

/// Removes headers that are hop-by-hop by their own name.
fn remove_own(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    // Only `trailers` is meant for upstreams, too.
    if headers.get(header::TE).is_some_and(|te| te != "trailers") {
        headers.remove(header::TE);
    }
}

/// Removes hop-by-hop headers but `connection` and `upgrade`.
fn remove_beside_upgrade(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        if name != header::CONNECTION && name != header::UPGRADE {
            headers.remove(name);
        }
    }
}

fn remove_nominated(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Keeps headers that routing and framing rely on, because a caller must not be able to remove them.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

/// Adds `x-request-id` if it is missing or `anew`, and returns the id; `None` if the caller's id is not a UUID.
pub(crate) fn identify(
    headers: &mut HeaderMap,
    anew: bool,
    random: &mut impl Rng,
    writer: &HeaderWriter,
) -> Option<RequestId> {
    if let Some(id) = headers.get(&REQUEST_ID).filter(|_| !anew) {
        return RequestId::parse(id.as_bytes());
    }
    let id = new_request_id(random);
    headers.insert(REQUEST_ID, writer.request_id(id));
    Some(id)
}

/// A UUIDv4. Source: RFC 9562, section 5.4.
fn new_request_id(random: &mut impl Rng) -> RequestId {
    let bits: u128 = random.random();
    let version = (bits & !(0xf << 76)) | (0x4 << 76);
    RequestId((version & !(0x3 << 62)) | (0x2 << 62))
}

/// Sends the upstream its timeout in ms. At least 1, because 0 would mean unlimited. Source: Envoy,
/// `FilterUtility::setTimeoutHeaders`.
pub(crate) fn expected_timeout(headers: &mut HeaderMap, expected: Duration, writer: &HeaderWriter) {
    headers.insert(EXPECTED_TIMEOUT, writer.number(millis(expected).max(1)));
}

/// Sets `x-envoy-attempt-count`, 1 for the first attempt.
pub(crate) fn attempt_count(headers: &mut HeaderMap, number: u32) {
    let number = u64::from(number);
    let value = small(number).unwrap_or_else(|| HeaderValue::from(number));
    headers.insert(ATTEMPT_COUNT, value);
}

/// Sets the upstream's time in ms, with all attempts.
fn service_time(headers: &mut HeaderMap, took: Duration, writer: &HeaderWriter) {
    headers.insert(SERVICE_TIME, writer.number(millis(took)));
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use shakedown_env::stream_seed;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn received(parts: Parts) -> RequestHead {
        let mut head = RequestHead::new(parts);
        let (seen, caller) = (
            HeaderSummary::from_headers(&head.parts.headers),
            DownstreamClient::default(),
        );
        receive(&mut head, seen, caller, [10, 0, 0, 1].into(), "http", false);
        head
    }

    #[test]
    fn the_scheme_is_that_of_the_connection_unless_forwarded() {
        let scheme = |pairs: &[(&'static str, &'static str)], transport| {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            parts.headers = headers(pairs);
            let mut head = RequestHead::new(parts);
            let seen = HeaderSummary::from_headers(&head.parts.headers);
            let (caller, own) = (DownstreamClient::default(), [10, 0, 0, 1].into());
            receive(&mut head, seen, caller, own, transport, false);
            let forwarded = head.parts.headers[&FORWARDED_PROTO]
                .to_str()
                .unwrap()
                .to_owned();
            (head.scheme, forwarded)
        };
        assert_eq!(scheme(&[], "https"), ("https", "https".into()));
        assert_eq!(scheme(&[], "http"), ("http", "http".into()));
        let kept = [("x-forwarded-proto", "http")];
        assert_eq!(scheme(&kept, "https"), ("http", "http".into()));
    }

    #[test]
    fn several_hosts_are_one_with_commas() {
        let mut map = headers(&[("host", "a"), ("x", "1"), ("host", "b")]);
        join_values(&mut map, &header::HOST);
        assert_eq!(map, headers(&[("host", "a,b"), ("x", "1")]));
    }

    #[test]
    fn a_request_for_an_upgrade_keeps_what_it_says_of_it() {
        let pairs = [("connection", "keep-alive, Upgrade"), ("upgrade", "x")];
        let mut map = headers(&pairs);
        map.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        remove_beside_upgrade(&mut map);
        assert_eq!(map, headers(&pairs));
    }

    #[test]
    fn an_id_from_outside_the_mesh_is_made_anew() {
        let mut rng = stream_seed(1, "test", "id");
        let mut map = headers(&[("x-request-id", "00000000-0000-4000-8000-000000000001")]);
        let id = identify(&mut map, true, &mut rng, &HeaderWriter::default());
        assert_eq!(map[&REQUEST_ID], id.unwrap().to_string());
        assert_ne!(id.unwrap().0, 0x4000_8000_0000_0000_0001);
    }

    #[test]
    fn hop_by_hop_headers_go_and_the_others_stay() {
        let mut map = headers(&[
            ("host", "reviews:9080"),
            ("connection", "keep-alive, x-private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("proxy-authorization", "b"),
            ("trailer", "a"),
            ("upgrade", "h2c"),
            ("proxy-connection", "close"),
            ("x-public", "2"),
        ]);
        remove_hop_by_hop(&mut map);
        let stays = [
            ("host", "reviews:9080"),
            ("proxy-authorization", "b"),
            ("trailer", "a"),
            ("x-public", "2"),
        ];
        assert_eq!(map, headers(&stays));
        let mut map = headers(&[("te", "trailers")]);
        remove_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("te", "trailers")]));
    }

    #[test]
    fn a_connection_header_cannot_strip_the_host() {
        let mut map = headers(&[("host", "a"), ("connection", "host, content-length")]);
        remove_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("host", "a")]));
    }

    #[test]
    fn a_request_id_is_kept_as_it_came() {
        let mut rng = stream_seed(1, "test", "id");
        let mut map = headers(&[("x-request-id", "not-a-uuid")]);
        let writer = HeaderWriter::default();
        assert_eq!(identify(&mut map, false, &mut rng, &writer), None);
        assert_eq!(map[&REQUEST_ID], "not-a-uuid");
    }

    #[test]
    fn a_request_without_an_id_gets_a_uuid_of_version_4() {
        let mut rng = stream_seed(1, "test", "id");
        let writer = HeaderWriter::default();
        let mut map = HeaderMap::new();
        let id = identify(&mut map, false, &mut rng, &writer).unwrap();
        let text = map[&REQUEST_ID].to_str().unwrap();
        assert_eq!(text, id.to_string());
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]), "{text}");
        assert_ne!(
            Some(id),
            identify(&mut HeaderMap::new(), false, &mut rng, &writer),
            "another each time"
        );
    }

    #[test]
    fn an_upstream_without_time_left_is_told_of_a_millisecond() {
        let written = |millis| {
            let mut map = HeaderMap::new();
            expected_timeout(
                &mut map,
                Duration::from_millis(millis),
                &HeaderWriter::default(),
            );
            map[&EXPECTED_TIMEOUT].to_str().unwrap().to_owned()
        };
        assert_eq!(written(0), "1");
        assert_eq!(written(900), "900");
    }

    #[test]
    fn an_absolute_target_becomes_path_and_host() {
        let request = http::Request::get("http://a.b:81/p?q=1")
            .header("host", "other")
            .body(());
        let head = received(request.unwrap().into_parts().0);
        assert_eq!(head.scheme, "http");
        assert_eq!(head.parts.uri, "/p?q=1");
        assert_eq!(head.parts.headers[header::HOST], "a.b:81");
    }

    #[test]
    fn the_scheme_is_the_targets_or_what_it_was_forwarded_by() {
        let of = |target: &str, proto: &str| {
            let request = http::Request::get(target).header("x-forwarded-proto", proto);
            let request = request.header("host", "a").body(()).unwrap();
            received(request.into_parts().0).scheme
        };
        assert_eq!(of("/", "https"), "https");
        assert_eq!(of("/", "ftp"), "http");
        assert_eq!(of("http://a/", "https"), "http");
    }

    #[test]
    fn an_earlier_proxys_protocol_stands() {
        let protocol = |pairs: &[(&'static str, &'static str)]| {
            let mut head = http::Request::new(()).into_parts().0;
            head.headers = headers(pairs);
            received(head).parts.headers[&FORWARDED_PROTO].clone()
        };
        let forwarded = ("x-forwarded-proto", "https");
        assert_eq!(protocol(&[forwarded]), "https");
        assert_eq!(protocol(&[]), "http");
        // A header that `connection` names is removed before it is read.
        let connection = ("connection", "x-forwarded-proto");
        assert_eq!(protocol(&[forwarded, connection]), "http");
    }

    #[test]
    fn the_upstreams_time_is_told_in_whole_milliseconds() {
        let writer = HeaderWriter::default();
        let mut map = HeaderMap::new();
        service_time(&mut map, Duration::from_micros(9_999), &writer);
        assert_eq!(map[&SERVICE_TIME], "9");
        service_time(&mut map, Duration::from_millis(1234), &writer);
        assert_eq!(map[&SERVICE_TIME], "1234");
    }
}
