//! The events of a run as lanes over the time axis: a lane for each fault, one for pods that were down, one for
//! configuration.

use std::collections::BTreeMap;

use shakedown_results::EventRow;

use super::axis::Axis;
use super::backdrop::Backdrop;
use super::canvas::{Anchor, Canvas, draw};
use super::frame::{CHAR_WIDTH, PlotFrame, Width};
use super::ink::Ink;
use super::span::{LaneSpan, joined};

/// The maximum number of fault lanes. The last lane is shared if there are more faults.
const FAULT_LANES_MAX: usize = 10;
const LANE_HEIGHT: f64 = 24.0;
/// The height of a lane with its name above its marks, because marks along the whole lane leave no room beside them.
const NAMED_ABOVE_HEIGHT: f64 = 32.0;
const BAR_HEIGHT: f64 = 12.0;

/// A diamond at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) at_ns: i64,
    pub(crate) ink: Ink,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlotLane {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) spans: Vec<LaneSpan>,
    pub(crate) markers: Vec<Marker>,
}

/// Returns the lanes of a run's events up to `end_ns`. A span without an end lasts until `end_ns`.
pub(crate) fn lanes_of(events: &[EventRow], end_ns: i64) -> Vec<PlotLane> {
    let mut lanes = fault_lanes(events, end_ns);
    let down = spans(events, ("crashed", "ready"), end_ns);
    if !down.is_empty() {
        let mut spans: Vec<LaneSpan> = down.into_iter().flat_map(|(_, spans)| spans).collect();
        spans.sort_by_key(|span| (span.from_ns, span.to_ns));
        lanes.push(PlotLane {
            name: "pods down".to_owned(),
            ink: Ink::Down,
            spans,
            markers: vec![],
        });
    }
    let of_replicas = |row: &&EventRow| matches!(row.kind.as_str(), "scaled" | "stopped");
    let replicas: Vec<Marker> = events
        .iter()
        .filter(of_replicas)
        .filter(|row| (0..=end_ns).contains(&row.at_ns))
        .map(|row| Marker {
            at_ns: row.at_ns,
            ink: Ink::A,
        })
        .collect();
    if !replicas.is_empty() {
        lanes.push(PlotLane {
            name: "replicas set".to_owned(),
            ink: Ink::A,
            spans: vec![],
            markers: replicas,
        });
    }
    let marker = |row: &EventRow| {
        let ink = match row.kind.as_str() {
            "config-changed" | "config-in-force" => Ink::Config,
            "config-refused" | "document-refused" => Ink::Down,
            _ => return None,
        };
        (0..=end_ns).contains(&row.at_ns).then_some(Marker {
            at_ns: row.at_ns,
            ink,
        })
    };
    let markers: Vec<Marker> = events.iter().filter_map(marker).collect();
    if !markers.is_empty() {
        lanes.push(PlotLane {
            name: "configuration".to_owned(),
            ink: Ink::Config,
            spans: vec![],
            markers,
        });
    }
    lanes
}

fn fault_lanes(events: &[EventRow], end_ns: i64) -> Vec<PlotLane> {
    let mut lanes: Vec<PlotLane> = Vec::new();
    for (name, spans) in spans(events, ("fault-started", "fault-ended"), end_ns) {
        if lanes.len() < FAULT_LANES_MAX {
            lanes.push(PlotLane {
                name,
                ink: Ink::Fault,
                spans,
                markers: vec![],
            });
        } else if let Some(last) = lanes.last_mut() {
            last.name = "other faults".to_owned();
            last.spans.extend(spans);
        }
    }
    lanes
}

/// Returns the spans between two kinds of events, by subject, in order of the first beginning. An end without a
/// beginning is ignored, such as the `ready` event of a pod's first start.
fn spans(
    events: &[EventRow],
    (begin, end): (&str, &str),
    end_ns: i64,
) -> Vec<(String, Vec<LaneSpan>)> {
    let mut order: Vec<(String, Vec<LaneSpan>)> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for row in events {
        let subject = row.subject.as_str();
        if row.kind == begin {
            let lane = *at.entry(subject).or_insert_with(|| {
                order.push((subject.to_owned(), Vec::new()));
                order.len() - 1
            });
            order[lane].1.push(LaneSpan {
                from_ns: row.at_ns,
                to_ns: end_ns,
            });
            open.entry(subject)
                .or_default()
                .push((lane, order[lane].1.len() - 1));
        } else if row.kind == end
            && let Some(started) = open.get_mut(subject)
            && !started.is_empty()
        {
            let (lane, span) = started.remove(0);
            order[lane].1[span].to_ns = row.at_ns;
        }
    }
    order
}

