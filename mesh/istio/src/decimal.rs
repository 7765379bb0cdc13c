//! A decimal number, exact to six decimals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use shakedown_yaml::decode::from_text;

/// A number of 0 or more with at most six decimals, stored as whole millionths so that comparisons are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricBound {
    micros: u64,
}

impl MetricBound {
    const PLACES: usize = 6;

    /// A number of millionths.
    pub const fn from_micros(micros: u64) -> MetricBound {
        MetricBound { micros }
    }

    /// The number in millionths.
    pub const fn micros(self) -> u64 {
        self.micros
    }
}

impl FromStr for MetricBound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid number `{text}`: expected 0 or more, as in `99` or `99.5`");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(wrong());
        }
        if fraction.len() > MetricBound::PLACES {
            return Err(format!(
                "invalid number `{text}`: expected at most six decimal places"
            ));
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = format!("{fraction:0<width$}", width = MetricBound::PLACES)
            .parse()
            .map_err(|_| wrong())?;
        let micros = whole
            .checked_mul(1_000_000)
            .and_then(|micros| micros.checked_add(part));
        micros.map(MetricBound::from_micros).ok_or_else(wrong)
    }
}

impl fmt::Display for MetricBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.micros / 1_000_000)?;
        let fraction = format!("{:06}", self.micros % 1_000_000);
        match fraction.trim_end_matches('0') {
            "" => Ok(()),
            fraction => write!(f, ".{fraction}"),
        }
    }
}

impl<'de> Deserialize<'de> for MetricBound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_reads_back_as_it_is_written_and_is_exact() {
        for (text, micros) in [("99", 99_000_000), ("99.95", 99_950_000), ("0.000001", 1)] {
            let read: MetricBound = text.parse().unwrap();
            assert_eq!((read.micros(), read.to_string()), (micros, text.to_owned()));
        }
        for text in ["", "-1", "1.", ".5", "1e3", "99%", "1.2345678", "1.2.3"] {
            assert!(text.parse::<MetricBound>().is_err(), "{text}");
        }
    }
}
