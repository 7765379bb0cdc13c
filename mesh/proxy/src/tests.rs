//! Tests of the whole proxy in the simulator, with a caller, a pod with the proxy, upstreams and a control plane.

mod balancing;
mod breakers;
mod budget;
mod cancelled;
mod changes;
pub(crate) mod constant_rng;
mod control;
mod deciders;
mod framing;
mod hedging;
mod http2;
mod levels;
mod life;
mod loops;
mod mutual_tls;
mod outliers;
mod overload;
mod peers;
mod replies;
mod reported;
mod retries;
mod routing;
pub(crate) mod scene;
mod steering;
mod timeouts;
mod upgrades;
