//! A backend of plotters that writes SVG whose colours, fonts and sizes are those of the page's style sheet.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Write as _;

use maud::Escaper;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::ink::Ink;

type Written = Result<(), DrawingErrorKind<Infallible>>;

/// Writes each mark as an element with the class of the current ink. The colours of plotters are ignored.
pub(crate) struct SvgBackend<'a> {
    svg: &'a mut String,
    size: (u32, u32),
    /// The ink of the mark that is being drawn.
    ink: &'a Cell<Ink>,
}

impl<'a> SvgBackend<'a> {
    pub(crate) fn new(svg: &'a mut String, size: (u32, u32), ink: &'a Cell<Ink>) -> SvgBackend<'a> {
        SvgBackend { svg, size, ink }
    }

    fn write(&mut self, element: std::fmt::Arguments<'_>) {
        self.svg
            .write_fmt(element)
            .expect("writing into a string succeeds");
    }

    fn class(&self) -> &'static str {
        self.ink.get().class()
    }

    fn points(&mut self, points: impl IntoIterator<Item = BackendCoord>) {
        for (at, (x, y)) in points.into_iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            self.write(format_args!("{blank}{x},{y}"));
        }
    }
}

impl DrawingBackend for SvgBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Written {
        if self.svg.is_empty() {
            let (width, height) = self.size;
            self.write(format_args!(
                "<svg viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\" \
                 aria-hidden=\"true\" focusable=\"false\">"
            ));
        }
        Ok(())
    }

    fn present(&mut self) -> Written {
        self.ensure_prepared()?;
        self.svg.push_str("</svg>");
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Written {
        self.draw_rect(at, (at.0 + 1, at.1 + 1), &color, true)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        _: &S,
        fill: bool,
    ) -> Written {
        let class = self.class();
        let (width, height) = (right - left, bottom - top);
        self.write(format_args!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\""
        ));
        if fill {
            self.write(format_args!(" class=\"f-{class}\"/>"));
        } else {
            self.write(format_args!(" fill=\"none\" class=\"s-{class}\"/>"));
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Written {
        let (class, width) = (self.class(), style.stroke_width());
        self.write(format_args!(
            "<polyline fill=\"none\" class=\"s-{class}\" stroke-width=\"{width}\" points=\""
        ));
        self.points(path);
        self.svg.push_str("\"/>");
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        outline: I,
        _: &S,
    ) -> Written {
        let class = self.class();
        self.write(format_args!("<polygon class=\"f-{class}\" points=\""));
        self.points(outline);
        self.svg.push_str("\"/>");
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Written {
        let class = self.class();
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        // The offset from the baseline.
        let dy = match style.anchor().v_pos {
            VPos::Top => "0.76em",
            VPos::Center => "0.5ex",
            VPos::Bottom => "-0.5ex",
        };
        self.write(format_args!(
            "<text x=\"{x}\" y=\"{y}\" dy=\"{dy}\" text-anchor=\"{anchor}\" class=\"f-{class}\">"
        ));
        Escaper::new(self.svg)
            .write_str(text)
            .expect("writing into a string succeeds");
        self.svg.push_str("</text>");
        Ok(())
    }
}
