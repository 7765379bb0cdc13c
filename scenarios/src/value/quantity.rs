//! A quantity with its unit, as written in a check.

use std::fmt;

use super::{
    Decimal, Rate, Ratio, Share, ValueError, format_ns, format_size, parse_duration, parse_size,
    state_name,
};

/// The dimension of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Duration,
    /// A share, where 1 is 100%.
    Share,
    /// Events per second.
    Rate,
    /// Bytes.
    Size,
    /// A count, a factor or a ratio.
    Count,
    /// A state, such as `promoted`.
    State,
}

impl Unit {
    /// The unit's name in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Unit::Duration => "duration",
            Unit::Share => "share",
            Unit::Rate => "rate",
            Unit::Size => "size",
            Unit::Count => "count",
            Unit::State => "state",
        }
    }

    /// Formats a value of this unit in the notation of the language.
    pub fn format(self, value: Ratio) -> String {
        match self {
            Unit::Duration => format_ns(value),
            Unit::Share => format!("{}%", percent(value)),
            Unit::Rate => format!("{}/s", value.decimal(3)),
            Unit::Size => format_size(value),
            Unit::Count => value.decimal(4),
            Unit::State => match state_name(value) {
                Some(name) => name.to_owned(),
                None => value.decimal(4),
            },
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// The amount in the unit's base: ns, whole shares, events per second, bytes.
    pub value: Ratio,
    pub unit: Unit,
}

impl Quantity {
    /// Parses a quantity of any unit.
    ///
    /// # Errors
    /// The error of the kind of value that the unit suggests.
    pub fn parse(text: &str) -> Result<Quantity, ValueError> {
        let (value, unit) = if text.ends_with('%') {
            (Share::parse(text)?.ratio(), Unit::Share)
        } else if text.contains('/') {
            (Rate::parse(text)?.per_second(), Unit::Rate)
        } else if text.ends_with('B') {
            (Ratio::whole(i128::from(parse_size(text)?)), Unit::Size)
        } else if let Some(count) = Decimal::parse_multiplied(text) {
            (count, Unit::Count)
        } else {
            let nanos = parse_duration(text)?.as_nanos();
            (
                Ratio::whole(i128::try_from(nanos).expect("a duration fits into 64 bits")),
                Unit::Duration,
            )
        };
        Ok(Quantity { value, unit })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unit.format(self.value))
    }
}

/// Formats a share as a percentage, with 4 to 9 decimals: as many as needed to not display it as a round number.
fn percent(value: Ratio) -> String {
    let Some(percent) = value.checked_mul(Ratio::whole(100)) else {
        return format!("{:.4}", value.to_f64() * 100.0);
    };
    let round = percent.rounded();
    for places in 4..9 {
        let text = percent.decimal(places);
        if text != round.to_string() || percent == Ratio::whole(round) {
            return text;
        }
    }
    percent.decimal(9)
}

#[cfg(test)]
mod tests {
    use super::{Quantity, Unit};
    use crate::value::Ratio;

    #[test]
    fn the_unit_says_what_it_is() {
        let unit = |text: &str| Quantity::parse(text).unwrap().unit;
        assert_eq!(unit("250ms"), Unit::Duration);
        assert_eq!(unit("99.9%"), Unit::Share);
        assert_eq!(unit("200/s"), Unit::Rate);
        assert_eq!(unit("16KiB"), Unit::Size);
        assert_eq!(unit("10k"), Unit::Count);
        assert_eq!(unit("2.5"), Unit::Count);
    }

    #[test]
    fn a_share_just_below_all_is_not_printed_as_all() {
        let almost = Ratio::new(9_999_999, 10_000_000).unwrap();
        assert_eq!(Unit::Share.format(almost), "99.99999%");
        assert_eq!(Unit::Share.format(Ratio::ONE), "100%");
        let third = Ratio::new(1, 3).unwrap();
        assert_eq!(Unit::Share.format(third), "33.3333%");
    }
}
