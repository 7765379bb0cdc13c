//! The `grpc-timeout` header, in Envoy's precision: whole milliseconds.

use std::time::Duration;

use http::HeaderMap;
use shakedown_types::grpc::{TIMEOUT, TimeoutUnit, format_timeout, parse_timeout};

/// The caller's timeout, rounded up; `None` if missing or malformed. Source: Envoy, `Grpc::Common::getGrpcTimeout`.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let exact = parse_timeout(headers.get(TIMEOUT)?.as_bytes())?;
    let millis = exact.as_nanos().div_ceil(1_000_000);
    Some(Duration::from_millis(millis.try_into().unwrap_or(u64::MAX)))
}

/// Sets the upstream's timeout. Source: Envoy, `Grpc::Common::toGrpcTimeout`.
pub(crate) fn set_timeout(headers: &mut HeaderMap, timeout: Duration) {
    let value = format_timeout(timeout, TimeoutUnit::Millisecond);
    headers.insert(TIMEOUT, value);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_callers_timeout_is_read_in_all_units() {
        let read = |text| {
            let headers = HeaderMap::from_iter([(TIMEOUT, HeaderValue::from_static(text))]);
            timeout(&headers).map(|span| span.as_millis())
        };
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
        let written = |millis| {
            let mut map = HeaderMap::new();
            set_timeout(&mut map, Duration::from_millis(millis));
            map[TIMEOUT].to_str().unwrap().to_owned()
        };
        assert_eq!(written(1500), "1500m");
        assert_eq!(written(100_000_000), "100000S");
        assert_eq!(written(u64::MAX), "99999999H");
    }
}
