//! Clusters of services: one for each port, and one for each subset of it.

use indexmap::IndexMap;
use shakedown_istio::registry::{MeshOptions, Port, Service};
use shakedown_istio::{
    ConnectionPool, LoadBalancer, OutlierDetection, PortPolicy, RetryBudget, TrafficPolicy,
};
use shakedown_xds::proto::cluster::{self, cluster as inner};
use shakedown_xds::proto::{self, percent};
use shakedown_xds::table::Direction;
use shakedown_yaml::Spanned;

use super::locality::{self, Setting};
use super::rules::Rule;
use super::{
    BLACK_HOLE, CONNECT_TIMEOUT, PASSTHROUGH, ads, balancing, connection_pool, outbound_cluster,
    outlier,
};

/// A cluster, and the labels that its endpoints have.
pub(super) struct SubsetCluster<'a> {
    pub(super) message: cluster::Cluster,
    pub(super) labels: Option<&'a IndexMap<String, String>>,
    /// How localities count.
    pub(super) locality: Option<Setting<'a>>,
}

/// The clusters of a service's port.
pub(super) fn of_port<'a>(
    service: &Service,
    port: &Port,
    rule: &Rule<'a>,
    options: &MeshOptions,
) -> Vec<SubsetCluster<'a>> {
    let host = service.hostname.as_str();
    let http2 = port.protocol.is_http2();
    let whole = Policy::of(rule.policy, port.number);
    let mut result = vec![SubsetCluster {
        message: eds(
            outbound_cluster(port.number, "", host),
            http2,
            &whole,
            options,
        ),
        labels: None,
        locality: whole.locality(),
    }];
    for subset in &rule.subsets {
        let policy = whole.with(subset.traffic_policy.as_ref(), port.number);
        result.push(SubsetCluster {
            message: eds(
                outbound_cluster(port.number, &subset.name, host),
                http2,
                &policy,
                options,
            ),
            labels: Some(&subset.labels),
            locality: policy.locality(),
        });
    }
    result
}

/// What holds for a cluster. Each part of a subset's policy replaces the whole service's part; what either says of a single
/// port stands for all that it says there, but for the retry budget, of which ports say nothing.
/// Source: Istio, `MergeSubsetTrafficPolicy`, `GetPortLevelTrafficPolicy`.
#[derive(Clone, Copy, Default)]
pub struct Policy<'a> {
    /// The load balancer.
    pub balancer: Option<&'a Spanned<LoadBalancer>>,
    /// The connection pool.
    pub pool: Option<&'a Spanned<ConnectionPool>>,
    /// Outlier detection.
    pub outlier: Option<&'a Spanned<OutlierDetection>>,
    /// The retry budget.
    pub budget: Option<&'a Spanned<RetryBudget>>,
}

impl<'a> Policy<'a> {
    /// A whole service's, at a port.
    pub fn of(policy: Option<&'a TrafficPolicy>, port: u16) -> Self {
        Policy::default().with(policy, port)
    }

    pub(super) fn locality(&self) -> Option<Setting<'a>> {
        locality::setting(value(self.balancer), self.outlier.is_some())
    }

    fn replaced(self, by: &'a PortPolicy) -> Self {
        Policy {
            balancer: by.load_balancer.as_ref(),
            pool: by.connection_pool.as_ref(),
            outlier: by.outlier_detection.as_ref(),
            budget: self.budget,
        }
    }

    /// The same for a subset that has a policy of its own.
    pub fn with(self, nearer: Option<&'a TrafficPolicy>, port: u16) -> Self {
        if let Some(own) = nearer.and_then(|policy| at(policy, port)) {
            return self.replaced(own);
        }
        Policy {
            balancer: nearer
                .and_then(|policy| policy.load_balancer.as_ref())
                .or(self.balancer),
            pool: nearer
                .and_then(|policy| policy.connection_pool.as_ref())
                .or(self.pool),
            outlier: nearer
                .and_then(|policy| policy.outlier_detection.as_ref())
                .or(self.outlier),
            budget: nearer
                .and_then(|policy| policy.retry_budget.as_ref())
                .or(self.budget),
        }
    }
}

/// What a policy says of one port alone.
fn at(policy: &TrafficPolicy, port: u16) -> Option<&PortPolicy> {
    let mut ports = policy.port_level_settings.iter();
    let found = ports.find(|own| own.port.number.value == port);
    found.map(|own| &own.value)
}

/// A part without its place.
fn value<T>(part: Option<&Spanned<T>>) -> Option<&T> {
    part.map(|part| &part.value)
}

fn eds(name: String, http2: bool, policy: &Policy<'_>, options: &MeshOptions) -> cluster::Cluster {
    let timeout = connection_pool::connect_timeout(value(policy.pool));
    let mut message = cluster::Cluster {
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::Eds.into(),
        )),
        eds_cluster_config: Some(inner::EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: name.clone(),
        }),
        name,
        connect_timeout: Some(proto::duration(timeout)),
        circuit_breakers: Some(connection_pool::breakers(
            value(policy.pool),
            value(policy.budget),
        )),
        outlier_detection: value(policy.outlier).map(outlier::detection),
        common_lb_config: common_lb(value(policy.outlier), options),
        typed_extension_protocol_options: connection_pool::http_options(
            value(policy.pool),
            http2,
            Direction::Outbound,
        )
        .map(|options| (proto::HTTP_OPTIONS.to_owned(), proto::pack(&options)))
        .into_iter()
        .collect(),
        ..Default::default()
    };
    balancing::apply(
        &mut message,
        value(policy.balancer),
        policy.outlier.is_some(),
    );
    message
}

/// What goes for every way of balancing. Istio sets the panic threshold wherever outliers are taken out, and Envoy's merge
/// window of 1 s never; ours is set where the mesh has another.
fn common_lb(
    outlier: Option<&OutlierDetection>,
    options: &MeshOptions,
) -> Option<inner::CommonLbConfig> {
    let delay = options.ejection_delay;
    let common = inner::CommonLbConfig {
        healthy_panic_threshold: outlier.map(|outlier| {
            let least = outlier.min_health_percent.as_ref();
            percent(least.map_or(0, |percent| percent.value.saturating_mul(10_000)))
        }),
        update_merge_window: Some(delay)
            .filter(|delay| *delay != MeshOptions::EJECTION_DELAY)
            .map(proto::duration),
        ..Default::default()
    };
    (common != Default::default()).then_some(common)
}

/// Thresholds that never bite.
pub(super) fn thresholds() -> cluster::CircuitBreakers {
    connection_pool::breakers(None, None)
}

/// The cluster of requests to hosts that no service has.
pub(super) fn passthrough() -> cluster::Cluster {
    cluster::Cluster {
        name: PASSTHROUGH.into(),
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::OriginalDst.into(),
        )),
        connect_timeout: Some(proto::duration(CONNECT_TIMEOUT)),
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
        connect_timeout: Some(proto::duration(CONNECT_TIMEOUT)),
        ..Default::default()
    }
}
