//! Compiles `ClusterLoadAssignment`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::problem::{FieldProblem, Result, address, fields, named};
use super::subsets;
use crate::proto::core::{self, HealthStatus};
use crate::proto::endpoint::lb_endpoint::HostIdentifier;
use crate::proto::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, cluster_load_assignment,
};
use crate::proto::protobuf::value::Kind;
use crate::proto::{MESH_TLS, METADATA_FILTER, METADATA_TRANSPORT, METADATA_WORKLOAD, TLS_MODE};
use crate::table::{Assignment, Host, Identity, Label, Locality};

/// The highest priority number that Envoy accepts.
const PRIORITY_MAX: u32 = 128;
/// The label that replaces a host's address in consistent hashing. Source: Envoy, `envoy.lb`, `hash_key`.
const HASH_KEY: &str = "hash_key";

pub(super) fn compile(message: &ClusterLoadAssignment) -> Result<Assignment> {
    named("cluster_name", &message.cluster_name)?;
    fields!(message => ClusterLoadAssignment {
        refused: named_endpoints;
        used: cluster_name endpoints policy;
    });
    let mut assignment = Assignment {
        name: Arc::from(message.cluster_name.as_str()),
        hosts: Vec::new(),
        overprovisioning: Assignment::OVERPROVISIONING,
        weigh_health: false,
    };
    if let Some(policy) = &message.policy {
        let mut read = || {
            fields!(policy => cluster_load_assignment::Policy {
                refused: drop_overloads endpoint_stale_after;
                used: overprovisioning_factor weighted_priority_health;
            });
            assignment.weigh_health = policy.weighted_priority_health;
            match policy.overprovisioning_factor.map(|factor| factor.value) {
                Some(0) => {
                    let text = "expected 1 or more, found 0";
                    return Err(FieldProblem::new("overprovisioning_factor", text));
                }
                Some(factor) => assignment.overprovisioning = factor,
                None => {}
            }
            Ok(())
        };
        read().map_err(|problem: FieldProblem| problem.within("policy"))?;
    }
    let mut known = BTreeSet::new();
    let mut locality_weights: BTreeMap<u32, u64> = BTreeMap::new();
    for (index, locality) in message.endpoints.iter().enumerate() {
        let found = of_locality(locality, &mut locality_weights)
            .map_err(|problem| problem.within(&format!("endpoints[{index}]")))?;
        // A repeated address is a single host. Source: Envoy, `BaseDynamicClusterImpl`.
        let new = found.into_iter().filter(|host| known.insert(host.address));
        assignment.hosts.extend(new);
    }
    Ok(assignment)
}

fn of_locality(message: &LocalityLbEndpoints, sums: &mut BTreeMap<u32, u64>) -> Result<Vec<Host>> {
    // `proximity` has no effect in Envoy either.
    fields!(message => LocalityLbEndpoints {
        refused: lb_config;
        used: locality lb_endpoints load_balancing_weight priority;
        ignored: proximity metadata;
    });
    if message.priority > PRIORITY_MAX {
        let text = format!(
            "expected at most {PRIORITY_MAX}, found {}",
            message.priority
        );
        return Err(FieldProblem::new("priority", text));
    }
    let locality = message.locality.as_ref().map(|locality| Locality {
        region: locality.region.clone(),
        zone: locality.zone.clone(),
        subzone: locality.sub_zone.clone(),
    });
    // A weight only counts if the locality is set. Source: Envoy, `PriorityStateManager::initializePriorityFor`.
    let weight = message
        .load_balancing_weight
        .filter(|_| locality.is_some())
        .map_or(0, |weight| weight.value);
    let sum = sums.entry(message.priority).or_default();
    *sum += u64::from(weight);
    within_sum(*sum)?;
    let place = LocalityShared {
        locality: Arc::new(locality.unwrap_or_default()),
        weight,
        priority: message.priority,
    };
    let host = |(index, endpoint)| {
        host(endpoint, &place).map_err(|problem| problem.within(&format!("lb_endpoints[{index}]")))
    };
    let hosts: Vec<Host> = message
        .lb_endpoints
        .iter()
        .enumerate()
        .map(host)
        .collect::<Result<_>>()?;
    within_sum(hosts.iter().map(|host| u64::from(host.weight)).sum())?;
    Ok(hosts)
}

