//! Values over time that are constant until they change: weights, queues, retries, replicas.

use super::Width;
use super::axis::Axis;
use super::backdrop::Backdrop;
use super::canvas::{Anchor, CanvasPoint, draw};
use super::frame::{CHAR_WIDTH, PlotFrame};
use super::ink::Ink;
use super::timeline::thinned;

const HEIGHT: f64 = 120.0;

/// A line: intervals (from, to, value), where adjacent intervals are connected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LevelLine {
    pub(crate) ink: Ink,
    pub(crate) stretches: Vec<(i64, i64, f64)>,
}

impl LevelLine {
    /// Creates a line from one number per bin.
    pub(crate) fn of_bins(ink: Ink, bin_ns: i64, values: impl Iterator<Item = f64>) -> LevelLine {
        let bins = (0i64..).zip(values);
        let stretches = bins.map(|(i, value)| (i * bin_ns, (i + 1) * bin_ns, value));
        LevelLine {
            ink,
            stretches: stretches.collect(),
        }
    }

    /// Creates a line from steps, the last of which lasts until `end_ns`.
    pub(crate) fn of_steps(ink: Ink, steps: &[(i64, u32)], end_ns: i64) -> LevelLine {
        let ends = steps.iter().skip(1).map(|step| step.0).chain([end_ns]);
        let stretches = steps
            .iter()
            .zip(ends)
            .filter(|(_, end)| *end > 0)
            .map(|(step, end)| (step.0.max(0), end, f64::from(step.1)));
        LevelLine {
            ink,
            stretches: stretches.collect(),
        }
    }
}

/// Draws lines, and the names of instants above them.
pub(crate) fn levels(
    levels: &[LevelLine],
    y: &Axis,
    instants: &[(i64, &str)],
    backdrop: &Backdrop,
    width: Width,
) -> String {
    let frame = PlotFrame::new(width, HEIGHT);
    let x = Axis::time(backdrop.end_ns, width.time_ticks());
    let top = y.value_at(1.0) as f64;
    draw(frame.width, frame.height, |canvas| {
        backdrop.draw(canvas, &frame, &x);
        frame.draw_y(canvas, &y.ticks);
        // Labels are placed from the right, because the end of a run matters most. A label that would touch
        // the next is left out.
        let mut free = f64::INFINITY;
        for (at_ns, name) in instants.iter().rev() {
            let at = frame.x(x.place(*at_ns));
            let wide = name.chars().count() as f64 * CHAR_WIDTH;
            let from = at.min(frame.right() - wide);
            canvas.line(Ink::Edge, 1.0, [(at, frame.top()), (at, frame.bottom())]);
            if from + wide < free {
                let at = (from, frame.top() - 10.0);
                canvas.text(Ink::Label, at, Anchor::Start, name);
                free = from - CHAR_WIDTH;
            }
        }
        for level in levels {
            let corner = |ns: i64, value: f64| -> CanvasPoint {
                frame.at(x.place(ns), (value / top).clamp(0.0, 1.0))
            };
            let points = level
                .stretches
                .iter()
                .flat_map(|(from, to, value)| [corner(*from, *value), corner(*to, *value)]);
            canvas.line(level.ink, 1.5, thinned(points.collect()));
        }
        frame.draw_x(canvas, &x.ticks);
    })
}
