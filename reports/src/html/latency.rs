//! Latency of each load: the histogram, and the full percentile curve on a nines axis.

use maud::{Markup, PreEscaped, html};
use shakedown_results::{Document, Histogram, Load};

use super::elements::{behind, chart, key};
use super::time::CHARTS_MAX;
use crate::plot::{histogram, histogram_bars, percentiles};
use crate::units;

/// Percentiles of the table, in parts per million.
const PERCENTILES: [(u32, &str); 12] = [
    (250_000, "p25"),
    (500_000, "p50"),
    (750_000, "p75"),
    (900_000, "p90"),
    (950_000, "p95"),
    (990_000, "p99"),
    (995_000, "p99.5"),
    (999_000, "p99.9"),
    (999_500, "p99.95"),
    (999_900, "p99.99"),
    (999_990, "p99.999"),
    (999_999, "p99.9999"),
];

pub(super) fn section(document: &Document) -> Markup {
    let measured = || {
        document
            .loads
            .iter()
            .filter(|load| load.latency_ns.count > 0)
    };
    html! {
        @if measured().next().is_some() {
            section aria-labelledby="latency" {
                h2 #latency { "Latency" }
                p.keys {
                    (key("k-corrected", "from the intended send time"))
                    (key("k-uncorrected", "uncorrected: from the actual send time"))
                }
                @for load in measured().take(CHARTS_MAX) { (charts_of(load)) }
            }
        }
    }
}

fn charts_of(load: &Load) -> Markup {
    let (corrected, uncorrected) = (&load.latency_ns.histogram, &load.uncorrected_ns.histogram);
    html! {
        figure {
            figcaption { h3 { (load.name) } p.note { (units::counted(load.latency_ns.count, "sample")) } }
            div.pair {
                div {
                    p.keys { span.what { "Requests by latency, log scale" } }
                    (chart(&format!("Latency histogram of {}", load.name),
                           PreEscaped(histogram(corrected, uncorrected))))
                }
                div {
                    p.keys { span.what { "Latency by percentile, nines axis" } }
                    (chart(&format!("Percentile curve of {} on a nines axis", load.name),
                           PreEscaped(percentiles(corrected, uncorrected))))
                }
            }
            (behind(&format!("Table: percentiles of {}", load.name), percentile_table(load)))
            (behind(&format!("Table: histogram of {}", load.name), histogram_table(corrected, uncorrected)))
        }
    }
}

fn percentile_table(load: &Load) -> Markup {
    let all = [&load.latency_ns, &load.uncorrected_ns, &load.send_lag_ns];
    let count = load.latency_ns.count;
    let row = |name: &str, cells: [i64; 3]| {
        html! {
            tr { th scope="row" { (name) } @for ns in cells { td.n { (units::duration(ns)) } } }
        }
    };
    html! {
        table {
            thead { tr {
                th scope="col" { "Percentile" } th.n scope="col" { "Latency" } th.n scope="col" { "Uncorrected" }
                th.n scope="col" { "Send lag" }
            } }
            tbody {
                (row("min", all.map(|latency| latency.min)))
                // With less than one sample above it, a percentile is equal to the maximum.
                @for (ppm, name) in PERCENTILES.iter().filter(|(ppm, _)| count * u64::from(1_000_000 - ppm) >= 1_000_000) {
                    (row(name, all.map(|latency| latency.histogram.percentile_ns(*ppm).unwrap_or(0))))
                }
                (row("max", all.map(|latency| latency.max)))
                (row("mean", all.map(|latency| latency.mean)))
            }
        }
    }
}

fn histogram_table(corrected: &Histogram, uncorrected: &Histogram) -> Markup {
    html! {
        table {
            thead { tr {
                th.n scope="col" { "From" } th.n scope="col" { "To" }
                th.n scope="col" { "Latency" } th.n scope="col" { "Uncorrected" }
            } }
            tbody { @for bar in histogram_bars(corrected, uncorrected) {
                tr {
                    th.n scope="row" { (units::duration(bar.from_ns)) }
                    td.n { (units::duration(bar.to_ns)) }
                    td.n { (units::count(bar.corrected)) }
                    td.n { (units::count(bar.uncorrected)) }
                }
            } }
        }
    }
}
