//! The explanation as plain values, in the shape of its JSON form. Every key is always present. `null` means that a
//! value does not apply.

mod filters;
mod inbound;
mod units;
mod upstream;

pub use filters::{CorsView, FaultView, MirrorView, Policies};
pub use inbound::{AdaptiveConcurrencyView, InboundView, LoadSheddingView, RateLimitView};
pub(super) use units::millis;
pub use upstream::{
    ClusterPolicies, HedgeView, LimitsView, OutlierDetectionView, RetryBudgetView, SlowStartView,
    ThrottleView,
};

use serde::Serialize;
use shakedown_xds::table::{Abort, DirectResponse, Host, RetryOn, RetryPolicy};
use shakedown_yaml::Location;

/// The explanation of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The listener that accepts the request.
    pub listener: String,
    /// The virtual host that matches the authority.
    pub virtual_host: Option<String>,
    /// The matched route: its name, or else its source field.
    pub route: Option<String>,
    /// The cluster. `None` also if it is chosen at random, see `weighted_clusters`.
    pub cluster: Option<String>,
    /// The clusters of a weighted split, in order.
    pub weighted_clusters: Option<Vec<TargetView>>,
    /// The request header that contains the number for the weighted choice, if the route names one.
    pub split_by: Option<String>,
    /// The host sent upstream. `None` also if it depends on the cluster.
    pub host: Option<String>,
    /// The path sent upstream, with its query.
    pub path: Option<String>,
    pub redirect: Option<Redirected>,
    /// The response of the proxy itself, if the request is not forwarded.
    pub direct_response: Option<DirectResponseView>,
    /// The timeout for all attempts together, in milliseconds. `None`: unlimited.
    pub timeout_ms: Option<u64>,
    /// The retry policy. `None`: no retries.
    pub retries: Option<RetriesView>,
    /// The reason for a rejection, if it is certain.
    pub rejected_by: Option<RejectionView>,
    /// The lines of YAML that decided all this, in the order in which they affect the request.
    pub decided_by: Vec<DecisionView>,
    /// The endpoints of `cluster`. `None` also if they are unknown.
    pub endpoints: Option<Vec<EndpointView>>,
    /// Further policies that apply to the request.
    pub policies: Policies,
    /// The distinct inbound policies of `cluster`'s endpoints. Empty if they have none, or if no endpoint is known.
    pub inbound: Vec<InboundView>,
    /// The earlier routes, with the reason why each did not match.
    pub passed_over: Vec<PassedOverRoute>,
    /// Notes about documents that do not affect the request although they appear to, and about likely
    /// misunderstandings.
    pub notes: Vec<NoteView>,
}

impl Explanation {
    /// The explanation of a request that has only reached its listener.
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

    /// Returns the first decision of a kind ([`DecisionView::what`]). With a cluster, only decisions about that cluster,
    /// or about none in particular, are considered.
    pub fn decision(&self, what: &str, cluster: Option<&str>) -> Option<&DecisionView> {
        self.decided_by.iter().find(|decision| {
            let of = decision.cluster.as_deref();
            decision.what == what && (cluster.is_none() || of.is_none() || of == cluster)
        })
    }
}

/// A line of YAML, and the part of the result that it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionView {
    /// The kind of decision: `virtual_host`, `route`, `cluster`, `timeout`, `outlier_detection`, ...
    pub what: &'static str,
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    pub column: u32,
    /// The document, such as `VirtualService/reviews`, or outside the namespace `default`
    /// `VirtualService/reviews.shop`.
    pub document: String,
    /// The field in the document, such as `spec.http[0].match[1]`.
    pub field: String,
    /// The cluster that the decision is about, if any.
    pub cluster: Option<String>,
}

