//! What a listener does with requests beside routing them: whom it believes, how long they may take, what it tunnels.

use std::net::IpAddr;
use std::time::Duration;

/// The settings of an HTTP connection manager. The default is Envoy's, of an empty message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// How callers are told apart.
    pub origin: Origin,
    /// How long a request and its answer may take together, where the route does not say; `None`: as long as it takes.
    pub max_stream_duration: Option<Duration>,
    /// How long a request may take to arrive whole; `None`: as long as it takes.
    pub request_timeout: Option<Duration>,
    /// How long its headers may take to arrive; `None`: as long as it takes.
    pub request_headers_timeout: Option<Duration>,
    /// Whether nothing is told in headers of Envoy's own names, but what the configuration asks for by itself.
    pub suppress_envoy_headers: bool,
    /// What connections may be upgraded to.
    pub upgrades: Upgrades,
    /// Whether paths are normalised ([`normalize_path`](super::normalize_path())) before anything looks at them.
    pub normalize_path: bool,
}

/// Whom requests come from. Source: Envoy, `HttpConnectionManager.use_remote_address`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whether the caller is whoever has connected, and is written down in `x-forwarded-for`; else what stands there is
    /// believed.
    pub use_remote_address: bool,
    /// How many proxies before this one are believed to have written it down.
    pub trusted_hops: u32,
    /// Whether nothing is written down after all.
    pub skip_append: bool,
    /// Where callers are from that may steer retries and timeouts; none, if empty.
    pub internal: Vec<Network>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first of them, or any.
    pub address: IpAddr,
    /// How many bits all have in common.
    pub prefix: u8,
}

impl Network {
    /// Whether an address is one of them. One of another family is not.
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

/// Protocols that a connection may be upgraded to, in lower case, each with whether it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgrades(pub Vec<(Box<str>, bool)>);

impl Upgrades {
    /// Whether an upgrade to this protocol may be; `None` if nothing is said of it. Case does not matter.
    pub fn allows(&self, protocol: &str) -> Option<bool> {
        let said = self
            .0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(protocol));
        said.map(|(_, may)| *may)
    }
}

/// The longest that a route's requests and answers may take together. Source: Envoy, `RouteAction.MaxStreamDuration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamDuration {
    /// As long; zero: as long as it takes; `None`: as the listener says.
    pub max: Option<Duration>,
    /// The longest that a gRPC caller's own timeout counts in its place; zero: any; `None`: that does not count.
    pub grpc_max: Option<Duration>,
    /// Taken off a gRPC caller's own timeout, so that the proxy gives up before its caller does.
    pub grpc_offset: Option<Duration>,
}

impl StreamDuration {
    /// The longest that a request may take whose caller says so much by `grpc-timeout`, where the listener says
    /// `otherwise`; `None`: as long as it takes. Source: Envoy, `ActiveStream::refreshDurationTimeout`.
    pub fn of(self, asked: Option<Duration>, otherwise: Option<Duration>) -> Option<Duration> {
        let (Some(mut span), Some(most)) = (asked, self.grpc_max) else {
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

    fn network(address: &str, prefix: u8) -> Network {
        let address = address.parse().unwrap();
        Network { address, prefix }
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
        assert_eq!(plain.of(Some(ms(100)), Some(ms(50))), Some(ms(300)));
        assert_eq!(
            duration(Some(ms(0)), None, None).of(None, Some(ms(50))),
            None
        );
        assert_eq!(
            StreamDuration::default().of(None, Some(ms(50))),
            Some(ms(50))
        );
        assert_eq!(StreamDuration::default().of(None, None), None);
        let capped = duration(Some(ms(300)), Some(ms(200)), Some(ms(20)));
        assert_eq!(capped.of(Some(ms(100)), None), Some(ms(80)));
        assert_eq!(capped.of(Some(ms(1_000)), None), Some(ms(180)));
        assert_eq!(capped.of(Some(ms(10)), None), Some(ms(0)));
        assert_eq!(capped.of(None, None), Some(ms(300)));
        let any = duration(None, Some(ms(0)), None);
        assert_eq!(any.of(Some(ms(9_000)), None), Some(ms(9_000)));
    }

    #[test]
    fn an_upgrade_is_known_by_its_name_in_any_case() {
        let upgrades = Upgrades(vec![("websocket".into(), true), ("foo".into(), false)]);
        assert_eq!(upgrades.allows("WebSocket"), Some(true));
        assert_eq!(upgrades.allows("foo"), Some(false));
        assert_eq!(upgrades.allows("bar"), None);
    }
}
