//! The outcome of one run for the checks over seeds.

use crate::value::Ratio;

/// The outcome of a check over seeds under one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedSample {
    /// Index into [`ResolvedScenario::checks`](crate::scenario::ResolvedScenario::checks).
    pub check: usize,
    /// The left and right side in the unit's base; `None` if a side has no value.
    pub sides: Option<(Ratio, Ratio)>,
    /// True if the comparison is true under this seed; `None` if it could not be judged.
    pub holds: Option<bool>,
    /// The reason why it could not be judged; empty if it was.
    pub reason: String,
}
