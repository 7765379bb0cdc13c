//! The loopback addresses of one case.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::case::PORT;

/// The port of the ADS servers.
const ADS_PORT: u16 = 15010;

/// The loopback addresses of one case, distinct from those of all other cases of this process.
#[derive(Clone, Copy)]
pub(super) struct Block(u8, u8);

impl Block {
    pub(super) fn new(index: usize) -> Block {
        let process = std::process::id() as usize;
        let second = 16 + (process + index / 250) % 200;
        Block(
            u8::try_from(second).expect("below 216"),
            u8::try_from(index % 250).expect("below 250"),
        )
    }

    fn ip(self, last: u8) -> IpAddr {
        Ipv4Addr::new(127, self.0, self.1, last).into()
    }

    pub(super) fn envoy(self) -> IpAddr {
        self.ip(1)
    }

    pub(super) fn ours(self) -> IpAddr {
        self.ip(2)
    }

    pub(super) fn control(self) -> SocketAddr {
        (self.ip(3), ADS_PORT).into()
    }

    /// The address of the ADS server for Envoy, or of the fixture for our proxy.
    pub(super) fn ads(self, envoy: bool) -> SocketAddr {
        (self.ip(if envoy { 4 } else { 5 }), ADS_PORT).into()
    }

    pub(super) fn upstream(self, index: usize) -> SocketAddr {
        (
            self.ip(10 + u8::try_from(index).expect("few upstreams")),
            PORT,
        )
            .into()
    }
}
