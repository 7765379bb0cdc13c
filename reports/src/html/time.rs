//! The charts over time: events, canaries, the throughput and latency of every load, retries, queues and replicas. All
//! share a time axis and a cursor.

use std::collections::BTreeMap;

use maud::{Markup, html};
use shakedown_results::series::Heat;
use shakedown_results::{Document, EventRow, Load};

use super::curves::{self, RolloutCurves, Tops};
use super::elements::{bad_cell, behind, key, key_read, over_time};
use super::readings::{ReadingUnit, Readings, handle};
use super::{heat, outage};
use crate::plot::bins::{Bin, Bins};
use crate::plot::{Backdrop, Ink, LaneSpan, PlotLane, lanes, lanes_of, throughput_over_time};
use crate::units;

/// The maximum number of loads charted. Further ones appear only in the tables.
pub(super) const CHARTS_MAX: usize = 8;
/// The maximum number of events that the cursor can name.
const NAMED_MAX: usize = 2_000;

/// The axes that charts share, within one run or across several runs shown side by side.
#[derive(Debug)]
pub(super) struct Scales {
    pub(super) end_ns: i64,
    rates: BTreeMap<String, u64>,
    latencies: BTreeMap<String, (i64, i64)>,
    tops: Tops,
    rollouts: Vec<RolloutCurves>,
    /// True if the chart of ejections and breakers is shown.
    outage: bool,
}

impl Scales {
    pub(super) fn new(documents: &[&Document]) -> Scales {
        let mut scales = Scales {
            end_ns: 0,
            rates: BTreeMap::new(),
            latencies: BTreeMap::new(),
            tops: Tops::new(documents),
            rollouts: curves::rollouts(documents),
            outage: outage::any(documents),
        };
        let mut by_name: BTreeMap<&str, Vec<(Bins, Option<&Heat>)>> = BTreeMap::new();
        for document in documents {
            scales.end_ns = scales.end_ns.max(document.duration_ns);
            for (at, load) in document.loads.iter().enumerate().take(CHARTS_MAX) {
                let bins = Bins::new(load, document.duration_ns);
                let end_ns = bins.each_ns() * bins.bins.len() as i64;
                scales.end_ns = scales.end_ns.max(end_ns);
                let rate = scales.rates.entry(load.name.clone()).or_default();
                *rate = bins.top().max(*rate);
                let loads = by_name.entry(&load.name).or_default();
                loads.push((bins, document.series.heat.get(at)));
            }
        }
        for (name, loads) in by_name {
            let range = heat::range(loads.iter().map(|(bins, heat)| (bins, *heat)));
            scales.latencies.insert(name.to_owned(), range);
        }
        scales
    }
}

pub(super) fn section(document: &Document, scales: &Scales, readings: &mut Readings) -> Markup {
    html! {
        @if !document.loads.is_empty() || !document.events.is_empty() {
            section.over aria-labelledby="time" {
                h2 #time { "Over time" }
                (handle())
                (charts(document, scales, false, readings))
            }
        }
    }
}

/// Renders all charts over time of a run. `narrow`: in a column beside other runs.
pub(super) fn charts(
    document: &Document,
    scales: &Scales,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let lanes = lanes_of(&document.events, scales.end_ns);
    let bands = lanes
        .iter()
        .filter(|lane| lane.ink == Ink::Fault)
        .flat_map(|lane| &lane.spans)
        // A fault that lasts until the end is drawn as a line at its start, instead of a band over the rest of the
        // chart.
        .map(|span| {
            if span.to_ns >= document.duration_ns {
                LaneSpan {
                    to_ns: span.from_ns,
                    ..*span
                }
            } else {
                *span
            }
        })
        .collect();
    let backdrop = Backdrop {
        end_ns: scales.end_ns,
        warm_up_ns: document.warm_up_ns,
        duration_ns: document.duration_ns,
        bands,
    };
    html! {
        @if !lanes.is_empty() { (events(&lanes, &document.events, &backdrop, narrow, readings)) }
        @if scales.outage { (outage::figure(document, &backdrop, narrow, readings)) }
        (curves::canaries(document, &scales.rollouts, &backdrop, narrow, readings))
        @for (at, load) in document.loads.iter().enumerate().take(CHARTS_MAX) {
            @let heat = document.series.heat.get(at).map(|heat| (heat, document.series.bin_ns));
            (figure((load, heat), scales, &backdrop, narrow, readings))
        }
        @if document.loads.len() > CHARTS_MAX {
            p.note { "Charts of the first " (CHARTS_MAX) " loads; the others are only in the table of loads." }
        }
        (curves::rest(document, &scales.tops, &backdrop, narrow, readings))
    }
}

