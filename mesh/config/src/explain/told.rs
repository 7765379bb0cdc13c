//! What is told: plain values, in the shape of the JSON form. A key is always there; `null` is what does not apply.

use serde::Serialize;

use super::millis;
use crate::diagnostic::Place;
use crate::table::{
    Abort, Cors, DirectResponse, Fault, Host, Mirror, OutlierDetection, RetryOn, RetryPolicy, Share,
};

/// What a request would meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The listener that takes it in.
    pub listener: String,
    /// The virtual host of its authority.
    pub virtual_host: Option<String>,
    /// The route that takes it: its name, or else where it is written.
    pub route: Option<String>,
    /// The cluster that it is sent to; `None` also where chance decides, and then see `weighted_clusters`.
    pub cluster: Option<String>,
    /// The clusters among which its route splits, in order.
    pub weighted_clusters: Option<Vec<Target>>,
    /// The header by whose number it is split, where the route names one.
    pub split_by: Option<String>,
    /// The host that its upstream is told; `None` also where that depends on the cluster.
    pub host: Option<String>,
    /// The path that its upstream is asked for, with its query.
    pub path: Option<String>,
    /// Where its caller is sent instead.
    pub redirect: Option<Redirected>,
    /// What its caller is answered instead.
    pub direct_response: Option<Answer>,
    /// How long all its tries together may take; `None`: as long as they do.
    pub timeout_ms: Option<u64>,
    /// When it is tried again; `None`: never.
    pub retries: Option<RetriesTold>,
    /// Why it is refused, if it is for sure.
    pub rejected_by: Option<Rejection>,
    /// The lines of YAML behind all this, in the order in which it meets them.
    pub decided_by: Vec<Decision>,
    /// The endpoints of `cluster`; `None` also where they are not known.
    pub endpoints: Option<Vec<EndpointTold>>,
    /// What else is done to it.
    pub policies: Policies,
}

impl Explanation {
    /// Of a request that has met nothing but its listener.
    pub(super) fn nothing(listener: &str) -> Explanation {
        Explanation {
            listener: listener.to_owned(),
            virtual_host: None,
            route: None,
            cluster: None,
            weighted_clusters: None,
            split_by: None,
            host: None,
            path: None,
            redirect: None,
            direct_response: None,
            timeout_ms: None,
            retries: None,
            rejected_by: None,
            decided_by: Vec::new(),
            endpoints: None,
            policies: Policies::default(),
        }
    }

    /// The line that decided something, by its word of [`Decision::what`]; of one cluster alone where that is given.
    pub fn decision(&self, what: &str, cluster: Option<&str>) -> Option<&Decision> {
        self.decided_by.iter().find(|decision| {
            let of = decision.cluster.as_deref();
            decision.what == what && (cluster.is_none() || of.is_none() || of == cluster)
        })
    }
}

/// A line of YAML, and what it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What it decided: `virtual_host`, `route`, `cluster`, `timeout`, `outlier_detection`, ...
    pub what: &'static str,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The document: `VirtualService/reviews`, outside `default` with its namespace: `VirtualService/reviews.shop`.
    pub document: String,
    /// The field in it: `spec.http[0].match[1]`.
    pub field: String,
    /// The cluster that it is about, where it is about one.
    pub cluster: Option<String>,
}

impl Decision {
    pub(super) fn new(
        what: &'static str,
        place: &Place,
        document: String,
        field: String,
    ) -> Decision {
        Decision {
            what,
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
            document,
            field,
            cluster: None,
        }
    }
}

