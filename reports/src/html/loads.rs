//! The overview table of all loads.

use maud::{Markup, html};
use shakedown_results::{Document, Latency, Load};

use super::elements::{bad_cell, scrolling, time_cell};
use crate::units;

pub(super) fn section(document: &Document) -> Markup {
    html! {
        section aria-labelledby="loads" {
            h2 #loads { "Loads" }
            @if document.loads.is_empty() {
                p.none { "No loads." }
            } @else {
                (scrolling("Loads", table(document)))
            }
        }
    }
}

fn table(document: &Document) -> Markup {
    let window_ns = document.duration_ns - document.warm_up_ns;
    let unsent = document.loads.iter().any(|load| load.unsent > 0);
    html! {
        table {
            thead { tr {
                th scope="col" { "Load" }
                @for name in ["Scheduled", "Rate", "Sent", "Dropped", "Ok", "Errors", "Timeouts", "Success", "p50", "p99", "p99.9", "Max"] {
                    @if name == "Dropped" && unsent { th.n scope="col" { "Unsent" } }
                    th.n scope="col" { (name) }
                }
            } }
            tbody { @for load in &document.loads { (row(load, window_ns, unsent)) } }
        }
    }
}

fn row(load: &Load, window_ns: i64, unsent: bool) -> Markup {
    let latency = &load.latency_ns;
    html! {
        tr {
            th scope="row" { (load.name) }
            td.n { (units::count(load.scheduled)) }
            td.n { (units::rate(load.scheduled, window_ns)) }
            td.n { (units::count(load.sent)) }
            @if unsent { (bad_cell(load.unsent)) }
            (bad_cell(load.dropped))
            td.n { (units::count(load.ok)) }
            (bad_cell(load.errors))
            (bad_cell(load.timeouts))
            td.n { (units::share(load.ok, load.scheduled)) }
            (time_cell(latency.p50, latency.count))
            (tail_cell(latency.p99, latency, 100))
            (tail_cell(latency.p999, latency, 1_000))
            (time_cell(latency.max, latency.count))
        }
    }
}

/// A table cell with a percentile. With fewer than `samples` samples it is the maximum, and is marked as
/// such.
fn tail_cell(ns: i64, latency: &Latency, samples: u64) -> Markup {
    if latency.count >= samples || latency.count == 0 {
        return time_cell(ns, latency.count);
    }
    let why = format!(
        "only {}: this is the maximum",
        units::counted(latency.count, "sample")
    );
    html! { td.n.few title=(why) { (units::duration(ns)) "*" } }
}
