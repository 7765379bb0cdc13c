//! Charts of further series over time: canaries and their weights, retries, hedges, queues, ready pods.

use maud::{Markup, html};
use shakedown_results::Document;
use shakedown_results::series::{Canary, CanaryStep, Counts, Series, Weights};

use super::elements::{behind, key_read, over_time};
use super::readings::{ReadingUnit, Readings};
use crate::plot::axis::Axis;
use crate::plot::{Backdrop, Ink, LevelLine, levels};
use crate::units;

const SECOND_NS: u64 = 1_000_000_000;
/// The maximum number of canaries charted. Further ones appear only in the list of events.
const CANARIES_MAX: usize = 8;
/// The maximum number of rows of the table behind a chart.
const ROWS_MAX: usize = 60;
/// The maximum number of phases named above a chart.
const PHASES_MAX: usize = 40;

/// The times of weight changes, ns, and the new weights, parts per million.
type Steps<'a> = &'a [(i64, u32)];

/// Reduces the values of neighbouring bins to one, by maximum or minimum.
type Pick = fn(u64, u64) -> u64;

/// The part of a chart that compared documents share: the top of its axis, and the subjects of its lines, each with a
/// colour.
#[derive(Clone, Debug, Default)]
struct SharedScale {
    top: u64,
    subjects: Vec<String>,
}

impl SharedScale {
    /// Selects the rows with the highest peaks, in order of first appearance. `height` converts a count of a bin to the
    /// chart's unit.
    fn new(
        documents: &[&Document],
        rows: fn(&Series) -> &Vec<Counts>,
        height: fn(&Series, u64) -> u64,
    ) -> SharedScale {
        let mut peaks: Vec<(&str, u64)> = Vec::new();
        for series in documents.iter().map(|document| &document.series) {
            for row in rows(series) {
                let peak = row.bins.iter().map(|n| height(series, *n)).max();
                let peak = peak.unwrap_or(0);
                match peaks.iter_mut().find(|(name, _)| *name == row.name) {
                    Some((_, known)) => *known = peak.max(*known),
                    None => peaks.push((&row.name, peak)),
                }
            }
        }
        let mut kept: Vec<(usize, (&str, u64))> = peaks.into_iter().enumerate().collect();
        kept.sort_by_key(|(_, (_, peak))| std::cmp::Reverse(*peak));
        kept.truncate(Ink::ALIKE.len());
        kept.sort_by_key(|(at, _)| *at);
        SharedScale {
            top: kept.iter().map(|(_, (_, peak))| *peak).max().unwrap_or(0),
            subjects: kept
                .into_iter()
                .map(|(_, (name, _))| name.to_owned())
                .collect(),
        }
    }

    /// Returns the rows that the chart shows, with their colours.
    fn charted<'r>(&self, rows: &'r [Counts]) -> Vec<(Ink, &'r Counts)> {
        let inks = Ink::ALIKE.into_iter().zip(&self.subjects);
        inks.filter_map(|(ink, name)| Some((ink, rows.iter().find(|row| row.name == *name)?)))
            .collect()
    }
}

/// The shared parts of all charts of counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tops {
    retries: SharedScale,
    hedges: SharedScale,
    queued: SharedScale,
    in_hand: SharedScale,
    ready: SharedScale,
}

impl Tops {
    pub(super) fn new(documents: &[&Document]) -> Tops {
        let rate = |series: &Series, n| per_second(n, series.bin_ns);
        let number = |_: &Series, n| n;
        Tops {
            retries: SharedScale::new(documents, |series| &series.retries, rate),
            hedges: SharedScale::new(documents, |series| &series.hedges, rate),
            queued: SharedScale::new(documents, |series| &series.queued, number),
            in_hand: SharedScale::new(documents, |series| &series.in_hand, number),
            ready: SharedScale::new(documents, |series| &series.ready, number),
        }
    }
}

