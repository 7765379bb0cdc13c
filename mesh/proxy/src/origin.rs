//! The caller of a request: an internal one may override retries and timeouts by headers, an external one may not. Also
//! writes the headers that report the caller.
//!
//! Envoy 1.40 treats no address as internal unless its configuration lists it, not even the loopback, as observed.
//! Source: Envoy, `ConnectionManagerUtility::mutateRequestHeaders` and `Utility::getLastAddressFromXFF`.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use shakedown_xds::table::ClientAddressSource;

pub(crate) const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const EXTERNAL_ADDRESS: HeaderName = HeaderName::from_static("x-envoy-external-address");

/// Headers that only members of the mesh may set. They are removed at the mesh's edge.
const EDGE: [HeaderName; 5] = [
    HeaderName::from_static("x-envoy-original-path"),
    HeaderName::from_static("x-envoy-original-host"),
    HeaderName::from_static("x-envoy-decorator-operation"),
    HeaderName::from_static("x-envoy-downstream-service-cluster"),
    HeaderName::from_static("x-envoy-downstream-service-node"),
];

/// The caller of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DownstreamClient {
    /// True if it may override retries and timeouts by headers.
    pub(crate) is_internal: bool,
    /// The addresses, if the listener uses the remote address; `None` if it reads `x-forwarded-for` only.
    near: Option<Near>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Near {
    /// The address at the other end of the connection.
    peer: IpAddr,
    /// The caller's address. Differs from `peer` if the listener trusts proxies before this one.
    caller: IpAddr,
    /// True if `peer` is appended to `x-forwarded-for`.
    append: bool,
    /// True if the request's `x-forwarded-proto` is trusted.
    trusts_protocol: bool,
}

impl DownstreamClient {
    /// Classifies the caller by the request's headers and the connection's peer.
    pub(crate) fn from_request(
        origin: &ClientAddressSource,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> DownstreamClient {
        let is_internal = |address| origin.internal.iter().any(|range| range.contains(address));
        if !origin.use_remote_address {
            if origin.internal.is_empty() {
                return DownstreamClient::default();
            }
            // An address counts as internal only if it is the only one in the header.
            let listed = last_address(headers, origin.trusted_hops);
            return DownstreamClient {
                is_internal: listed
                    .is_some_and(|listed| listed.is_alone && is_internal(listed.address)),
                near: None,
            };
        }
        let listed = match origin.trusted_hops.checked_sub(1) {
            Some(hops) => last_address(headers, hops).map(|listed| listed.address),
            None => None,
        };
        let caller = listed.unwrap_or(peer);
        DownstreamClient {
            is_internal: !headers.contains_key(&FORWARDED_FOR) && is_internal(caller),
            near: Some(Near {
                peer,
                caller,
                append: !origin.skip_append,
                trusts_protocol: origin.trusted_hops > 0,
            }),
        }
    }

    /// True if the request enters the mesh at this proxy.
    pub(crate) fn is_at_edge(&self) -> bool {
        self.near.is_some() && !self.is_internal
    }

    /// Writes the headers that report the caller. `own` is the proxy's address, `scheme` that of the connection.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap, own: IpAddr, scheme: &'static str) {
        if let Some(near) = self.near {
            if near.append {
                // A loopback address would mean nothing to the next hop.
                let address = if near.peer.is_loopback() {
                    own
                } else {
                    near.peer
                };
                append_address(headers, address);
            }
            if !near.trusts_protocol || !headers.contains_key(&FORWARDED_PROTO) {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
            }
            if !self.is_internal {
                EDGE.iter().for_each(|name| {
                    headers.remove(name);
                });
                headers.insert(EXTERNAL_ADDRESS, value_of(near.caller));
            }
        }
        if self.is_internal {
            headers.insert(INTERNAL, HeaderValue::from_static("true"));
        }
    }
}

/// Appends an address to `x-forwarded-for`.
pub(crate) fn append_address(headers: &mut HeaderMap, address: IpAddr) {
    let chain = match joined(headers) {
        Some(before) if !before.is_empty() => HeaderValue::try_from(format!("{before},{address}")),
        _ => Ok(value_of(address)),
    };
    // Always valid, because the parts are a header value, a comma and an address.
    if let Ok(chain) = chain {
        headers.insert(FORWARDED_FOR, chain);
    }
}

fn value_of(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII")
}

/// An address from `x-forwarded-for`.
struct ForwardedAddress {
    address: IpAddr,
    /// True if the header contains no other address.
    is_alone: bool,
}

/// The last address in `x-forwarded-for` before the `without` last ones.
fn last_address(headers: &HeaderMap, without: u32) -> Option<ForwardedAddress> {
    let all = joined(headers)?;
    let mut rest: &str = &all;
    for _ in 0..without {
        rest = rest.rsplit_once(',')?.0;
    }
    let last = rest.rsplit_once(',').map_or(rest, |(_, last)| last);
    Some(ForwardedAddress {
        address: last.trim().parse().ok()?,
        is_alone: without == 0 && last.len() == rest.len(),
    })
}

