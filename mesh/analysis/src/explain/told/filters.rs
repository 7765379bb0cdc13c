//! What filters and routes do to a request beside sending it on.

use serde::Serialize;
use shakedown_xds::table::{
    Abort, Cors, Fault, Mirror, RequestView, Share, origin, preflight_method,
};

use super::{ClusterPolicies, Rejection, millis, ppm};

/// What else is done to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policies {
    /// Delays and aborts, on purpose.
    pub fault: Option<FaultTold>,
    /// What is said to pages of other origins; preflights of those that are allowed are answered by the proxy.
    pub cors: Option<CorsTold>,
    /// Where copies go.
    pub mirrors: Vec<MirrorTold>,
    /// What is done to its headers: `set x: 1`, `add x: 1`, `remove x`.
    pub request_headers: Vec<String>,
    /// The same of its response.
    pub response_headers: Vec<String>,
    /// What holds for `cluster`; `None` where there is not one.
    pub cluster: Option<ClusterPolicies>,
}

/// Delays and aborts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultTold {
    /// How long requests are held back.
    pub delay_ms: Option<u64>,
    /// What share of them, parts per million.
    pub delay_ppm: Option<u32>,
    /// The status that requests are answered.
    pub abort_status: Option<u16>,
    /// The gRPC status that they are answered.
    pub abort_grpc_status: Option<u32>,
    /// What share of them, parts per million.
    pub abort_ppm: Option<u32>,
}

impl FaultTold {
    pub(in super::super) fn of(fault: &Fault) -> FaultTold {
        let abort = fault.abort.as_ref();
        FaultTold {
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

/// What is said to pages of other origins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorsTold {
    /// Whether the request's origin has leave; `None` if it comes from no page.
    pub allowed: Option<bool>,
    /// Whether it is a preflight that the proxy answers itself; `None` if it is no preflight.
    pub answered: Option<bool>,
    /// What the response tells its page: `access-control-allow-origin: http://a`.
    pub response_headers: Vec<String>,
    /// How many origins, or patterns of them, are allowed.
    pub allowed_origins: usize,
    /// The methods told to a preflight.
    pub allow_methods: Option<String>,
    /// The headers told to a preflight.
    pub allow_headers: Option<String>,
    /// Whether a preflight of another origin is sent on; else it is answered without leave.
    pub forwards_other_preflights: bool,
}

impl CorsTold {
    /// What a route's policy makes of a request.
    pub(in super::super) fn of(cors: &Cors, request: &RequestView<'_>) -> CorsTold {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let origin = origin(request.headers).filter(|_| cors.enabled != Share::NONE);
        let allowed = origin.map(|origin| cors.allows(origin));
        let asked = origin.and_then(|_| preflight_method(request.method, request.headers));
        let answered = asked.map(|_| cors.answers_preflight(allowed == Some(true)));
        let mut headers = http::HeaderMap::new();
        if let (Some(origin), Some(true)) = (origin, allowed) {
            cors.tell(origin, &mut headers);
        }
        if let (Some(asked), Some(true)) = (asked, answered) {
            headers.extend(cors.preflight(asked, request.headers));
        }
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", text(value)))
            .collect();
        lines.sort();
        CorsTold {
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

/// A copy of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MirrorTold {
    /// Where it goes.
    pub clusters: Vec<String>,
    /// Of what share of requests, parts per million.
    pub share_ppm: u32,
    /// Why none of them arrives, if that is sure; their caller is told nothing of it.
    pub rejected_by: Option<Rejection>,
}

impl MirrorTold {
    pub(in super::super) fn of(mirror: &Mirror, rejected_by: Option<Rejection>) -> MirrorTold {
        let targets = mirror.action.targets().iter();
        MirrorTold {
            clusters: targets.map(|target| target.cluster.to_string()).collect(),
            share_ppm: ppm(mirror.share),
            rejected_by,
        }
    }
}
