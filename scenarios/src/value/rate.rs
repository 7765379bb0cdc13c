//! Rates: `200/s`, `90/m`, `1.5k/s`. Exact.

use std::fmt;

use super::{Decimal, Ratio, ValueError};

/// The notation of a rate, for messages.
pub(crate) const FORMS: &str = "`200/s`, `90/m`, `1.5k/s`";

/// Events per time, exact: thousandths of an event per number of nanoseconds, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    milli: u64,
    span_ns: u64,
}

impl Rate {
    /// The rate zero.
    pub const NONE: Rate = Rate {
        milli: 0,
        span_ns: 1,
    };

    /// Parses a rate.
    ///
    /// # Errors
    /// An error if the unit of time is missing or the rate is finer than a thousandth of an event.
    pub fn parse(text: &str) -> Result<Rate, ValueError> {
        let malformed = || ValueError::Malformed {
            text: text.to_owned(),
            kind: "rate",
            forms: FORMS,
        };
        let Some((number, unit)) = text.split_once('/') else {
            return Err(match Decimal::parse_multiplied(text) {
                Some(_) => ValueError::NoUnit {
                    text: text.to_owned(),
                    kind: "rate",
                    forms: FORMS,
                },
                None => malformed(),
            });
        };
        let span_ns: u64 = match unit {
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(malformed()),
        };
        let number = Decimal::parse_multiplied(number).ok_or_else(malformed)?;
        let out_of_range = || ValueError::OutOfRange {
            text: text.to_owned(),
            bound: "a rate must be a multiple of 0.001 events, at most 1M/s",
        };
        let milli = number
            .checked_mul(Ratio::whole(1000))
            .and_then(Ratio::as_whole)
            .ok_or_else(out_of_range)?;
        let per_second = milli * 1_000_000_000 / i128::from(span_ns);
        if per_second > 1_000_000_000 {
            return Err(out_of_range());
        }
        Ok(Rate::reduced(
            u64::try_from(milli).map_err(|_| out_of_range())?,
            span_ns,
        ))
    }

    /// The rate of `milli / 1000` events in `span_ns` nanoseconds.
    fn reduced(milli: u64, span_ns: u64) -> Rate {
        let ratio = Ratio::new(i128::from(milli), i128::from(span_ns)).expect("a span is not zero");
        let part = |value: i128| {
            u64::try_from(value).expect("reducing a fraction does not enlarge its terms")
        };
        Rate {
            milli: part(ratio.numerator()),
            span_ns: part(ratio.denominator()),
        }
    }

    /// Thousandths of an event in [`span_ns`](Self::span_ns).
    pub const fn milli(self) -> u64 {
        self.milli
    }

    /// The nanoseconds in which [`milli`](Self::milli) thousandths of an event occur; never zero.
    pub const fn span_ns(self) -> u64 {
        self.span_ns
    }

    /// Returns true if the rate is zero.
    pub const fn is_none(self) -> bool {
        self.milli == 0
    }

    pub fn per_second(self) -> Ratio {
        let numerator = i128::from(self.milli) * 1_000_000;
        Ratio::new(numerator, i128::from(self.span_ns)).expect("a span is not zero")
    }

    /// Events per nanosecond as the nearest float, for drawing gaps between arrivals.
    pub fn per_ns_f64(self) -> f64 {
        self.per_second().to_f64() / 1e9
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, seconds) in [("s", 1), ("m", 60), ("h", 3600)] {
            let value = self
                .per_second()
                .checked_mul(Ratio::whole(seconds))
                .unwrap_or(Ratio::ZERO);
            // The first unit in which the rate has an exact decimal form.
            if 1000 % value.denominator() == 0 {
                return write!(f, "{}/{unit}", value.decimal(3));
            }
        }
        write!(f, "{}/s", self.per_second().decimal(6))
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn equal_rates_are_equal_in_any_unit() {
        assert_eq!(Rate::parse("60/m").unwrap(), Rate::parse("1/s").unwrap());
        assert_eq!(
            Rate::parse("1.5k/s").unwrap(),
            Rate::parse("1500/s").unwrap()
        );
    }

    #[test]
    fn rates_are_printed_as_they_are_written() {
        for text in ["200/s", "1500/s", "0.5/s", "0.001/s", "1/m", "7/h", "0/s"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bare_number_is_no_rate() {
        let error = Rate::parse("200").unwrap_err().to_string();
        assert_eq!(
            error,
            "`200` has no unit: a rate is written `200/s`, `90/m`, `1.5k/s`"
        );
        for text in ["200/d", "/s", "-1/s", "2M/s", "200 /s", "0.0001/s"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_million_a_second_at_most_in_any_unit() {
        for (most, more) in [
            ("1M/s", "1.0001M/s"),
            ("60M/m", "61M/m"),
            ("3600M/h", "3601M/h"),
        ] {
            assert!(Rate::parse(most).is_ok(), "{most}");
            assert!(Rate::parse(more).is_err(), "{more}");
        }
    }
}
