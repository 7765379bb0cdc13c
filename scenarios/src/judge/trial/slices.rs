//! A check over slices: the slices in which it is true, and the start of its recovery.

use super::{Finding, TrialOutcome, TrialState, recovered};
use crate::check::{Check, Op, Relation};
use crate::judge::board::PodBoard;
use crate::judge::instant::compare;
use crate::judge::slots::Slots;
use crate::judge::words::time;
use crate::value::Ratio;

/// A check over the slices of its window.
pub(super) struct Slices<'a> {
    pub(super) state: &'a TrialState,
    pub(super) check: &'a Check,
    pub(super) board: &'a PodBoard,
    pub(super) slots: &'a Slots,
}

impl Slices<'_> {
    /// The comparison in a slice, and its left side.
    fn slice(&self, index: usize) -> Result<(bool, Ratio), String> {
        let left = self.state.eval(&self.state.left, index, self.board)?;
        let right = self.state.eval(&self.state.right, index, self.board)?;
        Ok((compare(self.check.relation, left, right)?, left))
    }

    fn start_ns(&self, index: usize) -> i64 {
        self.slots.bounds(index).from_ns
    }

    fn show(&self, index: usize, value: Ratio) -> String {
        let bounds = self.slots.bounds(index);
        let value = self.check.unit.format(value);
        format!("{}..{}: {value}", time(bounds.from_ns), time(bounds.to_ns))
    }

    fn within(&self, index: usize, reason: &str) -> String {
        format!(
            "{reason} in the slice from {} on",
            time(self.start_ns(index))
        )
    }

    /// Judges `recovers`. Every slice must pass from the last one that starts within the deadline. Earlier slices do
    /// not decide.
    pub(super) fn recover(&self) -> Finding {
        let count = self.slots.count();
        let deadline_ns = self.state.span.to_ns;
        let in_time = (0..count).take_while(|index| self.start_ns(*index) <= deadline_ns);
        let Some(deciding) = in_time.last() else {
            return Err("no slice begins before the deadline".to_owned());
        };
        let (mut since, mut failed) = (count, None);
        for index in (0..count).rev() {
            match self.slice(index) {
                Ok((true, _)) => since = index,
                Ok((false, value)) => {
                    failed = Some((index, value));
                    break;
                }
                Err(reason) if index >= deciding => return Err(self.within(index, &reason)),
                Err(_) => break,
            }
        }
        let holds = since <= deciding;
        Ok(match failed {
            Some((index, value)) if !holds => {
                let words = format!("still false in {}", self.show(index, value));
                TrialOutcome::new(false, words).with(value, self.check.unit)
            }
            _ => recovered(holds, self.start_ns(since)),
        })
    }

    pub(super) fn some(&self) -> Finding {
        let count = self.slots.count();
        let (mut unknown, mut worst) = (None, None);
        for index in 0..count {
            match self.slice(index) {
                Ok((true, value)) => {
                    let words = format!("true in {}", self.show(index, value));
                    return Ok(TrialOutcome::new(true, words).with(value, self.check.unit));
                }
                Ok((false, value)) => worst = Some(self.worse(true, worst, value)),
                Err(reason) => unknown = unknown.or_else(|| Some(self.within(index, &reason))),
            }
        }
        match unknown {
            Some(reason) => Err(reason),
            None => {
                let seen = TrialOutcome::new(false, format!("false in all {count} slices"));
                Ok(self.with_worst(seen, worst))
            }
        }
    }

    /// Judges all slices. A slice without a value makes the check undecided.
    pub(super) fn all(&self, wanted: bool) -> Finding {
        let count = self.slots.count();
        let (mut wrong, mut first, mut worst) = (0, None, None);
        for index in 0..count {
            let (holds, value) = self
                .slice(index)
                .map_err(|reason| self.within(index, &reason))?;
            worst = Some(self.worse(!wanted, worst, value));
            if holds != wanted {
                wrong += 1;
                first = first.or(Some((index, value)));
            }
        }
        let seen = match first {
            None => TrialOutcome::new(true, format!("{wanted} in all {count} slices")),
            Some((index, value)) => {
                let first = self.show(index, value);
                let words = format!("{} in {wrong} of {count} slices, first in {first}", !wanted);
                TrialOutcome::new(false, words)
            }
        };
        Ok(self.with_worst(seen, worst))
    }

    /// Returns the worse of two left sides: the one that makes the comparison more true (`towards`) or more false.
    fn worse(&self, towards: bool, worst: Option<Ratio>, value: Ratio) -> Ratio {
        let Some(worst) = worst else { return value };
        let upwards = match self.check.relation {
            Relation::Compare(Op::More | Op::AtLeast) => towards,
            Relation::Compare(Op::Less | Op::AtMost) => !towards,
            // Without a direction the first slice represents all.
            _ => return worst,
        };
        if upwards {
            worst.max(value)
        } else {
            worst.min(value)
        }
    }

    fn with_worst(&self, seen: TrialOutcome, worst: Option<Ratio>) -> TrialOutcome {
        match worst {
            Some(worst) => seen.with(worst, self.check.unit),
            None => seen,
        }
    }
}
