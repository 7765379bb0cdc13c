//! The parser of distributions. Arguments are separated by spaces, components of a mix by `|`.

use rand::distr::weighted::WeightedIndex;

use super::{Distribution, DistributionKind, Shape};
use crate::value::{Decimal, Share, ValueError, duration, number, parse_duration};

/// The maximum nesting depth of mixes.
const DEPTH_MAX: u32 = 8;
/// The maximum number of phases of an Erlang distribution. Each phase costs a draw.
const PHASES_MAX: u64 = 1_000;

const NAMES: [&str; 10] = [
    "exp",
    "uniform",
    "normal",
    "lognormal",
    "pareto",
    "hyperexp",
    "erlang",
    "weibull",
    "mix",
    "empirical",
];

impl Distribution {
    /// Parses a distribution of durations: `4ms`, `exp(4ms)`.
    ///
    /// # Errors
    /// An error if the text is not a distribution of durations.
    pub fn parse_duration(text: &str) -> Result<Distribution, ValueError> {
        Distribution::parse(text, DistributionKind::Duration)
    }

    /// Parses a distribution of counts: `4`, `uniform(1..3)`.
    ///
    /// # Errors
    /// An error if the text is not a distribution of counts.
    pub fn parse_count(text: &str) -> Result<Distribution, ValueError> {
        Distribution::parse(text, DistributionKind::Count)
    }

    /// Adds the content of the [`file`](Distribution::file): one duration (or count) per line.
    ///
    /// # Errors
    /// An error if a line cannot be parsed or the file has no lines.
    pub fn with_values(mut self, content: &str) -> Result<Distribution, ValueError> {
        let (kind, whole) = (self.kind, self.text.clone());
        if let Shape::Values { values, .. } = &mut self.shape {
            for line in content
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
            {
                values.push(value(line, kind)?);
            }
            if values.is_empty() {
                return Err(ValueError::Contradiction {
                    text: whole,
                    why: "the file has no values",
                });
            }
        }
        Ok(self)
    }

    fn parse(text: &str, kind: DistributionKind) -> Result<Distribution, ValueError> {
        let text = text.trim();
        let shape = shape(text, kind, 0)?;
        Ok(Distribution {
            kind,
            shape,
            text: text.to_owned(),
        })
    }
}

fn shape(text: &str, kind: DistributionKind, depth: u32) -> Result<Shape, ValueError> {
    let Some((name, rest)) = text.split_once('(') else {
        // `-5ms` and `4 ms` fail here with the message for plain values.
        return value(text, kind).map(Shape::Constant);
    };
    let Some(inside) = rest.strip_suffix(')') else {
        return Err(ValueError::Unclosed {
            text: text.to_owned(),
        });
    };
    if inside.contains(',') {
        let words: Vec<&str> = inside
            .split([',', ' '])
            .filter(|word| !word.is_empty())
            .collect();
        return Err(ValueError::Commas {
            fixed: format!("{name}({})", words.join(" ")),
        });
    }
    let form = Form {
        text,
        kind,
        inside: inside.trim(),
        depth,
    };
    match name {
        "exp" => form.exponential(),
        "uniform" => form.uniform(),
        "normal" => form.normal(),
        "lognormal" => form.lognormal(),
        "pareto" => form.pareto(),
        "hyperexp" => form.hyperexponential(),
        "erlang" => form.erlang(),
        "weibull" => form.weibull(),
        "mix" => form.mix(),
        "empirical" => form.empirical(),
        _ => Err(ValueError::UnknownDistribution {
            name: name.to_owned(),
            hint: shakedown_yaml::suggest::hint(name, NAMES),
        }),
    }
}

/// Parses a plain value, in ns or as a count.
fn value(text: &str, kind: DistributionKind) -> Result<u64, ValueError> {
    match kind {
        DistributionKind::Duration => parse_duration(text)
            .map(|d| u64::try_from(d.as_nanos()).expect("a duration fits into 64 bits"))
            .map_err(|error| as_duration_error(error, text)),
        DistributionKind::Count => number::parse_count(text),
    }
}

/// Replaces the error for other kinds of values (a share or a rate) by the error for durations.
fn as_duration_error(error: ValueError, text: &str) -> ValueError {
    match error {
        ValueError::Malformed { .. } => ValueError::Malformed {
            text: text.to_owned(),
            kind: "duration",
            forms: duration::FORMS,
        },
        other => other,
    }
}

/// The arguments of a named distribution.
struct Form<'a> {
    text: &'a str,
    kind: DistributionKind,
    inside: &'a str,
    depth: u32,
}

