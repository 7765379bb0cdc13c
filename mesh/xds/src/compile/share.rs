//! `FractionalPercent` and its runtime variant, as a [`Share`].

use super::problem::{Problem, Result, enumerated};
use crate::proto::core::RuntimeFractionalPercent;
use crate::proto::fractional::FractionalPercent;
use crate::proto::fractional::fractional_percent::DenominatorType;
use crate::table::Share;

/// The share of a message; [`Share::NONE`] if it is not set.
pub(super) fn fixed(field: &str, percent: Option<&FractionalPercent>) -> Result<Share> {
    let Some(percent) = percent else {
        return Ok(Share::NONE);
    };
    let at = |problem: Problem| problem.within(field);
    let denominator = match enumerated("denominator", percent.denominator).map_err(at)? {
        DenominatorType::Hundred => 100,
        DenominatorType::TenThousand => 10_000,
        DenominatorType::Million => 1_000_000,
    };
    Ok(Share {
        numerator: percent.numerator,
        denominator,
    })
}

/// The default share of a message with a runtime key, because this proxy has no runtime layer.
pub(super) fn runtime(field: &str, percent: Option<&RuntimeFractionalPercent>) -> Result<Share> {
    let value = percent.and_then(|percent| percent.default_value.as_ref());
    fixed(&format!("{field}.default_value"), value)
}
