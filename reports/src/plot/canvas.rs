//! A drawing area in CSS pixels; a thin layer over plotters.

use std::cell::Cell;

use plotters::coord::Shift;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::{
    DrawingArea, IntoDrawingArea, IntoFont, PathElement, Polygon, Rectangle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, ShapeStyle, TextStyle};

use super::ink::Ink;
use super::svg::SvgBackend;

/// Units of the drawing per CSS pixel. Plotters places on whole units, and half pixels make curves smoother.
const SCALE: f64 = 2.0;
const TO_A_STRING: &str = "drawing into a string succeeds";

/// A point in CSS pixels from the upper left corner.
pub(crate) type CanvasPoint = (f64, f64);

/// Position of a text's point, relative to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// Left end, at half height.
    Start,
    /// Right end, at half height.
    End,
    /// Top, at half width.
    Top,
}

/// The drawing area. All texts have one size, which the style sheet defines.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<SvgBackend<'a>, Shift>,
    /// The ink of the next mark.
    ink: &'a Cell<Ink>,
}

/// Draws an area of this size and returns its SVG for the page.
pub(crate) fn draw(width: f64, height: f64, with: impl FnOnce(&Canvas<'_>)) -> String {
    let mut svg = String::new();
    let size = (units(width).unsigned_abs(), units(height).unsigned_abs());
    let ink = Cell::new(Ink::Grid);
    let canvas = Canvas {
        area: SvgBackend::new(&mut svg, size, &ink).into_drawing_area(),
        ink: &ink,
    };
    with(&canvas);
    canvas.area.present().expect(TO_A_STRING);
    drop(canvas);
    svg
}

impl<'a> Canvas<'a> {
    /// Draws a line through points, `width` CSS pixels wide.
    pub(crate) fn line(&self, ink: Ink, width: f64, points: impl IntoIterator<Item = CanvasPoint>) {
        let style = ShapeStyle {
            color: BLACK.to_rgba(),
            filled: false,
            stroke_width: units(width).unsigned_abs(),
        };
        let path: Vec<(i32, i32)> = points.into_iter().map(to_units).collect();
        if path.len() > 1 {
            self.draw(ink, &PathElement::new(path, style));
        }
    }

    /// Draws a filled outline.
    pub(crate) fn area(&self, ink: Ink, points: impl IntoIterator<Item = CanvasPoint>) {
        let outline: Vec<(i32, i32)> = points.into_iter().map(to_units).collect();
        if outline.len() > 2 {
            self.draw(ink, &Polygon::new(outline, BLACK.filled()));
        }
    }

    /// Draws a filled rectangle between two corners.
    pub(crate) fn rect(&self, ink: Ink, upper_left: CanvasPoint, lower_right: CanvasPoint) {
        let corners = [to_units(upper_left), to_units(lower_right)];
        self.draw(ink, &Rectangle::new(corners, BLACK.filled()));
    }

    pub(crate) fn text(&self, ink: Ink, at: CanvasPoint, anchor: Anchor, text: &str) {
        let pos = match anchor {
            Anchor::Start => Pos::new(HPos::Left, VPos::Center),
            Anchor::End => Pos::new(HPos::Right, VPos::Center),
            Anchor::Top => Pos::new(HPos::Center, VPos::Top),
        };
        let style = TextStyle::from(("sans-serif", 24).into_font()).pos(pos);
        self.draw(ink, &Text::new(text.to_owned(), to_units(at), style));
    }

    fn draw<E>(&self, ink: Ink, element: &E)
    where
        for<'e> &'e E: PointCollection<'e, (i32, i32)>,
        E: Drawable<SvgBackend<'a>>,
    {
        self.ink.set(ink);
        self.area.draw(element).expect(TO_A_STRING);
    }
}

fn to_units((x, y): CanvasPoint) -> (i32, i32) {
    (units(x), units(y))
}

fn units(pixels: f64) -> i32 {
    (pixels * SCALE).round() as i32
}
