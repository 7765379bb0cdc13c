//! Shakedown: a service mesh whose full proxy and control logic run for real and inside a deterministic network
//! simulator.
//!
//! This crate is the facade: it runs a [`ResolvedScenario`] on the simulated or the real backend, and derives a [`Document`] from
//! the run's Journal with the pure functions of the other crates (digest, judge, summary). The `shakedown` command is a
//! thin layer over it.
//!
//! ```
//! use shakedown::{Scenario, Verdict};
//!
//! let shop = Scenario::yaml(
//!     r#"
//! scenario: shop
//! story: The shop calls its prices. For five seconds of the ten, prices fail every second request.
//! duration: 10s
//! topology:
//!   services:
//!     shop: {workers: 8, endpoints: {GET /: [call: prices GET /]}}
//!     prices: {workers: 8, endpoints: {GET /: [work: 1ms]}}
//! mesh:
//!   - apiVersion: networking.istio.io/v1
//!     kind: VirtualService
//!     metadata: {name: prices}
//!     spec:
//!       hosts: [prices]
//!       http: [{route: [{destination: {host: prices}}], retries: {attempts: 5, retryOn: 5xx}}]
//! load:
//!   users: {to: shop GET /, rate: 20/s}
//! chaos:
//!   - {name: errors, at: 2s, for: 5s, do: fail, target: prices, rate: 50%}
//! expect:
//!   - slo: success(users) >= 90%
//! variants:
//!   fragile:
//!     story: No retries of errors.
//!     mesh: [{remove: VirtualService/prices}]
//!     breaks: [slo]
//! "#,
//! );
//! let run = shop.clone().seed(7).run()?;
//! assert_eq!(run.verdict(), Verdict::Pass);
//! shop.variant("fragile").seed(7).run()?.assert_breaks(&["slo"]);
//! # Ok::<(), shakedown::scenario::ScenarioError>(())
//! ```
//!
//! Simulations are CPU-bound. A workspace whose tests use this crate should build its dependencies with optimisation,
//! which makes the tests about twelve times faster:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 2
//! ```

#![warn(missing_docs)]

pub mod estimate;
mod fold;
pub mod journal;
pub mod load;
pub mod run;
pub mod scenario;
pub mod secret;
pub mod sweep;

pub use run::{RunError, RunOptions, RunOutcome, run};
pub use scenario::Scenario;
pub use shakedown_results::{CheckResult, Document, Engine, Verdict};
pub use shakedown_scenarios::scenario::ResolvedScenario;

/// Returns the package version joined with the version of the journal format; part of every digest.
pub fn version() -> String {
    format!(
        "{}+journal.{}",
        env!("CARGO_PKG_VERSION"),
        shakedown_results::JOURNAL_VERSION
    )
}
