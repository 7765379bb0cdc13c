//! The values of a file: each is read from the text of a scalar, or from a map of such texts.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use shakedown_yaml::decode::parse_text;

use crate::epoch;
use crate::scenario::AttemptBound;
use crate::value::{
    Decimal, Distribution, Rate, Ratio, Share, ValueError, format_ns, format_size, parse_count,
    parse_duration, parse_size,
};

/// The maximum factor. Bounded so that products of several factors and a time do not overflow.
const FACTOR_MAX: i128 = 1_000_000_000;

/// Defines value types: the inner type, the words of the value for errors, the parser, the notation of a default, and
/// the schema.
macro_rules! values {
    ($(
        $(#[$doc:meta])*
        $name:ident($inner:ty) = $expected:literal, $parse:expr, $write:expr, $schema:tt;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parse_text(deserializer, $expected, $parse).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $write(&self.0).serialize(serializer)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

values! {
    /// A text that has no notation of its own.
    Text(String) = "a plain value", |text: &str| Ok::<_, ValueError>(text.to_owned()), String::clone,
        { "type": ["string", "number", "boolean"] };
    /// A duration.
    Span(Duration) = "a duration", parse_duration, write_duration,
        { "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d))+$" };
    /// A distribution of durations. One that names a file has no values yet.
    Spans(Distribution) = "a duration or a distribution", Distribution::parse_duration, ToString::to_string,
        { "type": "string" };
    /// A distribution of counts.
    Counts(Distribution) = "a duration or a distribution", Distribution::parse_count, ToString::to_string,
        { "type": ["integer", "string"] };
    /// A share of at most 100%.
    Percentage(Share) = "a share", parse_percentage, ToString::to_string,
        { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$" };
    /// A number of events per time.
    EventRate(Rate) = "a rate", Rate::parse, ToString::to_string,
        { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[kM]?/[smh]$" };
    /// A size in bytes.
    Bytes(u64) = "a size", parse_size, |size: &u64| format_size(Ratio::whole(i128::from(*size))),
        { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(B|kB|MB|GB|KiB|MiB|GiB)$" };
    /// A count that fits 32 bits.
    Count(u32) = "a count", parse_small_count, u32::clone,
        { "type": ["integer", "string"], "minimum": 0, "pattern": r"^[0-9]+(\.[0-9]+)?[kM]?$" };
    /// A count that fits 64 bits.
    LargeCount(u64) = "a count", parse_count, u64::clone,
        { "type": ["integer", "string"], "minimum": 0, "pattern": r"^[0-9]+(\.[0-9]+)?[kM]?$" };
    /// A count, or `unlimited` (`None`).
    Limit(Option<u32>) = "a count", parse_limit, write_limit,
        { "type": ["integer", "string"], "minimum": 0, "pattern": r"^(unlimited|[0-9]+(\.[0-9]+)?[kM]?)$" };
    /// A limit of retries as a share of first attempts, or `none`.
    Budget(Option<Share>) = "a share", parse_budget,
        |budget: &Option<Share>| budget.map_or_else(|| "none".to_owned(), |share| share.to_string()),
        { "type": "string", "pattern": r"^(none|[0-9]+(\.[0-9]+)?%)$" };
    /// The longest wait, or `unlimited` (`None`).
    Wait(Option<Duration>) = "a duration", parse_wait,
        |wait: &Option<Duration>| wait.as_ref().map_or_else(|| "unlimited".to_owned(), write_duration),
        { "type": "string", "pattern": r"^(unlimited|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d))+)$" };
    /// The limit of one attempt: a duration, or `rest`.
    AttemptTimeout(AttemptBound) = "a duration", parse_attempt_timeout, write_attempt_timeout,
        { "type": "string", "pattern": r"^(rest|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d))+)$" };
    /// A number by which a time or a rate is multiplied.
    Factor(Ratio) = "a factor", parse_factor, |factor: &Ratio| factor.decimal(9),
        { "type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9]+(\.[0-9]+)?[kM]?$" };
    /// The port of a service.
    PortNumber(u16) = "a plain value", parse_port, u16::clone,
        { "type": "integer", "minimum": 1, "maximum": 65535 };
    /// The seed of a run.
    Seed(u64) = "a seed", parse_seed, u64::clone,
        { "type": "integer", "minimum": 0 };
    /// The first and the last seed of a sweep.
    SeedRange((u64, u64)) = "a range of seeds", parse_seeds, |(low, high): &(u64, u64)| format!("{low}..{high}"),
        { "type": "string", "pattern": r"^[0-9]+\.\.[0-9]+$" };
    /// A time of the wall clock in UTC, ns since 1970.
    Epoch(u64) = "a time", parse_epoch, |epoch: &u64| epoch::format(*epoch),
        { "type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" };
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.to_owned())
    }
}

impl Span {
    pub(crate) const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    pub(crate) const fn milliseconds(milliseconds: u64) -> Span {
        Span(Duration::from_millis(milliseconds))
    }
}

fn write_duration(duration: &Duration) -> String {
    format_ns(Ratio::whole(
        i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX),
    ))
}

fn parse_percentage(text: &str) -> Result<Share, String> {
    let share = Share::parse(text).map_err(|error| error.to_string())?;
    if share > Share::ALL {
        return Err(format!("`{share}` is more than 100%"));
    }
    Ok(share)
}

fn parse_small_count(text: &str) -> Result<u32, String> {
    let count = parse_count(text).map_err(|error| error.to_string())?;
    u32::try_from(count).map_err(|_| format!("`{count}` is too large: at most {}", u32::MAX))
}

fn parse_limit(text: &str) -> Result<Option<u32>, String> {
    match text {
        "unlimited" => Ok(None),
        _ => parse_small_count(text).map(Some),
    }
}

fn write_limit(limit: &Option<u32>) -> serde_json::Value {
    limit.map_or_else(|| "unlimited".into(), serde_json::Value::from)
}

fn parse_budget(text: &str) -> Result<Option<Share>, String> {
    match text {
        "none" => Ok(None),
        _ => parse_percentage(text).map(Some),
    }
}

fn parse_wait(text: &str) -> Result<Option<Duration>, ValueError> {
    match text {
        "unlimited" => Ok(None),
        _ => parse_duration(text).map(Some),
    }
}

fn parse_attempt_timeout(text: &str) -> Result<AttemptBound, ValueError> {
    match text {
        "rest" => Ok(AttemptBound::Rest),
        _ => parse_duration(text).map(AttemptBound::Span),
    }
}

fn write_attempt_timeout(timeout: &AttemptBound) -> String {
    match timeout {
        AttemptBound::Rest => "rest".to_owned(),
        AttemptBound::Span(span) => write_duration(span),
    }
}

fn parse_factor(text: &str) -> Result<Ratio, String> {
    Decimal::parse_multiplied(text)
        .filter(|factor| *factor <= Ratio::whole(FACTOR_MAX))
        .ok_or_else(|| {
            format!("invalid factor `{text}`: expected a bare number, such as `2.5` or `1k`, of at most {FACTOR_MAX}")
        })
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok();
    port.filter(|port| !matches!(port, 0 | 15001 | 15020 | 20000..=20999))
        .ok_or_else(|| {
            format!("invalid service port `{text}`: expected 1 to 65535, except 15001, 15020 and 20000 to 20999, which pods use internally")
        })
}

fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("invalid seed `{text}`: expected a whole number"))
}

fn parse_seeds(text: &str) -> Result<(u64, u64), String> {
    let range = text
        .split_once("..")
        .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    range
        .filter(|(low, high): &(u64, u64)| low <= high)
        .ok_or_else(|| format!("invalid range of seeds `{text}`: expected a range such as `1..30`"))
}

fn parse_epoch(text: &str) -> Result<u64, String> {
    epoch::parse(text).ok_or_else(|| {
        format!("invalid time `{text}`: expected a time such as `2025-01-01T00:00:00Z`")
    })
}

/// Header names and values, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderPairs(pub(crate) Vec<(HeaderName, HeaderValue)>);

/// Names and texts, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextPairs(pub(crate) Vec<(String, String)>);

struct Header(HeaderName);
struct HeaderText(HeaderValue);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer, "a header name", |text| {
            HeaderName::try_from(text).map_err(|_| format!("invalid header name `{text}`"))
        })
        .map(Header)
    }
}

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer, "a header's value", |text| {
            HeaderValue::try_from(text)
                .map_err(|_| format!("`{text}` cannot be sent as a header's value"))
        })
        .map(HeaderText)
    }
}

