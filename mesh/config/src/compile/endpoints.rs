//! `ClusterLoadAssignment`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Problem, Result, address, named, refuse};
use crate::table::{Assignment, Host, Locality};
use crate::translate::{METADATA_FILTER, METADATA_WORKLOAD};
use crate::xds::core::{self, HealthStatus};
use crate::xds::endpoint::{
    ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
};
use crate::xds::protobuf::value::Kind;

pub(super) fn compile(message: &ClusterLoadAssignment) -> Result<Assignment> {
    named("cluster_name", &message.cluster_name)?;
    refuse!(message; named_endpoints);
    if let Some(policy) = &message.policy {
        let check = || {
            refuse!(policy; drop_overloads endpoint_stale_after weighted_priority_health);
            Ok(())
        };
        check().map_err(|problem: Problem| problem.within("policy"))?;
    }
    let mut weights = Weights::default();
    let mut known = BTreeSet::new();
    let mut hosts = Vec::new();
    for (index, locality) in message.endpoints.iter().enumerate() {
        let found = of_locality(locality, &mut weights)
            .map_err(|problem| problem.within(&format!("endpoints[{index}]")))?;
        // An address that stands twice is one host. Source: Envoy, `BaseDynamicClusterImpl`.
        hosts.extend(found.into_iter().filter(|host| known.insert(host.address)));
    }
    Ok(Assignment {
        name: Arc::from(message.cluster_name.as_str()),
        hosts,
    })
}

fn of_locality(message: &LocalityLbEndpoints, weights: &mut Weights) -> Result<Vec<Host>> {
    // The locality's own weight and proximity are read by locality weighting only, which no cluster here has.
    refuse!(message; priority lb_config);
    let locality = message.locality.as_ref().map(|locality| Locality {
        region: locality.region.clone(),
        zone: locality.zone.clone(),
        subzone: locality.sub_zone.clone(),
    });
    let locality = Arc::new(locality.unwrap_or_default());
    let host = |(index, endpoint)| {
        host(endpoint, &locality, weights)
            .map_err(|problem| problem.within(&format!("lb_endpoints[{index}]")))
    };
    message.lb_endpoints.iter().enumerate().map(host).collect()
}

fn host(message: &LbEndpoint, locality: &Arc<Locality>, weights: &mut Weights) -> Result<Host> {
    let endpoint = match &message.host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => endpoint,
        Some(HostIdentifier::EndpointName(_)) => return Err(Problem::later("endpoint_name")),
        None => {
            return Err(Problem::new(
                "endpoint",
                "expected an endpoint, found nothing",
            ));
        }
    };
    weights.add(
        message
            .load_balancing_weight
            .as_ref()
            .map_or(1, |weight| weight.value),
    )?;
    let check = || {
        refuse!(endpoint; additional_addresses);
        address("address", endpoint.address.as_ref())
    };
    Ok(Host {
        address: check().map_err(|problem: Problem| problem.within("endpoint"))?,
        healthy: healthy(message.health_status)?,
        locality: locality.clone(),
        workload: Arc::from(workload(message.metadata.as_ref())),
    })
}

fn healthy(number: i32) -> Result<bool> {
    match HealthStatus::try_from(number) {
        Ok(HealthStatus::Unknown | HealthStatus::Healthy) => Ok(true),
        Ok(HealthStatus::Unhealthy | HealthStatus::Draining | HealthStatus::Timeout) => Ok(false),
        Ok(HealthStatus::Degraded) => Err(Problem::new(
            "health_status",
            "not supported yet: DEGRADED; expected HEALTHY or UNHEALTHY",
        )),
        Err(_) => Err(Problem::new(
            "health_status",
            format!("unknown number {number}; expected HEALTHY or UNHEALTHY"),
        )),
    }
}

/// The workload of Istio's metadata: what stands before its first semicolon.
fn workload(metadata: Option<&core::Metadata>) -> &str {
    let fields = metadata.and_then(|metadata| metadata.filter_metadata.get(METADATA_FILTER));
    match fields
        .and_then(|fields| fields.fields.get(METADATA_WORKLOAD))
        .and_then(|value| value.kind.as_ref())
    {
        Some(Kind::StringValue(text)) => text.split(';').next().unwrap_or_default(),
        _ => "",
    }
}

/// Sees to it that all hosts have one weight.
#[derive(Default)]
struct Weights {
    first: Option<u32>,
}

impl Weights {
    fn add(&mut self, weight: u32) -> Result<()> {
        const FIELD: &str = "load_balancing_weight";
        if weight == 0 {
            return Err(Problem::new(FIELD, "expected 1 or more, found 0"));
        }
        let first = *self.first.get_or_insert(weight);
        if first != weight {
            return Err(Problem::new(
                FIELD,
                format!("not supported yet: {weight}; expected {first}, as before it"),
            ));
        }
        Ok(())
    }
}
