//! The data plane: one pod's proxy, inbound and outbound, for HTTP/1.1 and HTTP/2.
//!
//! - [`run`]: a proxy, from its [`Bootstrap`], for ever. [`run_with_table`] is one without a control plane.
//! - A request is one straight line, a file per stage. `accept` -> `handle` takes it in and gives its answer out ([`respond`],
//!   `reply`, `record`); between these is its `journey`: `route` -> `split` -> `filter` (fault, CORS, rate limit) -> `rewrite` ->
//!   `mirror` -> `forward` (the try loop: [`balance`] -> `send` -> [`retry`]).
//! - [`DryRun`] is that line without a wire: what a request costs the proxy itself is measured by it.
//! - `origin` says who a caller is, and `steering` what an internal one asks for; `upgrade` and `tunnel` are about connections
//!   that become something else.
//! - A plain request allocates nothing of its own: `alarm`, `scribe` and `spare` keep what the next one can use again. It is
//!   moved seldom: futures hold references, and an answer stays where it landed.
//! - `loops` keeps a request from coming back to the proxy that sends it.
//! - `ads` follows the control plane; `resources` keeps what it sends once for all proxies of a process; `state` is what is in
//!   force; `admin` serves 15020.
//!
//! [`balance`], [`outlier`], [`breaker`], [`budget`], [`retry`] and [`hedge`] are plain deciders: they take the time and
//! randomness as parameters, and know no clock.
//!
//! Invariant: everything of the outside world comes through [`Env`](shakedown_env::Env), and nothing here imports the
//! simulator, so that the same code runs in both worlds.

mod accept;
pub mod adaptive;
mod admin;
mod ads;
mod alarm;
mod answer;
pub mod balance;
mod bootstrap;
pub mod breaker;
pub mod budget;
mod connection;
mod date;
mod dry;
mod filter;
mod forward;
mod glance;
mod handle;
pub mod hash;
mod headers;
pub mod hedge;
mod hex;
mod journey;
pub mod limit;
mod loops;
mod mirror;
mod origin;
mod outgoing;
pub mod outlier;
mod overload;
mod peers;
mod prepare;
mod proxy;
mod record;
mod refusal;
mod reply;
mod resolve;
mod resources;
pub mod respond;
pub mod retry;
mod rewrite;
mod route;
mod scribe;
mod send;
pub mod shed;
mod spare;
mod split;
mod state;
mod steering;
mod telemetry;
pub mod throttle;
mod tunnel;
mod upgrade;

pub use bootstrap::{Bootstrap, Workload};
pub use dry::DryRun;
pub use proxy::{ProxyError, run, run_with_table};
pub use resources::ResourceCache;

#[cfg(test)]
mod tests;
