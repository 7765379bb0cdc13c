//! Elements that several sections of the report use: charts, tables, legends and cells.

use maud::{Markup, PreEscaped, html};

use super::readings;
use crate::plot::Width;
use crate::units;

/// A table with a scroll bar of its own on narrow pages. It can be focused, so that the keyboard scrolls it, too.
pub(super) fn scrolling(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// A chart, and its content in words for screen readers.
pub(super) fn chart(words: &str, svg: Markup) -> Markup {
    html! { div.plot role="img" aria-label=(words) { (svg) } }
}

/// A chart over time, drawn in both widths unless it is `narrow`. The style sheet shows the width that fits, and the script
/// draws the cursor. `heat` is the index of the heatmap whose canvas lies under the chart.
pub(super) fn over_time(
    words: &str,
    heat: Option<usize>,
    narrow: bool,
    svg: impl Fn(Width) -> String,
) -> Markup {
    chart(
        words,
        html! {
            div.timed {
                @if let Some(heat) = heat { canvas.heat data-heat=(heat) aria-hidden="true" {} }
                @if narrow {
                    (PreEscaped(svg(Width::Narrow)))
                } @else {
                    div.at-wide { (PreEscaped(svg(Width::Wide))) }
                    div.at-narrow { (PreEscaped(svg(Width::Narrow))) }
                }
            }
        },
    )
}

/// A collapsed table of the values that a chart shows.
pub(super) fn behind(summary: &str, table: Markup) -> Markup {
    html! { details { summary { (summary) } (scrolling(summary, table)) } }
}

/// A legend entry: a swatch of a class, and its meaning.
pub(super) fn key(class: &str, words: &str) -> Markup {
    html! { span.key { span class={ "swatch " (class) } aria-hidden="true" {} (words) } }
}

/// A legend entry that shows the value at the cursor.
pub(super) fn key_read(class: &str, words: &str, reading: usize) -> Markup {
    html! {
        span.key { span class={ "swatch " (class) } aria-hidden="true" {} (words) (readings::shown(reading)) }
    }
}

/// A table cell with a duration; `-` if nothing was measured.
pub(super) fn time_cell(ns: i64, count: u64) -> Markup {
    html! { td.n { @if count == 0 { "-" } @else { (units::duration(ns)) } } }
}

/// A table cell with a count of failures, marked unless it is 0.
pub(super) fn bad_cell(n: u64) -> Markup {
    html! { td.n.bad[n > 0] { (units::count(n)) } }
}

/// The `max` rows of the most weight, in order of weight if any are left out, and the number of those left out.
pub(super) fn most<T>(rows: &[T], max: usize, weight: impl Fn(&T) -> u64) -> (Vec<&T>, usize) {
    let mut kept: Vec<&T> = rows.iter().collect();
    if rows.len() > max {
        kept.sort_by_key(|row| std::cmp::Reverse(weight(row)));
        kept.truncate(max);
    }
    (kept, rows.len().saturating_sub(max))
}