/// Reads the entries of a map, in order.
struct Entries<K, V>(std::marker::PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
    type Value = Vec<(K, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<(K, V)>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl<'de> Deserialize<'de> for HeaderPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries =
            deserializer.deserialize_map(Entries::<Header, HeaderText>(Default::default()))?;
        let headers = entries.into_iter().map(|(name, value)| (name.0, value.0));
        Ok(HeaderPairs(headers.collect()))
    }
}

impl<'de> Deserialize<'de> for TextPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = deserializer.deserialize_map(Entries::<Text, Text>(Default::default()))?;
        let labels = entries.into_iter().map(|(name, value)| (name.0, value.0));
        Ok(TextPairs(labels.collect()))
    }
}

/// The schema of a map of texts.
fn texts() -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
}

impl JsonSchema for HeaderPairs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderPairs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

impl JsonSchema for TextPairs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TextPairs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

/// The names of the headers that an app copies to its calls.
#[derive(Clone, Debug)]
pub(crate) struct HeaderNames(pub(crate) Vec<HeaderName>);

impl<'de> Deserialize<'de> for HeaderNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<Header>::deserialize(deserializer)?;
        Ok(HeaderNames(names.into_iter().map(|name| name.0).collect()))
    }
}

impl Serialize for HeaderNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(HeaderName::as_str))
    }
}

impl JsonSchema for HeaderNames {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderNames".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string" } })
    }
}
