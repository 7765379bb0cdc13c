//! Exact rational numbers over `i128`. Checks are computed with them, so that `==` is exact.

use std::cmp::Ordering;
use std::fmt;

/// A fraction in lowest terms; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    pub const ZERO: Ratio = Ratio {
        numerator: 0,
        denominator: 1,
    };
    pub const ONE: Ratio = Ratio {
        numerator: 1,
        denominator: 1,
    };

    /// Returns `numerator / denominator`, or `None` if the denominator is zero or the fraction does not fit.
    pub fn new(numerator: i128, denominator: i128) -> Option<Ratio> {
        if denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).ok()?;
        let (numerator, denominator) = (numerator / divisor, denominator / divisor);
        if denominator < 0 {
            return Some(Ratio {
                numerator: numerator.checked_neg()?,
                denominator: denominator.checked_neg()?,
            });
        }
        Some(Ratio {
            numerator,
            denominator,
        })
    }

    pub const fn whole(value: i128) -> Ratio {
        Ratio {
            numerator: value,
            denominator: 1,
        }
    }

    pub const fn numerator(self) -> i128 {
        self.numerator
    }

    /// The denominator in lowest terms, always positive.
    pub const fn denominator(self) -> i128 {
        self.denominator
    }

    /// The value, if it is a whole number.
    pub const fn as_whole(self) -> Option<i128> {
        if self.denominator == 1 {
            Some(self.numerator)
        } else {
            None
        }
    }

    /// The sum; `None` if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Ratio) -> Option<Ratio> {
        let common = i128::try_from(gcd(
            self.denominator.unsigned_abs(),
            other.denominator.unsigned_abs(),
        ))
        .ok()?;
        let left = self.numerator.checked_mul(other.denominator / common)?;
        let right = other.numerator.checked_mul(self.denominator / common)?;
        Ratio::new(
            left.checked_add(right)?,
            self.denominator.checked_mul(other.denominator / common)?,
        )
    }

    /// The difference; `None` if it does not fit.
    #[must_use]
    pub fn checked_sub(self, other: Ratio) -> Option<Ratio> {
        self.checked_add(Ratio {
            numerator: other.numerator.checked_neg()?,
            denominator: other.denominator,
        })
    }

    /// The product; `None` if it does not fit.
    #[must_use]
    pub fn checked_mul(self, other: Ratio) -> Option<Ratio> {
        // Cross-reduce first, to keep products of large sums and small counts in range.
        let a = Ratio::new(self.numerator, other.denominator)?;
        let b = Ratio::new(other.numerator, self.denominator)?;
        Ratio::new(
            a.numerator.checked_mul(b.numerator)?,
            a.denominator.checked_mul(b.denominator)?,
        )
    }

    /// The quotient; `None` if the divisor is zero or the result does not fit.
    #[must_use]
    pub fn checked_div(self, other: Ratio) -> Option<Ratio> {
        self.checked_mul(Ratio::new(other.denominator, other.numerator)?)
    }

    /// The absolute value.
    #[must_use]
    pub fn abs(self) -> Ratio {
        Ratio {
            numerator: self.numerator.saturating_abs(),
            denominator: self.denominator,
        }
    }

    /// The nearest whole number, halves away from zero.
    pub fn rounded(self) -> i128 {
        let half = self.denominator / 2 + self.denominator % 2;
        let (whole, rest) = (
            self.numerator / self.denominator,
            self.numerator % self.denominator,
        );
        if rest.abs() >= half {
            whole + rest.signum()
        } else {
            whole
        }
    }

    /// The nearest float, for statistics and display only.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the caller asks for the nearest float"
    )]
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Formats with at most `places` decimals, without trailing zeros.
    pub fn decimal(self, places: u32) -> String {
        let unit = 10i128.pow(places);
        let scaled = match self.checked_mul(Ratio::whole(unit)) {
            Some(scaled) => scaled.rounded(),
            None => return format!("{:.*}", places as usize, self.to_f64()),
        };
        let sign = if scaled < 0 { "-" } else { "" };
        let (whole, rest) = (
            scaled.unsigned_abs() / unit.unsigned_abs(),
            scaled.unsigned_abs() % unit.unsigned_abs(),
        );
        if rest == 0 {
            return format!("{sign}{whole}");
        }
        let fraction = format!("{rest:0width$}", width = places as usize);
        format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Ratio) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Ratio) -> Ordering {
        compare(
            self.numerator,
            self.denominator,
            other.numerator,
            other.denominator,
        )
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.decimal(6))
    }
}

/// Compares a/b with c/d by their continued fractions, which is exact even if cross products would overflow.
fn compare(mut a: i128, mut b: i128, mut c: i128, mut d: i128) -> Ordering {
    let mut flipped = false;
    loop {
        let order = a.div_euclid(b).cmp(&c.div_euclid(d));
        if order != Ordering::Equal {
            return if flipped { order.reverse() } else { order };
        }
        let (left, right) = (a.rem_euclid(b), c.rem_euclid(d));
        let order = match (left, right) {
            (0, 0) => Ordering::Equal,
            (0, _) => Ordering::Less,
            (_, 0) => Ordering::Greater,
            _ => {
                // The order of left/b and right/d is the reverse of that of b/left and d/right.
                (a, b, c, d) = (b, left, d, right);
                flipped = !flipped;
                continue;
            }
        };
        return if flipped { order.reverse() } else { order };
    }
}

/// The greatest common divisor; zero only if both arguments are.
fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::Ratio;

    #[test]
    fn sums_of_thirds_are_exact() {
        let third = Ratio::new(1, 3).unwrap();
        assert_eq!(
            third.checked_add(third).unwrap().checked_add(third),
            Some(Ratio::ONE)
        );
    }

    #[test]
    fn comparison_is_exact_where_cross_products_overflow() {
        let big = i128::MAX / 3;
        let a = Ratio::new(big, big - 1).unwrap();
        let b = Ratio::new(big - 1, big - 2).unwrap();
        assert!(a < b, "closer to one is smaller");
        assert!(Ratio::new(-1, 2).unwrap() < Ratio::new(-1, 3).unwrap());
        assert!(Ratio::new(-1, 2).unwrap() < Ratio::ZERO);
    }

    #[test]
    fn overflow_is_an_answer_and_not_a_panic() {
        let big = Ratio::whole(i128::MAX);
        assert_eq!(big.checked_mul(big), None);
        assert_eq!(big.checked_add(Ratio::ONE), None);
        assert_eq!(Ratio::ONE.checked_div(Ratio::ZERO), None);
    }

    #[test]
    fn decimals_are_rounded_and_trimmed() {
        assert_eq!(Ratio::new(2, 3).unwrap().decimal(3), "0.667");
        assert_eq!(Ratio::new(-5, 2).unwrap().decimal(4), "-2.5");
        assert_eq!(Ratio::whole(7).decimal(4), "7");
        assert_eq!(Ratio::new(1, 2).unwrap().rounded(), 1);
        assert_eq!(Ratio::new(-1, 2).unwrap().rounded(), -1);
        assert_eq!(Ratio::new(1, 3).unwrap().rounded(), 0);
    }
}
