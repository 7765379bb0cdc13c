//! The source locations of a scenario that draw random values.

use crate::value::Distribution;

/// Index into [`ResolvedScenario::draw_paths`](super::ResolvedScenario::draw_paths). Each source location that draws has its own
/// random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrawId(pub u32);

/// A distribution and the source location that draws from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    pub from: Distribution,
    pub draw_id: DrawId,
}
