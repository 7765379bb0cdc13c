//! The load balancing policy of a cluster, and the hash policies of routes.
//! Source: Istio, `applyLoadBalancer`, `ApplyRingHashLoadBalancer`, `consistentHashToHashPolicy`.

use std::time::Duration;

use shakedown_istio::registry::Mesh;
use shakedown_istio::{ConsistentHash, LoadBalancer, SimpleLb};
use shakedown_xds::proto::cluster::cluster::common_lb_config::{
    LocalityConfigSpecifier, LocalityWeightedLbConfig,
};
use shakedown_xds::proto::cluster::cluster::{self as inner, CommonLbConfig, LbConfig, LbPolicy};
use shakedown_xds::proto::percent::Percent;
use shakedown_xds::proto::route::route_action::{ClusterSpecifier, HashPolicy, hash_policy};
use shakedown_xds::proto::route::{self, RouteAction, RouteConfiguration};
use shakedown_xds::proto::{self, core, protobuf};
use shakedown_xds::table::RingHash;

use super::cluster_policy::ClusterPolicy;
use super::index::Index;
use super::locality::{self, LocalitySetting};

/// Sets a cluster's load balancing policy. `ejects` is true if the cluster has outlier detection, which failover
/// requires.
pub(super) fn apply(
    cluster: &mut proto::cluster::Cluster,
    balancer: Option<&LoadBalancer>,
    ejects: bool,
) {
    let hash = balancer.and_then(|balancer| balancer.consistent_hash.as_ref());
    let (policy, config) = match hash {
        Some(hash) => hashing(hash),
        None => simple(balancer),
    };
    cluster.set_lb_policy(policy);
    cluster.lb_config = config;
    if locality::setting(balancer, ejects).is_some_and(|setting| weighs_localities(&setting)) {
        let common = cluster
            .common_lb_config
            .get_or_insert_with(CommonLbConfig::default);
        common.locality_config_specifier = Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(
            LocalityWeightedLbConfig::default(),
        ));
    }
}

/// Returns true if the user has configured localities explicitly. Otherwise they get no weights, because LEAST_REQUEST
/// over all hosts is better than over those of one locality.
fn weighs_localities(setting: &LocalitySetting<'_>) -> bool {
    match setting {
        LocalitySetting::Distribute(_) => true,
        LocalitySetting::Failover { labels, regions } => !labels.is_empty() || !regions.is_empty(),
    }
}

fn simple(balancer: Option<&LoadBalancer>) -> (LbPolicy, Option<LbConfig>) {
    let simple = balancer.and_then(|balancer| balancer.simple.as_ref());
    let slow_start_config = balancer.and_then(slow_start);
    match simple.map_or(SimpleLb::Unspecified, |simple| simple.value) {
        SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
            let config = slow_start_config.map(|config| {
                LbConfig::LeastRequestLbConfig(inner::LeastRequestLbConfig {
                    slow_start_config: Some(config),
                    ..Default::default()
                })
            });
            (LbPolicy::LeastRequest, config)
        }
        SimpleLb::RoundRobin => {
            let config = slow_start_config.map(|config| {
                LbConfig::RoundRobinLbConfig(inner::RoundRobinLbConfig {
                    slow_start_config: Some(config),
                })
            });
            (LbPolicy::RoundRobin, config)
        }
        SimpleLb::Random => (LbPolicy::Random, None),
    }
}

fn slow_start(balancer: &LoadBalancer) -> Option<inner::SlowStartConfig> {
    if let Some(warmup) = &balancer.warmup {
        return Some(inner::SlowStartConfig {
            slow_start_window: warmup.duration.map(|window| proto::duration(window.0)),
            aggression: Some(core::RuntimeDouble {
                default_value: warmup.aggression.unwrap_or(1.0),
                // Istio's key, which cannot be set.
                runtime_key: "(".into(),
            }),
            min_weight_percent: Some(Percent {
                value: warmup.minimum_percent.unwrap_or(10.0),
            }),
        });
    }
    let window = balancer.warmup_duration_secs?;
    Some(inner::SlowStartConfig {
        slow_start_window: Some(proto::duration(window.0)),
        ..Default::default()
    })
}

