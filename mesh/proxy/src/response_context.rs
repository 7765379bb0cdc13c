//! Changes to a response by the steps that its request passed. They apply to upstream responses and local replies
//! alike.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use shakedown_xds::table::{RateLimit, Route, TargetHeaders};

use crate::filter::cors::AllowedOrigin;
use crate::headers::{SentRequest, change_response};
use crate::limit::BucketState;
use crate::prepare;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The changes to a response.
#[derive(Debug, Default)]
pub(crate) struct ResponseContext<'t> {
    /// The route whose header changes apply.
    pub(crate) route: Option<&'t Route>,
    /// The destination whose header changes apply before the route's.
    pub(crate) target: Option<&'t TargetHeaders>,
    /// The request, if a header value is built from it.
    pub(crate) request: Option<Box<SentRequest>>,
    /// True if the response carries the attempt count.
    pub(crate) include_attempt_count: bool,
    /// The rate limit that rejected the request.
    pub(crate) limited: Option<&'t RateLimit>,
    /// The origin that may read the response.
    pub(crate) cors: Option<AllowedOrigin<'t>>,
    /// The bucket whose state is reported in `x-ratelimit-*`.
    pub(crate) limit: Option<BucketState>,
}

impl ResponseContext<'_> {
    /// Applies the router's changes, before the filters'.
    pub(crate) fn finish(&self, headers: &mut HeaderMap, attempts: u32) {
        let request = self.request.as_deref();
        if let Some(target) = self.target {
            change_response(&target.response, headers, request);
        }
        for ops in self.route.iter().flat_map(|route| &route.response_headers) {
            change_response(ops, headers, request);
        }
        if let Some(limit) = self.limited {
            change_response(&limit.response_headers, headers, request);
        }
        if self.include_attempt_count {
            prepare::attempt_count(headers, attempts.max(1));
        }
    }

    /// Applies the filters' changes.
    pub(crate) fn pass_filters(&self, headers: &mut HeaderMap) {
        if let Some(allowed) = &self.cors {
            allowed.write_headers(headers);
        }
        if let Some(state) = &self.limit {
            headers.append(LIMIT, HeaderValue::from(state.limit));
            headers.append(REMAINING, HeaderValue::from(state.remaining));
            let seconds = state.next.as_nanos().div_ceil(1_000_000_000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.append(RESET, HeaderValue::from(seconds));
        }
    }

    /// True if a header value is built from the request.
    pub(crate) fn reads_request(&self) -> bool {
        let of_route = self.route.iter().flat_map(|route| &route.response_headers);
        of_route.into_iter().any(|ops| ops.reads_request())
            || self
                .target
                .is_some_and(|target| target.response.reads_request())
    }
}
