//! Sampling by inversion where an inverse exists, with `libm`'s functions, rounded to whole units.
//!
//! The continuous distributions are not `rand_distr`'s, because its logarithms and powers are those of the C library, which
//! differ between machines, as soon as a dependency enables `num-traits/std`: hdrhistogram and plotters do.

use rand::distr::{Distribution as _, OpenClosed01};
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};

use super::{Distribution, Shape, Share};

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
            Shape::Uniform { low, high } => rng.random_range(*low..=*high),
            Shape::Exponential { mean } => whole(mean * exponential(rng)),
            Shape::Normal { mean, sd } => whole(normal_at_least_zero(rng, *mean, *sd)),
            Shape::Lognormal { mu, sigma } => whole(libm::exp(mu + sigma * standard_normal(rng))),
            Shape::Pareto { min, alpha, max } => whole(pareto(rng, *min, *alpha, *max)),
            Shape::Hyperexponential { first, means } => {
                let phase = usize::from(!rng.random_bool(*first));
                whole(means[phase] * exponential(rng))
            }
            Shape::Erlang { mean, k } => {
                let sum: f64 = (0..*k).map(|_| exponential(rng)).sum();
                whole(mean * sum / f64::from(*k))
            }
            Shape::Weibull { scale, shape } => {
                whole(scale * libm::pow(exponential(rng), 1.0 / shape))
            }
            Shape::Mix { members, shares } => members[shares.sample(rng)].sample(rng),
            Shape::Points(points) => interpolate(points, rng.random_range(0..Share::ALL.ppb())),
            Shape::Values { values, .. } => values.choose(rng).copied().unwrap_or(0),
        }
    }
}

/// Uniform in (0, 1], so that the logarithm is finite.
fn unit(rng: &mut impl Rng) -> f64 {
    rng.sample(OpenClosed01)
}

/// A draw from the exponential distribution with mean 1.
pub fn exponential(rng: &mut impl Rng) -> f64 {
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
fn interpolate(points: &[(Share, u64)], ppb: u64) -> u64 {
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
            .expect("at most the difference of two 64-bit values")
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
