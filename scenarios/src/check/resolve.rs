//! Units, subjects and windows of a check: from what is written to what can be judged.

mod condition;
mod joins;
mod subject;
mod window;

use std::time::Duration;

use shakedown_config::{Place as FilePlace, suggest};

use super::figures::{self, Named};
use super::names::Names;
use super::syntax::{
    self, Expr, ExprKind, Problem, WindowKind, Written, WrittenMetric, WrittenRelation,
    WrittenWindow,
};
use super::{
    Arithmetic, Check, Expression, Figure, Gauge, Metric, Op, Relation, Seeds, Temporal, Window,
};
use crate::value::{FAILED, Quantity, Ratio, Unit, is_breakers, state, states};

/// Slices of one check, at most: each keeps its own figures.
const SLICES_MAX: i64 = 20_000;

/// Reads a check and resolves it.
///
/// # Errors
/// All that is wrong with it; nothing when all of that has been told elsewhere.
pub(crate) fn check(
    name: Option<&str>,
    text: &str,
    place: &FilePlace,
    names: &Names,
) -> Result<Check, Vec<Problem>> {
    let written = syntax::parse(text).map_err(|problem| vec![problem])?;
    let mut resolver = Resolver {
        text,
        names,
        problems: Vec::new(),
        silent: false,
    };
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

struct Resolver<'a> {
    text: &'a str,
    names: &'a Names,
    problems: Vec<Problem>,
    /// Something is wrong that the file's other errors explain.
    silent: bool,
}

/// An expression, its unit, and where it is written.
struct Typed {
    expression: Expression,
    unit: Unit,
    at: usize,
    end: usize,
}

