//! What else moved while a run went on: canaries and their weights, retries, queues, ready pods.

use maud::{Markup, html};
use shakedown_results::Document;
use shakedown_results::series::{Canary, Counts, Series, Weights};

use super::readings::{Readings, Unit};
use super::time::over_time;
use super::{behind, key_read};
use crate::plot::axis::Axis;
use crate::plot::{Backdrop, Ink, Level, levels};
use crate::units;

const SECOND_NS: u64 = 1_000_000_000;
/// Canaries beyond these are among the events only.
const CANARIES_MAX: usize = 8;
/// Rows of a table behind a chart, at most.
const ROWS_MAX: usize = 60;
/// Phases named above a chart, at most.
const PHASES_MAX: usize = 40;

/// Which of two neighbouring bins stands for both.
type Pick = fn(u64, u64) -> u64;

/// The highest values of documents that share axes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tops {
    retries: u64,
    hedges: u64,
    queued: u64,
    in_hand: u64,
    ready: u64,
}

impl Tops {
    pub(super) fn of(documents: &[&Document]) -> Tops {
        let top = |rows: fn(&Series) -> &Vec<Counts>| {
            let all = documents
                .iter()
                .flat_map(|document| charted(rows(&document.series)));
            all.flat_map(|row| &row.bins).copied().max().unwrap_or(0)
        };
        let fastest = |rows: fn(&Series) -> &Vec<Counts>| {
            let rates = documents.iter().flat_map(|document| {
                let bin_ns = document.series.bin_ns;
                charted(rows(&document.series))
                    .into_iter()
                    .flat_map(|row| &row.bins)
                    .map(move |n| per_second(*n, bin_ns))
            });
            rates.max().unwrap_or(0)
        };
        Tops {
            retries: fastest(|series| &series.retries),
            hedges: fastest(|series| &series.hedges),
            queued: top(|series| &series.queued),
            in_hand: top(|series| &series.in_hand),
            ready: top(|series| &series.ready),
        }
    }
}

/// Services that a canary rolls out, or whose weights move.
pub(super) fn services(documents: &[&Document]) -> Vec<String> {
    let mut services: Vec<String> = Vec::new();
    for series in documents.iter().map(|document| &document.series) {
        let named = series.canaries.iter().map(|canary| &canary.service);
        for service in named.chain(series.weights.iter().map(|weights| &weights.service)) {
            if !services.contains(service) && services.len() < CANARIES_MAX {
                services.push(service.clone());
            }
        }
    }
    services
}

/// Every canary: its weights and what it did, step by step.
pub(super) fn canaries(
    document: &Document,
    services: &[String],
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let series = &document.series;
    html! {
        @for service in services {
            @let canary = series.canaries.iter().find(|canary| canary.service == *service);
            @let weights = series.weights.iter().filter(|weights| weights.service == *service);
            (canary_figure(service, canary, &weights.collect::<Vec<_>>(), backdrop, narrow, readings))
        }
    }
}

fn canary_figure(
    service: &str,
    canary: Option<&Canary>,
    weights: &[&Weights],
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let steps = canary.map_or(&[][..], |canary| &canary.steps);
    // Without weights in force there are those that the canary asked for.
    let asked: Vec<(i64, u32)> = steps.iter().map(|s| (s.at_ns, s.weight_ppm)).collect();
    let asked_of = steps
        .iter()
        .map(|step| step.version.as_str())
        .find(|version| !version.is_empty());
    let mut lines: Vec<(&str, &[(i64, u32)])> = weights
        .iter()
        .map(|weights| (weights.version.as_str(), weights.steps.as_slice()))
        .collect();
    if lines.is_empty() && !asked.is_empty() {
        lines.push((asked_of.unwrap_or("new version"), &asked));
    }
    let mut phases: Vec<(i64, &str)> = Vec::new();
    for step in steps.iter().filter(|step| step.at_ns > 0) {
        if phases.last().is_none_or(|last| last.1 != step.phase) && phases.len() < PHASES_MAX {
            phases.push((step.at_ns, &step.phase));
        }
    }
    let inked: Vec<(Ink, &str, usize)> = Ink::ALIKE
        .into_iter()
        .zip(&lines)
        .map(|(ink, (version, steps))| {
            let steps = steps.iter().copied();
            (ink, *version, readings.steps(steps, Unit::Share))
        })
        .collect();
    let drawn: Vec<Level> = Ink::ALIKE
        .into_iter()
        .zip(&lines)
        .map(|(ink, (_, steps))| Level::of_steps(ink, steps, backdrop.end_ns))
        .collect();
    let told = steps.iter().map(|step| {
        let words = format!("{}: {}", step.phase, step.reason);
        (step.at_ns, words)
    });
    let why = steps
        .last()
        .map(|last| (last, readings.steps(told, Unit::Text)));
    html! {
        figure {
            figcaption {
                h3 { "Canary " (service) }
                p.keys {
                    span.what { "Weight" }
                    @for (ink, version, reading) in inked { (key_read(class(ink), version, reading)) }
                }
            }
            (over_time(&format!("Weights of the versions of {service} over time, and the phases of its canary"), None, narrow,
                |width| levels(&drawn, &Axis::share(), &phases, backdrop, width)))
            @if let Some((last, why)) = why {
                p.why { b data-r=(why) { (last.phase) ": " (last.reason) } }
                (behind(&format!("Table: steps of canary {service}"), canary_table(steps)))
            }
        }
    }
}

