//! Line charts of a load over time: throughput and latency, with the times of faults in the background.

use super::axis::Axis;
use super::backdrop::Backdrop;
use super::bins::{Bin, Bins};
use super::canvas::{CanvasPoint, draw};
use super::frame::{PlotFrame, Width};
use super::ink::Ink;

/// The height of a load's charts, in CSS pixels.
pub(crate) const LOAD_HEIGHT: f64 = 190.0;

/// Draws the offered, admitted, good and failed requests per second, on an axis up to `top`.
pub(crate) fn throughput_over_time(
    bins: &Bins,
    top: u64,
    backdrop: &Backdrop,
    width: Width,
) -> String {
    let frame = PlotFrame::new(width, LOAD_HEIGHT);
    let (x, y) = (
        Axis::time(backdrop.end_ns, width.time_ticks()),
        Axis::linear(top, 6),
    );
    let steps = |of: fn(&Bin) -> Option<u64>| {
        let per_second = move |bin: &Bin| of(bin).map(|n| n as f64 / bins.seconds_each as f64);
        stairs(bins, &x, &frame, per_second, |rate| {
            rate / y.value_at(1.0) as f64
        })
    };
    draw(frame.width, frame.height, |canvas| {
        backdrop.draw(canvas, &frame, &x);
        frame.draw_y(canvas, &y.ticks);
        for (line, area, of) in [
            (
                Ink::Ok,
                Ink::OkArea,
                (|bin| Some(bin.ok)) as fn(&Bin) -> Option<u64>,
            ),
            // No line without failures, because a red line along the axis looks like an error.
            (Ink::Failed, Ink::FailedArea, |bin| {
                (bin.failed > 0).then_some(bin.failed)
            }),
        ] {
            for run in steps(of) {
                canvas.area(area, closed(&run, frame.bottom()));
                canvas.line(line, 1.5, run);
            }
        }
        if bins.admitted() {
            for run in steps(|bin| Some(bin.admitted)) {
                canvas.line(Ink::Admitted, 1.0, run);
            }
        }
        for run in steps(|bin| Some(bin.offered)) {
            canvas.line(Ink::Offered, 1.0, run);
        }
        frame.draw_x(canvas, &x.ticks);
    })
}

/// Draws the median and 99th percentile latency of the requests that ended in each bin, on the axis `y`. The lines have
/// a halo, because they lie on the heatmap.
pub(crate) fn latency_over_time(
    bins: &Bins,
    y: &Axis,
    backdrop: &Backdrop,
    width: Width,
) -> String {
    let frame = PlotFrame::new(width, LOAD_HEIGHT);
    let x = Axis::time(backdrop.end_ns, width.time_ticks());
    draw(frame.width, frame.height, |canvas| {
        backdrop.draw(canvas, &frame, &x);
        frame.draw_y(canvas, &y.ticks);
        for (ink, of) in [
            (Ink::P99, (|bin| bin.p99_ns) as fn(&Bin) -> Option<i64>),
            (Ink::P50, |bin| bin.p50_ns),
        ] {
            let runs = stairs(bins, &x, &frame, of, |ns| y.place(ns));
            for run in &runs {
                canvas.line(Ink::Halo, 3.0, run.iter().copied());
            }
            for run in runs {
                canvas.line(ink, 1.5, run);
            }
        }
        frame.draw_x(canvas, &x.ticks);
    })
}

/// Returns the top and the height of the plotting box of a load's charts, in hundredths of a per cent of the chart's
/// height.
pub(crate) fn box_of_load() -> (u32, u32) {
    let frame = PlotFrame::new(Width::Wide, LOAD_HEIGHT);
    let part = |pixels: f64| (pixels / frame.height * 10_000.0).round() as u32;
    (part(frame.top()), part(frame.bottom() - frame.top()))
}

/// Returns step lines over the bins. A bin without a value ends a line.
fn stairs<T>(
    bins: &Bins,
    time: &Axis,
    frame: &PlotFrame,
    of: impl Fn(&Bin) -> Option<T>,
    place: impl Fn(T) -> f64,
) -> Vec<Vec<CanvasPoint>> {
    let mut runs: Vec<Vec<CanvasPoint>> = Vec::new();
    let mut open = false;
    for bin in &bins.bins {
        let Some(value) = of(bin) else {
            open = false;
            continue;
        };
        if !open {
            runs.push(Vec::new());
            open = true;
        }
        let y = frame.y(place(value).clamp(0.0, 1.0));
        let run = runs.last_mut().expect("a line was started above");
        run.push((frame.x(time.place(bin.from_ns)), y));
        run.push((frame.x(time.place(bin.from_ns + bins.each_ns())), y));
    }
    runs.into_iter().map(thinned).collect()
}

/// Removes the inner points of horizontal lines.
pub(super) fn thinned(points: Vec<CanvasPoint>) -> Vec<CanvasPoint> {
    let mut kept: Vec<CanvasPoint> = Vec::with_capacity(points.len());
    for point in points {
        if let [.., before, last] = kept.as_slice()
            && before.1 == last.1
            && last.1 == point.1
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}

/// Closes a line into an area that extends down to `bottom`.
fn closed(line: &[CanvasPoint], bottom: f64) -> Vec<CanvasPoint> {
    let (Some(first), Some(last)) = (line.first(), line.last()) else {
        return Vec::new();
    };
    let corners = [(last.0, bottom), (first.0, bottom)];
    line.iter().copied().chain(corners).collect()
}
