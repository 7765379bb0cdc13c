//! The meaning of an unquoted scalar in YAML 1.2's core schema, and the form of scalars in messages.

use super::Value;

/// The maximum number of characters of a scalar in a message.
const SHOWN: usize = 60;

/// Resolves a scalar. Quoted ones are strings. Plain `null`, `~`, the empty text, `true` and `false` are special.
pub fn resolve(text: String, quoted: bool) -> Value {
    if quoted {
        return Value::Scalar { text, quoted };
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => Value::Scalar { text, quoted },
    }
}

/// Resolves a scalar like [`resolve`], but with the booleans of YAML 1.1. Source: goyaml.v2, resolve.go.
pub fn resolve_1_1(text: String, quoted: bool) -> Value {
    if quoted {
        return Value::Scalar { text, quoted };
    }
    match text.as_str() {
        "y" | "Y" | "yes" | "Yes" | "YES" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => resolve(text, quoted),
    }
}

/// True if a YAML 1.2 core reader takes this plain scalar for a string: not null, boolean or number.
pub fn is_string(text: &str) -> bool {
    !is_number(text) && matches!(resolve(text.to_owned(), false), Value::Scalar { .. })
}

/// True if the text is a number in the core schema.
pub fn is_number(text: &str) -> bool {
    integer(text).is_some()
        || is_float(text)
        || is_digits(text.strip_prefix(['-', '+']).unwrap_or(text))
}

/// The integer value of a plain scalar: decimal, `0x` or `0o`. `None` if it is not an integer or does not fit 128 bits.
pub fn integer(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    is_digits(digits).then(|| text.parse().ok()).flatten()
}

/// The floating-point value of a plain scalar, including integers.
pub fn float(text: &str) -> Option<f64> {
    if is_float(text) {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, text.strip_prefix('+').unwrap_or(text)),
        };
        return match rest {
            ".inf" | ".Inf" | ".INF" => Some(sign * f64::INFINITY),
            ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
            _ => rest.parse::<f64>().ok().map(|value| sign * value),
        };
    }
    integer(text).map(|value| value as f64)
}

/// Formats a text for a message: control characters escaped, cut after 60 characters.
pub fn shorten(text: &str) -> String {
    let mut shown = String::new();
    for (index, letter) in text.chars().enumerate() {
        if index == SHOWN {
            shown.push('…');
            break;
        }
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Matches `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the infinities and nan.
fn is_float(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(rest, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    if let Some(exponent) = exponent
        && !is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
    {
        return false;
    }
    match mantissa.split_once('.') {
        None => is_digits(mantissa) && exponent.is_some(),
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_core_schema_are_told_from_text() {
        for text in [
            "0", "-7", "+3", "1.10", "1.", ".5", "1e3", "-2.5E-1", "0x1F", "0o17", ".inf", "-.INF",
            ".nan",
        ] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", "-", ".", "1s", "5%", "1.2.3", "v1", "1_000", "0x", "e3", "1e", "--1", "200/s",
            "nan", "0x-1",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn integers_keep_their_value() {
        assert_eq!(integer("-12"), Some(-12));
        assert_eq!(integer("0x1F"), Some(31));
        assert_eq!(integer("0o17"), Some(15));
        assert_eq!(integer("1.0"), None);
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        for text in ["yes", "no", "on", "True", "FALSE"] {
            assert!(
                matches!(resolve(text.into(), false), Value::Scalar { .. }),
                "{text}"
            );
        }
        assert_eq!(resolve("true".into(), false), Value::Bool(true));
    }
}
