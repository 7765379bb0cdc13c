//! A summary of a request's header names: which rare headers are present.
//!
//! A single pass over all names is cheaper than a lookup of each rare name, because nearly no request has any of them.

use http::HeaderMap;

/// The rare headers that are present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeaderSummary {
    pub(crate) connection: bool,
    pub(crate) upgrade: bool,
    /// True for any hop-by-hop header, including `connection` and `upgrade`.
    pub(crate) hop: bool,
    pub(crate) forwarded_proto: bool,
    /// True for any of Envoy's own headers, `x-envoy-*`.
    pub(crate) envoy: bool,
    pub(crate) client_certificate: bool,
}

impl HeaderSummary {
    pub(crate) fn from_headers(headers: &HeaderMap) -> HeaderSummary {
        let mut seen = HeaderSummary::default();
        for name in headers.keys() {
            match name.as_str() {
                "connection" => (seen.connection, seen.hop) = (true, true),
                "upgrade" => (seen.upgrade, seen.hop) = (true, true),
                "expect" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "te" => {
                    seen.hop = true;
                }
                "x-forwarded-client-cert" => seen.client_certificate = true,
                "x-forwarded-proto" => seen.forwarded_proto = true,
                name => seen.envoy |= name.starts_with("x-envoy-"),
            }
        }
        seen
    }
}