fn events(
    lanes_of_run: &[PlotLane],
    rows: &[EventRow],
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let spans = lanes_of_run.iter().filter(|lane| !lane.spans.is_empty());
    let spans = readings.spans(spans.map(|lane| (lane.name.as_str(), lane.spans.as_slice())));
    let mut last = |kinds: &[&str]| {
        let of_kind = rows.iter().filter(|row| kinds.contains(&row.kind.as_str()));
        let words = of_kind.map(|row| (row.at_ns, format!("{} {}", row.subject, row.detail)));
        readings.steps(words.take(NAMED_MAX), ReadingUnit::Text)
    };
    let config = last(&[
        "config-changed",
        "config-in-force",
        "config-refused",
        "document-refused",
    ]);
    let any_scaled = rows.iter().any(|row| row.kind == "scaled");
    let scaled = any_scaled.then(|| last(&["scaled"]));
    html! {
        figure {
            figcaption {
                h3 { "Events" }
                p.keys {
                    (key_read("k-fault", "fault", spans)) (key("k-down", "down or refused"))
                    @if let Some(scaled) = scaled { (key_read("k-set", "replicas set", scaled)) }
                    (key_read("k-config", "configuration", config))
                }
            }
            (over_time("Faults, crashes and configuration over time; the events table below lists them.", None, narrow,
                  |width| lanes(lanes_of_run, backdrop, width)))
        }
    }
}

fn figure(
    (load, heat_of_load): (&Load, Option<(&Heat, i64)>),
    scales: &Scales,
    backdrop: &Backdrop,
    narrow: bool,
    readings: &mut Readings,
) -> Markup {
    let bins = &Bins::new(load, backdrop.duration_ns);
    let each = units::written(bins.each_ns());
    let top = scales.rates.get(&load.name).copied().unwrap_or(0);
    let range = scales.latencies.get(&load.name).copied();
    let mut line = |of: fn(&Bin) -> u64| {
        let values = bins
            .bins
            .iter()
            .map(|bin| i64::try_from(of(bin)).unwrap_or(i64::MAX));
        readings.bins(bins.each_ns(), values, ReadingUnit::PerSecond)
    };
    let (offered, good) = (line(|bin| bin.offered), line(|bin| bin.ok));
    let admitted = bins.admitted().then(|| line(|bin| bin.admitted));
    let failed = line(|bin| bin.failed);
    html! {
        figure {
            figcaption {
                h3 { (load.name) }
                p.keys {
                    span.what { "Requests per second" }
                    (key_read("k-offered", "offered", offered))
                    @if let Some(admitted) = admitted { (key_read("k-admitted", "admitted", admitted)) }
                    (key_read("k-ok", "good", good))
                    (key_read("k-failed", "failed", failed))
                }
            }
            (over_time(&format!("Offered, admitted, good and failed requests per second of {} over time", load.name), None, narrow,
                  |width| throughput_over_time(bins, top, backdrop, width)))
            (heat::panel(&load.name, (bins, heat_of_load), range.unwrap_or((1_000_000, 1_000_000)), backdrop, narrow, readings))
            (behind(&format!("Table: {}, every {each}", load.name), table(bins)))
        }
    }
}

fn table(bins: &Bins) -> Markup {
    html! {
        table {
            thead { tr {
                @for name in ["From", "Offered", "Admitted", "Good", "Failed", "p50", "p99"] { th.n scope="col" { (name) } }
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
            td.n { (units::count(bin.admitted)) }
            td.n { (units::count(bin.ok)) }
            (bad_cell(bin.failed))
            td.n { (time(bin.p50_ns)) }
            td.n { (time(bin.p99_ns)) }
        }
    }
}
