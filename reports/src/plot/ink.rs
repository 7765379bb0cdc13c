//! What a mark means, and so its colour. plotters writes colours as numbers; each ink has a number that stands for it, and
//! [`to_classes`] turns the numbers into CSS classes.

use plotters::style::RGBColor;

/// The meaning of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ink {
    /// Grid lines.
    Grid,
    /// The axis itself.
    Axis,
    /// Tick labels.
    Label,
    /// Names of what is drawn.
    Name,
    /// What was asked for.
    Offered,
    /// Good answers.
    Ok,
    /// Their area.
    OkArea,
    /// Failures.
    Failed,
    /// Their area.
    FailedArea,
    /// The median.
    P50,
    /// The 99th percentile.
    P99,
    /// Latency from the intended send time.
    Corrected,
    /// Its area.
    CorrectedArea,
    /// Latency from the actual send time.
    Uncorrected,
    /// The time of a fault, behind a chart.
    FaultBand,
    /// A fault.
    Fault,
    /// Something is down or refused.
    Down,
    /// Configuration.
    Config,
    /// The end of the warm-up, the end of the load.
    Edge,
    /// A name on a bar.
    OnBar,
    /// What an app took up.
    Admitted,
    /// The paper's colour around a line that lies on something.
    Halo,
    /// The first of several alike.
    A,
    /// The second.
    B,
    /// The third.
    C,
    /// The fourth.
    D,
    /// The fifth.
    E,
    /// A pod that outlier detection has out.
    Ejected,
    /// A breaker at its limit.
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

    /// For lines that differ in nothing but what they are of.
    pub(crate) const ALIKE: [Ink; 5] = [Ink::A, Ink::B, Ink::C, Ink::D, Ink::E];

    /// Its name in the style sheet: `f-` before it fills, `s-` before it strokes.
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

/// Rewrites plotters' SVG for the page: colours become classes; size, fonts and defaults go, as the style sheet has them.
///
/// A drawn text cannot be mistaken for an attribute: plotters escapes its quotes.
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

/// One tag, without its `>`.
fn rewrite_tag(tag: &str, out: &mut String) {
    let root = tag.starts_with("<svg");
    let mut parts = tag.split('"');
    let head = parts.next().unwrap_or_default();
    // `head` is `<name key=`; from then on value and ` key=` take turns.
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
