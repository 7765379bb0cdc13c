//! Detection of destinations from which a request would return to the proxy that sends it.
//!
//! A caller may name any destination that the mesh does not configure, including the proxy itself. Each round of such a
//! request would open another connection until none are left. Istio closes connections to a proxy's own port
//! (`virtualOutbound-blackhole`); here such a destination is a cluster without healthy hosts.

use std::net::{IpAddr, SocketAddr};

use shakedown_types::Side;

use crate::hash::ConnectionEnds;
use crate::shared::Shared;

/// The side of the proxy that a request passes, and the addresses of its connection. A mirrored request has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestIngress {
    pub(crate) side: Side,
    pub(crate) ends: Option<ConnectionEnds>,
}

impl RequestIngress {
    /// True if a request to this address would return: if one of the proxy's own listeners accepts there and would send
    /// it on in the same way. The inbound side ends at the application, so the outbound side may reach it, because a
    /// pod may call itself. The admin port is for monitoring, and cannot be reached through the proxy.
    pub(crate) fn leads_back(self, shared: &Shared, to: SocketAddr) -> bool {
        let own = self.ends.map(|ends| ends.own);
        if own.is_some_and(|own| own.port() == to.port() && plain(own.ip()) == plain(to.ip())) {
            return true;
        }
        let listens = |at: SocketAddr| {
            at.port() == to.port() && reaches(at.ip(), to.ip(), shared.bootstrap.address)
        };
        let admin = SocketAddr::new(shared.bootstrap.address, shared.bootstrap.admin_port);
        listens(admin)
            || shared.listeners.any(|listener| {
                let leads_back = self.side == Side::Inbound || listener.side() == Side::Outbound;
                leads_back && listens(listener.address())
            })
    }
}

/// True if a connection to `to` reaches a listener at `at` on the host with the address `host`.
fn reaches(at: IpAddr, to: IpAddr, host: IpAddr) -> bool {
    let (at, to, host) = (plain(at), plain(to), plain(host));
    let is_here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified() || ip == host;
    // Connecting to an unspecified address reaches the host itself.
    at == to || (is_here(at) && to.is_unspecified()) || (at.is_unspecified() && is_here(to))
}

/// The IPv4 address of an IPv4-mapped IPv6 address.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_and_a_mapped_address_are_the_host_itself() {
        let host = "10.0.0.1";
        for (at, to, reached) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("10.0.0.1", "0.0.0.0", true),
            ("10.0.0.1", "::", true),
            ("10.0.0.1", "127.0.0.1", false),
            ("0.0.0.0", "10.0.0.1", true),
            ("0.0.0.0", "127.0.0.9", true),
            ("0.0.0.0", "::1", true),
            ("0.0.0.0", "10.0.0.2", false),
        ] {
            let [at, to, host] = [at, to, host].map(|ip| ip.parse::<IpAddr>().unwrap());
            assert_eq!(reaches(at, to, host), reached, "{at} {to}");
        }
    }
}
