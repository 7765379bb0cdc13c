//! A recursive descent parser of the grammar, with a function for each rule.

mod condition;
mod window;

use super::cursor::{Cursor, SyntaxError};
use super::{Expr, ExprKind, WrittenCheck, WrittenMetric, WrittenParticipant, WrittenRelation};
use crate::check::{Arithmetic, Op, Seeds, Temporal};
use crate::value::Share;

/// The maximum nesting depth of parentheses.
const DEPTH_MAX: u32 = 32;

/// Parses a check.
///
/// # Errors
/// The first syntax error.
pub(crate) fn parse(text: &str) -> Result<WrittenCheck, SyntaxError> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        depth: 0,
    };
    parser.check()
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    depth: u32,
}

impl Parser<'_> {
    fn check(&mut self) -> Result<WrittenCheck, SyntaxError> {
        let temporal = self.temporal();
        let left = self.sum()?;
        let relation_at = self.cursor.next_at();
        let (relation, right) = if self.cursor.symbol("~=") {
            let right = self.sum()?;
            if !self.cursor.keyword("within") {
                return Err(self
                    .cursor
                    .unexpected("`within` and a share (`~= 5ms within 1%`)"));
            }
            (WrittenRelation::Near(self.cursor.share()?), right)
        } else {
            let Some(op) = self.op() else {
                self.cursor.go(relation_at);
                return Err(self
                    .cursor
                    .unexpected("a comparison (`<`, `<=`, `>`, `>=`, `==`, `!=`, `~=`)"));
            };
            (WrittenRelation::Compare(op), self.sum()?)
        };
        let mut written = WrittenCheck {
            temporal,
            left,
            relation,
            right,
            per: None,
            window: None,
            seeds: None,
        };
        self.tail(&mut written)?;
        Ok(written)
    }

    /// Parses `per`, window and seeds, in any order, each at most once.
    fn tail(&mut self, written: &mut WrittenCheck) -> Result<(), SyntaxError> {
        while !self.cursor.is_done() {
            let at = self.cursor.next_at();
            let twice =
                |what: &str| SyntaxError::new(at, format!("a check can have only one {what}"));
            if self.cursor.keyword("per") {
                if written.per.is_some() {
                    return Err(twice("`per`"));
                }
                written.per = Some((self.cursor.duration()?, at));
            } else if let Some(seeds) = self.seeds()? {
                if written.seeds.is_some() {
                    return Err(twice("rule over seeds"));
                }
                written.seeds = Some((seeds, at));
            } else if let Some(window) = self.window()? {
                if written.window.is_some() {
                    return Err(twice("window at its end"));
                }
                written.window = Some(window);
            } else {
                return Err(self.cursor.unexpected(
                    "`per`, a window (`during`, `after`, `before`, `within`), `over seeds`, or the end of the check",
                ));
            }
        }
        Ok(())
    }

    fn temporal(&mut self) -> Option<(Temporal, usize)> {
        let at = self.cursor.next_at();
        let temporal = match self.cursor.peek_word()? {
            "always" => Temporal::Always,
            "never" => Temporal::Never,
            "eventually" => Temporal::Eventually,
            "recovers" => Temporal::Recovers,
            _ => return None,
        };
        self.cursor.word();
        Some((temporal, at))
    }

    fn op(&mut self) -> Option<Op> {
        const OPS: [(&str, Op); 6] = [
            ("<=", Op::AtMost),
            (">=", Op::AtLeast),
            ("==", Op::Equal),
            ("!=", Op::Differs),
            ("<", Op::Less),
            (">", Op::More),
        ];
        OPS.into_iter()
            .find(|(symbol, _)| self.cursor.symbol(symbol))
            .map(|(_, op)| op)
    }

    fn sum(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.product()?;
        loop {
            let at = self.cursor.next_at();
            let spaced = self.cursor.is_after_blank();
            let arithmetic = if self.cursor.symbol("+") {
                Arithmetic::Add
            } else if self.cursor.symbol("-") {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            if !spaced || !self.cursor.rest().starts_with(char::is_whitespace) {
                return Err(SyntaxError::new(
                    at,
                    "`+` and `-` need a space on both sides, because names may contain `-`",
                ));
            }
            left = binary(arithmetic, left, self.product()?);
        }
    }

    fn product(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.atom()?;
        loop {
            let arithmetic = if self.cursor.symbol("*") {
                Arithmetic::Multiply
            } else if self.cursor.symbol("/") {
                Arithmetic::Divide
            } else {
                return Ok(left);
            };
            left = binary(arithmetic, left, self.atom()?);
        }
    }

    fn atom(&mut self) -> Result<Expr, SyntaxError> {
        let at = self.cursor.next_at();
        if self.cursor.at_number() {
            let quantity = self.cursor.quantity()?;
            return Ok(Expr {
                at,
                end: self.cursor.at(),
                kind: ExprKind::Quantity(quantity),
            });
        }
        if self.cursor.symbol("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(SyntaxError::new(
                    at,
                    "parentheses may be nested at most 32 levels deep",
                ));
            }
            let inner = self.sum()?;
            self.cursor.expect(")")?;
            self.depth -= 1;
            return Ok(Expr {
                at,
                end: self.cursor.at(),
                kind: inner.kind,
            });
        }
        let wanted = "a metric, such as `p99(users)`, or a value with its unit";
        let first = self.cursor.name(wanted)?.to_owned();
        let (measure, name) = self.dotted(first)?;
        if measure.is_none() && !self.cursor.rest().starts_with('(') {
            return Ok(Expr {
                at,
                end: self.cursor.at(),
                kind: ExprKind::State(name),
            });
        }
        self.cursor.expect("(")?;
        let metric = self.metric(measure, name)?;
        Ok(Expr {
            at,
            end: self.cursor.at(),
            kind: ExprKind::Metric(Box::new(metric)),
        })
    }

    /// Parses `name`, `measure.name`, and percentiles with decimals (`p99.9`).
    fn dotted(&mut self, first: String) -> Result<(Option<String>, String), SyntaxError> {
        let first = self.decimals(first);
        if !self.cursor.rest().starts_with('.') {
            return Ok((None, first));
        }
        self.cursor.expect(".")?;
        let name = self
            .cursor
            .name("a statistic, such as `mean` or `p99`")?
            .to_owned();
        Ok((Some(first), self.decimals(name)))
    }

    /// Appends the decimals of a percentile's name.
    fn decimals(&mut self, mut name: String) -> String {
        let is_percentile = name
            .strip_prefix('p')
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let mut rest = self.cursor.rest().bytes();
        if is_percentile
            && rest.next() == Some(b'.')
            && rest.next().is_some_and(|b| b.is_ascii_digit())
        {
            self.cursor.go(self.cursor.at() + 1);
            name.push('.');
            name.push_str(self.cursor.digits());
        }
        name
    }

    /// Parses a metric after its opening parenthesis, including the closing one.
    fn metric(
        &mut self,
        measure: Option<String>,
        name: String,
    ) -> Result<WrittenMetric, SyntaxError> {
        let first = self.participant()?;
        let second = if self.cursor.symbol("->") {
            Some(self.participant()?)
        } else {
            None
        };
        let mut conditions = Vec::new();
        if self.cursor.keyword("where") {
            conditions.push(self.condition()?);
            while self.cursor.keyword("and") {
                conditions.push(self.condition()?);
            }
        }
        let window = self.window()?;
        if !self.cursor.symbol(")") {
            return Err(self.cursor.unexpected(if conditions.is_empty() {
                "`)`, `->`, `where` or a window (`during`, `after`, `before`, `within`)"
            } else {
                "`)`, `and` or a window (`during`, `after`, `before`, `within`)"
            }));
        }
        Ok(WrittenMetric {
            measure,
            name,
            first,
            second,
            conditions,
            window,
        })
    }

    fn participant(&mut self) -> Result<WrittenParticipant, SyntaxError> {
        let at = self.cursor.next_at();
        let mut participant = WrittenParticipant {
            at,
            name: None,
            entry: None,
            version: None,
            replica: None,
            endpoint: None,
            zone: None,
        };
        if !self.cursor.symbol("*") {
            participant.name = Some(self.cursor.name("a load, a service, or `*`")?.to_owned());
            if self.cursor.rest().starts_with('.') {
                self.cursor.expect(".")?;
                participant.entry =
                    Some(self.cursor.name("an entry of the load's mix")?.to_owned());
            }
            if self.cursor.rest().starts_with('/') {
                self.cursor.expect("/")?;
                let version = self.cursor.run(&['/', ')', '<', '>', '=', '!']);
                if version.is_empty() {
                    return Err(self.cursor.unexpected("a version"));
                }
                participant.version = Some(version.to_owned());
                if self.cursor.rest().starts_with('/') {
                    self.cursor.expect("/")?;
                    let replica = self.cursor.digits();
                    let number = replica
                        .parse()
                        .map_err(|_| self.cursor.unexpected("the number of a replica"))?;
                    participant.replica = Some(number);
                }
            }
        }
        participant.endpoint = self.endpoint();
        let before = self.cursor.at();
        if self.cursor.keyword("in") {
            if self.cursor.keyword("zone") {
                let at = self.cursor.next_at();
                participant.zone = Some((self.cursor.name("a zone")?.to_owned(), at));
            } else {
                self.cursor.go(before);
            }
        }
        Ok(participant)
    }

    /// Parses `METHOD /path`, if it is next.
    fn endpoint(&mut self) -> Option<(String, String)> {
        let before = self.cursor.at();
        let method = self.cursor.word()?;
        self.cursor.skip_blanks();
        if method.bytes().all(|b| b.is_ascii_uppercase()) && self.cursor.rest().starts_with('/') {
            return Some((method.to_owned(), self.cursor.run(&[')']).to_owned()));
        }
        self.cursor.go(before);
        None
    }

    fn seeds(&mut self) -> Result<Option<Seeds>, SyntaxError> {
        if self.cursor.keyword("over") {
            if !self.cursor.keyword("seeds") {
                return Err(self.cursor.unexpected("`seeds`"));
            }
            return Ok(Some(Seeds::Over));
        }
        if !self.cursor.keyword("in") {
            return Ok(None);
        }
        let op = match self.op() {
            Some(op @ (Op::AtLeast | Op::AtMost)) => op,
            _ => return Err(self.cursor.unexpected("`>=` or `<=` and a share of seeds")),
        };
        let at = self.cursor.next_at();
        let share = self.cursor.share()?;
        if share > Share::ALL {
            let message = format!("`{share}` of seeds: expected 0% to 100%");
            return Err(SyntaxError::new(at, message));
        }
        if !self.cursor.keyword("of") || !self.cursor.keyword("seeds") {
            return Err(self.cursor.unexpected("`of seeds`"));
        }
        Ok(Some(Seeds::In { op, share }))
    }
}

fn binary(arithmetic: Arithmetic, left: Expr, right: Expr) -> Expr {
    let (at, end) = (left.at, right.end);
    Expr {
        at,
        end,
        kind: ExprKind::Binary(arithmetic, Box::new(left), Box::new(right)),
    }
}
