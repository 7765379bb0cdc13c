//! Distributions: of durations, and (written without units) of counts.

mod parse;
mod sample;

pub(crate) use sample::below;

use std::fmt;

use super::{Ratio, Share, format_ns};

/// The shape of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Durations, in nanoseconds.
    Duration,
    /// Counts.
    Count,
}

/// A distribution that can be sampled. Parameters are in nanoseconds, or plain for counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    kind: Kind,
    shape: Shape,
    text: String,
}

/// The shape of a distribution and its parameters, each already checked to make sense.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Always the same.
    Constant(u64),
    /// Exponential.
    Exponential {
        /// The mean.
        mean: f64,
    },
    /// Every whole value in a range, both ends included, equally likely.
    Uniform {
        /// The least.
        low: u64,
        /// The largest.
        high: u64,
    },
    /// Normal; drawn again when negative.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        sd: f64,
    },
    /// Lognormal: the logarithm is normal.
    Lognormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Pareto of the first kind.
    Pareto {
        /// The least value.
        min: f64,
        /// The tail's exponent.
        alpha: f64,
        /// Values above are drawn again.
        max: Option<f64>,
    },
    /// Two exponential phases with balanced means.
    Hyperexponential {
        /// Chance of the first phase.
        first: f64,
        /// Means of the two phases.
        means: [f64; 2],
    },
    /// A sum of equal exponential phases.
    Erlang {
        /// The mean of the sum.
        mean: f64,
        /// The number of phases.
        k: u32,
    },
    /// Weibull.
    Weibull {
        /// The scale.
        scale: f64,
        /// The shape.
        shape: f64,
    },
    /// A mixture of several, by their shares.
    Mix(Vec<Member>),
    /// Linear between points of the quantile function.
    Points(Vec<(Share, u64)>),
    /// A draw from the values of a file, all equally likely.
    Values {
        /// The file, as written.
        file: String,
        /// The values; empty until the file is read.
        values: Vec<u64>,
    },
}

/// A member of a mix.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The chance.
    pub share: Share,
    /// The distribution.
    pub of: Shape,
}

impl Distribution {
    /// Always this duration.
    pub fn constant_ns(nanos: u64) -> Distribution {
        Distribution {
            kind: Kind::Duration,
            shape: Shape::Constant(nanos),
            text: format_ns(Ratio::whole(i128::from(nanos))),
        }
    }

    /// Always this count.
    pub fn constant_count(count: u64) -> Distribution {
        Distribution {
            kind: Kind::Count,
            shape: Shape::Constant(count),
            text: count.to_string(),
        }
    }

    /// The distribution.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The shape.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The value when it is always the same.
    pub const fn as_constant(&self) -> Option<u64> {
        match self.shape {
            Shape::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The file that it draws from, when it names one.
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
