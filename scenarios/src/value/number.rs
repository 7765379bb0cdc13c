//! Exact decimal numbers, with the multipliers `k` and `M`.

use super::{Ratio, ValueError};

/// The notation of a count, for messages.
pub(crate) const COUNT_FORMS: &str = "`4`, `10k`, `2M`";
/// The notation of a factor, for messages.
const FACTOR_FORMS: &str = "`2`, `2.5`, `10k`";
/// The maximum number of digits, enough for any `u64` of billionths.
const DIGITS_MAX: usize = 18;

/// A non-negative decimal number: `digits / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: u64,
    scale: u32,
}

impl Decimal {
    /// Parses digits with at most one point, without sign, exponent or multiplier.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let has_point = text.contains('.');
        if whole.is_empty()
            || (has_point && fraction.is_empty())
            || whole.len() + fraction.len() > DIGITS_MAX
        {
            return None;
        }
        let mut digits = 0u64;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            digits = digits * 10 + u64::from(byte - b'0');
        }
        Some(Decimal {
            digits,
            scale: u32::try_from(fraction.len()).ok()?,
        })
    }

    /// Parses a number that may end in `k` (thousands) or `M` (millions).
    pub fn parse_multiplied(text: &str) -> Option<Ratio> {
        let (number, factor) = match text.as_bytes().last()? {
            b'k' => (&text[..text.len() - 1], 1_000),
            b'M' => (&text[..text.len() - 1], 1_000_000),
            _ => (text, 1),
        };
        Decimal::parse(number)?
            .ratio()
            .checked_mul(Ratio::whole(factor))
    }

    /// Returns the product with `factor`, if it is a whole number and fits.
    pub fn times(self, factor: u64) -> Option<u64> {
        let product = u128::from(self.digits) * u128::from(factor);
        let divisor = 10u128.pow(self.scale);
        if product % divisor != 0 {
            return None;
        }
        u64::try_from(product / divisor).ok()
    }

    pub fn ratio(self) -> Ratio {
        Ratio::new(i128::from(self.digits), 10i128.pow(self.scale))
            .expect("a power of ten is not zero")
    }

    /// Splits text after its leading number: digits with at most one point, which must be followed by a digit.
    pub(crate) fn split(text: &str) -> (&str, &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && bytes[at].is_ascii_digit() {
            at += 1;
        }
        if at + 1 < bytes.len() && bytes[at] == b'.' && bytes[at + 1].is_ascii_digit() {
            at += 1;
            while at < bytes.len() && bytes[at].is_ascii_digit() {
                at += 1;
            }
        }
        text.split_at(at)
    }
}

/// Parses a count: a whole number, with `k` and `M` allowed.
///
/// # Errors
/// An error if the text is not a whole number.
pub(crate) fn parse_count(text: &str) -> Result<u64, ValueError> {
    let malformed = || ValueError::Malformed {
        text: text.to_owned(),
        kind: "count",
        forms: COUNT_FORMS,
    };
    let ratio = Decimal::parse_multiplied(text).ok_or_else(malformed)?;
    let whole = ratio.as_whole().ok_or_else(malformed)?;
    u64::try_from(whole).map_err(|_| malformed())
}

/// Parses a factor: a number without unit.
///
/// # Errors
/// An error if the text is not a number.
pub(crate) fn parse_factor(text: &str) -> Result<f64, ValueError> {
    Decimal::parse_multiplied(text)
        .map(Ratio::to_f64)
        .ok_or_else(|| ValueError::Malformed {
            text: text.to_owned(),
            kind: "factor",
            forms: FACTOR_FORMS,
        })
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn a_number_has_eighteen_digits_at_most() {
        assert!(Decimal::parse("123456789012345678").is_some());
        assert!(Decimal::parse("12345678901234567.8").is_some());
        assert!(Decimal::parse("1234567890123456789").is_none());
    }

    #[test]
    fn a_point_stands_between_digits() {
        for text in ["1.", ".5", ".", "1.2.3", ""] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }
}
