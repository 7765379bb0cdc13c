//! A load's latency over time: a heatmap on a canvas under the lines of median and 99th percentile, and a table of the
//! heatmap.

use maud::{Markup, html};
use shakedown_results::series::{Heat, bucket_from_ns};

use super::elements::{behind, key_read, over_time};
use super::readings::{ReadingUnit, Readings};
use crate::plot::axis::Axis;
use crate::plot::bins::{Bin, Bins};
use crate::plot::{Backdrop, latency_over_time};
use crate::units;

/// The maximum number of rows of the table.
const ROWS_MAX: usize = 48;
const COLUMNS_MAX: usize = 10;
/// The maximum number of labels of the latency axis.
const LABELS_MAX: usize = 10;

/// Returns the lowest and the highest latency of loads that share an axis, ns; 1 ms for both without data.
pub(super) fn range<'a>(loads: impl Iterator<Item = (&'a Bins, Option<&'a Heat>)>) -> (i64, i64) {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for (bins, heat) in loads {
        let lines = bins.bins.iter().flat_map(|bin| [bin.p50_ns, bin.p99_ns]);
        let cells = heat.into_iter().flat_map(|heat| &heat.bins);
        let cells = cells.filter_map(|bin| {
            let first = usize::try_from(*bin.first()?).ok()?;
            Some([bucket_from_ns(first), bucket_from_ns(first + bin.len() - 1)])
        });
        for ns in lines.flatten().chain(cells.flatten()) {
            (low, high) = (low.min(ns), high.max(ns));
        }
    }
    if low > high {
        return (1_000_000, 1_000_000);
    }
    (low, high)
}

/// Renders the chart. Without `heat`, only the lines are drawn.
pub(super) fn panel(
    name: &str,
    (bins, heat): (&Bins, Option<(&Heat, i64)>),
    range: (i64, i64),
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let y = Axis::log(range.0, range.1, LABELS_MAX);
    let ends = (y.value_at(0.0), y.value_at(1.0));
    let heat_at = heat.map(|(heat, bin_ns)| readings.heat(bin_ns, &heat.bins, ends));
    let mut line = |of: fn(&Bin) -> Option<i64>| {
        readings.bins(
            bins.each_ns(),
            bins.bins.iter().map(of),
            ReadingUnit::Duration,
        )
    };
    let (p50, p99) = (line(|bin| bin.p50_ns), line(|bin| bin.p99_ns));
    let highest = match bins.seconds_each {
        1 => String::new(),
        _ => format!(
            ", lines: maximum over the seconds of each {}",
            units::written(bins.each_ns())
        ),
    };
    let words = format!(
        "Latency of {name} over time: number of requests by latency, with median and 99th percentile"
    );
    html! {
        p.keys {
            span.what { "Latency by time of completion" (highest) ", log scale" }
            @if let Some((_, reading)) = heat_at { (key_read("k-heat", "requests", reading)) }
            (key_read("k-p50", "p50", p50))
            (key_read("k-p99", "p99", p99))
        }
        (over_time(&words, heat_at.map(|(heat, _)| heat), narrow,
            |width| latency_over_time(bins, &y, backdrop, width)))
        @if let Some((heat, bin_ns)) = heat {
            (behind(&format!("Table: latency of {name} over time"), table(heat, bin_ns)))
        }
    }
}

/// Renders a table of request counts by time and latency, at most [`ROWS_MAX`] by [`COLUMNS_MAX`].
fn table(heat: &Heat, bin_ns: i64) -> Markup {
    let span = |bin: &Vec<u64>| {
        let first = usize::try_from(*bin.first()?).ok()?;
        Some((first, first + bin.len() - 2))
    };
    let spans = || heat.bins.iter().filter_map(span);
    let low = spans().map(|span| span.0).min().unwrap_or(0);
    let high = spans().map(|span| span.1).max().unwrap_or(0);
    let rows_each = heat.bins.len().div_ceil(ROWS_MAX).max(1);
    // Columns cover whole octaves of latency, which have four buckets each.
    let low = low / 4 * 4;
    let columns_each = (high + 1 - low).div_ceil(COLUMNS_MAX).next_multiple_of(4);
    let columns = (high + 1 - low).div_ceil(columns_each).max(1);
    let cells = |rows: &[Vec<u64>]| {
        let mut cells = vec![0u64; columns];
        for bin in rows {
            let Some((first, _)) = span(bin) else {
                continue;
            };
            for (at, n) in bin[1..].iter().enumerate() {
                cells[(first + at - low) / columns_each] += n;
            }
        }
        cells
    };
    let row_ns = bin_ns * rows_each as i64;
    html! {
        table {
            thead { tr {
                th.n scope="col" { "From" }
                @for column in 0..columns {
                    th.n scope="col" { "≥ " (units::duration(bucket_from_ns(low + column * columns_each))) }
                }
            } }
            tbody { @for (at, rows) in (0i64..).zip(heat.bins.chunks(rows_each)) {
                tr {
                    th.n scope="row" { (units::written(at * row_ns)) }
                    @for n in cells(rows) { td.n.few[n == 0] { (units::count(n)) } }
                }
            } }
        }
    }
}
