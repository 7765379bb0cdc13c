//! Resolves the names, units, subjects and windows of a parsed check.

mod condition;
mod joins;
mod range;
mod resolver;
mod subject;
mod temporal;
mod units;
mod window;

use std::time::Duration;

use shakedown_yaml::{Location as FilePlace, suggest};

use super::figures::{self, MetricMeaning};
use super::names::CheckNames;
use super::syntax::{
    self, Expr, ExprKind, SyntaxError, WrittenCheck, WrittenMetric, WrittenRelation, WrittenWindow,
};
use super::{Arithmetic, Check, Expression, Figure, Metric, Relation, Seeds, Temporal, Window};
use crate::value::{Ratio, Unit, state, states};
use resolver::{Resolver, Typed};
use temporal::gauges;

/// Parses and resolves a check.
///
/// # Errors
/// All errors of the check. The list is empty if other errors of the file explain the failure.
pub(crate) fn check(
    name: Option<&str>,
    text: &str,
    place: &FilePlace,
    names: &CheckNames,
) -> Result<Check, Vec<SyntaxError>> {
    let written = syntax::parse(text).map_err(|problem| vec![problem])?;
    let mut resolver = Resolver::new(text, names);
    let typed = resolver.check(&written);
    match typed {
        Some(typed) if resolver.problems.is_empty() && !resolver.silent => Ok(Check {
            name: name.unwrap_or(text).to_owned(),
            named: name.is_some(),
            text: text.to_owned(),
            place: place.clone(),
            ..typed
        }),
        _ => Err(resolver.problems),
    }
}

