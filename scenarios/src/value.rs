//! The values of the scenario language: exact and always with a unit. An error lists the accepted notation.
//!
//! Durations are whole nanoseconds, shares parts per billion, rates and measured figures exact rationals. Floats occur
//! only where a distribution is sampled, through `libm`, so that every machine draws the same values.

mod distribution;
mod duration;
mod number;
mod quantity;
mod rate;
mod ratio;
mod share;
mod size;
mod state;

pub use distribution::{Distribution, DistributionKind, Shape, exponential};
pub use duration::{format_ns, parse_duration};
pub use number::Decimal;
pub(crate) use number::parse_count;
pub use quantity::{Quantity, Unit};
pub use rate::Rate;
pub use ratio::Ratio;
pub use share::Share;
pub use size::{format_size, parse_size};
pub(crate) use state::{
    CLOSED, FAILED, OPEN, ROLLED_BACK, is_breakers, phase, state, state_name, states,
};

/// The error of parsing a value. Displays as a sentence for the author of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number without its required unit.
    #[error("`{text}` has no unit: a {kind} is written {forms}")]
    NoUnit {
        text: String,
        kind: &'static str,
        forms: &'static str,
    },
    /// Text that is not a value of the expected kind.
    #[error("invalid {kind} `{text}`: a {kind} is written {forms}")]
    Malformed {
        text: String,
        kind: &'static str,
        forms: &'static str,
    },
    /// Valid notation, but out of range.
    #[error("`{text}` is out of range: {bound}")]
    OutOfRange {
        text: String,
        /// The accepted range.
        bound: &'static str,
    },
    /// Commas between the arguments of a distribution.
    #[error("arguments are separated by spaces: `{fixed}`")]
    Commas {
        /// The text without commas.
        fixed: String,
    },
    /// A missing `)`. Usually caused by a comma inside `{...}`, which splits a value in two.
    #[error(
        "missing `)` in `{text}`: separate arguments by spaces, not commas, as in `lognormal(4ms cv 0.5)`"
    )]
    Unclosed { text: String },
    #[error("unknown distribution `{name}`: {hint}")]
    UnknownDistribution {
        name: String,
        /// A hint with the accepted names.
        hint: String,
    },
    /// Arguments that do not fit the distribution.
    #[error("`{text}`: {name} is written {forms}")]
    Arguments {
        text: String,
        name: &'static str,
        /// The notation of the distribution.
        forms: &'static str,
    },
    /// Arguments that contradict each other or are mathematically impossible.
    #[error("`{text}`: {why}")]
    Contradiction { text: String, why: &'static str },
}
