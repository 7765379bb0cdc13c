//! The meaning of a mark, which determines its CSS class.

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
}
