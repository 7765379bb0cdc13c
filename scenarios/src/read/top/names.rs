//! Names: one space for services, loads and chaos items, and what checks may name.

use std::collections::BTreeMap;

use shakedown_config::tree::Entry;
use shakedown_config::{Node, Place as FilePlace};

use super::super::Reader;
use super::super::fields::get;
use super::super::skeleton::Skeleton;
use crate::check::names::PartyNames;
use crate::story::{Action, Chaos, Load, Service};

/// Words of the language, which nothing else is named.
const RESERVED: [&str; 8] = [
    "any", "all", "base", "control", "end", "zone", "region", "seeds",
];

impl Reader<'_> {
    /// Services, loads and chaos items share one name space, some names of which are taken.
    pub(super) fn one_name_space(&mut self, node: &Node) {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        let mut claims: Vec<(String, FilePlace, &str)> = Vec::new();
        let mut entries = |section: Option<&Node>, what: &'static str| {
            for (name, Entry { key, .. }) in section.and_then(Node::as_map).into_iter().flatten() {
                claims.push((name.clone(), key.clone(), what));
            }
        };
        entries(node.find(&["topology", "services"]), "service");
        entries(node.get("load"), "load");
        for item in node
            .get("chaos")
            .and_then(Node::as_list)
            .unwrap_or_default()
        {
            if let Some(name) = get(item, "name") {
                claims.push((
                    name.as_str().unwrap_or_default().to_owned(),
                    name.place.clone(),
                    "chaos item",
                ));
            }
        }
        for (name, place, what) in claims {
            if RESERVED.contains(&name.as_str()) {
                self.error(
                    &place,
                    format!("`{name}` is taken by the language: choose another name"),
                );
            } else if let Some(other) = taken.insert(name.clone(), what) {
                self.error(&place, format!("a {other} is named `{name}` already: services, loads and chaos items share one name space"));
            }
        }
    }
}

/// The names of all services and loads.
pub(super) fn callers(skeletons: &[Skeleton], loads: &Node) -> Vec<String> {
    let services = skeletons.iter().map(|skeleton| skeleton.name.clone());
    let loads = loads.as_map().into_iter().flat_map(|map| map.keys());
    services.chain(loads.cloned()).collect()
}

/// What checks may name.
pub(super) fn party_names(
    services: &[Service],
    loads: &[Load],
    calls: &[Vec<usize>],
    chaos: &[Chaos],
) -> Vec<PartyNames> {
    let of_services = services.iter().enumerate().map(|(index, service)| {
        let most = most_replicas(index, service, chaos);
        let versions = service.versions.iter();
        PartyNames {
            name: service.name.clone(),
            is_load: false,
            versions: versions
                .map(|v| (v.name.clone(), most.unwrap_or(v.replicas)))
                .collect(),
            endpoints: service.endpoints.clone(),
            entries: Vec::new(),
            calls: Vec::new(),
        }
    });
    let of_loads = loads.iter().map(|load| PartyNames {
        name: load.name.clone(),
        is_load: true,
        versions: Vec::new(),
        endpoints: Vec::new(),
        entries: load
            .entries
            .iter()
            .map(|entry| entry.name.clone())
            .filter(|name| !name.is_empty())
            .collect(),
        calls: Vec::new(),
    });
    let mut names: Vec<PartyNames> = of_services.chain(of_loads).collect();
    for (party, called) in names.iter_mut().zip(calls) {
        for service in called {
            if !party.calls.contains(service) {
                party.calls.push(*service);
            }
        }
    }
    names
}

/// How many replicas a service's versions have at most, so far as the file says: a scaling may be of any of them.
fn most_replicas(index: usize, service: &Service, chaos: &[Chaos]) -> Option<u32> {
    let brought = chaos.iter().filter_map(|item| match &item.action {
        Action::Deploy {
            service, replicas, ..
        } if *service == index => Some(*replicas),
        Action::Scale { service, to, .. } if *service == index => Some(*to),
        _ => None,
    });
    let brought = brought.max()?;
    let at_0_s = service
        .versions
        .iter()
        .map(|version| version.replicas)
        .max();
    Some(brought.max(at_0_s.unwrap_or(0)))
}
