//! Reads the parts of services that other sections refer to: names, versions with inherited keys, and endpoints.

use std::collections::BTreeMap;

use http::Method;
use shakedown_istio::registry::Hostname;
use shakedown_yaml::tree::{MapEntry, Value};
use shakedown_yaml::{Location as FilePlace, Node, StructKeys, decode, patch};

use super::deploys::Deploy;
use super::fields::{get, long};
use super::reader::ScenarioReader;
use super::settings::normal_calls;
use crate::file::{ReplicaKeys, ServiceKeys, VersionKeys};
use crate::scenario::{Path, Protocol};

/// Keys of a service that have a short form, and the first key of their long form.
const SHORT: [(&str, &str); 4] = [
    ("queue", "limit"),
    ("fail", "rate"),
    ("keep-alive", "idle"),
    ("boot", "time"),
];
/// The maximum number of endpoints, and of versions, of a service. The journal counts them in 16 bits.
const PARTS_MAX: usize = 10_000;

/// The parts of a service that other sections refer to, and the merged trees of its versions.
pub(super) struct Skeleton {
    pub(super) name: String,
    pub(super) place: FilePlace,
    /// The protocol, if it is valid.
    pub(super) protocol: Protocol,
    pub(super) endpoints: Vec<Path>,
    pub(super) versions: Vec<(String, Node)>,
    /// True if the service has unknown endpoints (an external service, a gateway), so that calls to it are not checked.
    pub(super) open: bool,
    /// Versions that chaos deploys; they are in `versions`, without replicas.
    pub(super) deploys: Vec<Deploy>,
}

impl Skeleton {
    /// The name in the mesh.
    pub(super) fn hostname(&self) -> Hostname {
        let mut versions = self.versions.iter();
        let namespace = versions.find_map(|(_, version)| get(version, "namespace")?.as_str());
        Hostname::for_service(&self.name, namespace.unwrap_or("default"))
    }
}

