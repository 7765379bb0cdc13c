//! The control plane: what the Kubernetes API would say goes in ([`Cluster`]), delta ADS comes out.
//!
//! ```text
//! Cluster -> debounce -> admission (validate, last good) -> translate -> Snapshot -> one Subscriptions per proxy -> wire
//! ```
//!
//! - [`run`] is the whole of it on one host; it reaches the world through [`shakedown_env::Env`] only.
//! - Outbound resources are translated and encoded once per push and shared by all proxies. What some are to see otherwise,
//!   because of their namespace, their labels or where they run, is made once for all who see the same; a proxy's own
//!   listeners and inbound clusters are made per node.
//! - What a proxy is owed is decided by a pure state machine, [`ads::Subscriptions`]; the stream that drives it is
//!   pulled by the connection's flow control, so that no queue stands between them.
//!
//! Invariant: nothing here knows the proxy's code. The two meet over xDS only.

mod admission;
pub mod ads;
mod canary;
mod cluster;
mod debounce;
mod made;
mod node;
mod push;
mod server;
mod sight;
mod snapshot;
mod status;
mod watch;

pub use cluster::Cluster;
pub use debounce::Debounce;
pub use node::{Node, NodeError};
pub use server::{ControlError, ControlOptions, run};
pub use snapshot::{Changes, Entry, Kind, Resources, Snapshot, View};
pub use status::{ProxyStatus, Rejection, Status};