/// All values of `x-forwarded-for`, joined by commas; `None` if missing or not text.
fn joined(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut values = headers.get_all(&FORWARDED_FOR).iter();
    let first = values.next()?.to_str().ok()?;
    let mut all = Cow::Borrowed(first);
    for value in values {
        let all = all.to_mut();
        all.push(',');
        all.push_str(value.to_str().ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use shakedown_xds::table::AddressRange;

    use super::*;

    const OWN: &str = "10.0.0.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// An origin with the internal network 10.0.0.0/8.
    fn origin(use_remote_address: bool, trusted_hops: u32) -> ClientAddressSource {
        ClientAddressSource {
            use_remote_address,
            trusted_hops,
            skip_append: false,
            internal: vec![AddressRange {
                address: ip("10.0.0.0"),
                prefix: 8,
            }],
        }
    }

    fn headers(forwarded: &[&'static str]) -> HeaderMap {
        let pair = |value: &&'static str| (FORWARDED_FOR, HeaderValue::from_static(value));
        forwarded.iter().map(pair).collect()
    }

    fn is_internal(origin: &ClientAddressSource, forwarded: &[&'static str], peer: &str) -> bool {
        DownstreamClient::from_request(origin, &headers(forwarded), ip(peer)).is_internal
    }

    #[test]
    fn a_caller_is_internal_by_the_one_address_that_it_says() {
        let by_header = origin(false, 0);
        assert!(is_internal(&by_header, &["10.1.1.1"], "9.9.9.9"));
        assert!(is_internal(&by_header, &[" 10.1.1.1 "], "9.9.9.9"));
        assert!(!is_internal(&by_header, &["8.8.8.8"], "10.1.1.1"));
        assert!(!is_internal(&by_header, &["8.8.8.8, 10.1.1.1"], "10.1.1.1"));
        assert!(!is_internal(
            &by_header,
            &["10.1.1.1", "10.1.1.2"],
            "10.1.1.1"
        ));
        assert!(!is_internal(&by_header, &["nobody"], "10.1.1.1"));
        assert!(!is_internal(&by_header, &[], "10.1.1.1"));
        assert!(!is_internal(&origin(false, 1), &["10.1.1.1"], "10.1.1.1"));
    }

    #[test]
    fn a_caller_is_internal_by_its_connection_if_it_says_nothing() {
        let seen = origin(true, 0);
        assert!(is_internal(&seen, &[], "10.1.1.1"));
        assert!(!is_internal(&seen, &[], "9.9.9.9"));
        assert!(!is_internal(&seen, &["10.1.1.1"], "10.1.1.1"));
    }

    #[test]
    fn where_no_address_is_listed_none_is_internal() {
        let mut origin = origin(true, 0);
        origin.internal.clear();
        assert!(!is_internal(&origin, &[], "127.0.0.1"));
        origin.use_remote_address = false;
        assert!(!is_internal(&origin, &["127.0.0.1"], "127.0.0.1"));
    }

    /// The headers of a request after its caller, at `peer`, was written.
    fn written_headers(
        origin: &ClientAddressSource,
        forwarded: &[&'static str],
        peer: &str,
    ) -> HeaderMap {
        let mut map = headers(forwarded);
        map.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        map.insert("x-envoy-decorator-operation", HeaderValue::from_static("x"));
        DownstreamClient::from_request(origin, &map, ip(peer)).write_headers(
            &mut map,
            ip(OWN),
            "http",
        );
        map
    }

    #[test]
    fn an_external_caller_is_written_down() {
        let map = written_headers(&origin(true, 0), &["1.2.3.4", "5.6.7.8"], "9.9.9.9");
        assert_eq!(map[&FORWARDED_FOR], "1.2.3.4,5.6.7.8,9.9.9.9");
        assert_eq!(map[&EXTERNAL_ADDRESS], "9.9.9.9");
        assert_eq!(map[&FORWARDED_PROTO], "http");
        assert!(!map.contains_key(&INTERNAL));
        assert!(!map.contains_key("x-envoy-decorator-operation"));
        let map = written_headers(&origin(true, 0), &[], "127.0.0.9");
        assert_eq!(map[&FORWARDED_FOR], OWN, "in the place of the loopback");
        assert_eq!(map[&EXTERNAL_ADDRESS], "127.0.0.9");
    }

    #[test]
    fn proxies_before_this_one_are_believed_as_far_as_the_configuration_says() {
        let map = written_headers(&origin(true, 1), &["1.2.3.4, 5.6.7.8"], "9.9.9.9");
        assert_eq!(map[&EXTERNAL_ADDRESS], "5.6.7.8");
        assert_eq!(map[&FORWARDED_PROTO], "https");
        let map = written_headers(&origin(true, 2), &["1.2.3.4, 5.6.7.8"], "9.9.9.9");
        assert_eq!(map[&EXTERNAL_ADDRESS], "1.2.3.4");
        let map = written_headers(&origin(true, 3), &["1.2.3.4, 5.6.7.8"], "9.9.9.9");
        assert_eq!(map[&EXTERNAL_ADDRESS], "9.9.9.9", "there are fewer");
    }

    #[test]
    fn an_internal_caller_is_told_to_be_one() {
        let map = written_headers(&origin(true, 0), &[], "10.1.1.1");
        assert_eq!(map[&INTERNAL], "true");
        assert_eq!(map[&FORWARDED_FOR], "10.1.1.1");
        assert!(!map.contains_key(&EXTERNAL_ADDRESS));
        assert!(map.contains_key("x-envoy-decorator-operation"));
        let map = written_headers(&origin(false, 0), &["10.1.1.1"], "9.9.9.9");
        assert_eq!(
            (&map[&INTERNAL], &map[&FORWARDED_FOR]),
            (&"true".parse().unwrap(), &"10.1.1.1".parse().unwrap())
        );
        assert_eq!(map[&FORWARDED_PROTO], "https");
    }

    #[test]
    fn nothing_is_appended_where_the_configuration_says_so() {
        let mut origin = origin(true, 0);
        origin.skip_append = true;
        let map = written_headers(&origin, &["1.2.3.4"], "9.9.9.9");
        assert_eq!(map[&FORWARDED_FOR], "1.2.3.4");
        assert_eq!(map[&EXTERNAL_ADDRESS], "9.9.9.9");
    }
}
