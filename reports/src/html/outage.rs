//! The chart of ejections and circuit breakers: a bar for each pod while it was ejected, and for each breaker while it
//! was at its limit, on the time axis of all charts.

use maud::{Markup, html};
use shakedown_results::Document;
use shakedown_results::series::Stretches;

use super::elements::{behind, key_read, over_time};
use super::readings::Readings;
use crate::plot::{Backdrop, Ink, LaneSpan, PlotLane, lanes};
use crate::{overflow, units};

/// The maximum number of lanes for pods, and for breakers. The last lane is shared if there are more.
const LANES_MAX: usize = 16;
/// The maximum number of rows of the table.
const ROWS_MAX: usize = 60;

/// Returns true if any of these runs has ejections, breakers at their limit, or refused ejections.
pub(super) fn any(documents: &[&Document]) -> bool {
    documents.iter().any(|document| {
        let series = &document.series;
        !series.ejected.is_empty()
            || !series.breakers.is_empty()
            || !document.ejection_overflows.is_empty()
    })
}

/// Renders the chart. A run without ejections and breakers gets a note instead, because it may be compared with one
/// that has some.
pub(super) fn figure(
    document: &Document,
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let (ejected, breakers) = (&document.series.ejected, &document.series.breakers);
    let (reads_ejected, reads_breakers) = (read(ejected, readings), read(breakers, readings));
    let mut drawn = lanes_of(ejected, Ink::Ejected, "pods");
    drawn.extend(lanes_of(breakers, Ink::Breaker, "breakers"));
    html! {
        figure {
            figcaption {
                h3 { "Ejections and breakers" }
                p.keys {
                    (key_read("k-ejected", "ejected", reads_ejected))
                    (key_read("k-breaker", "breaker at its limit", reads_breakers))
                }
            }
            @if drawn.is_empty() {
                p.note { "No pod was ejected, and no breaker reached its limit." }
            } @else {
                (over_time("Pods while they were ejected and breakers while they were at their limit, over time", None, narrow,
                      |width| lanes(&drawn, backdrop, width)))
                (behind("Table: ejections and breakers", table(ejected.iter().chain(breakers))))
            }
            @for row in &document.ejection_overflows {
                p.note { (overflow::sentence(row)) "." }
            }
        }
    }
}

fn read(rows: &[Stretches], readings: &mut Readings) -> usize {
    let spans: Vec<(&str, Vec<LaneSpan>)> = rows
        .iter()
        .map(|row| (row.name.as_str(), spans(row)))
        .collect();
    readings.spans(spans.iter().map(|(name, spans)| (*name, spans.as_slice())))
}

fn spans(row: &Stretches) -> Vec<LaneSpan> {
    let spans = row.spans.iter();
    spans
        .map(|(from_ns, to_ns)| LaneSpan {
            from_ns: *from_ns,
            to_ns: *to_ns,
        })
        .collect()
}

/// Returns one lane per row, in their order. Rows beyond [`LANES_MAX`] share the last lane.
fn lanes_of(rows: &[Stretches], ink: Ink, what: &str) -> Vec<PlotLane> {
    let own = if rows.len() > LANES_MAX {
        LANES_MAX - 1
    } else {
        rows.len()
    };
    let lane = |name: String, spans| PlotLane {
        name,
        ink,
        spans,
        markers: vec![],
    };
    let (own, others) = rows.split_at(own);
    let mut lanes: Vec<PlotLane> = own
        .iter()
        .map(|row| lane(row.name.clone(), spans(row)))
        .collect();
    if !others.is_empty() {
        let mut spans: Vec<LaneSpan> = others.iter().flat_map(spans).collect();
        spans.sort_by_key(|span| (span.from_ns, span.to_ns));
        lanes.push(lane(format!("{} other {what}", others.len()), spans));
    }
    lanes
}

fn table<'a>(rows: impl Iterator<Item = &'a Stretches>) -> Markup {
    let all = rows.flat_map(|row| row.spans.iter().map(|span| (row.name.as_str(), *span)));
    let all: Vec<_> = all.collect();
    html! {
        table {
            thead { tr { th scope="col" { "Pod or breaker" } th.n scope="col" { "From" } th.n scope="col" { "To" } th.n scope="col" { "Duration" } } }
            tbody {
                @for (name, (from_ns, to_ns)) in all.iter().take(ROWS_MAX) { tr {
                    th scope="row" { (name) }
                    td.n { (units::duration(*from_ns)) }
                    td.n { (units::duration(*to_ns)) }
                    td.n { (units::duration(to_ns - from_ns)) }
                } }
                @if all.len() > ROWS_MAX { tr { td colspan="4" {
                    "and " (units::count((all.len() - ROWS_MAX) as u64)) " more"
                } } }
            }
        }
    }
}
