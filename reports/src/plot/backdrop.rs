//! The background of all charts over time: fault bands, and the ends of warm-up and load.

use super::axis::Axis;
use super::canvas::Canvas;
use super::frame::PlotFrame;
use super::span::LaneSpan;

/// The time axis that all charts over time share, and the marks behind their lines.
#[derive(Clone, Debug)]
pub(crate) struct Backdrop {
    /// The end of the axis, ns.
    pub(crate) end_ns: i64,
    /// The end of the warm-up, ns; 0 if there was none.
    pub(crate) warm_up_ns: i64,
    /// The end of the load, ns.
    pub(crate) duration_ns: i64,
    /// The times of faults, drawn as shaded bands.
    pub(crate) bands: Vec<LaneSpan>,
}

impl Backdrop {
    pub(super) fn draw(&self, canvas: &Canvas<'_>, frame: &PlotFrame, time: &Axis) {
        frame.draw_bands(canvas, time, &self.bands);
        if self.warm_up_ns > 0 {
            frame.draw_edge(canvas, time.place(self.warm_up_ns));
        }
        if self.duration_ns < self.end_ns {
            frame.draw_edge(canvas, time.place(self.duration_ns));
        }
    }
}
