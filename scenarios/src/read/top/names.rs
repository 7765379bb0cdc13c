//! Names: the single name space of services, loads and chaos items, and the names that checks may use.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_istio::registry::Hostname;
use shakedown_results::ParticipantId;
use shakedown_yaml::tree::MapEntry;
use shakedown_yaml::{Location as FilePlace, Node};

use super::super::fields::get;
use super::super::reader::ScenarioReader;
use super::super::skeleton::Skeleton;
use crate::check::names::ParticipantNames;
use crate::scenario::{Callee, ChaosAction, ChaosItem, LoadSpec, ServiceId, ServiceSpec};

/// Reserved words of the language.
const RESERVED: [&str; 8] = [
    "any", "all", "base", "control", "end", "zone", "region", "seeds",
];

impl ScenarioReader<'_> {
    /// Reports names that are reserved or used twice. Services, loads and chaos items share one namespace.
    pub(super) fn one_name_space(&mut self, node: &Node) {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        let mut claims: Vec<(String, FilePlace, &str)> = Vec::new();
        let mut entries = |section: Option<&Node>, what: &'static str| {
            for (name, MapEntry { key, .. }) in section.and_then(Node::as_map).into_iter().flatten()
            {
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
                self.error(&place, format!("`{name}` is reserved: choose another name"));
            } else if let Some(other) = taken.insert(name.clone(), what) {
                self.error(&place, format!("the name `{name}` is already used by a {other}: services, loads and chaos items share one namespace"));
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

impl ScenarioReader<'_> {
    /// The services and loads that checks may name. `called` contains the callees of each.
    pub(super) fn participant_names(
        &self,
        services: &[ServiceSpec],
        loads: &[LoadSpec],
        called: &[Vec<Callee>],
        chaos: &[ChaosItem],
    ) -> Vec<ParticipantNames> {
        let of_services = (0..).map(ServiceId::new).zip(services);
        let of_services = of_services.map(|(id, service)| of_service(id, service, chaos));
        let mut names: Vec<ParticipantNames> =
            of_services.chain(loads.iter().map(of_load)).collect();
        let meshed = services
            .iter()
            .map(|service| service.versions.iter().any(|version| version.sidecar));
        let meshed = meshed.chain(loads.iter().map(|load| load.sidecar));
        for ((participant, called), meshed) in names.iter_mut().zip(called).zip(meshed) {
            for service in called.iter().filter_map(|callee| callee.service()) {
                let service = service.participant();
                if !participant.calls.contains(&service) {
                    participant.calls.push(service);
                }
            }
            if meshed {
                participant.routed = self.routed(services, called);
            }
        }
        names
    }

    /// The services between which routes distribute a caller's requests: those that it requests and is routed away
    /// from, and those that it is routed to.
    fn routed(&self, services: &[ServiceSpec], called: &[Callee]) -> BTreeSet<ParticipantId> {
        let mut routed = BTreeSet::new();
        for callee in called {
            let host = match callee {
                Callee::Service(service) => hostname(&services[service.index()]),
                Callee::Host(host) => Hostname::resolve(&self.hosts[host.index()].name, "default"),
            };
            let destinations = self.routes.destinations(&host);
            if destinations.iter().all(|destination| *destination == host) {
                continue;
            }
            let is_met = |service: &ServiceSpec| {
                let name = hostname(service);
                name == host || destinations.contains(&name)
            };
            let services = (0..).map(ServiceId::new).zip(services);
            let met = services.filter(|(_, service)| is_met(service));
            routed.extend(met.map(|(id, _)| id.participant()));
        }
        routed
    }
}

fn hostname(service: &ServiceSpec) -> Hostname {
    Hostname::for_service(&service.name, &service.namespace)
}

fn of_service(id: ServiceId, service: &ServiceSpec, chaos: &[ChaosItem]) -> ParticipantNames {
    let most = most_replicas(id, service, chaos);
    let versions = service.versions.iter();
    ParticipantNames {
        name: service.name.clone(),
        versions: versions
            .map(|v| (v.name.clone(), most.unwrap_or(v.replicas)))
            .collect(),
        endpoints: service.endpoints.clone(),
        ..ParticipantNames::default()
    }
}

fn of_load(load: &LoadSpec) -> ParticipantNames {
    let names = load.entries.iter().map(|entry| entry.name.clone());
    ParticipantNames {
        name: load.name.clone(),
        is_load: true,
        entries: names.filter(|name| !name.is_empty()).collect(),
        ..ParticipantNames::default()
    }
}

/// The maximum number of replicas of any version of a service. The same number is used for all versions, because a
/// scaling may apply to any of them.
fn most_replicas(id: ServiceId, service: &ServiceSpec, chaos: &[ChaosItem]) -> Option<u32> {
    let brought = chaos.iter().filter_map(|item| match &item.action {
        ChaosAction::Deploy {
            service, replicas, ..
        } if *service == id => Some(*replicas),
        ChaosAction::Scale { service, to, .. } if *service == id => Some(*to),
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