/// A service with a canary or with changing weights, and its versions, each of which has a separate colour.
#[derive(Clone, Debug)]
pub(super) struct RolloutCurves {
    service: String,
    versions: Vec<String>,
}

/// Returns the services rolled out in any of these runs, at most [`CANARIES_MAX`].
pub(super) fn rollouts(documents: &[&Document]) -> Vec<RolloutCurves> {
    let mut rollouts: Vec<RolloutCurves> = Vec::new();
    for series in documents.iter().map(|document| &document.series) {
        let weights = series.weights.iter();
        let versions = weights.map(|weights| (&weights.service, Some(&weights.version)));
        let services = series.canaries.iter().map(|canary| (&canary.service, None));
        for (service, version) in services.chain(versions) {
            let known = rollouts.iter().position(|known| known.service == *service);
            let at = match known {
                Some(at) => at,
                None if rollouts.len() == CANARIES_MAX => continue,
                None => {
                    rollouts.push(RolloutCurves {
                        service: service.clone(),
                        versions: Vec::new(),
                    });
                    rollouts.len() - 1
                }
            };
            let versions = &mut rollouts[at].versions;
            versions.extend(version.filter(|name| !versions.contains(name)).cloned());
        }
    }
    rollouts
}

/// Renders the charts of all rollouts: weights over time, and the steps of the canary.
pub(super) fn canaries(
    document: &Document,
    rollouts: &[RolloutCurves],
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let series = &document.series;
    html! {
        @for rollout in rollouts {
            @let canary = series.canaries.iter().find(|canary| canary.service == rollout.service);
            @let weights = series.weights.iter().filter(|weights| weights.service == rollout.service);
            (canary_figure(rollout, canary, &weights.collect::<Vec<_>>(), backdrop, narrow, readings))
        }
    }
}

