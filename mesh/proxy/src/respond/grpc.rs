//! How a local reply is told to a caller that speaks gRPC.

use std::fmt::Write as _;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::GRPC_STATUS;

/// Whether a message speaks gRPC. Source: Envoy, `Grpc::Common::hasGrpcContentType`.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
}

/// The status of gRPC in headers or trailers: `None` if there is none, `Some(None)` for one that is no number.
pub(crate) fn code(headers: &HeaderMap) -> Option<Option<u32>> {
    let status = headers.get(GRPC_STATUS)?.to_str().ok()?;
    Some(status.parse().ok())
}

/// The status of gRPC that stands for one of HTTP. Source: Envoy, `Grpc::Utility::httpToGrpcStatus`.
pub(super) fn status_of(status: u16) -> u32 {
    match status {
        // INTERNAL.
        400 => 13,
        // UNAUTHENTICATED.
        401 => 16,
        // PERMISSION_DENIED.
        403 => 7,
        // UNIMPLEMENTED.
        404 => 12,
        // UNAVAILABLE.
        429 | 502 | 503 | 504 => 14,
        // UNKNOWN.
        _ => 2,
    }
}

/// A message as gRPC has it in a header: what is not printable, and the percent sign, as `%XX`.
/// Source: gRPC over HTTP/2, "Percent-Encoded".
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
