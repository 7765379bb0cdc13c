//! Unit rules: combinations of units that are allowed, and the units of the results.

use super::resolver::{Resolver, Typed};
use crate::check::syntax::WrittenRelation;
use crate::check::{Arithmetic, Expression, Figure, Gauge, Op, Relation};
use crate::value::{FAILED, Quantity, Ratio, Unit, is_breakers};

impl Resolver<'_> {
    /// The unit of the result of an operation.
    pub(super) fn combine(
        &mut self,
        arithmetic: Arithmetic,
        left: &Typed,
        right: &Typed,
    ) -> Option<Unit> {
        use Unit::{Count, Duration, Rate, Share};
        if [left.unit, right.unit].contains(&Unit::State) {
            return self.refuse(
                left.at,
                "states can be compared, but not used in arithmetic",
            );
        }
        match arithmetic {
            Arithmetic::Add | Arithmetic::Subtract => self.agree(left, right),
            Arithmetic::Multiply => match (left.unit, right.unit) {
                (Count | Share, unit) => Some(unit),
                (unit, Count | Share) => Some(unit),
                (Rate, Duration) | (Duration, Rate) => Some(Count),
                (a, b) => self.refuse(left.at, format!("a {a} times a {b} cannot be compared")),
            },
            Arithmetic::Divide => match (left.unit, right.unit) {
                (a, b) if a == b => Some(Count),
                (unit, Count | Share) => Some(unit),
                (Count, Duration) => Some(Rate),
                (a, b) => self.refuse(left.at, format!("a {a} over a {b} cannot be compared")),
            },
        }
    }

    /// The common unit of both sides. Reports an error if the units differ.
    pub(super) fn agree(&mut self, left: &Typed, right: &Typed) -> Option<Unit> {
        if left.unit == right.unit {
            return Some(left.unit);
        }
        let is_share = |side: &Typed| side.unit == Unit::Share;
        if (left.is_ratio && is_share(right)) || (is_share(left) && right.is_ratio) {
            return Some(Unit::Share);
        }
        let (known, bare) = match (&left.expression, &right.expression) {
            (_, Expression::Constant(_)) => (left, right),
            (Expression::Constant(_), _) => (right, left),
            _ => {
                let message = format!(
                    "`{}` is a {}, `{}` a {}: they cannot be compared",
                    &self.text[left.at..left.end],
                    left.unit,
                    &self.text[right.at..right.end],
                    right.unit
                );
                return self.refuse(right.at, message);
            }
        };
        let number = &self.text[bare.at..bare.end];
        let advice = match (known.unit, bare.unit) {
            (Unit::State, _) if of_breaker(known) == Some(true) => "`closed` or `open`".to_owned(),
            (unit, Unit::Count) => with_unit(number, unit),
            (Unit::Count, _) => "a count, a bare number".to_owned(),
            (unit, _) => format!("a {unit}"),
        };
        let known_text = &self.text[known.at..known.end];
        let message = format!(
            "`{known_text}` is a {}, `{number}` a {}: write {advice}",
            known.unit, bare.unit
        );
        self.refuse(bare.at, message)
    }

    /// Resolves a comparison of states. `failed` also matches a rolled-back canary, because that canary has failed,
    /// too.
    pub(super) fn states(
        &mut self,
        relation: WrittenRelation,
        left: &Typed,
        right: &Typed,
    ) -> Option<Relation> {
        if let (Some(one), Some(other)) = (of_breaker(left), of_breaker(right))
            && one != other
        {
            let message = format!(
                "`{}` and `{}` have different states: a `breaker` is `closed` or `open`, a `canary` is in one of Flagger's phases",
                &self.text[left.at..left.end],
                &self.text[right.at..right.end]
            );
            return self.refuse(right.at, message);
        }
        let failed = |side: &Typed| side.expression == Expression::Constant(FAILED);
        let op = match relation {
            WrittenRelation::Compare(Op::Equal) if failed(right) => Op::AtLeast,
            WrittenRelation::Compare(Op::Differs) if failed(right) => Op::Less,
            WrittenRelation::Compare(Op::Equal) if failed(left) => Op::AtMost,
            WrittenRelation::Compare(Op::Differs) if failed(left) => Op::More,
            WrittenRelation::Compare(op @ (Op::Equal | Op::Differs)) => op,
            _ => return self.refuse(left.at, "states can only be compared by `==` or `!=`"),
        };
        Some(Relation::Compare(op))
    }
}

/// Returns true if the result is a quotient of two values of one unit, or a sum or multiple of such quotients.
pub(super) fn is_ratio(arithmetic: Arithmetic, left: &Typed, right: &Typed) -> bool {
    let count = Unit::Count;
    match arithmetic {
        Arithmetic::Divide => left.unit == right.unit || (left.is_ratio && right.unit == count),
        Arithmetic::Multiply => {
            let part = |one: &Typed, other: &Typed| one.is_ratio && other.unit == count;
            part(left, right) || part(right, left)
        }
        Arithmetic::Add | Arithmetic::Subtract => left.is_ratio && right.is_ratio,
    }
}

/// Returns true for states of a breaker, false for those of a canary and `None` if unknown.
fn of_breaker(side: &Typed) -> Option<bool> {
    match &side.expression {
        Expression::Constant(number) => Some(is_breakers(*number)),
        Expression::Metric(metric) => {
            Some(matches!(metric.figure, Figure::Gauge(Gauge::Breaker, _)))
        }
        Expression::Binary(..) => None,
    }
}

/// Formats a bare number as a quantity of another unit, in backquotes.
fn with_unit(number: &str, unit: Unit) -> String {
    match unit {
        Unit::Duration => format!("`{number}ms`"),
        Unit::Rate => format!("`{number}/s`"),
        Unit::Size => format!("`{number}B`"),
        Unit::Share => {
            let share = Quantity::parse(number)
                .ok()
                .filter(|q| q.unit == Unit::Count && q.value <= Ratio::ONE);
            match share {
                Some(quantity) => format!("`{}`", Unit::Share.format(quantity.value)),
                None => format!("`{number}%`"),
            }
        }
        Unit::State => "one of its states, such as `promoted`".to_owned(),
        Unit::Count => format!("a {unit}"),
    }
}
