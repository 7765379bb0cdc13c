//! The two sides of a sidecar.

/// A side of a pod's proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// From the network to the app.
    Inbound,
    /// From the app to the network.
    Outbound,
}
