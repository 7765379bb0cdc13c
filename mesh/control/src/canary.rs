//! The canary controller: what Flagger does, for the `Canary` documents in force.
//!
//! ```text
//! Cluster ─► Controller ─► Machine (one a canary; pure) ─► acts: split, scale, stable, words
//!                │              ▲
//!                └─ scrapes ─► History ─► judge
//! ```
//!
//! - A canary routes its service by itself, as a VirtualService and a DestinationRule with a subset a version would: all to
//!   the stable version at first, so that a new version's pods get nothing before their analysis begins.
//! - A weight moves when every connected proxy has acknowledged the push with the clusters that it needs, and counts from
//!   when every one has acknowledged the weight itself.
//! - One version is rolled out at a time. A newer one that comes before or during the analysis takes its place, and begins
//!   at 0%; one that comes during the promotion has its turn afterwards. Until then it gets nothing.
//! - Nothing is stepped or promoted while the stable version lacks ready pods, unless `skipAnalysis` is set.
//! - A canary whose document is removed lets go of its service: routes are again what other documents say.
//!
//! Invariant: the machine decides on whole numbers, and knows no clock, no socket and no store.

mod controller;
pub(crate) mod generate;
mod history;
mod judge;
mod machine;
mod scrape;

pub(crate) use controller::Controller;
pub(crate) use generate::Split;
