//! Reads services. A version's keys override those of its service, which override the defaults.

use std::collections::BTreeMap;

use shakedown_types::GrpcStatus;
use shakedown_yaml::{Node, Raw, suggest};

use super::fields::{get, long};
use super::reader::ScenarioReader;
use super::skeleton::Skeleton;
use super::steps::{StatusWords, StepScope};
use crate::file::{Count, QueueKeys, ReplicaKeys, ServiceKeys, SidecarKeys, Span};
use crate::scenario::{
    Callee, Protocol, QueueSpec, ServiceSpec, Step, StepFailure, StepStatus, Version, Zone,
};

/// The maximum number of pods in a scenario, because each pod needs its own address.
pub(super) const PODS_MAX: u32 = 50_000;

impl ScenarioReader<'_> {
    /// Reads a service. Returns also its callees.
    pub(super) fn service(
        &mut self,
        index: usize,
        skeletons: &[Skeleton],
        zones: &[Zone],
    ) -> (ServiceSpec, Vec<Callee>) {
        let skeleton = &skeletons[index];
        let mut called = Vec::new();
        let mut versions = Vec::new();
        let mut keys: Vec<ServiceKeys> = Vec::new();
        for (name, node) in &skeleton.versions {
            let written = self.decode_part(node).unwrap_or_default();
            let scope = (skeletons, zones);
            versions.push(self.version(skeleton, (name, node), &written, scope, &mut called));
            keys.push(written);
        }
        let limited = versions
            .iter()
            .any(|v: &Version| v.workers.is_some() || v.cores.is_some());
        if !limited && !skeleton.endpoints.is_empty() {
            self.warnings.push(format!(
                "{}: `{}` has neither `workers` nor `cores`: it cannot be overloaded",
                skeleton.place, skeleton.name
            ));
        }
        let port = self.common(skeleton, "port");
        self.common(skeleton, "protocol");
        let namespace = self.common(skeleton, "namespace");
        let account = self.common(skeleton, "account");
        let account = keys[account].account.as_ref();
        let service = ServiceSpec {
            name: skeleton.name.clone(),
            namespace: keys[namespace].namespace.0.clone(),
            account: account.map_or_else(|| skeleton.name.clone(), |account| account.0.clone()),
            port: keys[port].port.0,
            protocol: skeleton.protocol,
            endpoints: skeleton.endpoints.clone(),
            versions,
        };
        (service, called)
    }

    /// The index of the first version that has a key, whose value all versions of a service share.
    fn common(&mut self, skeleton: &Skeleton, key: &str) -> usize {
        let versions = skeleton.versions.iter().enumerate();
        let mut written = versions.filter_map(|(at, (_, version))| Some((at, get(version, key)?)));
        let Some((at, first)) = written.next() else {
            return 0;
        };
        if let Some((_, other)) = written.find(|(_, node)| node.as_str() != first.as_str()) {
            self.error(
                &other.place,
                format!(
                    "not supported yet: versions of one service with different values of `{key}`"
                ),
            );
        }
        at
    }

    fn version(
        &mut self,
        skeleton: &Skeleton,
        (name, node): (&str, &Node),
        keys: &ServiceKeys,
        (skeletons, zones): (&[Skeleton], &[Zone]),
        called: &mut Vec<Callee>,
    ) -> Version {
        let ReplicaKeys {
            replicas: Count(replicas),
        } = self.decode_part(node).unwrap_or_default();
        if replicas > PODS_MAX {
            let place = get(node, "replicas")
                .map_or(&skeleton.place, |n| &n.place)
                .clone();
            self.error(
                &place,
                format!("`{replicas}` replicas are too many: at most {PODS_MAX}"),
            );
        }
        let keep_alive = get(node, "keep-alive").unwrap_or(node);
        Version {
            name: name.to_owned(),
            replicas: replicas.min(PODS_MAX),
            zones: self.zone_list(node, zones),
            labels: labels(keys, &skeleton.name, name),
            workers: self.positive(node, "workers", &keys.workers),
            cores: self.positive(node, "cores", &keys.cores),
            cpu: keys.cpu,
            queue: self.queue(&keys.queue, skeleton.protocol),
            abandoned: keys.abandoned,
            keep_alive_idle: keys.keep_alive.idle.0,
            keep_alive_requests: self.positive(keep_alive, "requests", &keys.keep_alive.requests),
            boot: keys.boot.time.0,
            sidecar: self.sidecar(node),
            forward: keys.forward.0.clone(),
            endpoints: self.endpoints(skeleton, name, node, skeletons, called),
        }
    }

    fn queue(&mut self, keys: &QueueKeys, protocol: Protocol) -> QueueSpec {
        let (usual, named) = match protocol {
            Protocol::Grpc => (
                StepStatus::Grpc(GrpcStatus::Unavailable),
                "`full` must be `UNAVAILABLE`, `RESOURCE_EXHAUSTED` or `reset`",
            ),
            Protocol::Http | Protocol::Http2 => (
                StepStatus::Http(http::StatusCode::SERVICE_UNAVAILABLE),
                "`full` must be `503` or `reset`",
            ),
        };
        let full = match &keys.full {
            None => StepFailure::Status(usual),
            Some(Raw(full)) => match (full.as_str(), protocol) {
                (Some("reset"), _) => StepFailure::Reset,
                (Some("503"), Protocol::Http | Protocol::Http2)
                | (Some("UNAVAILABLE"), Protocol::Grpc) => StepFailure::Status(usual),
                (Some(name @ "RESOURCE_EXHAUSTED"), Protocol::Grpc) => {
                    let status = GrpcStatus::from_name(name).expect("the name is a gRPC status");
                    StepFailure::Status(StepStatus::Grpc(status))
                }
                _ => {
                    self.error(&full.place, named);
                    StepFailure::Reset
                }
            },
        };
        QueueSpec {
            limit: keys.limit.0,
            order: keys.order,
            full,
        }
    }

    /// Returns true if a service or load has a sidecar.
    pub(super) fn sidecar(&mut self, node: &Node) -> bool {
        let Some(sidecar) = get(node, "sidecar") else {
            return true;
        };
        if sidecar.as_str() == Some("none") {
            return false;
        }
        let SidecarKeys { cost: Span(cost) } = self.decode_or_default(sidecar);
        if !cost.is_zero() {
            let sidecar = long(sidecar, "cost");
            let place = get(&sidecar, "cost").unwrap_or(&sidecar).place.clone();
            self.unsupported(&place, "sidecar: cost");
        }
        true
    }

    /// The zones over which replicas or clients are distributed. All zones if none are listed.
    pub(super) fn zone_list(&mut self, node: &Node, zones: &[Zone]) -> Vec<u16> {
        let mut indices = Vec::new();
        if let Some(list) = get(node, "zones") {
            for item in self.list(list, "zones") {
                let Some(name) = self.text(item, "a zone") else {
                    continue;
                };
                match zones.iter().position(|zone| zone.name == name) {
                    Some(at) => indices.extend(u16::try_from(at)),
                    None => {
                        let known: Vec<&str> =
                            zones.iter().map(|zone| zone.name.as_str()).collect();
                        self.error(
                            &item.place,
                            format!("no zone `{name}`: {}", suggest::hint(name, known)),
                        );
                    }
                }
            }
        }
        if indices.is_empty() {
            (0..zones.len())
                .filter_map(|at| u16::try_from(at).ok())
                .collect()
        } else {
            indices
        }
    }

    fn endpoints(
        &mut self,
        skeleton: &Skeleton,
        version: &str,
        node: &Node,
        skeletons: &[Skeleton],
        called: &mut Vec<Callee>,
    ) -> Vec<Option<Vec<Step>>> {
        let calls = get(node, "calls");
        if let Some(calls) = calls {
            self.client_settings(calls, skeletons);
        }
        let words = StatusWords::for_protocol(skeleton.protocol);
        let failing = get(node, "fail").and_then(|n| self.failure_rate(n, words));
        let mut endpoints = Vec::new();
        for endpoint in &skeleton.endpoints {
            let key = endpoint.to_string();
            let written = get_endpoint(node, &key);
            endpoints.push(written.map(|written| {
                let by = format!("{} {key}", skeleton.name);
                let path = format!("services.{}.{version}/{key}", skeleton.name);
                let mut scope = StepScope {
                    services: skeletons,
                    calls,
                    by,
                    meshed: get(node, "sidecar").and_then(Node::as_str) != Some("none"),
                    words,
                    called: std::mem::take(called),
                };
                let mut steps = self.steps(written, &path, &mut scope);
                *called = scope.called;
                if let Some((rate, with)) = failing {
                    steps.insert(
                        0,
                        Step::Fail {
                            rate,
                            with,
                            draw_id: self.stream(format!("{path}/fail")),
                        },
                    );
                }
                steps
            }));
        }
        endpoints
    }
}

/// The labels of a version's pods.
fn labels(keys: &ServiceKeys, service: &str, version: &str) -> BTreeMap<String, String> {
    let own = [("app", service), ("version", version)];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    own.into_iter().chain(keys.labels.0.clone()).collect()
}

/// The steps of a declared endpoint. The number of spaces between method and path does not matter.
fn get_endpoint<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let map = get(node, "endpoints")?.as_map()?;
    let found = map
        .iter()
        .find(|(written, _)| written.split_ascii_whitespace().eq(key.split(' ')));
    found.map(|(_, entry)| &entry.node)
}
