//! What the stages that a request has passed do to its response, whoever gives it: an upstream or this proxy.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use shakedown_xds::table::{RateLimit, Route, TargetHeaders};

use crate::filter::cors::Allowed;
use crate::headers::{Snapshot, change_response};
use crate::limit::BucketState;
use crate::prepare;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What is done to a response.
#[derive(Debug, Default)]
pub(crate) struct Reply<'t> {
    /// The route whose changes it meets.
    pub(crate) route: Option<&'t Route>,
    /// The destination whose own changes it meets before those.
    pub(crate) target: Option<&'t TargetHeaders>,
    /// The request, where a value needs it.
    pub(crate) request: Option<Box<Snapshot>>,
    /// Whether the caller is told how many tries it took.
    pub(crate) tell_attempts: bool,
    /// The rate limit that refused the request.
    pub(crate) limited: Option<&'t RateLimit>,
    /// The origin that has leave to read it.
    pub(crate) cors: Option<Allowed<'t>>,
    /// The bucket whose state is told.
    pub(crate) limit: Option<BucketState>,
}

impl Reply<'_> {
    /// What the router does to a response, before filters see it.
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
        if self.tell_attempts {
            prepare::attempt_count(headers, attempts.max(1));
        }
    }

    /// What filters do to a response on its way to the caller.
    pub(crate) fn pass_filters(&self, headers: &mut HeaderMap) {
        if let Some(allowed) = &self.cors {
            allowed.tell(headers);
        }
        if let Some(state) = &self.limit {
            headers.append(LIMIT, HeaderValue::from(state.limit));
            headers.append(REMAINING, HeaderValue::from(state.remaining));
            let seconds = state.next.as_nanos().div_ceil(1_000_000_000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.append(RESET, HeaderValue::from(seconds));
        }
    }

    /// Whether some value of the response is made of the request.
    pub(crate) fn reads_request(&self) -> bool {
        let of_route = self.route.iter().flat_map(|route| &route.response_headers);
        of_route.into_iter().any(|ops| ops.reads_request())
            || self
                .target
                .is_some_and(|target| target.response.reads_request())
    }
}
