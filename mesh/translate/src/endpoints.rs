//! Translation of a cluster's endpoints: the ready ones with matching labels, grouped by locality.

use std::collections::BTreeMap;

use shakedown_istio::registry::{Endpoint, Locality, Port, Service};
use shakedown_xds::proto::endpoint::{self, LbEndpoint, LocalityLbEndpoints, lb_endpoint};
use shakedown_xds::proto::{self, core, protobuf};

use super::clusters::SubsetCluster;
use super::locality::{self, LocalityClient, LocalityGroup, LocalitySetting};
use super::messages::{socket, wrapped};

/// Returns the endpoints of a cluster, independently of the client.
pub(super) fn for_cluster(
    service: &Service,
    port: &Port,
    cluster: &SubsetCluster<'_>,
) -> endpoint::ClusterLoadAssignment {
    message(service, port, cluster, groups(service, cluster))
}

/// Returns the endpoints of a cluster as one client sees them.
pub(super) fn near(
    service: &Service,
    port: &Port,
    cluster: &SubsetCluster<'_>,
    setting: &LocalitySetting<'_>,
    client: &LocalityClient,
) -> endpoint::ClusterLoadAssignment {
    let groups = locality::arrange(groups(service, cluster), setting, client);
    message(service, port, cluster, groups)
}

fn groups<'a>(service: &'a Service, cluster: &SubsetCluster<'_>) -> Vec<LocalityGroup<'a>> {
    let mut localities: BTreeMap<&Locality, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in &service.endpoints {
        let labels = cluster.labels.into_iter().flatten();
        let selected = labels
            .into_iter()
            .all(|(name, value)| endpoint.labels.get(name) == Some(value));
        if endpoint.ready && selected {
            localities
                .entry(&endpoint.locality)
                .or_default()
                .push(endpoint);
        }
    }
    let group = |(locality, endpoints): (_, Vec<_>)| LocalityGroup {
        locality,
        priority: 0,
        // As in Istio, a locality is weighted by its number of endpoints. The weight has no effect without locality
        // weighting.
        weight: u32::try_from(endpoints.len()).unwrap_or(u32::MAX),
        endpoints,
    };
    localities.into_iter().map(group).collect()
}

fn message(
    service: &Service,
    port: &Port,
    cluster: &SubsetCluster<'_>,
    groups: Vec<LocalityGroup<'_>>,
) -> endpoint::ClusterLoadAssignment {
    let endpoints = groups.into_iter().map(|group| LocalityLbEndpoints {
        locality: Some(core::Locality {
            region: group.locality.region.clone(),
            zone: group.locality.zone.clone(),
            sub_zone: group.locality.subzone.clone(),
        }),
        load_balancing_weight: Some(wrapped(group.weight)),
        lb_endpoints: group
            .endpoints
            .into_iter()
            .map(|endpoint| lb_endpoint(service, port, endpoint))
            .collect(),
        priority: group.priority,
        ..Default::default()
    });
    endpoint::ClusterLoadAssignment {
        cluster_name: cluster.message.name.clone(),
        endpoints: endpoints.collect(),
        ..Default::default()
    }
}

fn lb_endpoint(service: &Service, port: &Port, endpoint: &Endpoint) -> LbEndpoint {
    let address = service.address(endpoint, port);
    let version = endpoint.labels.get("version").map_or("", String::as_str);
    let identity = format!(
        "{};{};{};{version};",
        endpoint.workload, service.namespace, service.name
    );
    LbEndpoint {
        health_status: core::HealthStatus::Healthy.into(),
        metadata: Some(metadata(identity)),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint::Endpoint {
            address: Some(socket(address.ip(), address.port())),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// Metadata with a single entry in each map, as required by the map invariant of [`shakedown_xds::proto`].
fn metadata(identity: String) -> core::Metadata {
    let value = protobuf::Value {
        kind: Some(protobuf::value::Kind::StringValue(identity)),
    };
    let fields = protobuf::Struct {
        fields: [(proto::METADATA_WORKLOAD.to_owned(), value)]
            .into_iter()
            .collect(),
    };
    core::Metadata {
        filter_metadata: [(proto::METADATA_FILTER.to_owned(), fields)]
            .into_iter()
            .collect(),
        ..Default::default()
    }
}
