//! The scenario as a Kubernetes registry: services, ports, pods.
//!
//! A crashed pod stays registered as ready, because Kubernetes takes longer to notice than most outages in
//! scenarios last.

use std::collections::BTreeMap;

use shakedown_istio::registry::{
    Endpoint, Hostname, Locality, Port, Protocol, Registry, Service, Workload, augment_labels,
};
use shakedown_results::PodId;
use shakedown_scenarios::story;

use crate::ground::Ground;
use crate::layout::at;
use crate::plot::{Part, Plot};

/// Returns the registry of a scenario whose pods are on `ground`.
pub(crate) fn registry(plot: &Plot, ground: &dyn Ground) -> Registry {
    let mut registry = Registry::new();
    for service in &plot.story.services {
        registry.insert(Service::new(
            &service.name,
            &service.namespace,
            vec![port(service)],
        ));
    }
    for pod in plot.pods() {
        match plot.part(pod) {
            Part::Replica(_, service, version) => {
                let endpoint = endpoint(plot, ground, pod, service, version, true);
                if let Some(known) = registry.services.get_mut(&hostname(service)) {
                    known.endpoints.push(endpoint);
                }
            }
            Part::Client(load) => {
                let client = client(plot, pod, load);
                registry.clients.insert(ground.address(pod), client);
            }
            Part::Control => {}
        }
    }
    registry
}

fn port(service: &story::Service) -> Port {
    let (name, protocol) = match service.protocol {
        story::Protocol::Http => ("http", Protocol::Http),
        story::Protocol::Http2 => ("http2", Protocol::Http2),
        story::Protocol::Grpc => ("grpc", Protocol::Grpc),
    };
    Port {
        number: service.port,
        name: name.to_owned(),
        protocol,
    }
}

/// Returns the full DNS name of a service.
pub(crate) fn hostname(service: &story::Service) -> Hostname {
    Hostname::of(&service.name, &service.namespace)
}

/// Returns a replica as an endpoint of its service.
pub(crate) fn endpoint(
    plot: &Plot,
    ground: &dyn Ground,
    pod: PodId,
    service: &story::Service,
    version: &story::Version,
    ready: bool,
) -> Endpoint {
    let locality = locality(plot, pod);
    Endpoint {
        address: at(ground.address(pod), service.port),
        labels: augment_labels(&locality, version.labels.clone()),
        locality,
        ready,
        workload: format!("{}-{}", service.name, version.name),
    }
}

/// Returns a client of a load as a workload of its own.
fn client(plot: &Plot, pod: PodId, load: &story::Load) -> Workload {
    let locality = locality(plot, pod);
    let labels = BTreeMap::from([("app".to_owned(), load.name.clone())]);
    Workload {
        namespace: load.namespace.clone(),
        labels: augment_labels(&locality, labels),
        locality,
    }
}

fn locality(plot: &Plot, pod: PodId) -> Locality {
    let zone = &plot.story.zones[usize::from(plot.pod(pod).zone)];
    Locality {
        region: zone.region.clone(),
        zone: zone.name.clone(),
        subzone: zone.subzone.clone(),
    }
}
