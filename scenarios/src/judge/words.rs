//! The wording of a check's expected and measured values.

use shakedown_results::{Measured, MeasuredUnit, Number};

use crate::check::{Check, Expression, Op, Relation, Seeds, Temporal};
use crate::value::{Ratio, Unit, format_ns};

/// The expectation of a check, in words.
pub(super) fn expected(check: &Check, right: Option<Ratio>) -> String {
    let mut words = String::new();
    words.push_str(match check.temporal {
        Temporal::Once => "",
        Temporal::Always => "always ",
        Temporal::Never => "never ",
        Temporal::Eventually => "eventually ",
        Temporal::Recovers => "recovers ",
    });
    let (sign, tolerance) = match check.relation {
        Relation::Compare(op) => (written(op, check.unit).to_string(), String::new()),
        Relation::Near(share) => ("~=".to_owned(), format!(" within {share}")),
    };
    let side = match &check.right {
        Expression::Constant(value) => check.unit.format(*value),
        // Over slices and instants the right side has no single value.
        _ if check.temporal != Temporal::Once => right_text(check).to_owned(),
        _ => match right {
            Some(value) => format!("{} = {}", check.unit.format(value), right_text(check)),
            None => right_text(check).to_owned(),
        },
    };
    words.push_str(&format!("{sign} {side}{tolerance}"));
    if let Some(per) = check.per {
        words.push_str(&format!(" per {}", time(nanos(per))));
    }
    if check.temporal == Temporal::Recovers {
        words.push_str(" to the end");
    }
    match check.seeds {
        Some(Seeds::Over) => words.push_str(" over seeds"),
        Some(Seeds::In { op, share }) => words.push_str(&format!(" in {op} {share} of seeds")),
        None => {}
    }
    words
}

/// A value with its unit, for documents. `None` for states, which are not numbers.
pub(super) fn measured(
    unit: Unit,
    value: Ratio,
    limit: Option<Ratio>,
    samples: Option<u64>,
) -> Option<Measured> {
    let (named, factor) = match unit {
        Unit::Duration => (MeasuredUnit::Nanoseconds, 1),
        Unit::Share => (MeasuredUnit::Percent, 100),
        Unit::Rate => (MeasuredUnit::PerSecond, 1),
        Unit::Size => (MeasuredUnit::Bytes, 1),
        Unit::Count => (MeasuredUnit::Count, 1),
        Unit::State => return None,
    };
    let number = |value: Ratio| {
        let millionths = value.checked_mul(Ratio::whole(factor * 1_000_000))?;
        Some(Number::from_millionths(millionths.rounded()))
    };
    Some(Measured {
        value: number(value)?,
        unit: named,
        limit: limit.and_then(number),
        samples,
    })
}

/// The comparison as written. Resolved checks compare states by order, because `failed` includes rolled-back canaries.
const fn written(op: Op, unit: Unit) -> Op {
    match (unit, op) {
        (Unit::State, Op::AtLeast | Op::AtMost) => Op::Equal,
        (Unit::State, Op::More | Op::Less) => Op::Differs,
        _ => op,
    }
}

/// The right side as written, if it can be found in the text.
fn right_text(check: &Check) -> &str {
    let sign = match check.relation {
        Relation::Compare(op) => written(op, check.unit).to_string(),
        Relation::Near(_) => "~=".to_owned(),
    };
    // A comparison in parentheses belongs to a condition.
    let mut depth = 0i32;
    for (at, c) in check.text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && check.text[at..].starts_with(&sign) => {
                let rest = &check.text[at + sign.len()..];
                let stops = [
                    " within ",
                    " per ",
                    " during ",
                    " after ",
                    " before ",
                    " over seeds",
                    " in >=",
                    " in <=",
                ];
                let end = stops
                    .iter()
                    .filter_map(|stop| find_outside(rest, stop))
                    .min()
                    .unwrap_or(rest.len());
                return rest[..end].trim();
            }
            _ => {}
        }
    }
    check.text.as_str()
}

/// The first position of a text outside parentheses.
fn find_outside(text: &str, wanted: &str) -> Option<usize> {
    let mut depth = 0i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(wanted) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Formats a time in the notation of the language.
pub(super) fn time(nanos: i64) -> String {
    format_ns(Ratio::whole(i128::from(nanos)))
}

pub(super) fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("durations are bounded when the scenario is read")
}
