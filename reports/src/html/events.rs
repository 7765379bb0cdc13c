//! The table of events.

use maud::{Markup, html};
use shakedown_results::{Document, EventRow};

use super::elements::scrolling;
use crate::units;

/// Maximum number of rows. Further events are only in the results document.
const ROWS_MAX: usize = 1_000;
/// Maximum number of rows of a list that is initially unfolded.
const OPEN_MAX: usize = 40;

pub(super) fn section(document: &Document) -> Markup {
    let events = &document.events;
    let shown = &events[..events.len().min(ROWS_MAX)];
    let left_out = events.len() - shown.len();
    html! {
        section aria-labelledby="events" {
            h2 #events { "Events" }
            @if shown.is_empty() {
                p.none { "No events other than requests." }
            } @else {
                details open[shown.len() <= OPEN_MAX] {
                    summary { (units::counted(events.len() as u64, "event")) }
                    (scrolling("Events", table(shown)))
                    @if left_out > 0 {
                        p.note { "The first " (units::count(ROWS_MAX as u64)) " events; " (units::count(left_out as u64)) " more are in the results document." }
                    }
                }
            }
        }
    }
}

fn table(rows: &[EventRow]) -> Markup {
    html! {
        table.events {
            thead { tr {
                th.n scope="col" { "Time" } th scope="col" { "Event" } th scope="col" { "Subject" } th scope="col" { "Detail" }
            } }
            tbody { @for row in rows {
                tr {
                    td.n { (units::instant(row.at_ns)) }
                    td { span class={ "tag " (class(&row.kind)) } { (words(&row.kind)) } }
                    td { (row.subject) }
                    td.detail { (row.detail) }
                }
            } }
        }
    }
}

fn class(kind: &str) -> &'static str {
    match kind {
        "fault-started" | "fault-ended" => "t-fault",
        "crashed" | "config-refused" | "document-refused" | "invalid" => "t-down",
        "config-changed" | "config-in-force" => "t-config",
        "canary" | "weight" => "t-canary",
        "scaled" | "stopped" | "pod-added" => "t-scale",
        _ => "t-other",
    }
}

/// Returns the display text of an event kind, or the kind itself if it is unknown.
fn words(kind: &str) -> &str {
    match kind {
        "fault-started" => "fault started",
        "fault-ended" => "fault ended",
        "pod-added" => "pod added",
        "config-changed" => "config changed",
        "config-in-force" => "config in force",
        "config-refused" => "config refused",
        "document-refused" => "document refused",
        "weight" => "weight in force",
        "scaled" => "replicas set",
        "stopped" => "pod stopped",
        "left-out" => "not listed",
        other => other,
    }
}
