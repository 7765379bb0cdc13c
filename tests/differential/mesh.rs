//! The inputs of our control plane for a case: services with their endpoints, and the user's documents.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality, Port, Registry, Service};
use shakedown_yaml::tree;

use crate::case::{Case, Host, PORT};
use crate::messages;
use crate::upstream::Manner;

/// The port of the service that the callers belong to, if any.
const CALLER_PORT: u16 = 9999;

/// The services of a case, with the proxies' own `pods` if the case registers callers. `at` returns the addresses of an
/// upstream by its index.
pub(crate) fn registry(
    case: &Case,
    hosts: &[Host],
    at: &dyn Fn(usize) -> Vec<SocketAddr>,
    pods: [IpAddr; 2],
) -> Registry {
    let mut services: BTreeMap<&str, Service> = BTreeMap::new();
    let new = |name: &str, http2: bool| {
        let mut port = Port::http(PORT);
        if http2 {
            messages::speak_http2(&mut port);
        }
        Service::new(name, "default", vec![port])
    };
    for name in &case.empty {
        services.insert(name, new(name, false));
    }
    for (index, host) in hosts.iter().enumerate() {
        let http2 = host.manner == Manner::Http2;
        let service = services
            .entry(host.service)
            .or_insert_with(|| new(host.service, http2));
        for address in at(index) {
            let mut endpoint = endpoint(address, &host.labels, host.locality, host.name);
            endpoint.ready = host.healthy;
            service.endpoints.push(endpoint);
        }
    }
    let mut registry = Registry::new();
    if let Some((locality, labels)) = case.caller {
        let mut service = Service::new("caller", "default", vec![Port::http(CALLER_PORT)]);
        let at = |pod| {
            endpoint(
                SocketAddr::new(pod, CALLER_PORT),
                labels,
                locality,
                "caller",
            )
        };
        service.endpoints.extend(pods.map(at));
        registry.insert(service);
    }
    services
        .into_values()
        .for_each(|service| registry.insert(service));
    registry
}

fn endpoint(
    address: SocketAddr,
    labels: &[(&str, &str)],
    locality: &str,
    workload: &str,
) -> Endpoint {
    let mut parts = locality.split('/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Endpoint {
        address,
        labels: labels.iter().map(owned).collect(),
        locality: Locality {
            region: part(),
            zone: part(),
            subzone: part(),
        },
        ready: true,
        workload: workload.into(),
    }
}

pub(crate) fn documents(yaml: &str) -> Result<Vec<Document>, String> {
    if yaml.is_empty() {
        return Ok(Vec::new());
    }
    let nodes = tree::parse("case.yaml", yaml).map_err(|errors| errors.to_string())?;
    let read = |node| Document::read(node).map_err(|errors| errors.to_string());
    nodes.iter().map(read).collect()
}
