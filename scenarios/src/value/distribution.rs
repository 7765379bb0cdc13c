//! Distributions of durations and (without units) of counts.

mod parse;
mod sample;

pub use sample::exponential;

use std::fmt;

use rand::distr::weighted::WeightedIndex;

use super::{Ratio, Share, format_ns};

/// The quantity that a distribution describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistributionKind {
    /// Durations, in nanoseconds.
    Duration,
    Count,
}

/// A distribution that can be sampled. Parameters are in nanoseconds, or plain numbers for counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    kind: DistributionKind,
    shape: Shape,
    text: String,
}

/// The shape of a distribution and its validated parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Constant(u64),
    Exponential {
        mean: f64,
    },
    /// Every whole value in a range, both ends included, with equal probability.
    Uniform {
        low: u64,
        high: u64,
    },
    /// A normal distribution. Negative draws are repeated.
    Normal {
        mean: f64,
        sd: f64,
    },
    Lognormal {
        /// The mean of the logarithm.
        mu: f64,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// A Pareto distribution of the first kind.
    Pareto {
        min: f64,
        /// The exponent of the tail.
        alpha: f64,
        /// The maximum, at which the distribution is truncated.
        max: Option<f64>,
    },
    /// Two exponential phases with balanced means.
    Hyperexponential {
        /// The probability of the first phase.
        first: f64,
        /// The means of the two phases.
        means: [f64; 2],
    },
    /// A sum of equal exponential phases.
    Erlang {
        mean: f64,
        k: u32,
    },
    Weibull {
        scale: f64,
        shape: f64,
    },
    /// A mixture of distributions.
    Mix {
        members: Vec<Shape>,
        /// The shares of the members, in parts per billion.
        shares: WeightedIndex<u64>,
    },
    /// Linear interpolation between points of the quantile function.
    Points(Vec<(Share, u64)>),
    /// The values of a file, each with equal probability.
    Values {
        file: String,
        /// The values; empty until the file is read.
        values: Vec<u64>,
    },
}

impl Distribution {
    /// A distribution that always returns this duration.
    pub fn constant_ns(nanos: u64) -> Distribution {
        Distribution {
            kind: DistributionKind::Duration,
            shape: Shape::Constant(nanos),
            text: format_ns(Ratio::whole(i128::from(nanos))),
        }
    }

    /// A distribution that always returns this count.
    pub fn constant_count(count: u64) -> Distribution {
        Distribution {
            kind: DistributionKind::Count,
            shape: Shape::Constant(count),
            text: count.to_string(),
        }
    }

    pub const fn kind(&self) -> DistributionKind {
        self.kind
    }

    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The value of a constant distribution.
    pub const fn as_constant(&self) -> Option<u64> {
        match self.shape {
            Shape::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The file to read values from, if the distribution names one.
    pub fn file(&self) -> Option<&str> {
        match &self.shape {
            Shape::Values { file, .. } => Some(file),
            _ => None,
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
