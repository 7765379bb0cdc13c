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
//! - One version is rolled out at a time; another that comes meanwhile has its turn afterwards, and gets nothing till then.
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
