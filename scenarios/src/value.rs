//! The values of the scenario language: exact, always with a unit, and refused in words that say what would be accepted.
//!
//! Durations are whole nanoseconds, shares parts per billion, rates and measured figures exact rationals. Floats occur only
//! where a distribution is sampled (through `libm`, so that every machine draws the same).

mod distribution;
mod duration;
mod number;
mod quantity;
mod rate;
mod ratio;
mod share;
mod size;
mod state;

pub(crate) use distribution::below;
pub use distribution::{Distribution, Kind, Member, Shape};
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

/// Text that is not the value it should be. Displays as a sentence for the author of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A bare number where a unit is needed.
    #[error("`{text}` has no unit: a {kind} is written {forms}")]
    NoUnit {
        /// As written.
        text: String,
        /// The expected kind of value.
        kind: &'static str,
        /// The expected notation.
        forms: &'static str,
    },
    /// Not that kind of value at all.
    #[error("`{text}` is no {kind}: a {kind} is written {forms}")]
    Malformed {
        /// As written.
        text: String,
        /// The expected kind of value.
        kind: &'static str,
        /// The expected notation.
        forms: &'static str,
    },
    /// Valid notation, but out of range.
    #[error("`{text}` is out of range: {bound}")]
    OutOfRange {
        /// As written.
        text: String,
        /// Accepted values.
        bound: &'static str,
    },
    /// Commas between the arguments of a distribution.
    #[error("arguments are separated by spaces: `{fixed}`")]
    Commas {
        /// The same without commas.
        fixed: String,
    },
    /// A parenthesis is missing (a comma inside `{...}` cuts a value in two).
    #[error(
        "`{text}` lacks a `)`: arguments are separated by spaces, never by commas, as in `lognormal(4ms cv 0.5)`"
    )]
    Unclosed {
        /// As written.
        text: String,
    },
    /// A distribution that does not exist.
    #[error("unknown distribution `{name}`: {hint}")]
    UnknownDistribution {
        /// As written.
        name: String,
        /// Accepted values.
        hint: String,
    },
    /// A distribution whose arguments are not those it takes.
    #[error("`{text}`: {name} is written {forms}")]
    Arguments {
        /// As written.
        text: String,
        /// The name of the distribution.
        name: &'static str,
        /// The notation.
        forms: &'static str,
    },
    /// A distribution whose arguments contradict each other or mathematics.
    #[error("`{text}`: {why}")]
    Contradiction {
        /// As written.
        text: String,
        /// Accepted values.
        why: &'static str,
    },
}
