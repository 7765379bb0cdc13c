//! A chart's frame: the plotting box with grid lines, tick labels and the axis.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, CanvasPoint};
use super::ink::Ink;
use super::span::{LaneSpan, joined};

/// The left margin, for the labels of the vertical axis, in CSS pixels.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
/// The top margin, for the names of marks.
const TOP: f64 = 22.0;
/// The bottom margin, for the labels of the horizontal axis.
const BOTTOM: f64 = 26.0;

/// An upper bound of a character's width. Fonts are not measured, so labels that could overlap by this bound are
/// truncated or omitted.
pub(crate) const CHAR_WIDTH: f64 = 7.2;
/// The minimum gap between two labels.
const LABEL_GAP: f64 = 4.0;

/// The plotting box of a chart, in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlotFrame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The width of a chart over time. Each chart is drawn in both widths, because a wide drawing scaled down to a phone is
/// too small to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// A full page.
    Wide,
    /// A phone, or half a page.
    Narrow,
}

impl Width {
    pub(crate) fn pixels(self) -> f64 {
        match self {
            Width::Wide => 960.0,
            Width::Narrow => 472.0,
        }
    }

    /// Returns the number of ticks that fit on a time axis.
    pub(crate) fn time_ticks(self) -> i64 {
        match self {
            Width::Wide => 13,
            Width::Narrow => 7,
        }
    }
}

impl PlotFrame {
    pub(crate) fn new(width: Width, height: f64) -> PlotFrame {
        PlotFrame::with_margins(width.pixels(), height, TOP, BOTTOM)
    }

    pub(crate) fn with_margins(width: f64, height: f64, top: f64, bottom: f64) -> PlotFrame {
        PlotFrame {
            width,
            height,
            left: LEFT,
            right: width - RIGHT,
            top,
            bottom: height - bottom,
        }
    }

    pub(crate) fn x(&self, place: f64) -> f64 {
        self.left + (self.right - self.left) * place
    }

    pub(crate) fn y(&self, place: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * place
    }

    pub(crate) fn at(&self, x: f64, y: f64) -> CanvasPoint {
        (self.x(x), self.y(y))
    }

    pub(crate) fn top(&self) -> f64 {
        self.top
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.bottom
    }

    pub(crate) fn right(&self) -> f64 {
        self.right
    }

    pub(crate) fn left(&self) -> f64 {
        self.left
    }

    /// Draws the grid lines and labels of the vertical axis.
    pub(crate) fn draw_y(&self, canvas: &Canvas<'_>, ticks: &[(f64, String)]) {
        for (place, label) in ticks.iter().filter(|(_, label)| !label.is_empty()) {
            let y = self.y(*place);
            canvas.line(Ink::Grid, 0.5, [(self.left, y), (self.right, y)]);
            canvas.text(Ink::Label, (self.left - 8.0, y), Anchor::End, label);
        }
    }

    /// Draws the horizontal axis with its ticks and labels.
    pub(crate) fn draw_x(&self, canvas: &Canvas<'_>, ticks: &[(f64, String)]) {
        canvas.line(
            Ink::Axis,
            1.0,
            [(self.left, self.bottom), (self.right, self.bottom)],
        );
        // From right to left, so that the last label is always drawn. A label that would touch the next one is omitted.
        let mut free = f64::INFINITY;
        for (place, label) in ticks.iter().rev() {
            let x = self.x(*place);
            canvas.line(Ink::Axis, 1.0, [(x, self.bottom), (x, self.bottom + 4.0)]);
            if label.is_empty() {
                continue;
            }
            let half = label.chars().count() as f64 * CHAR_WIDTH / 2.0;
            if x + half < free {
                canvas.text(Ink::Label, (x, self.bottom + 9.0), Anchor::Top, label);
                free = x - half - LABEL_GAP;
            }
        }
    }

    /// Shades the times of faults from top to bottom.
    pub(crate) fn draw_bands(&self, canvas: &Canvas<'_>, time: &Axis, bands: &[LaneSpan]) {
        for (from, to) in joined(bands, |ns| self.x(time.place(ns)), 1.5) {
            canvas.rect(Ink::FaultBand, (from, self.top), (to, self.bottom));
        }
    }

    /// Draws a dashed line at an instant, such as the end of the warm-up or of the load.
    pub(crate) fn draw_edge(&self, canvas: &Canvas<'_>, place: f64) {
        let x = self.x(place);
        canvas.line(Ink::Edge, 1.0, [(x, self.top), (x, self.bottom)]);
    }
}
