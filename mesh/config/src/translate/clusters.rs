//! Clusters of services: one for each port, and one for each subset of it.

use indexmap::IndexMap;

use super::index::Rule;
use super::{BLACK_HOLE, CONNECT_TIMEOUT, PASSTHROUGH, ads, outbound_cluster, wrapped};
use crate::api::{ConnectionPool, LoadBalancer, SimpleLb, TrafficPolicy};
use crate::registry::{Port, Service};
use crate::table::Limits;
use crate::xds::cluster::{self, circuit_breakers::Thresholds, cluster as inner};
use crate::xds::{self, core, upstream_http};

/// The key under which HTTP settings of an upstream stand.
pub(crate) const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// A cluster, and the labels that its endpoints have.
pub(super) struct SubsetCluster<'a> {
    pub(super) message: cluster::Cluster,
    pub(super) labels: Option<&'a IndexMap<String, String>>,
}

/// The clusters of a service's port.
pub(super) fn of_port<'a>(
    service: &Service,
    port: &Port,
    rule: &Rule<'a>,
) -> Vec<SubsetCluster<'a>> {
    let host = service.hostname.as_str();
    let whole = Policy::of(rule.policy);
    let mut result = vec![SubsetCluster {
        message: eds(outbound_cluster(port.number, "", host), &whole),
        labels: None,
    }];
    for subset in &rule.subsets {
        let policy = whole.with(subset.traffic_policy.as_ref());
        result.push(SubsetCluster {
            message: eds(outbound_cluster(port.number, &subset.name, host), &policy),
            labels: Some(&subset.labels),
        });
    }
    result
}

/// What holds for a cluster. Each part of a subset's policy replaces the whole service's part.
#[derive(Clone, Copy, Default)]
struct Policy<'a> {
    balancer: Option<&'a LoadBalancer>,
    pool: Option<&'a ConnectionPool>,
}

impl<'a> Policy<'a> {
    fn of(policy: Option<&'a TrafficPolicy>) -> Self {
        Policy::default().with(policy)
    }

    fn with(self, nearer: Option<&'a TrafficPolicy>) -> Self {
        Policy {
            balancer: nearer
                .and_then(|policy| policy.load_balancer.as_ref())
                .or(self.balancer),
            pool: nearer
                .and_then(|policy| policy.connection_pool.as_ref())
                .or(self.pool),
        }
    }
}

fn eds(name: String, policy: &Policy<'_>) -> cluster::Cluster {
    let tcp = policy.pool.and_then(|pool| pool.tcp.as_ref());
    let timeout = tcp
        .and_then(|tcp| tcp.connect_timeout)
        .map_or(CONNECT_TIMEOUT, |timeout| timeout.0);
    cluster::Cluster {
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::Eds.into(),
        )),
        eds_cluster_config: Some(inner::EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: name.clone(),
        }),
        name,
        connect_timeout: Some(xds::duration(timeout)),
        lb_policy: lb_policy(policy.balancer).into(),
        circuit_breakers: Some(thresholds()),
        typed_extension_protocol_options: http_options(policy.pool)
            .map(|options| (HTTP_OPTIONS.to_owned(), xds::pack(&options)))
            .into_iter()
            .collect(),
        ..Default::default()
    }
}

fn lb_policy(balancer: Option<&LoadBalancer>) -> inner::LbPolicy {
    match balancer
        .and_then(|balancer| balancer.simple)
        .unwrap_or_default()
    {
        SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
            inner::LbPolicy::LeastRequest
        }
        SimpleLb::RoundRobin => inner::LbPolicy::RoundRobin,
        SimpleLb::Random => inner::LbPolicy::Random,
    }
}

/// Istio's thresholds, which never bite: what would set them is refused where it is written, since no proxy of ours enforces
/// it yet. Source: Istio, `getDefaultCircuitBreakerThresholds`.
pub(super) fn thresholds() -> cluster::CircuitBreakers {
    let unlimited = Limits::UNLIMITED;
    let threshold = Thresholds {
        max_connections: Some(wrapped(unlimited.connections)),
        max_pending_requests: Some(wrapped(unlimited.pending)),
        max_requests: Some(wrapped(unlimited.requests)),
        max_retries: Some(wrapped(unlimited.retries)),
        track_remaining: true,
        ..Default::default()
    };
    cluster::CircuitBreakers {
        thresholds: vec![threshold],
        per_host_thresholds: Vec::new(),
    }
}

fn http_options(pool: Option<&ConnectionPool>) -> Option<upstream_http::HttpProtocolOptions> {
    use upstream_http::http_protocol_options::{
        ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config,
    };

    let http = pool?.http.as_ref()?;
    let requests = http
        .max_requests_per_connection
        .filter(|requests| *requests > 0);
    if http.idle_timeout.is_none() && requests.is_none() {
        return None;
    }
    let http1 = explicit_http_config::ProtocolConfig::HttpProtocolOptions(Default::default());
    Some(upstream_http::HttpProtocolOptions {
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: http.idle_timeout.map(|timeout| xds::duration(timeout.0)),
            max_requests_per_connection: requests.map(wrapped),
            ..Default::default()
        }),
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(
            ExplicitHttpConfig {
                protocol_config: Some(http1),
            },
        )),
        ..Default::default()
    })
}

/// The cluster of requests to hosts that no service has.
pub(super) fn passthrough() -> cluster::Cluster {
    cluster::Cluster {
        name: PASSTHROUGH.into(),
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::OriginalDst.into(),
        )),
        connect_timeout: Some(xds::duration(CONNECT_TIMEOUT)),
        lb_policy: inner::LbPolicy::ClusterProvided.into(),
        circuit_breakers: Some(thresholds()),
        ..Default::default()
    }
}

/// The cluster that reaches nothing.
pub(super) fn black_hole() -> cluster::Cluster {
    cluster::Cluster {
        name: BLACK_HOLE.into(),
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::Static.into(),
        )),
        connect_timeout: Some(xds::duration(CONNECT_TIMEOUT)),
        ..Default::default()
    }
}
