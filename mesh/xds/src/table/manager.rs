//! The settings of an HTTP connection manager other than its routes: client address detection, timeouts, upgrades.

use std::net::IpAddr;
use std::time::Duration;

use super::tls::ClientCertificateHeader;

/// The settings of an HTTP connection manager. The default is that of an empty Envoy message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// The detection of the client address.
    pub origin: ClientAddressSource,
    /// The maximum duration of a request with its response, unless the route sets another. `None`: unlimited.
    pub max_stream_duration: Option<Duration>,
    /// The time limit for receiving a whole request. `None`: unlimited.
    pub request_timeout: Option<Duration>,
    /// The time limit for receiving the request headers. `None`: unlimited.
    pub request_headers_timeout: Option<Duration>,
    /// True if the proxy adds no `x-envoy-*` headers except those that the configuration asks for explicitly.
    pub suppress_envoy_headers: bool,
    /// The protocols to which connections may be upgraded.
    pub upgrades: Upgrades,
    /// True if paths are normalised ([`normalize_path`](super::normalize_path())) before any other processing.
    pub normalize_path: bool,
    /// The treatment of `x-forwarded-client-cert`.
    pub client_certificate_header: ClientCertificateHeader,
}

/// The detection of the client address. Source: Envoy, `HttpConnectionManager.use_remote_address`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAddressSource {
    /// True if the peer of the connection is the client, and is appended to `x-forwarded-for`. If false, the client
    /// is taken from that header.
    pub use_remote_address: bool,
    /// The number of proxies in front of this one whose `x-forwarded-for` entries are trusted.
    pub trusted_hops: u32,
    /// True if the peer's address is not appended to `x-forwarded-for` even so.
    pub skip_append: bool,
    /// The networks of internal clients, which may set retries and timeouts by header. None if empty.
    pub internal: Vec<AddressRange>,
}

/// A range of addresses (CIDR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Any address in the range.
    pub address: IpAddr,
    /// The number of leading bits that all addresses in the range share.
    pub prefix: u8,
}

impl AddressRange {
    /// Returns true if the range contains the address. An address of the other IP family is never contained.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = u32::from(own) ^ u32::from(other);
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = u128::from(own) ^ u128::from(other);
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// Upgrade protocols, in lower case, each with true if the upgrade is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgrades(pub Vec<(Box<str>, bool)>);

impl Upgrades {
    /// Returns true if an upgrade to this protocol is allowed, or `None` if the protocol is not listed. Case is
    /// ignored.
    pub fn allows(&self, protocol: &str) -> Option<bool> {
        let listed = self
            .0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(protocol));
        listed.map(|(_, is_allowed)| *is_allowed)
    }
}

/// A route's limits for the duration of a request with its response. Source: Envoy, `RouteAction.MaxStreamDuration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamDuration {
    /// The limit. Zero: unlimited. `None`: the listener's limit applies.
    pub max: Option<Duration>,
    /// The upper bound for a gRPC caller's own timeout, which then replaces the limit. Zero: no bound. `None`: the
    /// caller's timeout is ignored.
    pub grpc_max: Option<Duration>,
    /// The time subtracted from a gRPC caller's own timeout, so that the proxy gives up before its caller does.
    pub grpc_offset: Option<Duration>,
}

impl StreamDuration {
    /// Returns the limit for one request. `grpc_timeout` is the caller's `grpc-timeout`, `otherwise` the listener's
    /// limit. `None`: unlimited. Source: Envoy, `ActiveStream::refreshDurationTimeout`.
    pub fn limit(
        self,
        grpc_timeout: Option<Duration>,
        otherwise: Option<Duration>,
    ) -> Option<Duration> {
        let (Some(mut span), Some(most)) = (grpc_timeout, self.grpc_max) else {
            let some = |span: &Duration| !span.is_zero();
            return match self.max {
                Some(max) => Some(max).filter(some),
                None => otherwise.filter(some),
            };
        };
        if !most.is_zero() {
            span = span.min(most);
        }
        Some(span.saturating_sub(self.grpc_offset.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> AddressRange {
        let address = address.parse().unwrap();
        AddressRange { address, prefix }
    }

    #[test]
    fn a_network_has_what_begins_as_it_does() {
        let ten = network("10.1.2.3", 8);
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(!ten.contains("11.1.2.3".parse().unwrap()));
        assert!(!ten.contains("::10".parse().unwrap()));
        assert!(network("0.0.0.0", 0).contains("200.1.1.1".parse().unwrap()));
        let one = network("fd00::1", 128);
        assert!(one.contains("fd00::1".parse().unwrap()));
        assert!(!one.contains("fd00::2".parse().unwrap()));
    }

    #[test]
    fn a_callers_own_timeout_counts_as_far_as_the_route_lets_it() {
        let ms = Duration::from_millis;
        let duration = |max, grpc_max, grpc_offset| StreamDuration {
            max,
            grpc_max,
            grpc_offset,
        };
        let plain = duration(Some(ms(300)), None, None);
        assert_eq!(plain.limit(Some(ms(100)), Some(ms(50))), Some(ms(300)));
        assert_eq!(
            duration(Some(ms(0)), None, None).limit(None, Some(ms(50))),
            None
        );
        assert_eq!(
            StreamDuration::default().limit(None, Some(ms(50))),
            Some(ms(50))
        );
        assert_eq!(StreamDuration::default().limit(None, None), None);
        let capped = duration(Some(ms(300)), Some(ms(200)), Some(ms(20)));
        assert_eq!(capped.limit(Some(ms(100)), None), Some(ms(80)));
        assert_eq!(capped.limit(Some(ms(1_000)), None), Some(ms(180)));
        assert_eq!(capped.limit(Some(ms(10)), None), Some(ms(0)));
        assert_eq!(capped.limit(None, None), Some(ms(300)));
        let any = duration(None, Some(ms(0)), None);
        assert_eq!(any.limit(Some(ms(9_000)), None), Some(ms(9_000)));
    }

    #[test]
    fn an_upgrade_is_known_by_its_name_in_any_case() {
        let upgrades = Upgrades(vec![("websocket".into(), true), ("foo".into(), false)]);
        assert_eq!(upgrades.allows("WebSocket"), Some(true));
        assert_eq!(upgrades.allows("foo"), Some(false));
        assert_eq!(upgrades.allows("bar"), None);
    }
}
