//! The full percentile curve on a nines axis.

use shakedown_results::Histogram;

use super::Width;
use super::axis::{Axis, Nines};
use super::canvas::{Canvas, CanvasPoint, draw};
use super::frame::PlotFrame;
use super::histogram::range;
use super::ink::Ink;

/// Draws latency at every percentile, corrected and uncorrected.
pub(crate) fn percentiles(corrected: &Histogram, uncorrected: &Histogram) -> String {
    let frame = PlotFrame::new(Width::Narrow, 280.0);
    let (min, max) = range(corrected, uncorrected);
    let x = Nines::new(corrected.count().max(uncorrected.count()));
    let y = Axis::log(min, max, 9);
    draw(frame.width, frame.height, |canvas| {
        frame.draw_y(canvas, &y.ticks);
        draw_curve(canvas, &frame, &y, uncorrected, Ink::Uncorrected, &x);
        draw_curve(canvas, &frame, &y, corrected, Ink::Corrected, &x);
        frame.draw_x(canvas, &x.ticks);
    })
}

/// Returns the curve as steps: the number of values at or below each recorded value, and the value.
pub(crate) fn steps(of: &Histogram) -> Vec<(u64, i64)> {
    let mut seen = 0;
    let max = of.max_ns().unwrap_or(0);
    of.buckets()
        .map(|(ns, n)| {
            seen += n;
            (seen, ns.min(max))
        })
        .collect()
}

fn draw_curve(
    canvas: &Canvas<'_>,
    frame: &PlotFrame,
    y: &Axis,
    of: &Histogram,
    ink: Ink,
    x: &Nines,
) {
    let mut points: Vec<CanvasPoint> = Vec::new();
    let mut from = 0.0;
    for (seen, ns) in steps(of) {
        let (to, height) = (x.place(seen), y.place(ns));
        let step = [frame.at(from, height), frame.at(to, height)];
        from = to;
        // Thousands of buckets share the pixels at the left, so one point per half pixel is enough.
        let near =
            |a: &CanvasPoint, b: &CanvasPoint| (a.0 - b.0).abs() < 0.5 && (a.1 - b.1).abs() < 0.5;
        for point in step {
            if points.last().is_none_or(|last| !near(last, &point)) {
                points.push(point);
            }
        }
    }
    canvas.line(ink, 1.75, points);
}