impl DecisionView {
    pub(super) fn new(
        what: &'static str,
        place: &Location,
        document: String,
        field: String,
    ) -> DecisionView {
        DecisionView {
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

/// A route that did not match the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOverRoute {
    /// The route's name, or else its source field.
    pub route: String,
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The reason why it did not match.
    pub because: String,
}

/// A remark about the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoteView {
    pub text: String,
    /// The file, if the note is about a line.
    pub file: Option<String>,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

impl NoteView {
    pub(super) fn at(place: &Location, text: impl Into<String>) -> NoteView {
        NoteView {
            text: text.into(),
            file: Some(place.file.to_string()),
            line: Some(place.line),
        }
    }

    pub(super) fn new(text: impl Into<String>) -> NoteView {
        NoteView {
            text: text.into(),
            file: None,
            line: None,
        }
    }
}

/// A destination of a route, with its policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetView {
    pub cluster: String,
    /// The weight, relative to the sum of all weights.
    pub weight: u32,
    /// The host sent upstream.
    pub host: String,
    /// The endpoints, each with its priority. `None`: unknown.
    pub endpoints: Option<Vec<EndpointView>>,
    /// The policies of the cluster. `None` if it does not exist.
    pub policies: Option<ClusterPolicies>,
    /// The distinct inbound policies of its endpoints.
    pub inbound: Vec<InboundView>,
    /// Header changes for requests to this destination only.
    pub request_headers: Vec<String>,
    /// Header changes for responses from this destination only.
    pub response_headers: Vec<String>,
    /// The reason why its requests are rejected, if they are.
    pub rejected_by: Option<RejectionView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointView {
    pub address: String,
    /// The workload, such as `reviews-v2`. Empty if unknown.
    pub workload: String,
    /// The region. Empty if unknown.
    pub region: String,
    /// The zone. Empty if unknown.
    pub zone: String,
    /// The priority for this caller. 0 is used first.
    pub priority: u32,
    pub weight: u32,
}

impl EndpointView {
    pub(super) fn new(host: &Host) -> EndpointView {
        EndpointView {
            address: host.address.to_string(),
            workload: host.workload.to_string(),
            region: host.locality.region.clone(),
            zone: host.locality.zone.clone(),
            priority: host.priority,
            weight: host.weight,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redirected {
    pub status: u16,
    /// The value of the `location` header.
    pub location: String,
}

/// A response of the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectResponseView {
    pub status: u16,
    /// The body, with invalid UTF-8 replaced.
    pub body: String,
}

impl DirectResponseView {
    pub(super) fn new(direct: &DirectResponse) -> DirectResponseView {
        DirectResponseView {
            status: direct.status,
            body: String::from_utf8_lossy(&direct.body).into_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetriesView {
    /// The maximum number of retries after the first attempt.
    pub attempts: u32,
    /// The conditions, by Envoy's names.
    pub on: Vec<&'static str>,
    /// The statuses for `retriable-status-codes`.
    pub status_codes: Vec<u16>,
    /// The timeout of each attempt, in milliseconds. `None`: none of its own.
    pub per_try_timeout_ms: Option<u64>,
    /// The maximum of the first wait, in milliseconds. It doubles with each further retry.
    pub base_interval_ms: u64,
    /// The upper bound of all waits, in milliseconds.
    pub max_interval_ms: u64,
    /// True if a retry prefers an endpoint that this request has not used yet.
    pub avoid_previous_hosts: bool,
}

impl RetriesView {
    /// Returns the retry policy, or `None` if it never retries.
    pub(super) fn new(policy: &RetryPolicy) -> Option<RetriesView> {
        let conditions = RetryOn::ALL.iter();
        let on = conditions.filter(|(_, condition)| policy.on.contains(*condition));
        let view = RetriesView {
            attempts: policy.times,
            on: on.map(|(name, _)| *name).collect(),
            status_codes: policy.codes.clone(),
            per_try_timeout_ms: policy.per_try_timeout.map(millis),
            base_interval_ms: millis(policy.base_interval),
            max_interval_ms: millis(policy.max_interval),
            avoid_previous_hosts: policy.avoid_previous_hosts,
        };
        (view.attempts > 0 && !view.on.is_empty()).then_some(view)
    }
}

/// The reason why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectionView {
    /// Envoy's response flag: `NR`, `NC`, `UH`, `FI`.
    pub flags: Option<&'static str>,
    /// The status that the caller receives.
    pub status: u16,
    pub details: String,
    /// A description of the reason.
    pub because: String,
}

impl RejectionView {
    pub(super) fn new(
        flags: &'static str,
        status: u16,
        details: &str,
        because: &str,
    ) -> RejectionView {
        RejectionView {
            flags: Some(flags),
            status,
            details: details.to_owned(),
            because: because.to_owned(),
        }
    }

    pub(super) fn bad_path(because: &str) -> RejectionView {
        RejectionView {
            flags: None,
            status: 400,
            details: "path_normalization_failed".into(),
            because: because.to_owned(),
        }
    }

    pub(super) fn fault(abort: Abort) -> RejectionView {
        let because = "a fault aborts all requests of the route";
        match abort {
            Abort::Http(status) => RejectionView::new("FI", status, "fault_filter_abort", because),
            Abort::Grpc(status) => {
                let because = format!("{because}, with gRPC status {status}");
                RejectionView::new("FI", 200, "fault_filter_abort", &because)
            }
        }
    }
}
