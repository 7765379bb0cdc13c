//! `FractionalPercent` and its runtime variant, as a [`RequestShare`].

use super::problem::{FieldProblem, Result, enumerated};
use crate::proto::core::RuntimeFractionalPercent;
use crate::proto::fractional::FractionalPercent;
use crate::proto::fractional::fractional_percent::DenominatorType;
use crate::table::RequestShare;

/// The share of a message; [`RequestShare::NONE`] if it is not set.
pub(super) fn fixed(field: &str, percent: Option<&FractionalPercent>) -> Result<RequestShare> {
    let Some(percent) = percent else {
        return Ok(RequestShare::NONE);
    };
    let at = |problem: FieldProblem| problem.within(field);
    let denominator = match enumerated("denominator", percent.denominator).map_err(at)? {
        DenominatorType::Hundred => 100,
        DenominatorType::TenThousand => 10_000,
        DenominatorType::Million => 1_000_000,
    };
    Ok(RequestShare {
        numerator: percent.numerator,
        denominator,
    })
}

/// The default share of a message with a runtime key, because this proxy has no runtime layer.
pub(super) fn runtime(
    field: &str,
    percent: Option<&RuntimeFractionalPercent>,
) -> Result<RequestShare> {
    let value = percent.and_then(|percent| percent.default_value.as_ref());
    fixed(&format!("{field}.default_value"), value)
}
