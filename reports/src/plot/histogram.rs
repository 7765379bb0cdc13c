//! The latency histogram: number of requests by latency, on a logarithmic axis.

use shakedown_results::Histogram;

use super::Width;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas, draw};
use super::frame::PlotFrame;
use super::ink::Ink;

/// Number of bars of equal width on the logarithmic axis. Even on the smallest axis they are wider than HDR's
/// buckets.
const BARS: usize = 48;

/// Draws bars of the corrected latency, the outline of the uncorrected one, and marks for the median and the
/// 99th percentile.
pub(crate) fn histogram(corrected: &Histogram, uncorrected: &Histogram) -> String {
    let frame = PlotFrame::new(Width::Narrow, 280.0);
    let (min, max) = range(corrected, uncorrected);
    let x = Axis::log(min, max, 7);
    let (bars, outline) = (bars(corrected, &x), bars(uncorrected, &x));
    let y = Axis::linear(bars.iter().chain(&outline).copied().max().unwrap_or(0), 7);
    let height = |n: u64| y.place(i64::try_from(n).unwrap_or(i64::MAX));
    let edge = |i: usize| i as f64 / BARS as f64;
    draw(frame.width, frame.height, |canvas| {
        frame.draw_y(canvas, &y.ticks);
        for (i, n) in bars.iter().enumerate().filter(|(_, n)| **n > 0) {
            // At least one pixel high, so that a single request among a million is visible.
            let top = frame.y(height(*n)).min(frame.bottom() - 1.0);
            canvas.rect(
                Ink::CorrectedArea,
                (frame.x(edge(i)), top),
                (frame.x(edge(i + 1)) - 0.5, frame.bottom()),
            );
        }
        let steps = outline.iter().enumerate().flat_map(|(i, n)| {
            [
                frame.at(edge(i), height(*n)),
                frame.at(edge(i + 1), height(*n)),
            ]
        });
        canvas.line(Ink::Uncorrected, 1.5, steps);
        for (ppm, name, anchor) in [
            (500_000, "p50", Anchor::End),
            (990_000, "p99", Anchor::Start),
        ] {
            if let Some(ns) = corrected.percentile_ns(ppm) {
                draw_mark(canvas, &frame, x.place(ns), name, anchor);
            }
        }
        frame.draw_x(canvas, &x.ticks);
    })
}

/// A bar of the histogram, for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) from_ns: i64,
    pub(crate) to_ns: i64,
    pub(crate) corrected: u64,
    pub(crate) uncorrected: u64,
}

/// Returns the non-empty bars.
pub(crate) fn histogram_bars(corrected: &Histogram, uncorrected: &Histogram) -> Vec<Bar> {
    let (min, max) = range(corrected, uncorrected);
    let x = Axis::log(min, max, 7);
    let edge = |i: usize| x.value_at(i as f64 / BARS as f64);
    let counts = bars(corrected, &x)
        .into_iter()
        .zip(bars(uncorrected, &x))
        .enumerate();
    counts
        .filter(|(_, (corrected, uncorrected))| corrected + uncorrected > 0)
        .map(|(i, (corrected, uncorrected))| Bar {
            from_ns: edge(i),
            to_ns: edge(i + 1),
            corrected,
            uncorrected,
        })
        .collect()
}

fn draw_mark(canvas: &Canvas<'_>, frame: &PlotFrame, place: f64, name: &str, anchor: Anchor) {
    let x = frame.x(place);
    canvas.line(
        Ink::Edge,
        1.0,
        [(x, frame.top() - 6.0), (x, frame.bottom())],
    );
    let beside = match anchor {
        Anchor::End => -4.0,
        _ => 4.0,
    };
    // At the right end the name would leave the drawing.
    let (beside, anchor) = if x + 34.0 > frame.width && anchor == Anchor::Start {
        (-4.0, Anchor::End)
    } else {
        (beside, anchor)
    };
    canvas.text(Ink::Name, (x + beside, frame.top() - 10.0), anchor, name);
}

/// Counts the values of each bar.
fn bars(of: &Histogram, x: &Axis) -> Vec<u64> {
    let mut bars = vec![0; BARS];
    for (ns, n) in of.buckets() {
        let bar = (x.place(ns) * BARS as f64) as usize;
        bars[bar.min(BARS - 1)] += n;
    }
    bars
}

/// Returns the smallest and largest value of both histograms, ns.
pub(crate) fn range(a: &Histogram, b: &Histogram) -> (i64, i64) {
    let min = [a.min_ns(), b.min_ns()]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(1_000_000);
    let max = [a.max_ns(), b.max_ns()]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(1_000_000);
    (min, max)
}
