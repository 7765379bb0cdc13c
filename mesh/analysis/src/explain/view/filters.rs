//! The effects of filters and routes on a request, other than forwarding.

use serde::Serialize;
use shakedown_xds::table::{
    Abort, Cors, Fault, Mirror, RequestShare, RequestView, origin, preflight_method,
};

use super::RejectionView;
use super::units::{millis, ppm};
use super::upstream::ClusterPolicies;

/// Further policies that apply to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policies {
    /// Injected delays and aborts.
    pub fault: Option<FaultView>,
    /// The CORS policy. The proxy itself responds to preflights of allowed origins.
    pub cors: Option<CorsView>,
    pub mirrors: Vec<MirrorView>,
    /// The changes to request headers: `set x: 1`, `add x: 1`, `remove x`.
    pub request_headers: Vec<String>,
    /// The changes to response headers, likewise.
    pub response_headers: Vec<String>,
    /// The policies of `cluster`. `None` if there is not exactly one cluster.
    pub cluster: Option<ClusterPolicies>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultView {
    /// The injected delay, in milliseconds.
    pub delay_ms: Option<u64>,
    /// The share of delayed requests, in parts per million.
    pub delay_ppm: Option<u32>,
    /// The HTTP status of aborted requests.
    pub abort_status: Option<u16>,
    /// The gRPC status of aborted requests.
    pub abort_grpc_status: Option<u32>,
    /// The share of aborted requests, in parts per million.
    pub abort_ppm: Option<u32>,
}

impl FaultView {
    pub(in super::super) fn new(fault: &Fault) -> FaultView {
        let abort = fault.abort.as_ref();
        FaultView {
            delay_ms: fault.delay.as_ref().map(|(delay, _)| millis(*delay)),
            delay_ppm: fault.delay.as_ref().map(|(_, share)| ppm(*share)),
            abort_status: abort.and_then(|(abort, _)| match abort {
                Abort::Http(status) => Some(*status),
                Abort::Grpc(_) => None,
            }),
            abort_grpc_status: abort.and_then(|(abort, _)| match abort {
                Abort::Grpc(status) => Some(*status),
                Abort::Http(_) => None,
            }),
            abort_ppm: abort.map(|(_, share)| ppm(*share)),
        }
    }
}

/// The CORS policy as it applies to the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorsView {
    /// True if the request's origin is allowed. `None` if it has no origin.
    pub allowed: Option<bool>,
    /// True if the request is a preflight to which the proxy itself responds. `None` if it is not a preflight.
    pub answered: Option<bool>,
    /// The CORS headers of the response, such as `access-control-allow-origin: http://a`.
    pub response_headers: Vec<String>,
    /// The number of allowed origins or origin patterns.
    pub allowed_origins: usize,
    /// The allowed methods in a preflight response.
    pub allow_methods: Option<String>,
    /// The allowed headers in a preflight response.
    pub allow_headers: Option<String>,
    /// True if a preflight of another origin is forwarded. Otherwise the proxy responds without CORS headers.
    pub forwards_other_preflights: bool,
}

impl CorsView {
    /// Applies a route's policy to a request.
    pub(in super::super) fn new(cors: &Cors, request: &RequestView<'_>) -> CorsView {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let origin = origin(request.headers).filter(|_| cors.enabled != RequestShare::NONE);
        let allowed = origin.map(|origin| cors.allows(origin));
        let method = origin.and_then(|_| preflight_method(request.method, request.headers));
        let answered = method.map(|_| cors.answers_preflight(allowed == Some(true)));
        let mut headers = http::HeaderMap::new();
        if let (Some(origin), Some(true)) = (origin, allowed) {
            cors.append_allowed(origin, &mut headers);
        }
        if let (Some(method), Some(true)) = (method, answered) {
            headers.extend(cors.preflight(method, request.headers));
        }
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", text(value)))
            .collect();
        lines.sort();
        CorsView {
            allowed,
            answered,
            response_headers: lines,
            allowed_origins: cors.allow_origins.len(),
            allow_methods: cors.allow_methods.as_ref().map(text),
            allow_headers: cors.allow_headers.as_ref().map(text),
            forwards_other_preflights: cors.forward_not_matching_preflights,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MirrorView {
    /// The target clusters.
    pub clusters: Vec<String>,
    /// The share of mirrored requests, in parts per million.
    pub share_ppm: u32,
    /// The reason why all copies fail, if this is certain. It has no effect on the caller.
    pub rejected_by: Option<RejectionView>,
}

impl MirrorView {
    pub(in super::super) fn new(mirror: &Mirror, rejected_by: Option<RejectionView>) -> MirrorView {
        let targets = mirror.action.targets().iter();
        MirrorView {
            clusters: targets.map(|target| target.cluster.to_string()).collect(),
            share_ppm: ppm(mirror.share),
            rejected_by,
        }
    }
}