/// Draws the lanes.
pub(crate) fn lanes(lanes: &[PlotLane], backdrop: &Backdrop, width: Width) -> String {
    let height = lanes.iter().map(lane_height).sum::<f64>() + 36.0;
    let frame = PlotFrame::with_margins(width.pixels(), height, 6.0, 26.0);
    let time = Axis::time(backdrop.end_ns, width.time_ticks());
    draw(frame.width, frame.height, |canvas| {
        backdrop.draw(canvas, &frame, &time);
        let mut bottom = frame.top() + 2.0;
        for lane in lanes {
            bottom += lane_height(lane);
            let middle = bottom - LANE_HEIGHT / 2.0;
            canvas.line(
                Ink::Grid,
                0.5,
                [(frame.left(), middle), (frame.right(), middle)],
            );
            draw_lane(canvas, &frame, &time, lane, middle);
        }
        frame.draw_x(canvas, &time.ticks);
    })
}

fn draw_lane(canvas: &Canvas<'_>, frame: &PlotFrame, time: &Axis, lane: &PlotLane, middle: f64) {
    let x = |ns: i64| frame.x(time.place(ns));
    let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
    for (from, to) in joined(&lane.spans, x, 3.0) {
        let half = BAR_HEIGHT / 2.0;
        canvas.rect(lane.ink, (from, middle - half), (to, middle + half));
        (first, last) = (first.min(from), last.max(to));
    }
    // Of markers with the same ink that would overlap, only the first is drawn.
    let mut drawn: BTreeMap<Ink, f64> = BTreeMap::new();
    for marker in &lane.markers {
        let at = x(marker.at_ns);
        if drawn
            .insert(marker.ink, at)
            .is_some_and(|before| at - before < 0.5)
        {
            continue;
        }
        let r = BAR_HEIGHT / 2.0;
        canvas.area(
            marker.ink,
            [
                (at, middle - r),
                (at + r, middle),
                (at, middle + r),
                (at - r, middle),
            ],
        );
        (first, last) = (first.min(at - r), last.max(at + r));
    }
    if is_named_above(lane) {
        let chars = ((frame.right() - frame.left()) / CHAR_WIDTH) as usize;
        let name = cut(&lane.name, chars);
        let wide = name.chars().count() as f64 * CHAR_WIDTH;
        let at = first.min(frame.right() - wide).max(frame.left());
        let above = middle - BAR_HEIGHT / 2.0 - 8.0;
        canvas.text(Ink::Name, (at, above), Anchor::Start, &name);
        return;
    }
    draw_name(canvas, frame, &lane.name, middle, (first, last));
}

/// True for the lanes of proxies: ejected pods, and breakers at their limit.
fn is_named_above(lane: &PlotLane) -> bool {
    matches!(lane.ink, Ink::Ejected | Ink::Breaker)
}

fn lane_height(lane: &PlotLane) -> f64 {
    if is_named_above(lane) {
        NAMED_ABOVE_HEIGHT
    } else {
        LANE_HEIGHT
    }
}

/// Draws a lane's name beside its marks: to the right if there is room, else truncated on the side with more room. If
/// the marks fill the lane, the name is drawn on them.
fn draw_name(
    canvas: &Canvas<'_>,
    frame: &PlotFrame,
    name: &str,
    middle: f64,
    (first, last): (f64, f64),
) {
    let gap = 7.0;
    let (left, right) = (first - gap - frame.left(), frame.right() - last - gap);
    let room = left.max(right).max(0.0);
    let chars = (room / CHAR_WIDTH) as usize;
    if chars < 6 {
        let name = cut(name, ((frame.right() - frame.left()) / CHAR_WIDTH) as usize);
        canvas.text(
            Ink::OnBar,
            (first.max(frame.left()) + gap, middle),
            Anchor::Start,
            &name,
        );
        return;
    }
    let name = cut(name, chars);
    let wanted = name.chars().count() as f64 * CHAR_WIDTH;
    if right >= wanted || right >= left {
        canvas.text(Ink::Name, (last + gap, middle), Anchor::Start, &name);
    } else {
        canvas.text(Ink::Name, (first - gap, middle), Anchor::End, &name);
    }
}

fn cut(name: &str, chars: usize) -> String {
    if name.chars().count() <= chars {
        return name.to_owned();
    }
    let kept: String = name.chars().take(chars.saturating_sub(1)).collect();
    format!("{kept}…")
}
