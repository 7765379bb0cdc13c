//! A case as our control plane knows it: services with their endpoints, and the user's documents.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use shakedown_config::api::Document;
use shakedown_config::registry::{Endpoint, Locality, Port, Registry, Service};
use shakedown_config::tree;

use crate::case::{Case, Host, PORT};
use crate::messages;
use crate::upstream::Manner;

/// The services of a case; `at` says where an upstream, by its number, takes requests.
pub(crate) fn registry(
    case: &Case,
    hosts: &[Host],
    at: &dyn Fn(usize) -> Vec<SocketAddr>,
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
            let mut parts = host.locality.split('/').map(str::to_owned);
            let mut part = || parts.next().unwrap_or_default();
            service.endpoints.push(Endpoint {
                address,
                labels: host
                    .labels
                    .iter()
                    .map(|(n, v)| ((*n).into(), (*v).into()))
                    .collect(),
                locality: Locality {
                    region: part(),
                    zone: part(),
                    subzone: part(),
                },
                ready: host.healthy,
                workload: host.name.into(),
            });
        }
    }
    let mut registry = Registry::new();
    services
        .into_values()
        .for_each(|service| registry.insert(service));
    registry
}

/// The documents of a case.
pub(crate) fn documents(yaml: &str) -> Result<Vec<Document>, String> {
    if yaml.is_empty() {
        return Ok(Vec::new());
    }
    let nodes = tree::parse("case.yaml", yaml).map_err(|errors| errors.to_string())?;
    let read = |node| Document::read(node).map_err(|errors| errors.to_string());
    nodes.iter().map(read).collect()
}