/// A destination of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The cluster.
    pub cluster: String,
    /// Its share of the sum of all weights.
    pub weight: u32,
    /// The host that it is told.
    pub host: String,
    /// Its endpoints, those of the nearest priority first; `None`: not known.
    pub endpoints: Option<Vec<EndpointTold>>,
    /// What holds for it; `None` if it does not exist.
    pub policies: Option<ClusterPolicies>,
    /// What is done to the headers of its requests alone.
    pub request_headers: Vec<String>,
    /// What is done to the headers of its responses alone.
    pub response_headers: Vec<String>,
    /// Why requests to it are refused, if they are.
    pub rejected_by: Option<Rejection>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointTold {
    /// Its address and port.
    pub address: String,
    /// Its workload: `reviews-v2`; empty if unknown.
    pub workload: String,
    /// Its region; empty if unknown.
    pub region: String,
    /// Its zone; empty if unknown.
    pub zone: String,
    /// Its priority, for this caller; 0 is used first.
    pub priority: u32,
    /// Its weight.
    pub weight: u32,
}

impl EndpointTold {
    pub(super) fn of(host: &Host) -> EndpointTold {
        EndpointTold {
            address: host.address.to_string(),
            workload: host.workload.to_string(),
            region: host.locality.region.clone(),
            zone: host.locality.zone.clone(),
            priority: host.priority,
            weight: host.weight,
        }
    }
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redirected {
    /// The status.
    pub status: u16,
    /// Where to.
    pub location: String,
}

/// An answer of a route's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; bytes that are no text are replaced.
    pub body: String,
}

impl Answer {
    pub(super) fn of(direct: &DirectResponse) -> Answer {
        Answer {
            status: direct.status,
            body: String::from_utf8_lossy(&direct.body).into_owned(),
        }
    }
}

/// When a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetriesTold {
    /// Tries after the first.
    pub attempts: u32,
    /// After what; Envoy's names.
    pub on: Vec<&'static str>,
    /// The statuses of `retriable-status-codes`.
    pub status_codes: Vec<u16>,
    /// How long each try may take; `None`: no bound of its own.
    pub per_try_timeout_ms: Option<u64>,
    /// The first wait is at most this long; the next twice that, and so on.
    pub base_interval_ms: u64,
    /// No wait is longer.
    pub max_interval_ms: u64,
    /// Whether a retry looks for an endpoint that has not been tried.
    pub avoid_previous_hosts: bool,
}

impl RetriesTold {
    /// `None` where nothing is ever tried again.
    pub(super) fn of(policy: &RetryPolicy) -> Option<RetriesTold> {
        let conditions = RetryOn::ALL.iter();
        let on = conditions.filter(|(_, condition)| policy.on.contains(*condition));
        let told = RetriesTold {
            attempts: policy.times,
            on: on.map(|(name, _)| *name).collect(),
            status_codes: policy.codes.clone(),
            per_try_timeout_ms: policy.per_try_timeout.map(millis),
            base_interval_ms: millis(policy.base_interval),
            max_interval_ms: millis(policy.max_interval),
            avoid_previous_hosts: policy.avoid_previous_hosts,
        };
        (told.attempts > 0 && !told.on.is_empty()).then_some(told)
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// Envoy's response flag: `NR`, `NC`, `UH`, `FI`.
    pub flags: Option<&'static str>,
    /// The status that the caller sees.
    pub status: u16,
    /// Envoy's response code details.
    pub details: String,
    /// The same in words.
    pub because: String,
}

impl Rejection {
    pub(super) fn of(flags: &'static str, status: u16, details: &str, because: &str) -> Rejection {
        Rejection {
            flags: Some(flags),
            status,
            details: details.to_owned(),
            because: because.to_owned(),
        }
    }

