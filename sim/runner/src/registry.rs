//! The scenario as a Kubernetes registry: services, ports, pods.
//!
//! A crashed pod stays registered as ready, because Kubernetes takes longer to notice than most outages in
//! scenarios last.

use std::collections::BTreeMap;

use shakedown_istio::registry::{
    Endpoint, Hostname, Locality, Port, PortProtocol, Registry, Service, Workload, augment_labels,
};
use shakedown_results::PodId;
use shakedown_scenarios::scenario;

use crate::backend::Backend;
use crate::layout::at;
use crate::run_context::{PodRole, RunContext};

/// Returns the registry of a scenario whose pods are on `backend`.
pub(crate) fn registry(context: &RunContext, backend: &dyn Backend) -> Registry {
    let mut registry = Registry::new();
    for service in &context.scenario.services {
        registry.insert(Service::new(
            &service.name,
            &service.namespace,
            vec![port(service)],
        ));
    }
    for pod in context.pods() {
        match context.role(pod) {
            PodRole::Replica(_, service, version) => {
                let endpoint = endpoint(context, backend, pod, service, version, true);
                if let Some(known) = registry.services.get_mut(&hostname(service)) {
                    known.endpoints.push(endpoint);
                }
            }
            PodRole::Client(load) => {
                let client = client(context, pod, load);
                registry.clients.insert(backend.address(pod), client);
            }
            PodRole::Control => {}
        }
    }
    registry
}

fn port(service: &scenario::ServiceSpec) -> Port {
    let (name, protocol) = match service.protocol {
        scenario::Protocol::Http => ("http", PortProtocol::Http),
        scenario::Protocol::Http2 => ("http2", PortProtocol::Http2),
        scenario::Protocol::Grpc => ("grpc", PortProtocol::Grpc),
    };
    Port {
        number: service.port,
        name: name.to_owned(),
        protocol,
    }
}

/// Returns the full DNS name of a service.
pub(crate) fn hostname(service: &scenario::ServiceSpec) -> Hostname {
    Hostname::for_service(&service.name, &service.namespace)
}

/// Returns a replica as an endpoint of its service.
pub(crate) fn endpoint(
    context: &RunContext,
    backend: &dyn Backend,
    pod: PodId,
    service: &scenario::ServiceSpec,
    version: &scenario::Version,
    ready: bool,
) -> Endpoint {
    let locality = locality(context, pod);
    Endpoint {
        address: at(backend.address(pod), service.port),
        labels: augment_labels(&locality, version.labels.clone()),
        locality,
        ready,
        workload: format!("{}-{}", service.name, version.name),
    }
}

/// Returns a client of a load as a workload of its own.
fn client(context: &RunContext, pod: PodId, load: &scenario::LoadSpec) -> Workload {
    let locality = locality(context, pod);
    let labels = BTreeMap::from([("app".to_owned(), load.name.clone())]);
    Workload {
        namespace: load.namespace.clone(),
        labels: augment_labels(&locality, labels),
        locality,
    }
}

fn locality(context: &RunContext, pod: PodId) -> Locality {
    let zone = &context.scenario.zones[usize::from(context.pod(pod).zone)];
    Locality {
        region: zone.region.clone(),
        zone: zone.name.clone(),
        subzone: zone.subzone.clone(),
    }
}
