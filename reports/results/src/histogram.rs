//! Latency histograms: HDR, three significant digits, exact count, sum, minimum and maximum beside them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Nanoseconds, in an HDR histogram of three digits that grows as it must. Mean, minimum and maximum are exact; percentiles
/// are within 0.1%. Merged, never averaged.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    sum_ns: i128,
    min_ns: i64,
    max_ns: i64,
}

/// A histogram that could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("decode base64")]
    Base64(#[from] base64::DecodeError),
    /// Not an HDR histogram.
    #[error("read HDR histogram: {0}")]
    Hdr(String),
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Histogram {
        let counts = hdrhistogram::Histogram::new(3).expect("three digits are within HDR's range");
        Histogram {
            counts,
            sum_ns: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
        }
    }

    /// Takes in one value; negative ones (which no clock of ours gives) count as zero.
    pub fn record(&mut self, nanos: i64) {
        let nanos = nanos.max(0);
        self.counts
            .record(nanos.unsigned_abs())
            .expect("the histogram resizes itself");
        self.sum_ns += i128::from(nanos);
        self.min_ns = self.min_ns.min(nanos);
        self.max_ns = self.max_ns.max(nanos);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts
            .add(&other.counts)
            .expect("both histograms resize themselves");
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Their exact sum, ns.
    pub fn sum_ns(&self) -> i128 {
        self.sum_ns
    }

    /// Exact mean, rounded down to a whole ns; `None` when empty.
    pub fn mean_ns(&self) -> Option<i64> {
        let count = i128::from(self.count());
        (count > 0).then(|| i64::try_from(self.sum_ns / count).unwrap_or(i64::MAX))
    }

    /// Exact minimum; `None` when empty.
    pub fn min_ns(&self) -> Option<i64> {
        (self.count() > 0).then_some(self.min_ns)
    }

    /// Exact maximum; `None` when empty.
    pub fn max_ns(&self) -> Option<i64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// The smallest recorded value with at least this share of all at or below it, to three digits, and never beyond the
    /// exact maximum. `ppm` = parts per million (p99.9 = 999,000). `None` when empty.
    pub fn percentile_ns(&self, ppm: u32) -> Option<i64> {
        if self.count() == 0 {
            return None;
        }
        // The rank in whole numbers: a float quantile can land one value to the side.
        let rank = (u128::from(self.count()) * u128::from(ppm))
            .div_ceil(1_000_000)
            .max(1);
        let mut seen = 0u128;
        for step in self.counts.iter_recorded() {
            seen += u128::from(step.count_since_last_iteration());
            if seen >= rank {
                let value = i64::try_from(step.value_iterated_to()).unwrap_or(i64::MAX);
                return Some(value.clamp(self.min_ns, self.max_ns));
            }
        }
        Some(self.max_ns)
    }

    /// The recorded buckets in order: highest value of the bucket (ns) and how many fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.counts.iter_recorded().map(|step| {
            (
                i64::try_from(step.value_iterated_to()).unwrap_or(i64::MAX),
                step.count_since_last_iteration(),
            )
        })
    }

    /// HDR's V2 compressed form, base64.
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.counts, &mut bytes)
            .expect("writing to memory succeeds");
        STANDARD.encode(bytes)
    }

    /// Reads the counts of [`to_base64`](Self::to_base64) back. Sum, minimum and maximum are then those of the buckets.
    ///
    /// # Errors
    /// The text is not base64 or not an HDR histogram.
    pub fn from_base64(text: &str) -> Result<Histogram, HistogramError> {
        let bytes = STANDARD.decode(text)?;
        let counts: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| HistogramError::Hdr(e.to_string()))?;
        let mut sum_ns = 0i128;
        let (mut min_ns, mut max_ns) = (i64::MAX, i64::MIN);
        for step in counts.iter_recorded() {
            let value = i64::try_from(step.value_iterated_to()).unwrap_or(i64::MAX);
            sum_ns += i128::from(value) * i128::from(step.count_since_last_iteration());
            min_ns = min_ns.min(value);
            max_ns = max_ns.max(value);
        }
        Ok(Histogram {
            counts,
            sum_ns,
            min_ns,
            max_ns,
        })
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Histogram, D::Error> {
        let text = String::deserialize(deserializer)?;
        Histogram::from_base64(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