impl Form<'_> {
    fn words(&self) -> Vec<&str> {
        self.inside.split_ascii_whitespace().collect()
    }

    fn wrong(&self, name: &'static str, forms: &'static str) -> ValueError {
        ValueError::Arguments {
            text: self.text.to_owned(),
            name,
            forms,
        }
    }

    fn contradiction(&self, why: &'static str) -> ValueError {
        ValueError::Contradiction {
            text: self.text.to_owned(),
            why,
        }
    }

    /// A parameter in the distribution's unit.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a parameter of a sampled distribution"
    )]
    fn amount(&self, word: &str) -> Result<f64, ValueError> {
        match self.kind {
            DistributionKind::Duration => value(word, self.kind).map(|v| v as f64),
            // The mean of counts need not be a whole number.
            DistributionKind::Count => number::parse_factor(word),
        }
    }

    fn positive(&self, word: &str) -> Result<f64, ValueError> {
        let value = self.amount(word)?;
        if value > 0.0 {
            Ok(value)
        } else {
            Err(self.contradiction("the parameters must be greater than zero"))
        }
    }

    fn exponential(&self) -> Result<Shape, ValueError> {
        let [mean] = self.words()[..] else {
            return Err(self.wrong("an exponential distribution", "`exp(4ms)`"));
        };
        Ok(Shape::Exponential {
            mean: self.amount(mean)?,
        })
    }

    fn uniform(&self) -> Result<Shape, ValueError> {
        let wrong = || self.wrong("a uniform distribution", "`uniform(1ms..3ms)`");
        let [range] = self.words()[..] else {
            return Err(wrong());
        };
        let (low, high) = range.split_once("..").ok_or_else(wrong)?;
        let (low, high) = (value(low, self.kind)?, value(high, self.kind)?);
        if low > high {
            return Err(
                self.contradiction("the lower end of a range must not exceed the upper end")
            );
        }
        Ok(Shape::Uniform { low, high })
    }

    fn normal(&self) -> Result<Shape, ValueError> {
        let [mean, "sd", sd] = self.words()[..] else {
            return Err(self.wrong("a normal distribution", "`normal(4ms sd 1ms)`"));
        };
        Ok(Shape::Normal {
            mean: self.amount(mean)?,
            sd: self.amount(sd)?,
        })
    }

    fn lognormal(&self) -> Result<Shape, ValueError> {
        match self.words()[..] {
            [mean, "cv", cv] => {
                let (mean, cv) = (self.positive(mean)?, number::parse_factor(cv)?);
                // E = exp(mu + sigma^2/2), CV^2 = exp(sigma^2) - 1.
                let variance = libm::log1p(cv * cv);
                Ok(Shape::Lognormal {
                    mu: libm::log(mean) - variance / 2.0,
                    sigma: libm::sqrt(variance),
                })
            }
            ["p50", p50, "p99", p99] => {
                /// The 99th percentile of the standard normal distribution.
                const Z99: f64 = 2.326_347_874_040_841;
                let (p50, p99) = (self.positive(p50)?, self.positive(p99)?);
                if p99 < p50 {
                    return Err(self.contradiction("`p99` must be at least `p50`"));
                }
                Ok(Shape::Lognormal {
                    mu: libm::log(p50),
                    sigma: libm::log(p99 / p50) / Z99,
                })
            }
            _ => Err(self.wrong(
                "a lognormal distribution",
                "`lognormal(4ms cv 0.5)` or `lognormal(p50 3ms p99 40ms)`",
            )),
        }
    }

    fn pareto(&self) -> Result<Shape, ValueError> {
        let (min, alpha, max) = match self.words()[..] {
            ["min", min, "alpha", alpha] => (min, alpha, None),
            ["min", min, "alpha", alpha, "max", max] => (min, alpha, Some(max)),
            _ => {
                return Err(self.wrong(
                    "a Pareto distribution",
                    "`pareto(min 1ms alpha 1.5 max 10s)`",
                ));
            }
        };
        let (min, alpha) = (self.positive(min)?, self.factor(alpha)?);
        let max = max.map(|word| self.positive(word)).transpose()?;
        if max.is_some_and(|max| max <= min) {
            return Err(self.contradiction("`max` must be greater than `min`"));
        }
        Ok(Shape::Pareto { min, alpha, max })
    }

    fn hyperexponential(&self) -> Result<Shape, ValueError> {
        let [mean, "cv2", cv2] = self.words()[..] else {
            return Err(self.wrong("a hyperexponential distribution", "`hyperexp(4ms cv2 3)`"));
        };
        let (mean, cv2) = (self.amount(mean)?, number::parse_factor(cv2)?);
        if cv2 < 1.0 {
            return Err(self.contradiction(
                "`cv2` of a hyperexponential distribution must be at least 1; for less variation, use `erlang(4ms k 3)`",
            ));
        }
        // Balanced means: p1/l1 = p2/l2. Whitt, "Approximating a point process by a renewal process", 1982.
        let first = f64::midpoint(1.0, libm::sqrt((cv2 - 1.0) / (cv2 + 1.0)));
        Ok(Shape::Hyperexponential {
            first,
            means: [mean / (2.0 * first), mean / (2.0 * (1.0 - first))],
        })
    }

    fn erlang(&self) -> Result<Shape, ValueError> {
        let [mean, "k", k] = self.words()[..] else {
            return Err(self.wrong("an Erlang distribution", "`erlang(4ms k 3)`"));
        };
        let phases = number::parse_count(k)?;
        if !(1..=PHASES_MAX).contains(&phases) {
            return Err(self.contradiction("`k` must be from 1 to 1000"));
        }
        Ok(Shape::Erlang {
            mean: self.amount(mean)?,
            k: u32::try_from(phases).expect("at most a thousand"),
        })
    }

    fn weibull(&self) -> Result<Shape, ValueError> {
        let ["scale", scale, "shape", shape] = self.words()[..] else {
            return Err(self.wrong("a Weibull distribution", "`weibull(scale 4ms shape 0.7)`"));
        };
        Ok(Shape::Weibull {
            scale: self.amount(scale)?,
            shape: self.factor(shape)?,
        })
    }

    fn mix(&self) -> Result<Shape, ValueError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.contradiction("mixes may be nested at most 8 levels deep"));
        }
        let (mut members, mut shares) = (Vec::new(), Vec::new());
        for part in split_members(self.inside) {
            let (share, of) = part
                .split_once(' ')
                .ok_or_else(|| self.wrong("a mix", "`mix(99% 10ms | 1% exp(1s))`"))?;
            let of = shape(of.trim(), self.kind, self.depth + 1)?;
            if matches!(of, Shape::Values { .. }) {
                return Err(self.contradiction("a file cannot be a member of a mix"));
            }
            shares.push(Share::parse(share)?.ppb());
            members.push(of);
        }
        let sum: u128 = shares.iter().copied().map(u128::from).sum();
        if sum != u128::from(Share::ALL.ppb()) {
            return Err(self.contradiction("the shares of a mix must sum to 100%"));
        }
        let shares = WeightedIndex::new(shares).expect("the shares sum to 100%");
        Ok(Shape::Mix { members, shares })
    }

    fn empirical(&self) -> Result<Shape, ValueError> {
        let forms = "`empirical(p0 1ms p50 3ms p99 40ms p100 90ms)` or `empirical(file lat.csv)`";
        let words = self.words();
        if let ["file", file] = words[..] {
            return Ok(Shape::Values {
                file: file.to_owned(),
                values: Vec::new(),
            });
        }
        if words.is_empty() || !words.len().is_multiple_of(2) {
            return Err(self.wrong("an empirical distribution", forms));
        }
        let mut points: Vec<(Share, u64)> = Vec::new();
        for pair in words.chunks_exact(2) {
            let percent = pair[0].strip_prefix('p').and_then(Decimal::parse);
            let share = percent
                .and_then(|p| p.times(10_000_000))
                .map(Share::from_ppb);
            let share = share.ok_or_else(|| self.wrong("an empirical distribution", forms))?;
            let at = value(pair[1], self.kind)?;
            if points
                .last()
                .is_some_and(|(last, value)| *last >= share || *value > at)
            {
                return Err(
                    self.contradiction("percentiles must increase and values must not decrease")
                );
            }
            points.push((share, at));
        }
        let ends = (points.first().map(|p| p.0), points.last().map(|p| p.0));
        if ends != (Some(Share::NONE), Some(Share::ALL)) {
            return Err(self.contradiction("the points must start at p0 and end at p100"));
        }
        Ok(Shape::Points(points))
    }

    fn factor(&self, word: &str) -> Result<f64, ValueError> {
        let ratio = number::parse_factor(word)?;
        if ratio > 0.0 {
            Ok(ratio)
        } else {
            Err(self.contradiction("the parameters must be greater than zero"))
        }
    }
}

/// Splits at every `|` outside parentheses.
fn split_members(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0i32, 0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'|' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}
