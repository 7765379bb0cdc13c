//! The data plane: one pod's proxy, inbound and outbound, for HTTP/1.1 and HTTP/2.
//!
//! Layers, from top to bottom. A module imports from its own layer and from layers below, and no import circle has more than
//! two files.
//!
//! 1. Lifecycle. [`run()`] starts a proxy from its [`Bootstrap`] and shuts it down on drop; [`run_with_table`] does so
//!    without a control plane. `ads` follows the control plane, and `admin` serves port 15020. `proxy` puts configurations in force.
//! 2. Connections. `accept` opens and drains listeners. `admission` hands their requests to `handle`, or refuses them.
//! 3. The request path, a file per step. `handle` begins the record of a request and completes its response. `router` is
//!    between: `route` -> `split` -> `filter` (fault, CORS, rate limit) -> `rewrite` -> `mirror` -> `forward` (the retry loop:
//!    [`balance`] -> `send` -> [`retry`]). `tunnel` serves upgraded connections. `loops` keeps a request from returning to the
//!    proxy that sends it.
//! 4. The record of a request: `record`, which emits events and metrics, and `reusable_timer`, its timer.
//! 5. Shared state. `shared` owns the parts: `state` (the configuration in force and the clusters in use), `listener`,
//!    `secrets` (certificates and roots), `telemetry`, `overload`, rate limiters and random streams. `resources` shares xDS
//!    resources among the proxies of a process. `control_plane` is the status of the ADS stream.
//! 6. Policies. [`balance`], [`outlier`], [`breaker`], [`budget`], [`retry`], [`hedge`], [`limit`], [`adaptive`], [`shed`] and
//!    [`throttle`] take the time and randomness as parameters, and read no clock.
//! 7. Messages. `request_head` is the head of a request; [`respond`] defines the local replies, `response_context` the changes to
//!    a response; `headers`, `origin`, `client_certificate`, `header_overrides`, `prepare` and `upgrade` read and write
//!    headers.
//!
//! [`DryRun`] is the request path without connections, for measuring the proxy's own cost.
//!
//! A plain request allocates nothing in the proxy, because `reusable_timer`, `header_writer` and `object_pool` keep buffers and
//! timers for reuse. Futures hold references, and a response stays where it was received, so that few bytes are moved.
//!
//! Invariant: every effect is requested of [`Env`](shakedown_env::Env), and nothing here imports the simulator, so that the
//! same code runs on both backends.

mod accept;
pub mod adaptive;
mod admin;
mod admission;
mod ads;
mod answer;
pub mod balance;
mod bootstrap;
pub mod breaker;
pub mod budget;
mod client_certificate;
mod connection;
mod control_plane;
mod date;
mod dry;
mod filter;
mod forward;
mod handle;
pub mod hash;
mod header_overrides;
mod header_summary;
mod header_writer;
mod headers;
pub mod hedge;
mod hex;
pub mod limit;
mod listener;
mod loops;
mod mirror;
mod object_pool;
mod origin;
mod outgoing;
pub mod outlier;
mod overload;
mod peers;
mod prepare;
mod proxy;
mod random;
mod record;
mod refusal;
mod request_head;
mod resolve;
mod resources;
pub mod respond;
mod response_context;
pub mod retry;
mod reusable_timer;
mod rewrite;
mod route;
mod router;
mod run;
mod secrets;
mod send;
mod shared;
pub mod shed;
mod split;
mod state;
mod telemetry;
pub mod throttle;
mod tunnel;
mod upgrade;

pub use bootstrap::{Bootstrap, MetricWorkload};
pub use dry::DryRun;
pub use resources::ResourceCache;
pub use run::{ProxyError, run, run_with_table};
pub use secrets::Secrets;

#[cfg(test)]
mod tests;