impl Resolver<'_> {
    fn check(&mut self, written: &Written) -> Option<Check> {
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
            self.say(
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

    /// How states are compared: what is rolled back has failed, too.
    fn states(
        &mut self,
        relation: WrittenRelation,
        left: &Typed,
        right: &Typed,
    ) -> Option<Relation> {
        if let (Some(one), Some(other)) = (of_breaker(left), of_breaker(right))
            && one != other
        {
            let message = format!(
                "`{}` and `{}` are not of one kind: a `breaker` is `closed` or `open`, a `canary` goes through Flagger's phases",
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
            _ => return self.refuse(left.at, "states are compared by `==` or `!=`"),
        };
        Some(Relation::Compare(op))
    }

    /// Temporal word, `per`, `within` and kind of value must fit each other.
    fn temporal(&mut self, written: &Written) {
        let within = written.window.as_ref().filter(|window| {
            matches!(
                window.kind,
                WindowKind::Within(_) | WindowKind::WithinOf(..) | WindowKind::WithinAfter(..)
            )
        });
        let word = written.temporal.map(|(temporal, _)| temporal);
        if let (Some((Temporal::Recovers, at)), None) = (written.temporal, within) {
            self.say(at, "`recovers` needs a deadline: `within 30s after ITEM`");
        }
        let temporal = word.is_some() || within.is_some();
        let (mut instants, mut windows) = (Vec::new(), Vec::new());
        for side in [&written.left, &written.right] {
            sort(side, &mut instants, &mut windows);
        }
        if let (Some(gauge), Some(window)) = (instants.first(), windows.first()) {
            let mut message = format!(
                "`{}` is a value at an instant, `{}` one over a window: ",
                self.slice(gauge),
                self.slice(window)
            );
            message.push_str(&if is_state(gauge) {
                "they cannot be compared".to_owned()
            } else {
                format!("reduce the first (`{}`)", self.reduced(gauge))
            });
            self.say(gauge.at, message);
            return;
        }
        match instants.first() {
            Some(gauge) => self.of_instants(gauge, temporal, written),
            None => self.of_windows(windows.first().copied(), within, written),
        }
    }

    /// Values at an instant need a temporal word, and no slices.
    fn of_instants(&mut self, gauge: &Expr, temporal: bool, written: &Written) {
        if !temporal {
            let gauge_text = self.slice(gauge);
            let mut message = format!(
                "`{gauge_text}` is a value at an instant: say `always`, `never`, `eventually`"
            );
            message.push_str(&if is_state(gauge) {
                " or `within`".to_owned()
            } else {
                format!(", `within`, or `{}`", self.reduced(gauge))
            });
            self.say(gauge.at, message);
        } else if let Some((_, at)) = written.per {
            let message = format!(
                "`{}` is a value at an instant and takes no `per`",
                self.slice(gauge)
            );
            self.say(at, message);
        }
    }

    /// Values over windows need slices with a temporal word, and none without.
    fn of_windows(
        &mut self,
        first: Option<&Expr>,
        within: Option<&WrittenWindow>,
        written: &Written,
    ) {
        let temporal = written.temporal.is_some() || within.is_some();
        match (temporal, written.per) {
            (true, None) => {
                let (at, word) = match (written.temporal, within) {
                    (Some((temporal, at)), _) => (at, temporal_word(temporal)),
                    (None, Some(within)) => (within.at, "within"),
                    (None, None) => return,
                };
                let of = first.map_or_else(|| self.text, |w| self.slice(w));
                let message = format!(
                    "`{of}` is computed over a window: `{word}` needs slices of it, such as `per 5s`"
                );
                self.say(at, message);
            }
            (false, Some((_, at))) => {
                self.say(at, "`per` cuts a window into slices for `always`, `never`, `eventually` or `recovers`");
            }
            (true, Some((0, at))) => self.say(at, "a slice is longer than `0s`"),
            (true, Some((nanos, at))) => {
                if self.names.duration_ns / i64::try_from(nanos).unwrap_or(i64::MAX) > SLICES_MAX {
                    self.say(
                        at,
                        format!("a check has at most {SLICES_MAX} slices: choose a longer `per`"),
                    );
                }
            }
            (false, None) => {}
        }
    }

    fn seeds(&mut self, written: &Written) {
        if let (Some((Seeds::Over, at)), Some(_)) = (written.seeds, written.temporal) {
            self.say(
                at,
                "`over seeds` takes the mean of a value over a window, without a temporal word; \
                 `in >= 99% of seeds` judges any check",
            );
        }
    }

    fn expression(&mut self, expr: &Expr) -> Option<Typed> {
        let (at, end) = (expr.at, expr.end);
        match &expr.kind {
            ExprKind::Quantity(quantity) => Some(Typed {
                expression: Expression::Constant(quantity.value),
                unit: quantity.unit,
                at,
                end,
            }),
            ExprKind::State(word) => Some(Typed {
                expression: Expression::Constant(self.state(at, word)?),
                unit: Unit::State,
                at,
                end,
            }),
            ExprKind::Metric(metric) => {
                let figure = self.figure(expr, metric);
                let subject = self.subject(expr, metric, figure);
                let window = match &metric.window {
                    Some(window) => Some(self.window(window)?),
                    None => None,
                };
                let (figure, (subject, conditions)) = (figure?, subject?);
                let text = self.slice(expr).to_owned();
                let metric = Metric {
                    figure,
                    subject,
                    conditions,
                    window,
                    text,
                };
                Some(Typed {
                    expression: Expression::Metric(Box::new(metric)),
                    unit: figure.unit(),
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
                let expression = match (&left.expression, &right.expression) {
                    (Expression::Constant(a), Expression::Constant(b)) => {
                        let Some(value) = compute(*arithmetic, *a, *b) else {
                            self.say(
                                at,
                                "this cannot be computed: a division by zero, or out of range",
                            );
                            return None;
                        };
                        Expression::Constant(value)
                    }
                    _ => Expression::Binary(
                        *arithmetic,
                        Box::new(left.expression),
                        Box::new(right.expression),
                    ),
                };
                Some(Typed {
                    expression,
                    unit,
                    at,
                    end,
                })
            }
        }
    }

    fn state(&mut self, at: usize, word: &str) -> Option<Ratio> {
        if let Some(number) = state(word) {
            return Some(number);
        }
        let near = suggest::hint(word, states());
        let message = match self.names.party(word) {
            Some(_) => {
                format!("`{word}` is no value: say which figure of it, such as `p99({word})`")
            }
            None if near.starts_with("did you mean") => format!("no state `{word}`: {near}"),
            None => format!(
                "`{word}` is no value: expected a metric, such as `p99(users)`, or a value with its unit"
            ),
        };
        self.refuse(at, message)
    }

    fn figure(&mut self, expr: &Expr, metric: &WrittenMetric) -> Option<Figure> {
        match figures::named(metric.measure.as_deref(), &metric.name) {
            Ok(Named::Figure(figure)) => Some(figure),
            // `temporal` says what is wrong with a bare gauge, and this that it would not have helped.
            Ok(Named::LaterGauge(name) | Named::Later(name)) => {
                self.say(expr.at, format!("not supported yet: `{name}`"));
                None
            }
            Err(message) => {
                self.say(expr.at, message);
                None
            }
        }
    }

    /// The unit of an operation's result.
    fn combine(&mut self, arithmetic: Arithmetic, left: &Typed, right: &Typed) -> Option<Unit> {
        use Unit::{Count, Duration, Rate, Share};
        if [left.unit, right.unit].contains(&Unit::State) {
            return self.refuse(left.at, "states are compared, not counted with");
        }
        match arithmetic {
            Arithmetic::Add | Arithmetic::Subtract => self.agree(left, right),
            Arithmetic::Multiply => match (left.unit, right.unit) {
                (Count | Share, unit) => Some(unit),
                (unit, Count | Share) => Some(unit),
                (Rate, Duration) | (Duration, Rate) => Some(Count),
                (a, b) => self.refuse(
                    left.at,
                    format!("a {a} times a {b} is nothing that can be compared"),
                ),
            },
            Arithmetic::Divide => match (left.unit, right.unit) {
                (a, b) if a == b => Some(Count),
                (unit, Count | Share) => Some(unit),
                (Count, Duration) => Some(Rate),
                (a, b) => self.refuse(
                    left.at,
                    format!("a {a} over a {b} is nothing that can be compared"),
                ),
            },
        }
    }

    /// The unit of both, where it is the same.
    fn agree(&mut self, left: &Typed, right: &Typed) -> Option<Unit> {
        if left.unit == right.unit {
            return Some(left.unit);
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

    fn refuse<T>(&mut self, at: usize, message: impl Into<String>) -> Option<T> {
        self.say(at, message);
        None
    }

    fn say(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn slice(&self, expr: &Expr) -> &str {
        &self.text[expr.at..expr.end]
    }

    /// `ejected(payment)` as `ejected.max(payment)`.
    fn reduced(&self, expr: &Expr) -> String {
        self.slice(expr).replacen('(', ".max(", 1)
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

/// `left arithmetic right`; `None` where it has no value.
pub(crate) fn compute(arithmetic: Arithmetic, left: Ratio, right: Ratio) -> Option<Ratio> {
    match arithmetic {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
    }
}

/// A duration as a number of seconds, in which rates count: on its own it is one of nanoseconds.
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

/// Whether a state is one of a breaker (else of a canary), where that can be told.
fn of_breaker(side: &Typed) -> Option<bool> {
    match &side.expression {
        Expression::Constant(number) => Some(is_breakers(*number)),
        Expression::Metric(metric) => {
            Some(matches!(metric.figure, Figure::Gauge(Gauge::Breaker, _)))
        }
        Expression::Binary(..) => None,
    }
}

/// How a bare number would be written as another unit, in backquotes.
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

fn temporal_word(temporal: Temporal) -> &'static str {
    match temporal {
        Temporal::Once => "once",
        Temporal::Always => "always",
        Temporal::Never => "never",
        Temporal::Eventually => "eventually",
        Temporal::Recovers => "recovers",
    }
}

/// Whether a metric goes through states.
fn is_state(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Metric(metric) if ["canary", "breaker"].contains(&metric.name.as_str()))
}

/// Whether a gauge without reduction occurs.
fn gauges(expr: &Expr) -> bool {
    let (mut instants, mut windows) = (Vec::new(), Vec::new());
    sort(expr, &mut instants, &mut windows);
    !instants.is_empty()
}

/// Sorts an expression's metrics into values at an instant and values over a window.
fn sort<'e>(expr: &'e Expr, instants: &mut Vec<&'e Expr>, windows: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::Metric(metric) => match figures::named(metric.measure.as_deref(), &metric.name) {
            Ok(Named::Figure(figure)) if figure.is_instant() => instants.push(expr),
            Ok(Named::LaterGauge(_)) => instants.push(expr),
            _ => windows.push(expr),
        },
        ExprKind::Binary(_, left, right) => {
            sort(left, instants, windows);
            sort(right, instants, windows);
        }
        ExprKind::Quantity(_) | ExprKind::State(_) => {}
    }
}
