//! The run over time: what happened, and every load's throughput and latency, all on one time axis.

use maud::{Markup, PreEscaped, html};
use shakedown_results::{Document, Load};

use super::{behind, chart, key};
use crate::plot::bins::{Bin, Bins};
use crate::plot::{
    Backdrop, Ink, Lane, Width, lanes, lanes_of, latency_over_time, throughput_over_time,
};
use crate::units;

/// Loads beyond these are in the tables only.
pub(super) const CHARTS_MAX: usize = 8;

pub(super) fn section(document: &Document) -> Markup {
    let bins: Vec<Bins> = document
        .loads
        .iter()
        .take(CHARTS_MAX)
        .map(|load| Bins::new(&load.seconds))
        .collect();
    let end_ns = bins
        .iter()
        .map(|bins| bins.each_ns() * bins.bins.len() as i64)
        .max()
        .unwrap_or(0);
    let end_ns = end_ns.max(document.duration_ns);
    let lanes = lanes_of(&document.events, end_ns);
    let bands = lanes
        .iter()
        .filter(|lane| lane.ink == Ink::Fault)
        .flat_map(|lane| lane.spans.clone())
        .collect();
    let backdrop = Backdrop {
        end_ns,
        warm_up_ns: document.warm_up_ns,
        duration_ns: document.duration_ns,
        bands,
    };
    html! {
        @if !bins.is_empty() || !lanes.is_empty() {
            section aria-labelledby="time" {
                h2 #time { "Over time" }
                @if !lanes.is_empty() { (events(&lanes, &backdrop)) }
                @for (load, bins) in document.loads.iter().zip(&bins) { (figure(load, bins, &backdrop)) }
                @if document.loads.len() > CHARTS_MAX {
                    p.note { "Charts of the first " (CHARTS_MAX) " loads; the others are in the table above." }
                }
            }
        }
    }
}

fn events(lanes_of_run: &[Lane], backdrop: &Backdrop) -> Markup {
    html! {
        figure {
            figcaption {
                h3 { "What happened" }
                p.keys {
                    (key("k-fault", "fault")) (key("k-down", "down or refused")) (key("k-config", "configuration"))
                }
            }
            (both("Faults, crashes and configuration over time; the events table below lists them.",
                  |width| lanes(lanes_of_run, backdrop, width)))
        }
    }
}

fn figure(load: &Load, bins: &Bins, backdrop: &Backdrop) -> Markup {
    let each = units::written(bins.each_ns());
    let highest = if bins.seconds_each > 1 {
        format!(", the highest second of each {each}")
    } else {
        String::new()
    };
    html! {
        figure {
            figcaption {
                h3 { (load.name) }
                p.keys {
                    span.what { "Requests per second" }
                    (key("k-offered", "offered")) (key("k-ok", "ok")) (key("k-failed", "failed"))
                }
            }
            (both(&format!("Offered, ok and failed requests per second of {} over time", load.name),
                  |width| throughput_over_time(bins, backdrop, width)))
            p.keys {
                span.what { "Latency of what ended" (highest) ", log scale" }
                (key("k-p50", "p50")) (key("k-p99", "p99"))
            }
            (both(&format!("Median and 99th percentile latency of {} over time", load.name),
                  |width| latency_over_time(bins, backdrop, width)))
            (behind(&format!("Table: {}, every {each}", load.name), table(bins)))
        }
    }
}

/// A chart in both widths; the style sheet shows the one that fits.
fn both(words: &str, svg: impl Fn(Width) -> String) -> Markup {
    chart(
        words,
        html! {
            div.at-wide { (PreEscaped(svg(Width::Wide))) }
            div.at-narrow { (PreEscaped(svg(Width::Narrow))) }
        },
    )
}

fn table(bins: &Bins) -> Markup {
    html! {
        table {
            thead { tr {
                @for name in ["From", "Offered", "Ok", "Failed", "p50", "p99"] { th.n scope="col" { (name) } }
            } }
            tbody { @for bin in &bins.bins { (row(bin)) } }
        }
    }
}

fn row(bin: &Bin) -> Markup {
    let time = |ns: Option<i64>| ns.map_or("-".to_owned(), units::duration);
    html! {
        tr {
            th.n scope="row" { (units::written(bin.from_ns)) }
            td.n { (units::count(bin.offered)) }
            td.n { (units::count(bin.ok)) }
            (super::bad_cell(bin.failed))
            td.n { (time(bin.p50_ns)) }
            td.n { (time(bin.p99_ns)) }
        }
    }
}
