//! What of gRPC the try loop looks at: its timeout, and what its statuses stand for.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};

const TIMEOUT: &str = "grpc-timeout";

/// The caller's timeout in whole milliseconds, rounded up; `None` if there is none, or none that can be read.
/// Source: gRPC over HTTP/2, `Timeout`; Envoy, `Grpc::Common::getGrpcTimeout`.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let millis = match unit {
        "H" => number * 3_600_000,
        "M" => number * 60_000,
        "S" => number * 1_000,
        "m" => number,
        "u" => number.div_ceil(1_000),
        "n" => number.div_ceil(1_000_000),
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

/// Tells the upstream how long it has. Source: Envoy, `Grpc::Common::toGrpcTimeout`.
pub(crate) fn tell_timeout(headers: &mut HeaderMap, span: Duration) {
    const MOST: u128 = 99_999_999;
    let mut value = span.as_millis();
    let mut unit = 'm';
    for (next, size) in [('S', 1000), ('M', 60), ('H', 60)] {
        if value <= MOST {
            break;
        }
        value /= size;
        unit = next;
    }
    let text = format!("{}{unit}", value.min(MOST));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TIMEOUT, value);
    }
}

/// The HTTP status that a gRPC status stands for; `None` is one that is no number.
/// Source: Envoy, `Grpc::Utility::grpcToHttpStatus`.
pub(super) fn http_status(code: Option<u32>) -> u16 {
    match code {
        Some(0) => 200,
        Some(1) => 499,
        Some(3 | 9 | 11) => 400,
        Some(4) => 504,
        Some(5) => 404,
        Some(6 | 10) => 409,
        Some(7) => 403,
        Some(8) => 429,
        Some(12) => 501,
        Some(14) => 503,
        Some(16) => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::grpc_code;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(name, HeaderValue::from_static(value));
        map
    }

    #[test]
    fn the_callers_timeout_is_read_in_all_units() {
        let read = |text| timeout(&headers(TIMEOUT, text)).map(|span| span.as_millis());
        for (text, millis) in [
            ("1H", 3_600_000),
            ("2M", 120_000),
            ("3S", 3_000),
            ("4m", 4),
            ("1u", 1),
            ("1001u", 2),
            ("1n", 1),
            ("0S", 0),
        ] {
            assert_eq!(read(text), Some(millis), "{text}");
        }
        for text in ["", "S", "1", "1s", "123456789S", "-1S", "1.5S"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_timeout_is_told_in_eight_digits() {
        let told = |millis| {
            let mut map = HeaderMap::new();
            tell_timeout(&mut map, Duration::from_millis(millis));
            map[TIMEOUT].to_str().unwrap().to_owned()
        };
        assert_eq!(told(1500), "1500m");
        assert_eq!(told(100_000_000), "100000S");
        assert_eq!(told(u64::MAX), "99999999H");
    }

    #[test]
    fn statuses_become_https() {
        for (grpc, http) in [
            ("0", 200),
            ("14", 503),
            ("4", 504),
            ("13", 500),
            ("8", 429),
            ("x", 500),
        ] {
            let read = grpc_code(&headers("grpc-status", grpc));
            assert_eq!(read.map(http_status), Some(http), "{grpc}");
        }
        assert_eq!(grpc_code(&HeaderMap::new()), None);
    }
}
