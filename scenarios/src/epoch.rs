//! RFC 3339 times in UTC, such as `2025-01-01T00:00:00Z`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Parses an RFC 3339 time in UTC with whole seconds to nanoseconds since 1970. Returns `None` if the text is not such
/// a time, or the time is before 1970 or does not fit 64 bits.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let nanos = u64::try_from(time.unix_timestamp_nanos()).ok()?;
    // RFC 3339 has several notations of a time, and fractions of a second; the language has one, of whole seconds.
    (time.nanosecond() == 0 && format(nanos) == text).then_some(nanos)
}

/// Formats nanoseconds since 1970.
pub(crate) fn format(nanos: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos.into());
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.expect("64 bits of nanoseconds end in the year 2554")
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn known_times_are_known_numbers() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            parse("2025-01-01T00:00:00Z"),
            Some(1_735_689_600_000_000_000)
        );
        assert_eq!(
            parse("2024-02-29T12:00:01Z"),
            Some(1_709_208_001_000_000_000)
        );
    }

    #[test]
    fn a_time_is_formatted_as_it_is_parsed() {
        assert_eq!(format(1_709_208_001_000_000_000), "2024-02-29T12:00:01Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2025-01-01",
            "2025-01-01T24:00:00Z",
            "2025-1-01T00:00:00Z",
            "2025-01-01T00:00:00+01:00",
            "2025-01-01T00:00:60Z",
            "2025-01-01T00:00:00.5Z",
            "1969-12-31T23:59:59Z",
            "2555-01-01T00:00:00Z",
            "Z",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
