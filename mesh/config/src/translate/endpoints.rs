//! Endpoints of a cluster: those ready, with its labels, by locality.

use std::collections::BTreeMap;

use super::clusters::SubsetCluster;
use super::{socket, wrapped};
use crate::registry::{Endpoint, Locality, Port, Service};
use crate::xds::endpoint::{self, LbEndpoint, LocalityLbEndpoints, lb_endpoint};
use crate::xds::{core, protobuf};

/// The filter under which Istio tells who an endpoint is, and the field of it.
pub(crate) const METADATA_FILTER: &str = "istio";
/// Holds `workload;namespace;service;version;cluster`.
pub(crate) const METADATA_WORKLOAD: &str = "workload";

/// The endpoints of a cluster.
pub(super) fn of(
    service: &Service,
    port: &Port,
    cluster: &SubsetCluster<'_>,
) -> endpoint::ClusterLoadAssignment {
    let mut localities: BTreeMap<&Locality, Vec<LbEndpoint>> = BTreeMap::new();
    for endpoint in &service.endpoints {
        let labels = cluster.labels.into_iter().flatten();
        let selected = labels
            .into_iter()
            .all(|(name, value)| endpoint.labels.get(name) == Some(value));
        if endpoint.ready && selected {
            localities
                .entry(&endpoint.locality)
                .or_default()
                .push(lb_endpoint(service, port, endpoint));
        }
    }
    let endpoints = localities
        .into_iter()
        .map(|(locality, lb_endpoints)| LocalityLbEndpoints {
            locality: Some(core::Locality {
                region: locality.region.clone(),
                zone: locality.zone.clone(),
                sub_zone: locality.subzone.clone(),
            }),
            // Istio weighs a locality by its endpoints; without locality weighting nobody reads it.
            load_balancing_weight: Some(wrapped(
                u32::try_from(lb_endpoints.len()).unwrap_or(u32::MAX),
            )),
            lb_endpoints,
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

/// One entry in one entry: see the invariant of [`crate::xds`].
fn metadata(identity: String) -> core::Metadata {
    let value = protobuf::Value {
        kind: Some(protobuf::value::Kind::StringValue(identity)),
    };
    let fields = protobuf::Struct {
        fields: [(METADATA_WORKLOAD.to_owned(), value)]
            .into_iter()
            .collect(),
    };
    core::Metadata {
        filter_metadata: [(METADATA_FILTER.to_owned(), fields)].into_iter().collect(),
        ..Default::default()
    }
}
