//! Durations: `250us`, `1.5s`, `1m30s`, `24h`. Whole nanoseconds, always with a unit.

use std::time::Duration;

use super::{Decimal, Ratio, ValueError};

/// The notation of a duration, for messages.
pub(crate) const FORMS: &str = "`5s`, `250ms`, `1m30s`";

const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Parses a duration.
///
/// # Errors
/// An error if the unit is missing, unknown or out of order, or the duration is finer than a nanosecond or longer than
/// 292 years.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let malformed = || ValueError::Malformed {
        text: text.to_owned(),
        kind: "duration",
        forms: FORMS,
    };
    if Decimal::parse(text).is_some() {
        return Err(ValueError::NoUnit {
            text: text.to_owned(),
            kind: "duration",
            forms: FORMS,
        });
    }
    let mut rest = text;
    let mut total = 0u64;
    let mut last_unit = None;
    while !rest.is_empty() {
        let (number, after) = Decimal::split(rest);
        let number = Decimal::parse(number).ok_or_else(malformed)?;
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, tail) = after.split_at(letters);
        let index = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(malformed)?;
        if last_unit.is_some_and(|last| index <= last) {
            return Err(malformed());
        }
        last_unit = Some(index);
        let out_of_range = || ValueError::OutOfRange {
            text: text.to_owned(),
            bound: "a duration must be a whole number of nanoseconds, at most 292 years",
        };
        let nanos = number.times(UNITS[index].1).ok_or_else(out_of_range)?;
        total = total
            .checked_add(nanos)
            .filter(|t| i64::try_from(*t).is_ok())
            .ok_or_else(out_of_range)?;
        rest = tail;
    }
    if last_unit.is_none() {
        return Err(malformed());
    }
    Ok(Duration::from_nanos(total))
}

/// Formats nanoseconds in the notation of the language: `23.03ms`, `1m30s`. Values are rounded to whole nanoseconds,
/// unless the result would be zero.
pub fn format_ns(value: Ratio) -> String {
    let nanos = value.rounded();
    if nanos == 0 && value != Ratio::ZERO {
        return format!("{}ns", value.decimal(3));
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    const MINUTE: u128 = 60_000_000_000;
    if nanos >= MINUTE {
        let (hours, minutes) = (nanos / (60 * MINUTE), nanos / MINUTE % 60);
        let seconds = nanos % MINUTE;
        let mut out = sign.to_owned();
        if hours > 0 {
            out.push_str(&format!("{hours}h"));
        }
        if minutes > 0 {
            out.push_str(&format!("{minutes}m"));
        }
        if seconds > 0 {
            out.push_str(&decimal_of(seconds, 1_000_000_000));
            out.push('s');
        }
        return out;
    }
    let (unit, size) = match nanos {
        0 => ("s", 1_000_000_000),
        n if n >= 1_000_000_000 => ("s", 1_000_000_000),
        n if n >= 1_000_000 => ("ms", 1_000_000),
        n if n >= 1_000 => ("us", 1_000),
        _ => ("ns", 1),
    };
    format!("{sign}{}{unit}", decimal_of(nanos, size))
}

/// Formats `nanos / size` as an exact decimal.
fn decimal_of(nanos: u128, size: u128) -> String {
    let (whole, rest) = (nanos / size, nanos % size);
    if rest == 0 {
        return whole.to_string();
    }
    let width = size.ilog10() as usize;
    format!(
        "{whole}.{}",
        format!("{rest:0width$}").trim_end_matches('0')
    )
}

#[cfg(test)]
mod tests {
    use super::{format_ns, parse_duration};
    use crate::value::Ratio;

    fn nanos(text: &str) -> u128 {
        parse_duration(text).unwrap().as_nanos()
    }

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(nanos("1ns"), 1);
        assert_eq!(nanos("250us"), 250_000);
        assert_eq!(nanos("1.5s"), 1_500_000_000);
        assert_eq!(nanos("1m30s"), 90_000_000_000);
        assert_eq!(nanos("24h"), nanos("1d"));
        assert_eq!(nanos("0s"), 0);
        assert_eq!(nanos("3.333ms"), 3_333_000);
    }

    #[test]
    fn a_bare_number_is_told_how_to_get_its_unit() {
        let error = parse_duration("5").unwrap_err().to_string();
        assert_eq!(
            error,
            "`5` has no unit: a duration is written `5s`, `250ms`, `1m30s`"
        );
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "s", "5 s", "5x", "30s1m", "1s1s", "-5s", "1.s", ".5s", "0.1ns", "1e3s", "400000d",
            "5s ",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_are_printed_as_they_are_written() {
        for text in [
            "23.03ms",
            "1m30s",
            "250us",
            "1h",
            "1.5s",
            "0s",
            "7ns",
            "1h0.5s",
            "2m",
            "999.999us",
        ] {
            let value = Ratio::whole(i128::try_from(nanos(text)).unwrap());
            assert_eq!(format_ns(value), text);
        }
        assert_eq!(format_ns(Ratio::new(1, 4).unwrap()), "0.25ns");
    }
}
