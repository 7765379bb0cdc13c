//! The layout of a pod, the same in both worlds: one address a pod; the sidecar has the service's port (inbound), 15001
//! (outbound) and 15020 (metrics, readiness); the app listens from port 20000 up. Without a sidecar the app has the
//! service's port itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use shakedown_results::PodId;

/// The first port that apps listen on, behind their sidecars.
pub(crate) const APP_PORT: u16 = 20_000;
/// The port of the control plane's xDS. Istio's plaintext port.
pub(crate) const XDS_PORT: u16 = 15_010;

/// The number of real runs that a machine can carry at a time.
pub(crate) const LOOPBACK_BLOCKS: u32 = 200;

/// The addresses of a run's pods: a block of which each pod has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    base: u32,
}

impl Addresses {
    /// The block of the simulated world.
    pub(crate) const SIMULATED: Addresses = Addresses {
        base: u32::from_be_bytes([10, 0, 0, 0]),
    };

    /// A block of the 200 for real runs on loopback, counted from `number` on.
    pub(crate) fn loopback(number: u32) -> Addresses {
        let block = u32::from_be_bytes([127, 16, 0, 0]);
        Addresses {
            base: block + ((number % LOOPBACK_BLOCKS) << 16),
        }
    }

    /// An address of the block that is no pod's.
    pub(crate) fn last(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.base + 0xffff))
    }

    /// A pod's address.
    pub(crate) fn of(self, pod: PodId) -> IpAddr {
        // Addresses that end in 0 mean something else to some.
        let number = pod.0 / 254 * 256 + pod.0 % 254 + 1;
        IpAddr::V4(Ipv4Addr::from_bits(self.base + number))
    }
}

/// A port of a pod's address.
pub(crate) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pods_share_an_address_and_none_ends_in_0_or_255() {
        let addresses: Vec<IpAddr> = (0..2_000)
            .map(|pod| Addresses::SIMULATED.of(PodId(pod)))
            .collect();
        let mut sorted = addresses.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), addresses.len());
        for address in addresses {
            let IpAddr::V4(address) = address else {
                panic!("not version 4")
            };
            assert!(!matches!(address.octets()[3], 0 | 255), "{address}");
            assert_ne!(IpAddr::V4(address), Addresses::SIMULATED.last());
        }
    }

    #[test]
    fn two_real_runs_have_blocks_of_their_own() {
        let first = Addresses::loopback(1_000).of(PodId(0));
        let second = Addresses::loopback(1_001).of(PodId(0));
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("127.16.0.1".into(), "127.17.0.1".into())
        );
    }
}
