//! Sizes in bytes: `512B`, `4kB`, `16KiB`.

use super::{Decimal, Ratio, ValueError};

/// The notation of a size, for messages.
pub(crate) const FORMS: &str = "`512B`, `4kB`, `16KiB`";

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Parses a size in bytes.
///
/// # Errors
/// An error if the unit is missing or unknown, or the size is not a whole number of bytes.
pub fn parse_size(text: &str) -> Result<u64, ValueError> {
    if Decimal::parse(text).is_some() {
        return Err(ValueError::NoUnit {
            text: text.to_owned(),
            kind: "size",
            forms: FORMS,
        });
    }
    let malformed = || ValueError::Malformed {
        text: text.to_owned(),
        kind: "size",
        forms: FORMS,
    };
    let (number, unit) = Decimal::split(text);
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(malformed)?;
    Decimal::parse(number)
        .ok_or_else(malformed)?
        .times(*factor)
        .ok_or_else(|| ValueError::OutOfRange {
            text: text.to_owned(),
            bound: "a size must be a whole number of bytes",
        })
}

/// Formats bytes in the notation of the language.
pub fn format_size(bytes: Ratio) -> String {
    let whole = bytes.rounded();
    for (unit, factor) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)] {
        if whole.abs() >= factor {
            return format!(
                "{}{unit}",
                Ratio::new(whole, factor).unwrap_or(Ratio::ZERO).decimal(9)
            );
        }
    }
    format!("{}B", bytes.decimal(3))
}

#[cfg(test)]
mod tests {
    use super::{format_size, parse_size};
    use crate::value::Ratio;

    #[test]
    fn powers_of_ten_and_of_two_are_told_apart() {
        assert_eq!(parse_size("4kB"), Ok(4_000));
        assert_eq!(parse_size("16KiB"), Ok(16_384));
        assert_eq!(parse_size("1.5kB"), Ok(1_500));
        assert!(
            parse_size("512")
                .unwrap_err()
                .to_string()
                .contains("has no unit")
        );
        assert!(parse_size("0.5B").is_err());
        assert!(parse_size("4KB").is_err());
    }

    #[test]
    fn sizes_are_printed_with_a_unit() {
        assert_eq!(format_size(Ratio::whole(1_500)), "1.5kB");
        assert_eq!(format_size(Ratio::whole(12)), "12B");
        assert_eq!(format_size(Ratio::whole(1_000)), "1kB");
        assert_eq!(format_size(Ratio::whole(999)), "999B");
    }
}
