//! `DestinationRule`: what happens to requests after routing. Source: Istio, networking/v1.

use indexmap::IndexMap;
use serde::Deserialize;

use super::duration::GoDuration;
use crate::decode::Spanned;

/// Subsets of a service, and how it and they are reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// The service: a short name, a full one, or a wildcard.
    pub host: Spanned<String>,
    /// For all of it.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named parts of it.
    #[serde(default)]
    pub subsets: Vec<Spanned<Subset>>,
}

/// A named part of a service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// Its name.
    pub name: Spanned<String>,
    /// The labels that its endpoints have; none: all endpoints.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// What differs for it; each part given replaces the service's.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How a service is reached.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    pub load_balancer: Option<LoadBalancer>,
    /// Bounds on connections and requests.
    pub connection_pool: Option<ConnectionPool>,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// By one of the simple policies; none: LEAST_REQUEST.
    pub simple: Option<SimpleLb>,
}

/// A simple policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum SimpleLb {
    /// Istio's default: LEAST_REQUEST.
    #[default]
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    /// The old name of LEAST_REQUEST.
    #[serde(rename = "LEAST_CONN")]
    LeastConn,
    /// Of two drawn at random the one with fewer active requests.
    #[serde(rename = "LEAST_REQUEST")]
    LeastRequest,
    /// One after another.
    #[serde(rename = "ROUND_ROBIN")]
    RoundRobin,
    /// Any.
    #[serde(rename = "RANDOM")]
    Random,
}

/// Bounds on connections and requests, in each proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionPool {
    /// Of connections.
    pub tcp: Option<TcpPool>,
    /// Of requests.
    pub http: Option<HttpPool>,
}

/// Bounds on connections.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpPool {
    /// How long one may take to come up; none: 10 s.
    pub connect_timeout: Option<GoDuration>,
}

/// Bounds on requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpPool {
    /// After so many a connection is closed; 0: never.
    pub max_requests_per_connection: Option<u32>,
    /// How long a connection may be idle; none: an hour; `0s`: for ever.
    pub idle_timeout: Option<GoDuration>,
}
