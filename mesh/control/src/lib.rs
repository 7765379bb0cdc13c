//! The control plane: reads the state of the Kubernetes API from a [`ManagedMesh`] and serves delta ADS.
//!
//! ```text
//! Cluster -> debounce -> admission (validate, last good) -> translate -> Snapshot -> Subscriptions per proxy -> wire
//! ```
//!
//! - [`run`] runs the control plane of one host. It uses the environment only through [`shakedown_env::Env`].
//! - Outbound resources are translated and encoded once per push and shared by all proxies. Resources that depend on a
//!   proxy's namespace, labels or locality are built once for all proxies with the same ones. A proxy's own listeners
//!   and inbound clusters are built per node.
//! - A pure state machine, [`ads::Subscriptions`], decides which resources a proxy must be sent. The stream that drives
//!   it is pulled by the connection's flow control, which avoids a queue between them.
//!
//! Invariant: nothing here imports the proxy's code. The two communicate over xDS only.

mod admission;
pub mod ads;
mod canary;
mod cluster;
mod debounce;
mod keyed_cache;
mod node;
mod proxy_view;
mod push;
mod server;
mod snapshot;
mod status;
mod watch;

pub use cluster::ManagedMesh;
pub use debounce::Debounce;
pub use node::{ProxyNode, ProxyNodeError};
pub use server::{ControlError, ControlOptions, run};
pub use snapshot::{
    ConfigSnapshot, ResourceChanges, ResourceKind, ResourceVersion, Resources, SnapshotView,
};
pub use status::{ConnectedProxies, NackStatus, ProxyStatus};
