//! Temporal words over values at instants: records when a comparison was true, as values change.

use crate::check::{Op, Relation};
use crate::value::Ratio;

/// The observed course of a comparison over time.
#[derive(Clone, Debug)]
pub(super) struct Instants {
    from_ns: i64,
    to_ns: i64,
    since_ns: i64,
    pub(super) first_true: Option<(i64, Ratio)>,
    pub(super) first_false: Option<(i64, Ratio)>,
    /// The end of the last period in which the comparison was false, and the left side in that period.
    pub(super) last_false: Option<(i64, Ratio)>,
    pub(super) undefined: bool,
}

impl Instants {
    /// Observes the time from `from_ns` up to `to_ns`.
    pub(super) fn new(from_ns: i64, to_ns: i64) -> Instants {
        Instants {
            from_ns,
            to_ns,
            since_ns: i64::MIN,
            first_true: None,
            first_false: None,
            last_false: None,
            undefined: false,
        }
    }

    /// Records the left side and the truth of the comparison since the last call, up to `until_ns`.
    pub(super) fn observe(&mut self, until_ns: i64, seen: Option<(Ratio, bool)>) {
        let (from, to) = (self.since_ns.max(self.from_ns), until_ns.min(self.to_ns));
        self.since_ns = until_ns;
        // If several events change a value at one instant, only the last value counts.
        if from >= to {
            return;
        }
        match seen {
            None => self.undefined = true,
            Some((value, true)) => {
                self.first_true.get_or_insert((from, value));
            }
            Some((value, false)) => {
                self.first_false.get_or_insert((from, value));
                self.last_false = Some((to, value));
            }
        }
    }

    /// Returns true if time has passed since the last observation.
    pub(super) fn is_stale(&self, now_ns: i64) -> bool {
        self.since_ns < now_ns
    }

    pub(super) fn begin_ns(&self) -> i64 {
        self.from_ns
    }

    pub(super) fn end_ns(&self) -> i64 {
        self.to_ns
    }
}

/// Evaluates a comparison.
///
/// # Errors
/// The reason why the comparison cannot be decided.
pub(super) fn compare(relation: Relation, left: Ratio, right: Ratio) -> Result<bool, String> {
    match relation {
        Relation::Compare(op) => Ok(op.holds(&left, &right)),
        Relation::Near(share) => {
            if right == Ratio::ZERO {
                return Err("the right side is 0, so the relative distance is undefined".to_owned());
            }
            let out_of_range = || "out of range".to_owned();
            let distance = left.checked_sub(right).ok_or_else(out_of_range)?.abs();
            let allowed = right
                .abs()
                .checked_mul(share.ratio())
                .ok_or_else(out_of_range)?;
            Ok(Op::AtMost.holds(&distance, &allowed))
        }
    }
}
