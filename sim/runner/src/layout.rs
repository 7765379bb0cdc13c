//! The layout of a pod, the same on every backend: one address per pod. The sidecar listens on the service's
//! port (inbound), 15001 (outbound) and 15020 (metrics, readiness), and the app on ports from 20000 up.
//! Without a sidecar the app listens on the service's port itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use shakedown_results::PodId;

/// First port that apps behind sidecars listen on.
pub(crate) const APP_PORT: u16 = 20_000;
/// Port of the control plane's xDS server. Source: Istio's plaintext port.
pub(crate) const XDS_PORT: u16 = 15_010;

/// Maximum number of real runs on a machine at the same time.
pub(crate) const LOOPBACK_BLOCKS: u32 = 200;

/// The address block of a run, with one address per pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    base: u32,
}

impl Addresses {
    /// The block of simulated runs.
    pub(crate) const SIMULATED: Addresses = Addresses {
        base: u32::from_be_bytes([10, 0, 0, 0]),
    };

    /// Returns one of the blocks for real runs on loopback. `number` wraps at [`LOOPBACK_BLOCKS`].
    pub(crate) fn loopback(number: u32) -> Addresses {
        let block = u32::from_be_bytes([127, 16, 0, 0]);
        Addresses {
            base: block + ((number % LOOPBACK_BLOCKS) << 16),
        }
    }

    /// Returns an address of the block that no pod has.
    pub(crate) fn last(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.base + 0xffff))
    }

    pub(crate) fn address(self, pod: PodId) -> IpAddr {
        // Skips addresses that end in 0 or 255, because some software gives them a special meaning.
        let number = pod.0 / 254 * 256 + pod.0 % 254 + 1;
        IpAddr::V4(Ipv4Addr::from_bits(self.base + number))
    }
}

pub(crate) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_addresses_are_unique_and_never_end_in_0_or_255() {
        let addresses: Vec<IpAddr> = (0..2_000)
            .map(|pod| Addresses::SIMULATED.address(PodId(pod)))
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
        let first = Addresses::loopback(1_000).address(PodId(0));
        let second = Addresses::loopback(1_001).address(PodId(0));
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("127.16.0.1".into(), "127.17.0.1".into())
        );
    }
}
