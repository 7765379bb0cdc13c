//! The tables of cases, a file per section of the proxy's behaviour.

mod actions;
mod balancing;
mod breakers;
mod changes;
mod defaults;
mod faults;
mod framing;
mod headers;
mod http2;
mod local_replies;
mod mesh;
mod others;
mod outliers;
mod retries;
mod routing;
mod subsets;
mod timeouts;
mod upgrades;

use crate::case::Case;

pub(crate) fn all() -> Vec<Case> {
    let tables = [
        local_replies::cases(),
        timeouts::cases(),
        retries::cases(),
        breakers::cases(),
        outliers::cases(),
        routing::cases(),
        actions::cases(),
        headers::cases(),
        faults::cases(),
        balancing::cases(),
        http2::cases(),
        mesh::cases(),
        defaults::cases(),
        subsets::cases(),
        changes::cases(),
        upgrades::cases(),
        framing::cases(),
        others::cases(),
    ];
    tables.into_iter().flatten().collect()
}
