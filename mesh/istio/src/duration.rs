//! Durations in the format of Go, which Istio uses.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use shakedown_yaml::decode::from_text;

/// A duration in Go's format: `1h`, `1m30s`, `1.5s`, `250ms`. It must be in whole milliseconds, at least one. Source:
/// Istio, `agent.ValidateDuration`; Go, `time.ParseDuration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

/// A duration in Go's format that may also be zero, for example the lifetime of a hashed cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDurationOrZero(pub Duration);

/// Units in nanoseconds. Longer names precede their prefixes, so that `ms` is not parsed as `m`.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let nanos = whole_millis(text, "`1ms` or more")?;
        if nanos == 0 {
            return Err(format!(
                "duration `{text}` is too short: expected `1ms` or more"
            ));
        }
        Ok(GoDuration(Duration::from_nanos(nanos)))
    }
}

impl FromStr for GoDurationOrZero {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        whole_millis(text, "`0s`, or `1ms` or more")
            .map(|nanos| GoDurationOrZero(Duration::from_nanos(nanos)))
    }
}

/// Parses a duration to nanoseconds. `accepted` describes the valid range for error messages.
fn whole_millis(text: &str, accepted: &str) -> Result<u64, String> {
    if text.starts_with('-') {
        return Err(format!(
            "duration `{text}` is negative: expected {accepted}"
        ));
    }
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(format!(
            "duration `{text}` has no unit: expected a form like `{text}s`, `250ms` or `1m30s`"
        ));
    }
    let nanos = nanos(text).ok_or_else(|| {
        format!("invalid duration `{text}`: expected a form like `5s`, `250ms` or `1m30s`")
    })?;
    if nanos > 0 && nanos < 1_000_000 {
        return Err(format!(
            "duration `{text}` is too short: expected {accepted}"
        ));
    }
    if nanos % 1_000_000 != 0 {
        return Err(format!(
            "duration `{text}` is too precise: expected whole milliseconds"
        ));
    }
    Ok(nanos)
}

/// Returns the sum of the components. `None` if the text is not a duration, or if it exceeds 292 years.
fn nanos(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0_u128;
    loop {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(digits);
        let (unit, size) = UNITS.iter().find(|(unit, _)| {
            let after = tail.strip_prefix(unit).map(|after| after.chars().next());
            after.is_some_and(|next| next.is_none_or(|next| next.is_ascii_digit() || next == '.'))
        })?;
        total = total.checked_add(scaled(number, u128::from(*size))?)?;
        rest = &tail[unit.len()..];
        if rest.is_empty() {
            break;
        }
    }
    let limit = u128::from(i64::MAX.unsigned_abs());
    u64::try_from(total)
        .ok()
        .filter(|total| u128::from(*total) <= limit)
}

/// Multiplies a decimal number by an integer, rounding down.
fn scaled(number: &str, size: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Digits after the eighteenth are below a nanosecond in every unit.
    let fraction = fraction.get(..fraction.len().min(18))?;
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    whole
        .checked_mul(size)?
        .checked_add(part.checked_mul(size)? / places)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for GoDurationOrZero {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_durations_are_read() {
        for (text, millis) in [
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            (".5s", 500),
            ("1h1ms", 3_600_001),
        ] {
            assert_eq!(
                text.parse(),
                Ok(GoDuration(Duration::from_millis(millis))),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_advice() {
        let error = |text: &str| text.parse::<GoDuration>().unwrap_err();
        assert_eq!(
            error("5"),
            "duration `5` has no unit: expected a form like `5s`, `250ms` or `1m30s`"
        );
        assert!(error("5us").contains("too short"));
        assert!(error("0s").contains("too short: expected `1ms` or more"));
        assert!(error("1.5ms").contains("expected whole milliseconds"));
        let or_zero = |text: &str| text.parse::<GoDurationOrZero>();
        assert_eq!(or_zero("0s"), Ok(GoDurationOrZero(Duration::ZERO)));
        assert!(
            or_zero("1us")
                .unwrap_err()
                .contains("`0s`, or `1ms` or more")
        );
        assert!(error("-5s").contains("negative"));
        for text in ["", "s", "5x", "5 s", "1..5s", "99999999999h", "5s5", "1d"] {
            assert!(error(text).contains("invalid duration"), "{text}");
        }
    }
}
