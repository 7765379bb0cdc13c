//! The responses of Envoy's codec to request heads that it rejects.

use http::StatusCode;
use shakedown_types::ResponseFlags;
use shakedown_wire::BadHead;
use shakedown_xds::table::Listener;

/// The response to a request that is refused on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlyResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: &'static str,
    pub(crate) details: &'static str,
    pub(crate) flags: ResponseFlags,
}

/// The response to a head that exceeds the size limit.
pub(crate) const TOO_LARGE: EarlyResponse = codec(BadHead::TooLarge);

/// The response to HTTP/1.0 and any other version below HTTP/1.1.
pub(crate) const LOW_VERSION: EarlyResponse = codec(BadHead::Version);

/// The response to QUERY without a `content-type`. Source: Envoy, `ConnectionManagerImpl::ActiveStream::decodeHeaders`.
pub(crate) const BARE_QUERY: EarlyResponse = EarlyResponse {
    status: StatusCode::BAD_REQUEST,
    body: "",
    details: "query_missing_content_type",
    flags: ResponseFlags::empty(),
};

/// The response to an invalid head.
pub(crate) fn for_bad_head(why: BadHead, listener: &Listener) -> EarlyResponse {
    match why {
        BadHead::Late => late(listener),
        why => codec(why),
    }
}

/// The codec's response. Source: Envoy, `Http1::ResponseCodeDetails` and `Http::Utility::sendLocalReply`.
const fn codec(why: BadHead) -> EarlyResponse {
    let (body, details) = match why {
        BadHead::Syntax => ("Bad Request", "http1.codec_error"),
        BadHead::Characters => ("Bad Request", "http1.invalid_characters"),
        BadHead::LengthAndCoding => (
            "Bad Request",
            "http1.content_length_and_chunked_not_allowed",
        ),
        BadHead::Coding => ("Not Implemented", "http1.invalid_transfer_encoding"),
        BadHead::TooLarge => ("Request Header Fields Too Large", "http1.headers_too_large"),
        BadHead::TooMany => ("Request Header Fields Too Large", "http1.too_many_headers"),
        BadHead::Url => ("Bad Request", "http1.invalid_url"),
        BadHead::Scheme => ("Bad Request", "http1.invalid_scheme"),
        BadHead::Authority => ("Bad Request", "http.invalid_authority"),
        BadHead::Fragment => ("", "path_normalization_failed"),
        BadHead::Version => ("Upgrade Required", "low_version"),
        BadHead::Late => ("request header timeout", "request_header_timeout"),
    };
    let flags = match why {
        BadHead::Fragment | BadHead::Late => ResponseFlags::empty(),
        _ => ResponseFlags::DPE,
    };
    EarlyResponse {
        status: why.status(),
        body,
        details,
        flags,
    }
}

/// The response to a head that is not complete in time. Of the configured timeouts the shortest one decides, and of
/// equal ones the one that Envoy starts first.
fn late(listener: &Listener) -> EarlyResponse {
    let manager = &listener.manager;
    let headers = codec(BadHead::Late);
    let whole = EarlyResponse {
        body: "request timeout",
        details: "request_overall_timeout",
        ..headers
    };
    let idle = EarlyResponse {
        body: "stream timeout",
        details: "stream_idle_timeout",
        flags: ResponseFlags::SI,
        ..headers
    };
    let bounds = [
        (manager.request_headers_timeout, headers),
        (manager.request_timeout, whole),
        (listener.stream_idle_timeout, idle),
    ];
    let set = bounds
        .into_iter()
        .filter_map(|(span, refusal)| Some((span?, refusal)));
    set.min_by_key(|(span, _)| *span)
        .map_or(headers, |(_, refusal)| refusal)
}
