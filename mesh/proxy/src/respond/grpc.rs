//! The gRPC form of a local reply, and the gRPC status of an upstream's response.

use std::fmt::Write as _;
use std::num::ParseIntError;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use shakedown_types::{GrpcStatus, grpc};

/// True if the message's content type is gRPC's. Source: Envoy, `Grpc::Common::hasGrpcContentType`.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(grpc::CONTENT_TYPE.as_bytes()));
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
}

/// The gRPC status in headers or trailers; `None` if missing, an error if it is not a number.
pub(crate) fn status(headers: &HeaderMap) -> Option<Result<GrpcStatus, ParseIntError>> {
    let code = headers.get(grpc::STATUS)?.to_str().ok()?;
    Some(code.parse().map(GrpcStatus::from_code))
}

/// Encodes a `grpc-message`: unprintable bytes and the percent sign as `%XX`. Source: gRPC over HTTP/2,
/// "Percent-Encoded".
pub(super) fn message(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(*byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_https() {
        let read = |text| {
            let headers = HeaderMap::from_iter([(grpc::STATUS, HeaderValue::from_static(text))]);
            status(&headers).expect("there is one")
        };
        for (text, http) in [("0", 200), ("14", 503), ("4", 504), ("13", 500), ("8", 429)] {
            assert_eq!(read(text).map(GrpcStatus::to_http), Ok(http), "{text}");
        }
        assert_eq!(read("17"), Ok(GrpcStatus::Unknown));
        assert!(read("x").is_err());
        assert_eq!(status(&HeaderMap::new()), None);
    }
}
