//! Documents and resources that were refused in a run, with their reasons.

use shakedown_results::EventRow;

use super::screen::{Screen, one_line, wrapped};
use crate::units;

/// Maximum number of refusals that are listed. Further ones are counted.
const WRITTEN_MAX: usize = 5;

/// Writes a line for each refusal. Proxies that refuse the same resource for the same reason share one.
pub(super) fn write(events: &[EventRow], screen: Screen, out: &mut String) {
    let mut refusals: Vec<(&EventRow, u64)> = Vec::new();
    for row in events {
        let is_nack = match row.kind.as_str() {
            "config-refused" => true,
            "document-refused" => false,
            _ => continue,
        };
        let same = |(known, _): &&mut (&EventRow, u64)| {
            is_nack && known.kind == row.kind && known.detail == row.detail
        };
        match refusals.iter_mut().find(same) {
            Some((_, proxies)) => *proxies += 1,
            None => refusals.push((row, 1)),
        }
    }
    for (row, proxies) in refusals.iter().take(WRITTEN_MAX) {
        let by = match proxies {
            1 => one_line(&row.subject),
            proxies => format!("{} proxies", units::count(*proxies)),
        };
        let (at, detail) = (units::duration(row.at_ns), one_line(&row.detail));
        let line = match row.kind.as_str() {
            "config-refused" => format!("  refused by {by}, {at}: {detail}"),
            _ => format!("  refused by the control plane, {at}: {by}: {detail}"),
        };
        wrapped(&line, "    ", screen, out);
    }
    let left = refusals.len().saturating_sub(WRITTEN_MAX);
    if left > 0 {
        let left = units::counted(left as u64, "refusal");
        out.push_str(&format!("  {left} more\n"));
    }
}
