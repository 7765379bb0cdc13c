//! Expressions of a check, with a leaf for each metric.

use shakedown_results::Participants;

use crate::check::{Arithmetic, Expression, Figure, Metric, Subject, resolve};
use crate::judge::board::PodBoard;
use crate::judge::leaf::Leaf;
use crate::judge::slots::Slots;
use crate::judge::span::{self, TimeSpan};
use crate::scenario::{ParticipantRole, ResolvedScenario};
use crate::value::Ratio;

/// An expression whose metrics are indices of leaves.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Constant(Ratio),
    Leaf(usize),
    Binary(Arithmetic, Box<Tree>, Box<Tree>),
}

impl Tree {
    pub(super) fn compute(&self, leaf: &impl Fn(usize) -> Option<Ratio>) -> Option<Ratio> {
        match self {
            Tree::Constant(value) => Some(*value),
            Tree::Leaf(index) => leaf(*index),
            Tree::Binary(arithmetic, left, right) => {
                resolve::compute(*arithmetic, left.compute(leaf)?, right.compute(leaf)?)
            }
        }
    }
}

/// Converts expressions to trees and leaves.
pub(super) struct ExpressionBuilder<'a> {
    pub(super) leaves: &'a mut Vec<Leaf>,
    pub(super) watched: TimeSpan,
    pub(super) per_ns: Option<i64>,
    /// True if the check has no window and no slices.
    pub(super) is_whole: bool,
    pub(super) scenario: &'a ResolvedScenario,
    pub(super) participants: &'a Participants,
    /// The board's state at the beginning of the run.
    pub(super) board: &'a PodBoard,
}

impl ExpressionBuilder<'_> {
    pub(super) fn tree(&mut self, expression: &Expression) -> Result<Tree, String> {
        Ok(match expression {
            Expression::Constant(value) => Tree::Constant(*value),
            Expression::Metric(metric) => {
                let leaf = self.leaf(metric)?;
                self.leaves.push(leaf);
                Tree::Leaf(self.leaves.len() - 1)
            }
            Expression::Binary(arithmetic, left, right) => Tree::Binary(
                *arithmetic,
                Box::new(self.tree(left)?),
                Box::new(self.tree(right)?),
            ),
        })
    }

    fn leaf(&self, metric: &Metric) -> Result<Leaf, String> {
        let kind = Leaf::kind(metric);
        let duration_ns = self.participants.duration_ns;
        let leaf = match &metric.window {
            Some(window) => {
                let span = span::resolve(window, self.participants)?;
                Leaf::new(metric, Slots::new(span, None, duration_ns, kind), true)
            }
            None => Leaf::new(
                metric,
                Slots::new(self.watched(metric), self.per_ns, duration_ns, kind),
                false,
            ),
        };
        let leaf = leaf.begin(self.board);
        let from_load = matches!(&metric.subject, Subject::Edge { from, .. }
            if from.participant.is_some_and(|id| matches!(self.scenario.role(id), ParticipantRole::Load(_))));
        Ok(if from_load {
            leaf.descends_from_load()
        } else {
            leaf
        })
    }

    /// The default window of a metric. `hits` of a chaos item include the warm-up.
    fn watched(&self, metric: &Metric) -> TimeSpan {
        match metric.figure {
            Figure::Hits if self.is_whole => TimeSpan {
                from_ns: 0,
                ..self.watched
            },
            _ => self.watched,
        }
    }
}
