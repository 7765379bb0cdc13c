//! Bodies of requests and responses, and the headers that carry a timeout.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use shakedown_scenarios::scenario::Protocol;
use shakedown_types::grpc::{self, TimeoutUnit, format_timeout, parse_timeout};

/// The header with the timeout of an HTTP request, in the format of gRPC.
pub const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-shakedown-timeout");

/// The size of a gRPC message's prefix: a flag (not compressed) and the length. Source: gRPC over HTTP/2,
/// `Length-Prefixed-Message`.
const PREFIX_BYTES: usize = 5;

/// A body of this size. For gRPC: one message of this size, after its prefix.
pub fn message(protocol: Protocol, size: u64) -> Bytes {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if protocol != Protocol::Grpc {
        return Bytes::from(vec![b'x'; size]);
    }
    // The length of a gRPC message has 32 bits.
    let size = u32::try_from(size).unwrap_or(u32::MAX - PREFIX_BYTES as u32);
    let mut bytes = vec![b'x'; PREFIX_BYTES + size as usize];
    bytes[0] = 0;
    bytes[1..PREFIX_BYTES].copy_from_slice(&size.to_be_bytes());
    Bytes::from(bytes)
}

/// Adds the headers of a gRPC request.
pub(crate) fn speak_grpc(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
    headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
}

/// Adds the header with the time left for the request.
pub(crate) fn write_timeout(headers: &mut HeaderMap, protocol: Protocol, left: Duration) {
    let name = match protocol {
        Protocol::Grpc => grpc::TIMEOUT,
        Protocol::Http | Protocol::Http2 => TIMEOUT_HEADER,
    };
    headers.insert(name, format_timeout(left, TimeoutUnit::Nanosecond));
}

/// The timeout in the headers of a request, if any.
pub fn read_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers
        .get(TIMEOUT_HEADER)
        .or_else(|| headers.get(grpc::TIMEOUT))?;
    parse_timeout(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(left: Duration, protocol: Protocol) -> Duration {
        let mut headers = HeaderMap::new();
        write_timeout(&mut headers, protocol, left);
        read_timeout(&headers).unwrap()
    }

    #[test]
    fn a_short_timeout_is_told_to_the_nanosecond() {
        let left = Duration::from_nanos(12_345_678);
        assert_eq!(there_and_back(left, Protocol::Http), left);
        assert_eq!(there_and_back(left, Protocol::Grpc), left);
    }

    #[test]
    fn a_long_timeout_is_never_told_longer_than_it_is() {
        let left = Duration::from_nanos(100_000_000_999);
        let received = there_and_back(left, Protocol::Grpc);
        assert_eq!(received, Duration::from_millis(100_000));
        let written = |left| {
            let mut headers = HeaderMap::new();
            write_timeout(&mut headers, Protocol::Grpc, left);
            headers[grpc::TIMEOUT].clone()
        };
        assert_eq!(written(left), "100000m");
        assert_eq!(written(Duration::from_secs(1)), "1000000u");
        assert_eq!(written(Duration::ZERO), "0n");
    }

    #[test]
    fn what_is_no_timeout_tells_nothing() {
        for text in ["", "5", "5x", "-5S", "S"] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT_HEADER, HeaderValue::from_static(text));
            assert_eq!(read_timeout(&headers), None, "{text}");
        }
    }

    #[test]
    fn a_message_of_grpc_tells_its_length() {
        assert_eq!(&*message(Protocol::Grpc, 3), b"\0\0\0\0\x03xxx");
        assert_eq!(&*message(Protocol::Grpc, 0), b"\0\0\0\0\0");
        assert_eq!(&*message(Protocol::Http2, 2), b"xx");
    }
}
