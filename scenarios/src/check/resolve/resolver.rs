//! The state of resolving a check, and its errors.

use crate::check::Expression;
use crate::check::names::CheckNames;
use crate::check::syntax::{Expr, SyntaxError};
use crate::value::Unit;

/// The state of resolving one check: its text, the names that it may use, and the errors found so far.
pub(super) struct Resolver<'a> {
    pub(super) text: &'a str,
    pub(super) names: &'a CheckNames,
    pub(super) problems: Vec<SyntaxError>,
    /// True if resolving failed for a reason that other errors of the file explain.
    pub(super) silent: bool,
}

/// An expression with its unit and its range in the text.
pub(super) struct Typed {
    pub(super) expression: Expression,
    pub(super) unit: Unit,
    /// True for a quotient of two values of one unit, which may be compared with a share.
    pub(super) is_ratio: bool,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(text: &'a str, names: &'a CheckNames) -> Resolver<'a> {
        Resolver {
            text,
            names,
            problems: Vec::new(),
            silent: false,
        }
    }

    pub(super) fn refuse<T>(&mut self, at: usize, message: impl Into<String>) -> Option<T> {
        self.error(at, message);
        None
    }

    pub(super) fn error(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push(SyntaxError::new(at, message));
    }

    pub(super) fn slice(&self, expr: &Expr) -> &str {
        &self.text[expr.at..expr.end]
    }
}