fn hashing(hash: &ConsistentHash) -> (LbPolicy, Option<LbConfig>) {
    let wide = |value| Some(protobuf::UInt64Value { value });
    if let Some(maglev) = &hash.maglev {
        let size = maglev.table_size.as_ref().map(|size| size.value);
        let config = size.filter(|size| *size > 0).map(|size| {
            LbConfig::MaglevLbConfig(inner::MaglevLbConfig {
                table_size: wide(size),
            })
        });
        return (LbPolicy::Maglev, config);
    }
    let minimum = match &hash.ring_hash {
        Some(ring) => ring.minimum_ring_size.filter(|size| *size > 0),
        // If neither is set, Istio sends Envoy's default explicitly.
        None => Some(
            hash.minimum_ring_size
                .filter(|size| *size > 0)
                .unwrap_or(RingHash::ENVOY.min_size),
        ),
    };
    let config = minimum.map(|size| {
        LbConfig::RingHashLbConfig(inner::RingHashLbConfig {
            minimum_ring_size: wide(size),
            ..Default::default()
        })
    });
    (LbPolicy::RingHash, config)
}

/// Sets the hash policies of each route from the destinations that use consistent hashing.
pub(super) fn hash_routes(routes: &mut RouteConfiguration, mesh: &Mesh, index: &Index<'_>) {
    let all = routes
        .virtual_hosts
        .iter_mut()
        .flat_map(|host| &mut host.routes);
    for route in all {
        let Some(route::route::Action::Route(action)) = &mut route.action else {
            continue;
        };
        let policies: Vec<HashPolicy> = clusters(action)
            .filter_map(|cluster| hash_policy(balancer(cluster, mesh, index)))
            .collect();
        action.hash_policy = policies;
    }
}

/// Returns true if the cluster uses consistent hashing, so that retries stay on the host of the request's hash.
pub(super) fn is_hashed(cluster: &str, mesh: &Mesh, index: &Index<'_>) -> bool {
    hash_policy(balancer(cluster, mesh, index)).is_some()
}

/// Returns the names of the clusters that a route leads to.
fn clusters(action: &RouteAction) -> impl Iterator<Item = &str> {
    let (one, weighted) = match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => (Some(name.as_str()), &[][..]),
        Some(ClusterSpecifier::WeightedClusters(weighted)) => (None, &weighted.clusters[..]),
        _ => (None, &[][..]),
    };
    let weighted = weighted.iter().map(|cluster| cluster.name.as_str());
    one.into_iter().chain(weighted)
}

/// Looks up the load balancer of a cluster by the cluster's name.
fn balancer<'a>(cluster: &str, mesh: &Mesh, index: &Index<'a>) -> Option<&'a LoadBalancer> {
    let mut parts = cluster.split('|');
    let (_outbound, port) = (parts.next()?, parts.next()?.parse().ok()?);
    let (subset, host) = (parts.next()?, parts.next()?);
    let service = mesh.registry.service(host)?;
    let rule = index.rule(service);
    let of_subset = rule
        .subset(subset)
        .and_then(|subset| subset.traffic_policy.as_ref());
    let policy = ClusterPolicy::for_service(rule.policy, port).with(of_subset, port);
    policy.balancer.map(|balancer| &balancer.value)
}

/// Returns the hash policy of a destination. `None` without consistent hashing.
fn hash_policy(balancer: Option<&LoadBalancer>) -> Option<HashPolicy> {
    use hash_policy::{
        ConnectionProperties, Cookie, CookieAttribute, Header, PolicySpecifier, QueryParameter,
    };

    let hash = balancer?.consistent_hash.as_ref()?;
    let specifier = if let Some(name) = &hash.http_header_name {
        PolicySpecifier::Header(Header {
            header_name: name.clone(),
            ..Default::default()
        })
    } else if let Some(cookie) = &hash.http_cookie {
        PolicySpecifier::Cookie(Cookie {
            name: cookie.name.clone(),
            path: cookie.path.clone(),
            ttl: cookie
                .ttl
                .map(|ttl| proto::duration(Duration::from_secs(ttl.0.as_secs()))),
            attributes: cookie
                .attributes
                .iter()
                .map(|attribute| CookieAttribute {
                    name: attribute.name.value.clone(),
                    value: attribute.value.clone(),
                })
                .collect(),
        })
    } else if let Some(source_ip) = hash.use_source_ip {
        PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip })
    } else {
        let name = hash.http_query_parameter_name.clone()?;
        PolicySpecifier::QueryParameter(QueryParameter { name })
    };
    Some(HashPolicy {
        policy_specifier: Some(specifier),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests;