fn canary_figure(
    rollout: &RolloutCurves,
    canary: Option<&Canary>,
    weights: &[&Weights],
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let steps = canary.map_or(&[][..], |canary| &canary.steps);
    let requested: Vec<(i64, u32)> = steps.iter().map(|s| (s.at_ns, s.weight_ppm)).collect();
    let lines = lines(rollout, weights, steps, &requested);
    let phases = phases(steps);
    let service = &rollout.service;
    let inked: Vec<(Ink, &str, usize)> = lines
        .iter()
        .map(|(ink, version, steps)| {
            let steps = steps.iter().copied();
            (*ink, *version, readings.steps(steps, ReadingUnit::Share))
        })
        .collect();
    let drawn: Vec<LevelLine> = lines
        .iter()
        .map(|(ink, _, steps)| LevelLine::of_steps(*ink, steps, backdrop.end_ns))
        .collect();
    let reasons = steps.iter().map(|step| {
        let words = format!("{}: {}", step.phase, step.reason);
        (step.at_ns, words)
    });
    let why = steps
        .last()
        .map(|last| (last, readings.steps(reasons, ReadingUnit::Text)));
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

/// Returns one line per version with the weights in force. If none were recorded, the weights that the canary
/// `requested`.
fn lines<'a>(
    rollout: &RolloutCurves,
    weights: &[&'a Weights],
    steps: &'a [CanaryStep],
    requested: Steps<'a>,
) -> Vec<(Ink, &'a str, Steps<'a>)> {
    let ink = |version: &str| {
        let at = rollout.versions.iter().position(|known| known == version);
        at.and_then(|at| Ink::ALIKE.get(at)).copied()
    };
    let mut lines: Vec<(Ink, &str, Steps<'_>)> = weights
        .iter()
        .filter_map(|weights| Some((ink(&weights.version)?, weights)))
        .map(|(ink, weights)| (ink, weights.version.as_str(), weights.steps.as_slice()))
        .collect();
    if lines.is_empty() && !requested.is_empty() {
        let mut named = steps.iter().map(|step| step.version.as_str());
        let named = named.find(|version| !version.is_empty());
        let version = named.unwrap_or("new version");
        lines.push((ink(version).unwrap_or(Ink::A), version, requested));
    }
    lines
}

/// Returns the start of each phase, ns, with its name, at most [`PHASES_MAX`].
fn phases(steps: &[CanaryStep]) -> Vec<(i64, &str)> {
    let mut phases: Vec<(i64, &str)> = Vec::new();
    for step in steps.iter().filter(|step| step.at_ns > 0) {
        if phases.last().is_none_or(|last| last.1 != step.phase) && phases.len() < PHASES_MAX {
            phases.push((step.at_ns, &step.phase));
        }
    }
    phases
}

fn canary_table(steps: &[CanaryStep]) -> Markup {
    html! {
        table.events {
            thead { tr {
                th.n scope="col" { "Time" } th scope="col" { "Phase" } th.n scope="col" { "Weight" }
                th scope="col" { "Version" } th scope="col" { "Reason" }
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

/// Renders the charts of retries, hedges, queues, concurrent requests and ready pods.
pub(super) fn rest(
    document: &Document,
    tops: &Tops,
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let series = &document.series;
    html! {
        (counts("Retries", "Attempts after the first, per second", (&series.retries, ReadingUnit::PerSecond, &tops.retries, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Hedges", "Hedged attempts, per second", (&series.hedges, ReadingUnit::PerSecond, &tops.hedges, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Queues", "Waiting requests, maximum", (&series.queued, ReadingUnit::Count, &tops.queued, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Requests in service", "Concurrent requests of services with limited cores, maximum", (&series.in_hand, ReadingUnit::Count, &tops.in_hand, u64::max),
                series.bin_ns, backdrop, narrow, readings))
        (counts("Ready pods", "Minimum", (&series.ready, ReadingUnit::Count, &tops.ready, u64::min),
                series.bin_ns, backdrop, narrow, readings))
    }
}

fn counts(
    title: &str,
    what: &str,
    (rows, unit, shared, pick): (&[Counts], ReadingUnit, &SharedScale, Pick),
    bin_ns: i64,
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let shown_rows = shared.charted(rows);
    let top = shared.top;
    let number = |n: u64| match unit {
        ReadingUnit::PerSecond => n as f64 * SECOND_NS as f64 / bin_ns.max(1) as f64,
        _ => n as f64,
    };
    let mut keys = Vec::new();
    let mut drawn = Vec::new();
    for (ink, row) in shown_rows.iter().copied() {
        let values = row
            .bins
            .iter()
            .map(|n| i64::try_from(*n).unwrap_or(i64::MAX));
        keys.push((ink, row.name.as_str(), readings.bins(bin_ns, values, unit)));
        drawn.push(LevelLine::of_bins(
            ink,
            bin_ns,
            row.bins.iter().map(|n| number(*n)),
        ));
    }
    let axis = Axis::linear(top, 4);
    html! {
        // In a comparison, a run without rows still gets an empty chart, if another run has one.
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
                (behind(&format!("Table: {}", title.to_lowercase()), table(&shown_rows.iter().map(|(_, row)| *row).collect::<Vec<_>>(), unit, pick, bin_ns)))
            }
        }
    }
}

/// Renders a table of at most [`ROWS_MAX`] rows. Each row covers several bins, reduced to one value by `pick`.
fn table(rows: &[&Counts], unit: ReadingUnit, pick: Pick, bin_ns: i64) -> Markup {
    let bins = rows.iter().map(|row| row.bins.len()).max().unwrap_or(0);
    let each = bins.div_ceil(ROWS_MAX).max(1);
    let cell = |row: &Counts, at: usize| {
        let bins = row.bins.iter().skip(at * each).take(each).copied();
        let picked = bins.reduce(pick).unwrap_or(0);
        match unit {
            ReadingUnit::PerSecond => units::rate(picked, bin_ns),
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

/// Returns the rate per second of a count in one bin, rounded up.
fn per_second(n: u64, bin_ns: i64) -> u64 {
    n.saturating_mul(SECOND_NS)
        .div_ceil(bin_ns.max(1).unsigned_abs())
}
