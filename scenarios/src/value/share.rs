//! Exact shares, in parts per billion: `5%`, `0.01%`.

use std::fmt;

use rand::{Rng, RngExt as _};

use super::{Decimal, Ratio, ValueError};

/// The notation of a share, for messages.
pub(crate) const FORMS: &str = "`5%`, `0.01%`";
/// 1% in parts per billion.
const PERCENT: u64 = 10_000_000;

/// A share in parts per billion. May exceed 100%, because checks can compare with such a value. As a probability, 100%
/// and more are certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    /// 0%.
    pub const NONE: Share = Share(0);
    /// 100%.
    pub const ALL: Share = Share(1_000_000_000);

    pub const fn from_ppb(ppb: u64) -> Share {
        Share(ppb)
    }

    pub const fn ppb(self) -> u64 {
        self.0
    }

    /// Parses a share.
    ///
    /// # Errors
    /// An error if `%` is missing or the share is finer than a billionth.
    pub fn parse(text: &str) -> Result<Share, ValueError> {
        let Some(number) = text.strip_suffix('%') else {
            return Err(match Decimal::parse(text) {
                Some(_) => ValueError::NoUnit {
                    text: text.to_owned(),
                    kind: "share",
                    forms: FORMS,
                },
                None => ValueError::Malformed {
                    text: text.to_owned(),
                    kind: "share",
                    forms: FORMS,
                },
            });
        };
        let decimal = Decimal::parse(number).ok_or_else(|| ValueError::Malformed {
            text: text.to_owned(),
            kind: "share",
            forms: FORMS,
        })?;
        decimal
            .times(PERCENT)
            .map(Share)
            .ok_or_else(|| ValueError::OutOfRange {
                text: text.to_owned(),
                bound: "a share must be a whole number of parts per billion",
            })
    }

    /// The share as a ratio; 100% is 1.
    pub fn ratio(self) -> Ratio {
        Ratio::new(i128::from(self.0), 1_000_000_000).expect("a billion is not zero")
    }

    /// Draws true with this probability. Takes nothing from the random stream if the result is certain.
    pub fn comes_true(self, rng: &mut impl Rng) -> bool {
        match self.0 {
            0 => false,
            ppb if ppb >= Share::ALL.0 => true,
            ppb => rng.random_range(0..Share::ALL.0) < ppb,
        }
    }

    /// This share of a number of items, rounded up.
    pub fn apply(self, number: usize) -> usize {
        let part = (number as u128 * u128::from(self.0)).div_ceil(1_000_000_000);
        usize::try_from(part).unwrap_or(usize::MAX).min(number)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent =
            Ratio::new(i128::from(self.0), i128::from(PERCENT)).expect("a percent is not zero");
        write!(f, "{}%", percent.decimal(7))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::Share;

    #[test]
    fn shares_are_exact() {
        assert_eq!(Share::parse("63.4%").unwrap().ppb(), 634_000_000);
        assert_eq!(Share::parse("0.0000001%").unwrap().ppb(), 1);
        assert_eq!(Share::parse("99.99%").unwrap().to_string(), "99.99%");
        assert!(Share::parse("0.00000001%").is_err());
    }

    #[test]
    fn a_fraction_is_told_to_be_a_percentage() {
        let error = Share::parse("0.05").unwrap_err().to_string();
        assert_eq!(
            error,
            "`0.05` has no unit: a share is written `5%`, `0.01%`"
        );
    }

    #[test]
    fn a_part_of_few_is_rounded_up() {
        let share = Share::parse("30%").unwrap();
        assert_eq!((share.apply(3), share.apply(10), share.apply(0)), (1, 3, 0));
        assert_eq!(Share::from_ppb(2_000_000_000).apply(3), 3);
    }

    #[test]
    fn a_chance_comes_true_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let share = Share::parse("25%").unwrap();
        let hits = (0..100_000).filter(|_| share.comes_true(&mut rng)).count();
        assert!((24_500..25_500).contains(&hits), "{hits}");
        assert!(Share::ALL.comes_true(&mut rng) && !Share::NONE.comes_true(&mut rng));
    }
}
