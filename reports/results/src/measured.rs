//! The number behind a check's result: a value with its unit, the limit it was compared with, and the sample
//! size.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The measured value of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The value that decided. For `always`, `never` and other words over slices: that of the slice nearest
    /// to the limit, or furthest beyond it. For `recovers`: the time from which the check is true.
    #[schemars(with = "f64")]
    pub value: Number,
    /// Unit of value and limit.
    pub unit: MeasuredUnit,
    /// Limit of the comparison; absent if it is not a single number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub limit: Option<Number>,
    /// Number of requests, attempts or values that the value was computed from; for checks over seeds, the
    /// number of seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
}

/// The unit of a measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MeasuredUnit {
    /// Durations in nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Shares in percent.
    #[serde(rename = "%")]
    Percent,
    /// Rates per second.
    #[serde(rename = "/s")]
    PerSecond,
    /// A plain number: a count, a factor, a quotient.
    #[serde(rename = "count")]
    Count,
    /// Sizes in bytes.
    #[serde(rename = "B")]
    Bytes,
}

/// A decimal number of up to six places: exact, and a number in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    millionths: i128,
}

const MILLION: i128 = 1_000_000;

impl Number {
    /// Creates a number from millionths.
    pub const fn from_millionths(millionths: i128) -> Number {
        Number { millionths }
    }

    /// Returns the number in millionths.
    pub const fn millionths(self) -> i128 {
        self.millionths
    }

    fn whole(self) -> Option<i64> {
        let is_whole = self.millionths % MILLION == 0;
        i64::try_from(self.millionths / MILLION)
            .ok()
            .filter(|_| is_whole)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(whole) => serializer.serialize_i64(whole),
            // Serialised as the shortest decimal that parses to the same float, which is exact for up to 15
            // digits.
            None => serializer.serialize_f64(self.millionths as f64 / 1e6),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Number, E> {
        Ok(Number::from_millionths(i128::from(whole) * MILLION))
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Number, E> {
        Ok(Number::from_millionths(i128::from(whole) * MILLION))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
        Ok(Number::from_millionths((number * 1e6).round() as i128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_decimals_in_json() {
        for (millionths, text) in [
            (99_934_200, "99.9342"),
            (-1, "-1e-6"),
            (23_030_000_000_000, "23030000"),
            (0, "0"),
            (9_000_000_000_000_000_000_000_000, "9000000000000000000"),
        ] {
            let number = Number::from_millionths(millionths);
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
            let read: Number = serde_json::from_str(text).unwrap();
            assert_eq!(read, number, "{text}");
        }
    }

    #[test]
    fn a_measured_value_names_its_unit() {
        let measured = Measured {
            value: Number::from_millionths(99_934_200),
            unit: MeasuredUnit::Percent,
            limit: Some(Number::from_millionths(99_500_000)),
            samples: Some(6_078),
        };
        assert_eq!(
            serde_json::to_string(&measured).unwrap(),
            r#"{"value":99.9342,"unit":"%","limit":99.5,"samples":6078}"#
        );
    }
}
