//! Sampling by inversion where an inverse exists, with `libm`'s functions, rounded to whole units.

use rand::Rng;

use super::{Distribution, Shape};

/// The maximum number of redraws of a normal value. At least half of all draws are not negative.
const REDRAWS_MAX: u32 = 128;

impl Distribution {
    /// Draws a duration in whole nanoseconds.
    pub fn sample_ns(&self, rng: &mut impl Rng) -> u64 {
        self.shape.sample(rng)
    }

    pub fn sample_count(&self, rng: &mut impl Rng) -> u64 {
        self.shape.sample(rng)
    }
}

impl Shape {
    /// Draws one value. A constant takes nothing from the random stream.
    fn sample(&self, rng: &mut impl Rng) -> u64 {
        match self {
            Shape::Constant(value) => *value,
            Shape::Uniform { low, high } => low + below(rng, (high - low).saturating_add(1)),
            Shape::Exponential { mean } => whole(mean * exponential(rng)),
            Shape::Normal { mean, sd } => whole(normal_at_least_zero(rng, *mean, *sd)),
            Shape::Lognormal { mu, sigma } => whole(libm::exp(mu + sigma * standard_normal(rng))),
            Shape::Pareto { min, alpha, max } => whole(pareto(rng, *min, *alpha, *max)),
            Shape::Hyperexponential { first, means } => {
                let phase = usize::from(unit(rng) > *first);
                whole(means[phase] * exponential(rng))
            }
            Shape::Erlang { mean, k } => {
                let sum: f64 = (0..*k).map(|_| exponential(rng)).sum();
                whole(mean * sum / f64::from(*k))
            }
            Shape::Weibull { scale, shape } => {
                whole(scale * libm::pow(exponential(rng), 1.0 / shape))
            }
            Shape::Mix(members) => {
                let mut at = below(rng, members.iter().map(|m| m.share.ppb()).sum());
                for member in members {
                    if at < member.share.ppb() {
                        return member.of.sample(rng);
                    }
                    at -= member.share.ppb();
                }
                0
            }
            Shape::Points(points) => interpolate(points, below(rng, 1_000_000_000)),
            Shape::Values { values, .. } => {
                let at = usize::try_from(below(rng, values.len() as u64)).unwrap_or(0);
                values.get(at).copied().unwrap_or(0)
            }
        }
    }
}

/// A whole number below `bound`, unbiased to one part in 2^64 / bound. Zero if the bound is zero.
pub(crate) fn below(rng: &mut impl Rng, bound: u64) -> u64 {
    let high = (u128::from(rng.next_u64()) * u128::from(bound)) >> 64;
    u64::try_from(high).expect("the high half of a product of two 64-bit numbers")
}

/// Uniform in (0, 1], with 53 bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
fn unit(rng: &mut impl Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Exponential with mean 1.
fn exponential(rng: &mut impl Rng) -> f64 {
    -libm::log(unit(rng))
}

/// The Box-Muller transform. The second value is discarded, so that every draw takes the same number of words.
fn standard_normal(rng: &mut impl Rng) -> f64 {
    let radius = libm::sqrt(2.0 * exponential(rng));
    radius * libm::cos(std::f64::consts::TAU * unit(rng))
}

fn normal_at_least_zero(rng: &mut impl Rng, mean: f64, sd: f64) -> f64 {
    for _ in 0..REDRAWS_MAX {
        let value = mean + sd * standard_normal(rng);
        if value >= 0.0 {
            return value;
        }
    }
    0.0
}

/// With a maximum, inverts the truncated distribution. Equivalent to redrawing values above the maximum, but without a
/// loop.
fn pareto(rng: &mut impl Rng, min: f64, alpha: f64, max: Option<f64>) -> f64 {
    let beyond = max.map_or(0.0, |max| libm::pow(min / max, alpha));
    let left = beyond + (1.0 - beyond) * unit(rng);
    min * libm::pow(left, -1.0 / alpha)
}

/// The quantile function at `ppb`, linear between points and flat before the first and after the last.
fn interpolate(points: &[(super::Share, u64)], ppb: u64) -> u64 {
    let after = points.partition_point(|(share, _)| share.ppb() <= ppb);
    let (Some(right), Some(left)) = (
        points.get(after),
        after.checked_sub(1).and_then(|i| points.get(i)),
    ) else {
        return if after == 0 {
            points.first().map_or(0, |p| p.1)
        } else {
            points.last().map_or(0, |p| p.1)
        };
    };
    let width = u128::from(right.0.ppb() - left.0.ppb());
    let rise = u128::from(right.1 - left.1) * u128::from(ppb - left.0.ppb());
    // Rounded to the nearest, halves up.
    left.1
        + u64::try_from((rise + width / 2) / width)
            .expect("at most the rise between two 64-bit points")
}

/// The nearest whole number, saturating.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn whole(value: f64) -> u64 {
    libm::rint(value) as u64
}
