//! The canary controller: implements Flagger for the `Canary` documents in force.
//!
//! ```text
//! Cluster ─► Controller ─► Machine (one per canary; pure) ─► actions: split, scale, stable, report
//!                │              ▲
//!                └─ scrapes ─► History ─► judge
//! ```
//!
//! - A canary generates a VirtualService, and a DestinationRule with one subset per version. At first all requests are
//!   routed to the stable version, so that the pods of a new version receive none before their analysis starts.
//! - A weight changes once every connected proxy has acknowledged the push with the clusters that it needs. It is in
//!   force once every proxy has acknowledged the weight itself.
//! - Versions are rolled out one at a time. A newer version that appears before or during the analysis replaces the
//!   current one and starts at 0%. One that appears during the promotion is rolled out afterwards. Until then it
//!   receives no requests.
//! - Steps and promotions pause while the stable version lacks ready pods, unless `skipAnalysis` is set.
//! - If its document is removed, a canary releases its service: the routes of other documents apply again.
//!
//! Invariant: the machine decides on whole numbers and uses no clock, socket or store.

mod controller;
pub(crate) mod generate;
mod history;
mod judge;
mod machine;
mod scrape;

pub(crate) use controller::Controller;
pub(crate) use generate::Split;
