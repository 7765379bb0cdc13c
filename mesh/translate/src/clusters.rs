//! The clusters of services: one per port, and one per port and subset.

use indexmap::IndexMap;
use shakedown_istio::OutlierDetection;
use shakedown_istio::registry::{MeshOptions, Port, Service};
use shakedown_xds::proto::cluster::{self, cluster as inner};
use shakedown_xds::proto::{self, percent};
use shakedown_xds::table::Direction;

use super::cluster_policy::{ClusterPolicy, value};
use super::connection_pool::{self, CONNECT_TIMEOUT};
use super::locality::{self, LocalitySetting};
use super::messages::ads;
use super::names::{BLACK_HOLE, PASSTHROUGH, outbound_cluster};
use super::rules::MergedRule;
use super::{balancing, outlier};

/// A cluster, and the labels of its endpoints.
pub(super) struct SubsetCluster<'a> {
    pub(super) message: cluster::Cluster,
    pub(super) labels: Option<&'a IndexMap<String, String>>,
    /// The locality setting. `None` if localities do not matter.
    pub(super) locality: Option<LocalitySetting<'a>>,
}

/// Returns the clusters of a service's port, that of the whole service first.
pub(super) fn of_port<'a>(
    service: &Service,
    port: &Port,
    rule: &MergedRule<'a>,
    options: &MeshOptions,
) -> Vec<SubsetCluster<'a>> {
    let host = service.hostname.as_str();
    let http2 = port.protocol.is_http2();
    let whole = ClusterPolicy::for_service(rule.policy, port.number);
    let mut result = vec![SubsetCluster {
        message: eds(
            outbound_cluster(port.number, "", host),
            http2,
            &whole,
            options,
        ),
        labels: None,
        locality: locality::of_policy(&whole),
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
            locality: locality::of_policy(&policy),
        });
    }
    result
}

fn eds(
    name: String,
    http2: bool,
    policy: &ClusterPolicy<'_>,
    options: &MeshOptions,
) -> cluster::Cluster {
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

/// Returns the settings that do not depend on the balancing policy. Istio sets the panic threshold if outlier detection
/// is configured, and never sets `update_merge_window`, so Envoy's default of 1 s applies. It is set here only if the
/// mesh's ejection delay differs from that default.
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

/// Returns thresholds that are effectively unlimited.
pub(super) fn thresholds() -> cluster::CircuitBreakers {
    connection_pool::breakers(None, None)
}

/// The cluster of requests to hosts that belong to no service.
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

/// The static cluster without endpoints, which fails every request.
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
