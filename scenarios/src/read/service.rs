//! Services: defaults, service and version merged, the nearest wins.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use shakedown_types::GrpcStatus;
use shakedown_yaml::{Location as FilePlace, Node, suggest};

use super::fields::{Keys, get, long};
use super::reader::ScenarioReader;
use super::skeleton::{PROTOCOLS, Skeleton};
use super::steps::{StatusWords, StepScope};
use crate::scenario::{
    Abandoned, CpuScheduling, Order, Protocol, QueueSpec, ServiceSpec, Step, StepFailure,
    StepStatus, Version, Zone,
};

const QUEUE: Keys = Keys {
    known: &["limit", "order", "full"],
    later: &["shed"],
};
const KEEP_ALIVE: Keys = Keys {
    known: &["idle", "requests"],
    later: &[],
};
const BOOT: Keys = Keys {
    known: &["time"],
    later: &["cold", "for"],
};
const SIDECAR: Keys = Keys {
    known: &["cost"],
    later: &["handshake", "workers"],
};
/// Pods of one story, at most: each has an address of its own.
pub(super) const PODS_MAX: u32 = 50_000;

impl ScenarioReader<'_> {
    /// A service in full, and whom it calls.
    pub(super) fn service(
        &mut self,
        index: usize,
        skeletons: &[Skeleton],
        zones: &[Zone],
    ) -> (ServiceSpec, Vec<usize>) {
        let skeleton = &skeletons[index];
        let mut called = Vec::new();
        let mut versions = Vec::new();
        for (name, node) in &skeleton.versions {
            versions.push(self.version(skeleton, name, node, skeletons, zones, &mut called));
        }
        let limited = versions
            .iter()
            .any(|v: &Version| v.workers.is_some() || v.cores.is_some());
        if !limited && !skeleton.endpoints.is_empty() {
            self.warnings.push(format!(
                "{}: `{}` has neither `workers` nor `cores`: it never overloads",
                skeleton.place, skeleton.name
            ));
        }
        let port = self.common(skeleton, "port", "8080");
        let port = match port.parse::<u16>() {
            Ok(port) if !matches!(port, 0 | 15001 | 15020 | 20000..=20999) => port,
            _ => {
                let place = self.place_of(skeleton, "port");
                self.error(&place, format!("`{port}` is no port for a service: 1 to 65535, but 15001, 15020 and 20000 to 20999, which pods use themselves"));
                8080
            }
        };
        self.common(skeleton, "protocol", "http");
        for (_, version) in &skeleton.versions {
            if let Some(protocol) = get(version, "protocol") {
                self.word(protocol, &PROTOCOLS, &["tcp"]);
            }
        }
        let service = ServiceSpec {
            name: skeleton.name.clone(),
            namespace: self.common(skeleton, "namespace", "default"),
            account: self.common(skeleton, "account", &skeleton.name),
            port,
            protocol: skeleton.protocol,
            endpoints: skeleton.endpoints.clone(),
            versions,
        };
        (service, called)
    }

    /// A value that all versions of a service share.
    fn common(&mut self, skeleton: &Skeleton, key: &str, default: &str) -> String {
        let mut values = Vec::new();
        for (_, version) in &skeleton.versions {
            if let Some(node) = get(version, key)
                && let Some(text) = self.text(node, "a plain value")
            {
                values.push((text.to_owned(), node.place.clone()));
            }
        }
        let Some((first, _)) = values.first().cloned() else {
            return default.to_owned();
        };
        if let Some((_, place)) = values.iter().find(|(text, _)| *text != first) {
            self.error(
                place,
                format!("not supported yet: versions of one service with another `{key}`"),
            );
        }
        first
    }

    fn place_of(&self, skeleton: &Skeleton, key: &str) -> FilePlace {
        let found = skeleton
            .versions
            .iter()
            .find_map(|(_, version)| get(version, key));
        found.map_or_else(|| skeleton.place.clone(), |node| node.place.clone())
    }

    fn version(
        &mut self,
        skeleton: &Skeleton,
        name: &str,
        node: &Node,
        skeletons: &[Skeleton],
        zones: &[Zone],
        called: &mut Vec<usize>,
    ) -> Version {
        let keep_alive = self.part(node, "keep-alive", &KEEP_ALIVE);
        let boot = self.part(node, "boot", &BOOT);
        let cpu = get(node, "cpu").and_then(|n| {
            self.word(
                n,
                &[("ps", CpuScheduling::Ps), ("fifo", CpuScheduling::Fifo)],
                &[],
            )
        });
        let abandoned = get(node, "abandoned").and_then(|n| {
            self.word(
                n,
                &[("finish", Abandoned::Finish), ("drop", Abandoned::Drop)],
                &[],
            )
        });
        let replicas = self.count(node, "replicas").unwrap_or(1);
        if replicas > PODS_MAX {
            let place = get(node, "replicas")
                .map_or(&skeleton.place, |n| &n.place)
                .clone();
            self.error(
                &place,
                format!("`{replicas}` replicas are too many: at most {PODS_MAX}"),
            );
        }
        Version {
            name: name.to_owned(),
            replicas: replicas.min(PODS_MAX),
            zones: self.zone_list(node, zones),
            labels: self.labels(node, &skeleton.name, name),
            workers: self.positive_limit(node, "workers").flatten(),
            cores: self.positive_limit(node, "cores").flatten(),
            cpu: cpu.unwrap_or(CpuScheduling::Ps),
            queue: self.queue(node, skeleton.protocol),
            abandoned: abandoned.unwrap_or(Abandoned::Finish),
            keep_alive_idle: self
                .duration(&keep_alive, "idle")
                .unwrap_or(Duration::from_secs(60)),
            keep_alive_requests: self.positive_limit(&keep_alive, "requests").flatten(),
            boot: self
                .duration(&boot, "time")
                .unwrap_or(Duration::from_secs(1)),
            sidecar: self.sidecar(node),
            forward: self.forward(node),
            endpoints: self.endpoints(skeleton, name, node, skeletons, called),
        }
    }

    /// A map under a key, with its keys checked; empty where there is none.
    fn part(&mut self, node: &Node, key: &str, keys: &Keys) -> Node {
        match get(node, key) {
            Some(part) => {
                self.keys(part, keys);
                part.clone()
            }
            None => Node::null(node.place.clone()),
        }
    }

    fn queue(&mut self, node: &Node, protocol: Protocol) -> QueueSpec {
        let queue = self.part(node, "queue", &QUEUE);
        let orders = [("fifo", Order::Fifo), ("lifo", Order::Lifo)];
        let order = get(&queue, "order")
            .and_then(|n| self.word(n, &orders, &["adaptive-lifo", "priority"]));
        let (usual, named) = match protocol {
            Protocol::Grpc => (
                StepStatus::Grpc(GrpcStatus::Unavailable),
                "a full queue answers `UNAVAILABLE`, `RESOURCE_EXHAUSTED` or `reset`",
            ),
            Protocol::Http | Protocol::Http2 => (
                StepStatus::Http(http::StatusCode::SERVICE_UNAVAILABLE),
                "a full queue answers `503` or `reset`",
            ),
        };
        let full = match get(&queue, "full") {
            None => StepFailure::Status(usual),
            Some(full) => match (full.as_str(), protocol) {
                (Some("reset"), _) => StepFailure::Reset,
                (Some("503"), Protocol::Http | Protocol::Http2)
                | (Some("UNAVAILABLE"), Protocol::Grpc) => StepFailure::Status(usual),
                (Some(name @ "RESOURCE_EXHAUSTED"), Protocol::Grpc) => {
                    let status = GrpcStatus::from_name(name).expect("it is one of gRPC's");
                    StepFailure::Status(StepStatus::Grpc(status))
                }
                _ => {
                    self.error(&full.place, named);
                    StepFailure::Reset
                }
            },
        };
        QueueSpec {
            limit: self.limit(&queue, "limit").unwrap_or(Some(1000)),
            order: order.unwrap_or(Order::Fifo),
            full,
        }
    }

    /// Returns true if there is a sidecar, of services and of loads.
    pub(super) fn sidecar(&mut self, node: &Node) -> bool {
        let Some(sidecar) = get(node, "sidecar") else {
            return true;
        };
        if sidecar.as_str() == Some("none") {
            return false;
        }
        let sidecar = long(sidecar, "cost");
        self.keys(&sidecar, &SIDECAR);
        if self
            .duration(&sidecar, "cost")
            .is_some_and(|cost| !cost.is_zero())
            && let Some(cost) = get(&sidecar, "cost")
        {
            self.later(&cost.place.clone(), "sidecar: cost");
        }
        true
    }

    fn forward(&mut self, node: &Node) -> Vec<HeaderName> {
        let Some(list) = get(node, "forward") else {
            return ["end-user", "cookie", "authorization"]
                .map(HeaderName::from_static)
                .to_vec();
        };
        let mut names = Vec::new();
        for item in self.list(list, "header names") {
            names.extend(self.parsed(item, "a header name", |text| {
                HeaderName::try_from(text).map_err(|_| format!("`{text}` is no header name"))
            }));
        }
        names
    }

    fn labels(&mut self, node: &Node, service: &str, version: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        labels.insert("app".to_owned(), service.to_owned());
        labels.insert("version".to_owned(), version.to_owned());
        if let Some(map) = get(node, "labels").and_then(|n| self.map(n)) {
            for (key, entry) in map {
                if let Some(text) = self.text(&entry.node, "a label's value") {
                    labels.insert(key.clone(), text.to_owned());
                }
            }
        }
        labels
    }

    /// The zones that replicas (or clients) go round; all where none are named.
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
        called: &mut Vec<usize>,
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
                            place: self.place(format!("{path}/fail")),
                        },
                    );
                }
                steps
            }));
        }
        endpoints
    }
}

/// The steps of a declared endpoint; blanks between method and path do not count.
fn get_endpoint<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let map = get(node, "endpoints")?.as_map()?;
    let found = map
        .iter()
        .find(|(written, _)| written.split_ascii_whitespace().eq(key.split(' ')));
    found.map(|(_, entry)| &entry.node)
}