    pub(super) fn fault(abort: Abort) -> Rejection {
        let because = "a fault aborts all requests of the route";
        match abort {
            Abort::Http(status) => Rejection::of("FI", status, "fault_filter_abort", because),
            Abort::Grpc(status) => {
                let because = format!("{because}, with gRPC status {status}");
                Rejection::of("FI", 200, "fault_filter_abort", &because)
            }
        }
    }
}

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
    pub(super) fn of(fault: &Fault) -> FaultTold {
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
    pub(super) fn of(cors: &Cors) -> CorsTold {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        CorsTold {
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
}

impl MirrorTold {
    pub(super) fn of(mirror: &Mirror) -> MirrorTold {
        let targets = mirror.action.targets().iter();
        MirrorTold {
            clusters: targets.map(|target| target.cluster.to_string()).collect(),
            share_ppm: ppm(mirror.share),
        }
    }
}

/// What holds for a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterPolicies {
    /// How an endpoint is chosen.
    pub balancer: String,
    /// What of a request is hashed for it: `header x`, `cookie x`, `source IP`, `query parameter x`.
    pub hash_by: Vec<String>,
    /// What its connections speak: `HTTP/1.1`, `HTTP/2`, or `downstream`, which is what the request came over.
    pub protocol: &'static str,
    /// How long a connection may take to come up.
    pub connect_timeout_ms: u64,
    /// How much may be in hand at once, in each proxy; `None`: anything.
    pub limits: Option<LimitsTold>,
    /// The bound on retries that grows with the requests in hand.
    pub retry_budget: Option<BudgetTold>,
    /// When an endpoint is taken out; `None`: never.
    pub outlier_detection: Option<OutlierTold>,
    /// When a request is sent a second time before the first try has failed.
    pub hedge: Option<HedgeTold>,
    /// How requests are held back as the cluster refuses them.
    pub adaptive_throttle: Option<ThrottleTold>,
}

/// Limits of a cluster; `None`: no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsTold {
    /// Connections.
    pub connections: Option<u32>,
    /// Requests that wait for a connection.
    pub pending: Option<u32>,
    /// Requests in hand.
    pub requests: Option<u32>,
    /// Retries.
    pub retries: Option<u32>,
}

/// A bound on retries that grows with the requests in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetTold {
    /// The share of the requests in hand, parts per million.
    pub share_ppm: u32,
    /// So many in any case.
    pub min_concurrency: u32,
}

/// When an endpoint is taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutlierTold {
    /// So many 5xx in a row; `None`: they do not count.
    pub consecutive_5xx: Option<u32>,
    /// So many of 502, 503 and 504 in a row; `None`: they do not count.
    pub consecutive_gateway_errors: Option<u32>,
    /// The time from one look at all endpoints to the next.
    pub interval_ms: u64,
    /// How long one is out at the first time.
    pub base_ejection_time_ms: u64,
    /// The most endpoints that may be out, in percent.
    pub max_ejection_percent: u32,
}

impl OutlierTold {
    pub(super) fn of(outlier: &OutlierDetection) -> OutlierTold {
        let counted = |limit: u32, enforcing: u32| (enforcing > 0).then_some(limit);
        let enforcing = &outlier.enforcing;
        OutlierTold {
            consecutive_5xx: counted(outlier.consecutive_5xx, enforcing.consecutive_5xx),
            consecutive_gateway_errors: counted(
                outlier.consecutive_gateway_failure,
                enforcing.consecutive_gateway_failure,
            ),
            interval_ms: millis(outlier.interval),
            base_ejection_time_ms: millis(outlier.base_ejection_time),
            max_ejection_percent: outlier.max_ejection_percent,
        }
    }
}

/// When a request is sent a second time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HedgeTold {
    /// Whether when a try meets its per-try timeout.
    pub on_per_try_timeout: bool,
    /// When none has answered for so long.
    pub after_ms: Option<u64>,
    /// The most that are sent because of that.
    pub times: u32,
    /// The most of them as a share of requests, parts per million.
    pub budget_ppm: Option<u32>,
}

/// How requests are held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThrottleTold {
    /// So many are sent for each that is accepted, in thousandths.
    pub k_milli: u32,
    /// How far back it looks.
    pub window_ms: u64,
}

/// A share in parts per million, rounded down.
fn ppm(share: Share) -> u32 {
    let parts = u64::from(share.numerator) * 1_000_000 / u64::from(share.denominator);
    u32::try_from(parts.min(1_000_000)).expect("a million fits")
}