fn canary_table(steps: &[shakedown_results::series::CanaryStep]) -> Markup {
    html! {
        table.events {
            thead { tr {
                th.n scope="col" { "At" } th scope="col" { "Phase" } th.n scope="col" { "Weight" }
                th scope="col" { "Version" } th scope="col" { "Why" }
            } }
            tbody { @for step in steps.iter().take(4 * ROWS_MAX) {
                tr {
                    td.n { (units::instant(step.at_ns)) }
                    td { (step.phase) }
                    td.n { (units::share(u64::from(step.weight_ppm), 1_000_000)) }
                    td { (step.version) }
                    td.detail { (step.reason) }
                }
            } }
        }
    }
}

/// Retries, queues and ready pods.
pub(super) fn rest(
    document: &Document,
    tops: Tops,
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let series = &document.series;
    html! {
        (counts("Retries", "Tries after the first, per second", (&series.retries, Unit::PerSecond, tops.retries, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Hedges", "Tries beside one that was slow, per second", (&series.hedges, Unit::PerSecond, tops.hedges, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Queues", "Most requests waiting at once", (&series.queued, Unit::Count, tops.queued, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("In hand", "Most requests at once, where cores are the limit", (&series.in_hand, Unit::Count, tops.in_hand, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Ready pods", "Fewest at once", (&series.ready, Unit::Count, tops.ready, u64::min),
                series.bin_ns, backdrop, narrow, readings))
    }
}

fn counts(
    title: &str,
    what: &str,
    (rows, unit, top, pick): (&[Counts], Unit, u64, Pick),
    bin_ns: i64,
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let shown_rows = charted(rows);
    let number = |n: u64| match unit {
        Unit::PerSecond => n as f64 * SECOND_NS as f64 / bin_ns.max(1) as f64,
        _ => n as f64,
    };
    let mut keys = Vec::new();
    let mut drawn = Vec::new();
    for (ink, row) in Ink::ALIKE.into_iter().zip(&shown_rows) {
        let values = row
            .bins
            .iter()
            .map(|n| i64::try_from(*n).unwrap_or(i64::MAX));
        keys.push((ink, row.name.as_str(), readings.bins(bin_ns, values, unit)));
        drawn.push(Level::of_bins(
            ink,
            bin_ns,
            row.bins.iter().map(|n| number(*n)),
        ));
    }
    let axis = Axis::linear(top, 4);
    html! {
        // Beside others that have it, nothing is a chart too.
        @if !shown_rows.is_empty() || (narrow && top > 0) {
            figure {
                figcaption {
                    h3 { (title) }
                    p.keys {
                        span.what { (what) }
                        @if shown_rows.is_empty() { span { "none" } }
                        @for (ink, name, reading) in keys { (key_read(class(ink), name, reading)) }
                        @if rows.len() > shown_rows.len() {
                            span { "and " (rows.len() - shown_rows.len()) " more in the results document" }
                        }
                    }
                }
                (over_time(&format!("{title} over time: {what}"), None, narrow,
                    |width| levels(&drawn, &axis, &[], backdrop, width)))
                (behind(&format!("Table: {}", title.to_lowercase()), table(&shown_rows, unit, pick, bin_ns)))
            }
        }
    }
}

/// The rows that a chart has colours for: those that reach highest, in their order.
fn charted(rows: &[Counts]) -> Vec<&Counts> {
    let peak = |row: &Counts| row.bins.iter().copied().max().unwrap_or(0);
    let mut kept: Vec<(usize, &Counts)> = rows.iter().enumerate().collect();
    kept.sort_by_key(|(_, row)| std::cmp::Reverse(peak(row)));
    kept.truncate(Ink::ALIKE.len());
    kept.sort_by_key(|(at, _)| *at);
    kept.into_iter().map(|(_, row)| row).collect()
}

/// So many rows that a person can read them: each stands for its bins by the one that `pick` picks.
fn table(rows: &[&Counts], unit: Unit, pick: Pick, bin_ns: i64) -> Markup {
    let bins = rows.iter().map(|row| row.bins.len()).max().unwrap_or(0);
    let each = bins.div_ceil(ROWS_MAX).max(1);
    let cell = |row: &Counts, at: usize| {
        let bins = row.bins.iter().skip(at * each).take(each).copied();
        let picked = bins.reduce(pick).unwrap_or(0);
        match unit {
            Unit::PerSecond => units::rate(picked, bin_ns),
            _ => units::count(picked),
        }
    };
    html! {
        table {
            thead { tr {
                th.n scope="col" { "From" }
                @for row in rows { th.n scope="col" { (row.name) } }
            } }
            tbody { @for at in 0..bins.div_ceil(each) {
                tr {
                    th.n scope="row" { (units::written((at * each) as i64 * bin_ns)) }
                    @for row in rows { td.n { (cell(row, at)) } }
                }
            } }
        }
    }
}

fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::A => "k-a",
        Ink::B => "k-b",
        Ink::C => "k-c",
        Ink::D => "k-d",
        _ => "k-e",
    }
}

/// Rounded up.
fn per_second(n: u64, bin_ns: i64) -> u64 {
    n.saturating_mul(SECOND_NS)
        .div_ceil(bin_ns.max(1).unsigned_abs())
}
