//! Refuses bounds outside the range of a figure, because the result of such a check does not depend on the run.

use super::resolver::{Resolver, Typed};
use crate::check::{Expression, Op, Relation, Temporal};
use crate::value::{Ratio, Unit};

impl Resolver<'_> {
    /// Refuses a comparison of a figure with a constant if the figure's range alone decides the result.
    pub(super) fn range(
        &mut self,
        left: &Typed,
        relation: Relation,
        right: &Typed,
        temporal: Temporal,
    ) {
        let (figure, bound, relation) = match (&left.expression, &right.expression) {
            (Expression::Metric(_), Expression::Constant(bound)) => {
                (left, (right, *bound), relation)
            }
            (Expression::Constant(bound), Expression::Metric(_)) => {
                (right, (left, *bound), turned(relation))
            }
            _ => return,
        };
        let (side, bound) = bound;
        // States have no order.
        if figure.unit == Unit::State {
            return;
        }
        let most = (figure.unit == Unit::Share).then_some(Ratio::ONE);
        let is_above = most.is_some_and(|most| bound > most);
        let holds = match relation {
            _ if bound < Ratio::ZERO || is_above => holds(relation, bound),
            Relation::Compare(Op::Less) if bound == Ratio::ZERO => false,
            Relation::Compare(Op::More) if Some(bound) == most => false,
            _ => return,
        };
        let verdict = if holds == (temporal == Temporal::Never) {
            "can never be true"
        } else {
            "is always true"
        };
        let range = match most {
            Some(most) => format!(
                "is between {} and {}",
                figure.unit.format(Ratio::ZERO),
                figure.unit.format(most)
            ),
            None => "is never negative".to_owned(),
        };
        let text = self.text;
        let (from, to) = (left.at.min(right.at), left.end.max(right.end));
        let message = format!("`{}` {verdict}: a {} {range}", &text[from..to], figure.unit);
        self.error(side.at, message);
    }
}

/// Returns true if every value of the range satisfies the relation to a bound outside the range. Otherwise no value
/// does.
fn holds(relation: Relation, bound: Ratio) -> bool {
    match relation {
        Relation::Compare(op) => op.holds(&Ratio::ZERO, &bound),
        Relation::Near(_) => false,
    }
}

/// The relation with its sides exchanged.
fn turned(relation: Relation) -> Relation {
    Relation::Compare(match relation {
        Relation::Compare(Op::Less) => Op::More,
        Relation::Compare(Op::AtMost) => Op::AtLeast,
        Relation::Compare(Op::More) => Op::Less,
        Relation::Compare(Op::AtLeast) => Op::AtMost,
        Relation::Compare(op) => op,
        near @ Relation::Near(_) => return near,
    })
}