impl Resolver<'_> {
    fn check(&mut self, written: &WrittenCheck) -> Option<Check> {
        let left = self.expression(&written.left);
        let right = self.expression(&written.right);
        let window = match &written.window {
            Some(window) => self.window(window),
            None => Some(Window::WHOLE),
        };
        self.temporal(written);
        self.seeds(written);
        let (left, right, window) = (left?, right?, window?);
        let unit = self.agree(&left, &right)?;
        if matches!(written.relation, WrittenRelation::Near(_))
            && right.expression == Expression::Constant(Ratio::ZERO)
        {
            self.error(
                right.at,
                "`~=` measures the distance as a share of the right side, which must not be 0",
            );
        }
        let relation = match written.relation {
            _ if unit == Unit::State => self.states(written.relation, &left, &right)?,
            WrittenRelation::Compare(op) => Relation::Compare(op),
            WrittenRelation::Near(share) => Relation::Near(share),
        };
        let temporal = match (written.temporal, &window.within) {
            (Some((temporal, _)), _) => temporal,
            (None, true) => Temporal::Eventually,
            (None, false) => Temporal::Once,
        };
        self.range(&left, relation, &right, temporal);
        Some(Check {
            name: String::new(),
            named: false,
            text: String::new(),
            place: FilePlace::whole(""),
            temporal,
            left: left.expression,
            relation,
            right: right.expression,
            unit,
            instants: gauges(&written.left) || gauges(&written.right),
            per: written.per.map(|(nanos, _)| Duration::from_nanos(nanos)),
            window,
            seeds: written.seeds.map(|(seeds, _)| seeds),
        })
    }

    fn seeds(&mut self, written: &WrittenCheck) {
        if let (Some((Seeds::Over, at)), Some(_)) = (written.seeds, written.temporal) {
            self.error(
                at,
                "`over seeds` averages a value over a window and cannot be combined with a temporal word; \
                 `in >= 99% of seeds` applies to any check",
            );
        }
    }

    fn expression(&mut self, expr: &Expr) -> Option<Typed> {
        let (at, end) = (expr.at, expr.end);
        match &expr.kind {
            ExprKind::Quantity(quantity) => Some(Typed {
                expression: Expression::Constant(quantity.value),
                unit: quantity.unit,
                is_ratio: false,
                at,
                end,
            }),
            ExprKind::State(word) => Some(Typed {
                expression: Expression::Constant(self.state(at, word)?),
                unit: Unit::State,
                is_ratio: false,
                at,
                end,
            }),
            ExprKind::Metric(metric) => {
                let metric = self.metric(expr, metric)?;
                Some(Typed {
                    unit: metric.figure.unit(),
                    expression: Expression::Metric(Box::new(metric)),
                    is_ratio: false,
                    at,
                    end,
                })
            }
            ExprKind::Binary(arithmetic, left, right) => {
                let (left, right) = (self.expression(left), self.expression(right));
                let (mut left, mut right) = (left?, right?);
                let unit = self.combine(*arithmetic, &left, &right)?;
                if [left.unit, right.unit, unit].contains(&Unit::Rate) {
                    (left, right) = (in_seconds(left), in_seconds(right));
                }
                Some(Typed {
                    unit,
                    is_ratio: units::is_ratio(*arithmetic, &left, &right),
                    expression: self.binary(at, *arithmetic, left.expression, right.expression)?,
                    at,
                    end,
                })
            }
        }
    }

    fn metric(&mut self, expr: &Expr, written: &WrittenMetric) -> Option<Metric> {
        let figure = self.figure(expr, written);
        let subject = self.subject(expr, written, figure);
        let window = match &written.window {
            Some(window) => Some(self.window(window)?),
            None => None,
        };
        let (figure, (subject, conditions)) = (figure?, subject?);
        Some(Metric {
            figure,
            subject,
            conditions,
            window,
            text: self.slice(expr).to_owned(),
        })
    }

    /// Combines two sides. Two constants are computed immediately.
    fn binary(
        &mut self,
        at: usize,
        arithmetic: Arithmetic,
        left: Expression,
        right: Expression,
    ) -> Option<Expression> {
        let (Expression::Constant(a), Expression::Constant(b)) = (&left, &right) else {
            return Some(Expression::Binary(
                arithmetic,
                Box::new(left),
                Box::new(right),
            ));
        };
        let value = compute(arithmetic, *a, *b);
        if value.is_none() {
            self.error(
                at,
                "cannot compute this value: division by zero, or out of range",
            );
        }
        value.map(Expression::Constant)
    }

    fn state(&mut self, at: usize, word: &str) -> Option<Ratio> {
        if let Some(number) = state(word) {
            return Some(number);
        }
        let near = suggest::hint(word, states());
        let message = match self.names.find(word) {
            Some(_) => {
                format!("`{word}` is not a value: name a figure of it, such as `p99({word})`")
            }
            None if near.starts_with("did you mean") => format!("no state `{word}`: {near}"),
            None => format!(
                "invalid value `{word}`: expected a metric, such as `p99(users)`, or a value with its unit"
            ),
        };
        self.refuse(at, message)
    }

    fn figure(&mut self, expr: &Expr, metric: &WrittenMetric) -> Option<Figure> {
        match figures::named(metric.measure.as_deref(), &metric.name) {
            Ok(MetricMeaning::Figure(figure)) => Some(figure),
            // `temporal` reports the missing temporal word of a bare gauge. This adds that it is not supported.
            Ok(MetricMeaning::UnsupportedGauge(name) | MetricMeaning::Unsupported(name)) => {
                self.error(expr.at, format!("not supported yet: `{name}`"));
                None
            }
            Err(message) => {
                self.error(expr.at, message);
                None
            }
        }
    }

    fn window(&mut self, window: &WrittenWindow) -> Option<Window> {
        match window::resolve(window, self.names) {
            Ok(window) => Some(window),
            Err(Some(problem)) => {
                self.problems.push(problem);
                None
            }
            Err(None) => {
                self.silent = true;
                None
            }
        }
    }
}

/// Computes `left arithmetic right`. `None` if the result is undefined or does not fit.
pub(crate) fn compute(arithmetic: Arithmetic, left: Ratio, right: Ratio) -> Option<Ratio> {
    match arithmetic {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
    }
}

/// Converts a duration from nanoseconds to seconds, the base of rates.
fn in_seconds(side: Typed) -> Typed {
    const SECOND: Ratio = Ratio::whole(1_000_000_000);
    if side.unit != Unit::Duration {
        return side;
    }
    let seconds = match &side.expression {
        Expression::Constant(nanos) => compute(Arithmetic::Divide, *nanos, SECOND),
        _ => None,
    };
    let expression = match seconds {
        Some(seconds) => Expression::Constant(seconds),
        None => Expression::Binary(
            Arithmetic::Divide,
            Box::new(side.expression),
            Box::new(Expression::Constant(SECOND)),
        ),
    };
    Typed { expression, ..side }
}
