//! The meaning of a mark, which determines its colour. Plotters writes colours as numbers, so each ink has a
//! number of its own, which [`to_classes`] replaces by a CSS class.

use plotters::style::RGBColor;

/// The meaning of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ink {
    Grid,
    Axis,
    Label,
    /// Names of the drawn objects.
    Name,
    /// Requests that were due.
    Offered,
    /// Successful responses.
    Ok,
    /// The area below `Ok`.
    OkArea,
    Failed,
    /// The area below `Failed`.
    FailedArea,
    P50,
    P99,
    /// Latency from the intended send time.
    Corrected,
    /// The area of `Corrected`.
    CorrectedArea,
    /// Latency from the actual send time.
    Uncorrected,
    /// The time of a fault, in the background of a chart.
    FaultBand,
    Fault,
    /// A pod that is down, or a refused configuration.
    Down,
    Config,
    /// The end of the warm-up, the end of the load.
    Edge,
    OnBar,
    /// Requests admitted by an app.
    Admitted,
    /// The background colour, around a line that crosses other marks.
    Halo,
    /// The first of several equivalent lines.
    A,
    B,
    C,
    D,
    E,
    /// A pod ejected by outlier detection.
    Ejected,
    /// A circuit breaker at its limit.
    Breaker,
}

impl Ink {
    pub(crate) const ALL: [Ink; 29] = [
        Ink::Grid,
        Ink::Axis,
        Ink::Label,
        Ink::Name,
        Ink::Offered,
        Ink::Ok,
        Ink::OkArea,
        Ink::Failed,
        Ink::FailedArea,
        Ink::P50,
        Ink::P99,
        Ink::Corrected,
        Ink::CorrectedArea,
        Ink::Uncorrected,
        Ink::FaultBand,
        Ink::Fault,
        Ink::Down,
        Ink::Config,
        Ink::Edge,
        Ink::OnBar,
        Ink::Admitted,
        Ink::Halo,
        Ink::A,
        Ink::B,
        Ink::C,
        Ink::D,
        Ink::E,
        Ink::Ejected,
        Ink::Breaker,
    ];

    /// For lines that differ only in their object.
    pub(crate) const ALIKE: [Ink; 5] = [Ink::A, Ink::B, Ink::C, Ink::D, Ink::E];

    /// Class name in the style sheet, with the prefix `f-` for fills and `s-` for strokes.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Ink::Grid => "grid",
            Ink::Axis => "axis",
            Ink::Label => "label",
            Ink::Name => "name",
            Ink::Offered => "offered",
            Ink::Ok => "ok",
            Ink::OkArea => "ok-area",
            Ink::Failed => "failed",
            Ink::FailedArea => "failed-area",
            Ink::P50 => "p50",
            Ink::P99 => "p99",
            Ink::Corrected => "corrected",
            Ink::CorrectedArea => "corrected-area",
            Ink::Uncorrected => "uncorrected",
            Ink::FaultBand => "fault-band",
            Ink::Fault => "fault",
            Ink::Down => "down",
            Ink::Config => "config",
            Ink::Edge => "edge",
            Ink::OnBar => "on-bar",
            Ink::Admitted => "admitted",
            Ink::Halo => "halo",
            Ink::A => "a",
            Ink::B => "b",
            Ink::C => "c",
            Ink::D => "d",
            Ink::E => "e",
            Ink::Ejected => "ejected",
            Ink::Breaker => "breaker",
        }
    }

    pub(crate) fn color(self) -> RGBColor {
        RGBColor(0, 0, self as u8 + 1)
    }
}

/// Rewrites plotters' SVG for the page. Colours become classes. Size, fonts and defaults are removed, because
/// the style sheet defines them.
///
/// The text of a drawing cannot be mistaken for an attribute, because plotters escapes its quotes.
pub(crate) fn to_classes(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(open) = rest.find('<') {
        let close = rest[open..].find('>').map_or(rest.len(), |at| open + at);
        out.push_str(rest[..open].trim());
        rewrite_tag(&rest[open..close], &mut out);
        rest = &rest[close..];
        if let Some(after) = rest.strip_prefix('>') {
            out.push('>');
            rest = after;
        }
    }
    out.push_str(rest.trim());
    out
}

/// Rewrites one tag, given without its `>`.
fn rewrite_tag(tag: &str, out: &mut String) {
    let root = tag.starts_with("<svg");
    let mut parts = tag.split('"');
    let head = parts.next().unwrap_or_default();
    // `head` is `<name key=`. After it values and ` key=` alternate.
    let (name, first_key) = head.split_once(' ').unwrap_or((head, ""));
    out.push_str(name);
    let mut key = first_key;
    while let Some(value) = parts.next() {
        attribute(root, key.trim().trim_end_matches('='), value, out);
        key = parts.next().unwrap_or_default();
    }
    if root {
        out.push_str(" aria-hidden=\"true\" focusable=\"false\"");
    }
    if key.trim() == "/" {
        out.push('/');
    }
}

fn attribute(root: bool, key: &str, value: &str, out: &mut String) {
    let ink = |value: &str| {
        Ink::ALL.into_iter().find(|ink| {
            let RGBColor(r, g, b) = ink.color();
            value == format!("#{r:02X}{g:02X}{b:02X}")
        })
    };
    match (key, value) {
        ("opacity", "1") | ("stroke", "none") | ("font-family" | "font-size", _) => {}
        ("width" | "height", _) if root => {}
        ("fill", value) if ink(value).is_some() => class("f", ink(value), out),
        ("stroke", value) if ink(value).is_some() => class("s", ink(value), out),
        _ => {
            out.push(' ');
            out.push_str(key);
            out.push_str("=\"");
            out.push_str(value.trim());
            out.push('"');
        }
    }
}

fn class(how: &str, ink: Option<Ink>, out: &mut String) {
    if let Some(ink) = ink {
        out.push_str(&format!(" class=\"{how}-{}\"", ink.class()));
    }
}
