//! Destinations at which a request would come back to the proxy that sends it.
//!
//! A caller outside the mesh's configuration may name any destination, the proxy itself included; each turn of such a request
//! would take another connection, until there are none. Istio closes what is sent to a proxy's own port
//! (`virtualOutbound-blackhole`); here such a destination is a cluster without healthy hosts.

use std::net::{IpAddr, SocketAddr};

use shakedown_types::Side;

use crate::hash::Ends;
use crate::shared::Shared;

/// Which side of the proxy a request passes, and by which connection it came. A copy of a request came by none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) side: Side,
    pub(crate) ends: Option<Ends>,
}

impl Arrival {
    /// Whether a request that is sent to this address would come back: whether a listener of the proxy's own is there which would send it
    /// on in the same way. The inbound side ends at the app, and so the outbound side may reach it: a pod may call itself.
    /// The port of metrics is for those who watch the proxy, and is not reached through it.
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

/// Whether a connection to `to` comes to who listens at `at`, on a host whose address is `host`.
fn reaches(at: IpAddr, to: IpAddr, host: IpAddr) -> bool {
    let (at, to, host) = (plain(at), plain(to), plain(host));
    let is_here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified() || ip == host;
    // An unspecified destination is the host itself.
    at == to || (is_here(at) && to.is_unspecified()) || (at.is_unspecified() && is_here(to))
}

/// An address of IPv4 as such, where it is written as one of IPv6.
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
