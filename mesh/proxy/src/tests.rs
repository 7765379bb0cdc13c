//! The proxy as a whole, in the simulator: a caller, a pod with the proxy, upstreams, a control plane.

mod control;
mod life;
mod replies;
mod retries;
pub(crate) mod scene;
