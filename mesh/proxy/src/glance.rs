//! What is seen of a request's headers at a glance: which of the names are there that are seldom there.
//!
//! Nearly no request has any of them, so that one look at all names is cheaper than a look-up of each.

use http::HeaderMap;

/// Which names of some kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glance {
    /// `connection`.
    pub(crate) connection: bool,
    /// `upgrade`.
    pub(crate) upgrade: bool,
    /// What concerns one connection alone by its name, [`Glance::connection`] and [`Glance::upgrade`] among it.
    pub(crate) hop: bool,
    /// `x-forwarded-proto`.
    pub(crate) forwarded_proto: bool,
    /// One of Envoy's own: `x-envoy-*`.
    pub(crate) envoy: bool,
}

impl Glance {
    pub(crate) fn of(headers: &HeaderMap) -> Glance {
        let mut seen = Glance::default();
        for name in headers.keys() {
            match name.as_str() {
                "connection" => (seen.connection, seen.hop) = (true, true),
                "upgrade" => (seen.upgrade, seen.hop) = (true, true),
                "expect" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "te" => {
                    seen.hop = true;
                }
                "x-forwarded-proto" => seen.forwarded_proto = true,
                name => seen.envoy |= name.starts_with("x-envoy-"),
            }
        }
        seen
    }
}
