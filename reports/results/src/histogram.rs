//! Latency histograms: HDR with three significant digits, and exact count, sum, minimum and maximum.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// A distribution of nanoseconds, in an HDR histogram of three digits that resizes itself. Mean, minimum and
/// maximum are exact, percentiles within 0.1%. Histograms are merged, never averaged.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    sum_ns: i128,
    min_ns: i64,
    max_ns: i64,
}

/// The reason why a serialised histogram could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// The text is not base64.
    #[error("decode base64")]
    Base64(#[from] base64::DecodeError),
    /// The bytes are not an HDR histogram.
    #[error("read HDR histogram: {0}")]
    Hdr(String),
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl Histogram {
    /// Creates an empty histogram.
    pub fn new() -> Histogram {
        let counts = hdrhistogram::Histogram::new(3).expect("HDR histograms support three digits");
        Histogram {
            counts,
            sum_ns: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
        }
    }

    /// Adds a value. Negative values, which no clock here returns, count as zero.
    pub fn record(&mut self, nanos: i64) {
        let nanos = nanos.max(0);
        self.counts
            .record(nanos.unsigned_abs())
            .expect("the histogram resizes automatically");
        self.sum_ns += i128::from(nanos);
        self.min_ns = self.min_ns.min(nanos);
        self.max_ns = self.max_ns.max(nanos);
    }

    /// Adds all values of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts
            .add(&other.counts)
            .expect("the histogram resizes automatically");
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Exact sum of all values, ns.
    pub fn sum_ns(&self) -> i128 {
        self.sum_ns
    }

    /// Exact mean, rounded down to a whole ns; `None` if empty.
    pub fn mean_ns(&self) -> Option<i64> {
        let count = i128::from(self.count());
        (count > 0).then(|| i64::try_from(self.sum_ns / count).unwrap_or(i64::MAX))
    }

    /// Exact minimum; `None` if empty.
    pub fn min_ns(&self) -> Option<i64> {
        (self.count() > 0).then_some(self.min_ns)
    }

    /// Exact maximum; `None` if empty.
    pub fn max_ns(&self) -> Option<i64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// Returns the smallest recorded value with at least this share of all values at or below it, to three
    /// digits, and never beyond the exact maximum. `ppm` is in parts per million (p99.9 = 999,000). `None` if
    /// empty.
    pub fn percentile_ns(&self, ppm: u32) -> Option<i64> {
        if self.count() == 0 {
            return None;
        }
        // Computed in integers, because a float quantile may select a neighbouring value.
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

    /// Returns the non-empty buckets in order: highest value of the bucket (ns), and number of values in it.
    pub fn buckets(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.counts.iter_recorded().map(|step| {
            (
                i64::try_from(step.value_iterated_to()).unwrap_or(i64::MAX),
                step.count_since_last_iteration(),
            )
        })
    }

    /// Encodes the histogram in HDR's V2 compressed form, as base64.
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.counts, &mut bytes)
            .expect("writing to memory succeeds");
        STANDARD.encode(bytes)
    }

    /// Decodes the result of [`to_base64`](Self::to_base64). Sum, minimum and maximum are computed from the
    /// buckets, and therefore not exact.
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
