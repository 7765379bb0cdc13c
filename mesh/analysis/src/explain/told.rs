//! What is told: plain values, in the shape of the JSON form. A key is always there; `null` is what does not apply.

mod filters;
mod inbound;
mod upstream;

pub use filters::{CorsTold, FaultTold, MirrorTold, Policies};
pub use inbound::{AdaptiveTold, InboundTold, RateLimitTold, ShedTold};
pub use upstream::{
    BudgetTold, ClusterPolicies, HedgeTold, LimitsTold, OutlierTold, SlowStartTold, ThrottleTold,
};

use serde::Serialize;
use shakedown_xds::table::{Abort, DirectResponse, Host, RetryOn, RetryPolicy, Share};
use shakedown_yaml::Place;

use super::millis;

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
    /// What the proxies of `cluster`'s endpoints do before their app, one for each way of it; none where they do nothing, or
    /// no endpoint is known.
    pub inbound: Vec<InboundTold>,
    /// The routes that were asked before its own, and why each did not take it.
    pub passed_over: Vec<PassedOver>,
    /// What of the documents has no say in it and looks as if it had, and what is easily taken for something else.
    pub notes: Vec<Note>,
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
            inbound: Vec::new(),
            passed_over: Vec::new(),
            notes: Vec::new(),
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

/// A route that did not take the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// The route: its name, or else where it is written.
    pub route: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// Why it did not.
    pub because: String,
}

/// A word about the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What there is to know.
    pub text: String,
    /// The file, where it is about a line.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
}

impl Note {
    pub(super) fn at(place: &Place, text: impl Into<String>) -> Note {
        Note {
            text: text.into(),
            file: Some(place.file.to_string()),
            line: Some(place.line),
        }
    }

    pub(super) fn new(text: impl Into<String>) -> Note {
        Note {
            text: text.into(),
            file: None,
            line: None,
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
    /// What the proxies of its endpoints do before their app.
    pub inbound: Vec<InboundTold>,
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

    pub(super) fn bad_path(because: &str) -> Rejection {
        Rejection {
            flags: None,
            status: 400,
            details: "path_normalization_failed".into(),
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

/// A share in parts per million, rounded down.
fn ppm(share: Share) -> u32 {
    let parts = u64::from(share.numerator) * 1_000_000 / u64::from(share.denominator);
    u32::try_from(parts.min(1_000_000)).expect("a million fits")
}
