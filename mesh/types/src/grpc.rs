//! Headers of gRPC over HTTP/2, and the codec of its timeout. Source: gRPC, "gRPC over HTTP2".

use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// The status of a call, in headers or trailers.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The timeout of a call.
pub const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// The content type of requests and responses.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// The maximum value of a timeout: eight digits. Source: gRPC over HTTP2, `TimeoutValue`.
const TIMEOUT_MAX: u128 = 99_999_999;
const TIMEOUT_DIGITS_MAX: usize = 8;

/// The unit of a timeout, ordered from fine to coarse. Source: gRPC over HTTP2, `TimeoutUnit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeoutUnit {
    /// `n`.
    Nanosecond,
    /// `u`.
    Microsecond,
    /// `m`.
    Millisecond,
    /// `S`.
    Second,
    /// `M`.
    Minute,
    /// `H`.
    Hour,
}

impl TimeoutUnit {
    const ALL: [TimeoutUnit; 6] = [
        TimeoutUnit::Nanosecond,
        TimeoutUnit::Microsecond,
        TimeoutUnit::Millisecond,
        TimeoutUnit::Second,
        TimeoutUnit::Minute,
        TimeoutUnit::Hour,
    ];

    const fn letter(self) -> u8 {
        match self {
            TimeoutUnit::Nanosecond => b'n',
            TimeoutUnit::Microsecond => b'u',
            TimeoutUnit::Millisecond => b'm',
            TimeoutUnit::Second => b'S',
            TimeoutUnit::Minute => b'M',
            TimeoutUnit::Hour => b'H',
        }
    }

    const fn duration(self) -> Duration {
        match self {
            TimeoutUnit::Nanosecond => Duration::from_nanos(1),
            TimeoutUnit::Microsecond => Duration::from_micros(1),
            TimeoutUnit::Millisecond => Duration::from_millis(1),
            TimeoutUnit::Second => Duration::from_secs(1),
            TimeoutUnit::Minute => Duration::from_secs(60),
            TimeoutUnit::Hour => Duration::from_secs(3600),
        }
    }
}

/// Parses the value of a timeout header; `None` if it is malformed.
pub fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (letter, digits) = value.split_last()?;
    let mut units = TimeoutUnit::ALL.into_iter();
    let unit = units.find(|unit| unit.letter() == *letter)?;
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS_MAX {
        return None;
    }
    let mut count = 0;
    for digit in digits {
        count = count * 10 + char::from(*digit).to_digit(10)?;
    }
    Some(unit.duration() * count)
}

/// Formats the value of a timeout header in the finest unit, but not finer than `finest`, in which it has at most eight
/// digits. Rounds down, so that a server never waits longer than its client.
pub fn format_timeout(timeout: Duration, finest: TimeoutUnit) -> HeaderValue {
    let count = |unit: TimeoutUnit| timeout.as_nanos() / unit.duration().as_nanos();
    let unit = TimeoutUnit::ALL
        .into_iter()
        .find(|unit| *unit >= finest && count(*unit) <= TIMEOUT_MAX)
        .unwrap_or(TimeoutUnit::Hour);
    let text = format!(
        "{}{}",
        count(unit).min(TIMEOUT_MAX),
        char::from(unit.letter())
    );
    HeaderValue::try_from(text).expect("digits and a letter are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_parsed_in_every_unit() {
        for (text, nanos) in [
            ("2n", 2),
            ("3u", 3_000),
            ("4m", 4_000_000),
            ("5S", 5_000_000_000),
            ("6M", 360_000_000_000),
            ("7H", 25_200_000_000_000),
            ("0S", 0),
            ("00000001S", 1_000_000_000),
            ("99999999H", 359_999_996_400_000_000_000),
        ] {
            let parsed = parse_timeout(text.as_bytes()).map(|span| span.as_nanos());
            assert_eq!(parsed, Some(nanos), "{text}");
        }
    }

    #[test]
    fn a_malformed_timeout_is_refused() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "5x",
            "123456789S",
            "-1S",
            "+1S",
            "1.5S",
            "1 S",
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_timeout(b"1\xff"), None);
    }

    #[test]
    fn a_timeout_is_formatted_in_the_finest_unit_of_eight_digits() {
        let format = |nanos, finest| format_timeout(Duration::from_nanos(nanos), finest);
        let nanosecond = TimeoutUnit::Nanosecond;
        assert_eq!(format(0, nanosecond), "0n");
        assert_eq!(format(99_999_999, nanosecond), "99999999n");
        assert_eq!(format(100_000_999, nanosecond), "100000u");
        let millisecond = TimeoutUnit::Millisecond;
        assert_eq!(format(1_999_999, millisecond), "1m");
        assert_eq!(format(100_000_999_000_000, millisecond), "100000S");
        assert_eq!(
            format_timeout(Duration::MAX, TimeoutUnit::Millisecond),
            "99999999H"
        );
    }
}