impl ScenarioReader<'_> {
    /// Reads the parts of all services that other sections refer to.
    pub(super) fn skeletons(
        &mut self,
        topology: &Node,
        deploys: &BTreeMap<String, Vec<Deploy>>,
    ) -> Vec<Skeleton> {
        let empty = Node::map(Vec::<(String, Node)>::new(), topology.place.clone());
        let defaults = match get(topology, "defaults") {
            Some(defaults) => {
                self.service_keys(defaults);
                normal(defaults)
            }
            None => empty.clone(),
        };
        let Some(services) = get(topology, "services").and_then(|node| self.map(node)) else {
            return Vec::new();
        };
        let mut skeletons = Vec::new();
        for (name, entry) in services {
            if self.is_name(name, &entry.key, "service") {
                let deploys = deploys.get(name).map_or(&[][..], Vec::as_slice);
                skeletons.push(self.skeleton(name, entry, &defaults, deploys));
            }
        }
        skeletons
    }

    fn skeleton(
        &mut self,
        name: &str,
        entry: &MapEntry,
        defaults: &Node,
        deploys: &[Deploy],
    ) -> Skeleton {
        if let Some(replicas) = entry.node.as_map().and_then(|map| map.get("replicas")) {
            self.error(
                &replicas.key,
                "`replicas` is set per version: write `versions: {v1: 3}`",
            );
        } else {
            self.service_keys(&entry.node);
        }
        let mut merged = defaults.clone();
        if !entry.node.is_null() {
            patch::merge(&mut merged, &normal(&entry.node));
        }
        let written = merged
            .as_map_mut()
            .and_then(|map| map.shift_remove("versions"));
        let mut versions = self.versions(
            written.as_ref().map(|entry| &entry.node),
            &merged,
            &entry.key,
        );
        let deploys = self.deployed(deploys, &merged, &mut versions);
        let protocol = spoken(&versions);
        let endpoints = self.declared_by_any(&versions, protocol);
        if endpoints.len() > PARTS_MAX || versions.len() > PARTS_MAX {
            self.error(
                &entry.key,
                format!(
                    "a service may have at most {PARTS_MAX} endpoints and {PARTS_MAX} versions"
                ),
            );
        }
        let open = ["gateway", "host"]
            .iter()
            .any(|key| get(&merged, key).is_some());
        Skeleton {
            name: name.to_owned(),
            place: entry.key.clone(),
            protocol,
            endpoints,
            versions,
            open,
            deploys,
        }
    }

    /// Reports keys that a service does not have.
    fn service_keys(&mut self, node: &Node) {
        let versions = StructKeys::new::<VersionKeys>();
        self.keys(node, versions, &[StructKeys::new::<ServiceKeys>()]);
    }

    /// The endpoints that any of the versions declares.
    fn declared_by_any(&mut self, versions: &[(String, Node)], protocol: Protocol) -> Vec<Path> {
        let mut endpoints: Vec<Path> = Vec::new();
        for (_, version) in versions {
            let Some(map) = get(version, "endpoints").and_then(|node| self.map(node)) else {
                continue;
            };
            for (key, endpoint) in map {
                let Some(path) = self.declared(key, &endpoint.key) else {
                    continue;
                };
                if protocol == Protocol::Grpc && !is_method(&path) {
                    let message = format!(
                        "invalid gRPC method `{path}`: expected the form `POST /pkg.Service/Method`"
                    );
                    self.error(&endpoint.key, message);
                }
                if !endpoints.contains(&path) {
                    endpoints.push(path);
                }
            }
        }
        endpoints
    }

    /// Adds the versions that chaos items deploy. Returns those that did not exist.
    fn deployed(
        &mut self,
        deploys: &[Deploy],
        service: &Node,
        versions: &mut Vec<(String, Node)>,
    ) -> Vec<Deploy> {
        let mut new = Vec::new();
        for deploy in deploys {
            let is_there = versions.iter().any(|(name, _)| *name == deploy.version);
            if is_there || !self.is_version(&deploy.version, &deploy.place) {
                continue;
            }
            let mut merged = version_of(service, deploy.with.as_ref(), &deploy.place);
            if let Some(with) = &deploy.with {
                self.keys(with, StructKeys::new::<ServiceKeys>(), &[]);
            }
            let none = Node::string("0", deploy.place.clone());
            let replicas = Node::map([("replicas", none)], deploy.place.clone());
            patch::merge(&mut merged, &replicas);
            versions.push((deploy.version.clone(), merged));
            new.push(deploy.clone());
        }
        new
    }

    /// Returns true if the text can be a version's name.
    fn is_version(&mut self, name: &str, place: &FilePlace) -> bool {
        let good = !name.is_empty()
            && name.len() <= 63
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !good {
            self.error(
                place,
                format!("invalid version `{name}`: a version must be a valid label value"),
            );
        }
        good
    }

    /// Returns the merged tree of each version. `written` is in its long form.
    fn versions(
        &mut self,
        written: Option<&Node>,
        service: &Node,
        place: &FilePlace,
    ) -> Vec<(String, Node)> {
        let mut versions = Vec::new();
        if let Some(map) = written.and_then(|node| self.map(node)) {
            for (name, entry) in map {
                if !self.is_version(name, &entry.key) {
                    continue;
                }
                if !entry.node.is_null() {
                    let replicas = StructKeys::new::<ReplicaKeys>();
                    self.keys(&entry.node, replicas, &[StructKeys::new::<ServiceKeys>()]);
                }
                let merged = version_of(service, Some(&entry.node), place);
                versions.push((name.clone(), merged));
            }
        }
        if versions.is_empty() {
            if let Some(node) =
                written.filter(|node| node.as_map().is_some_and(indexmap::IndexMap::is_empty))
            {
                self.error(
                    &node.place,
                    "a service needs at least one version, for example `versions: {v1: 1}`",
                );
            }
            versions.push(("v1".to_owned(), version_of(service, None, place)));
        }
        versions
    }
}

/// The protocol of the first version that has one. An invalid one is reported when the service is read in full.
fn spoken(versions: &[(String, Node)]) -> Protocol {
    let written = versions
        .iter()
        .find_map(|(_, version)| get(version, "protocol"));
    let protocol = written.and_then(|node| decode(node).ok());
    protocol.unwrap_or(ServiceKeys::default().protocol)
}

/// Returns true if an endpoint is a method of gRPC. Source: gRPC over HTTP/2, `Path`.
fn is_method(path: &Path) -> bool {
    let segments: Vec<&str> = path.path.split('/').skip(1).collect();
    path.method == Method::POST
        && matches!(segments[..], [service, method] if !service.is_empty() && !method.is_empty())
}

/// The tree of a version: the keys of its service, overridden by its own.
fn version_of(service: &Node, own: Option<&Node>, place: &FilePlace) -> Node {
    let mut merged = match service.as_map() {
        Some(_) => service.clone(),
        None => Node::map(Vec::<(String, Node)>::new(), place.clone()),
    };
    if let Some(own) = own.filter(|own| own.as_map().is_some()) {
        patch::merge(&mut merged, &normal(own));
    }
    merged
}

/// The tree of a service with short forms expanded, so that maps merge with maps.
fn normal(node: &Node) -> Node {
    let mut node = node.clone();
    let Value::Map(map) = &mut node.value else {
        return node;
    };
    for (key, first) in SHORT {
        if let Some(entry) = map.get_mut(key) {
            entry.node = long(&entry.node, first);
        }
    }
    if let Some(calls) = map.get_mut("calls") {
        normal_calls(&mut calls.node);
    }
    if let Some(Value::Map(versions)) = map.get_mut("versions").map(|entry| &mut entry.node.value) {
        for entry in versions.values_mut() {
            entry.node = long(&entry.node, "replicas");
        }
    }
    node
}