/// Checks that a sum of weights fits into 32 bits. Source: Envoy, `validateEndpoints`.
fn within_sum(weights: u64) -> Result<()> {
    if weights <= u64::from(u32::MAX) {
        return Ok(());
    }
    let text = format!(
        "expected the weights to sum to at most {}, found {weights}",
        u32::MAX
    );
    Err(FieldProblem::new("load_balancing_weight", text))
}

/// The settings that hosts of a locality share.
struct LocalityShared {
    locality: Arc<Locality>,
    weight: u32,
    priority: u32,
}

fn host(message: &LbEndpoint, place: &LocalityShared) -> Result<Host> {
    fields!(message => LbEndpoint {
        used: health_status metadata load_balancing_weight host_identifier;
    });
    let endpoint = match &message.host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => endpoint,
        Some(HostIdentifier::EndpointName(_)) => {
            return Err(FieldProblem::unsupported("endpoint_name"));
        }
        None => {
            return Err(FieldProblem::new(
                "endpoint",
                "expected an endpoint, found nothing",
            ));
        }
    };
    let weight = message
        .load_balancing_weight
        .map_or(1, |weight| weight.value);
    if weight == 0 {
        let text = "expected 1 or more, found 0";
        return Err(FieldProblem::new("load_balancing_weight", text));
    }
    let check = || {
        fields!(endpoint => Endpoint {
            refused: additional_addresses;
            used: address;
            ignored: health_check_config hostname observability_name;
        });
        address("address", endpoint.address.as_ref())
    };
    let labels = subsets::of_metadata(message.metadata.as_ref());
    Ok(Host {
        address: check().map_err(|problem: FieldProblem| problem.within("endpoint"))?,
        healthy: healthy(message.health_status)?,
        locality: place.locality.clone(),
        locality_weight: place.weight,
        priority: place.priority,
        weight,
        hash_key: match labels.get(HASH_KEY) {
            Some(Label::Text(key)) if !key.is_empty() => Some(key.clone()),
            _ => None,
        },
        labels,
        workload: Identity::new(text_of(
            message.metadata.as_ref(),
            METADATA_FILTER,
            METADATA_WORKLOAD,
        )),
        mesh_tls: text_of(message.metadata.as_ref(), METADATA_TRANSPORT, TLS_MODE) == MESH_TLS,
    })
}

fn healthy(number: i32) -> Result<bool> {
    match HealthStatus::try_from(number) {
        Ok(HealthStatus::Unknown | HealthStatus::Healthy) => Ok(true),
        Ok(HealthStatus::Unhealthy | HealthStatus::Draining | HealthStatus::Timeout) => Ok(false),
        Ok(HealthStatus::Degraded) => Err(FieldProblem::new(
            "health_status",
            "not supported yet: DEGRADED; expected HEALTHY or UNHEALTHY",
        )),
        Err(_) => Err(FieldProblem::new(
            "health_status",
            format!("unknown number {number}; expected HEALTHY or UNHEALTHY"),
        )),
    }
}

/// Returns a text of an endpoint's metadata. Empty if there is none.
fn text_of<'m>(metadata: Option<&'m core::Metadata>, namespace: &str, field: &str) -> &'m str {
    let fields = metadata.and_then(|metadata| metadata.filter_metadata.get(namespace));
    match fields
        .and_then(|fields| fields.fields.get(field))
        .and_then(|value| value.kind.as_ref())
    {
        Some(Kind::StringValue(text)) => text,
        _ => "",
    }
}
