//! A check over slices: in how many it holds, and since when.

use super::{Finding, State};
use crate::check::Check;
use crate::judge::board::Board;
use crate::judge::instant::compare;
use crate::judge::slots::Slots;
use crate::judge::words::time;
use crate::value::Ratio;

/// A check over the slices of its window.
pub(super) struct Slices<'a> {
    pub(super) state: &'a State,
    pub(super) check: &'a Check,
    pub(super) board: &'a Board,
    pub(super) slots: &'a Slots,
}

impl Slices<'_> {
    /// Whether the comparison holds in a slice, and its left side.
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

    /// Every slice from the last that may begin the recovery on must hold; earlier ones decide nothing.
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
        Ok((
            holds,
            match failed {
                Some((index, value)) if !holds => {
                    format!("still false in {}", self.show(index, value))
                }
                _ => format!("true from {} on", time(self.start_ns(since))),
            },
        ))
    }

    pub(super) fn some(&self) -> Finding {
        let count = self.slots.count();
        let mut unknown = None;
        for index in 0..count {
            match self.slice(index) {
                Ok((true, value)) => {
                    return Ok((true, format!("true in {}", self.show(index, value))));
                }
                Ok((false, _)) => {}
                Err(reason) => unknown = unknown.or_else(|| Some(self.within(index, &reason))),
            }
        }
        match unknown {
            Some(reason) => Err(reason),
            None => Ok((false, format!("false in all {count} slices"))),
        }
    }

    /// Whether each slice comes to what is wanted; one that has no value keeps all from being judged.
    pub(super) fn all(&self, wanted: bool) -> Finding {
        let count = self.slots.count();
        let (mut wrong, mut first) = (0, None);
        for index in 0..count {
            let (holds, value) = self
                .slice(index)
                .map_err(|reason| self.within(index, &reason))?;
            if holds != wanted {
                wrong += 1;
                first = first.or(Some((index, value)));
            }
        }
        Ok(match first {
            None => (true, format!("{wanted} in all {count} slices")),
            Some((index, value)) => {
                let first = self.show(index, value);
                (
                    false,
                    format!("{} in {wrong} of {count} slices, first in {first}", !wanted),
                )
            }
        })
    }
}
