//! Reads the steps of endpoints.

use http::StatusCode;
use shakedown_types::GrpcStatus;
use shakedown_yaml::{Node, Raw, StructKeys, suggest};

use super::endpoint::{CallSender, find_service};
use super::fields::{get, long};
use super::reader::ScenarioReader;
use super::settings::with_settings;
use super::skeleton::Skeleton;
use crate::file::{
    self, CallKeys, CallSettingKeys, Counts, FailKeys, RespondKeys, StepKeys, TimedKeys,
};
use crate::scenario::{Call, Callee, Draw, Protocol, Step, StepFailure, StepStatus, Timed};
use crate::value::{Distribution, Share};

/// The notation that a status may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusWords {
    Http,
    Grpc,
    /// Either notation, for pods of any protocol.
    Both,
}

impl StatusWords {
    /// The notation for a service with this protocol.
    pub(super) const fn for_protocol(protocol: Protocol) -> StatusWords {
        match protocol {
            Protocol::Grpc => StatusWords::Grpc,
            Protocol::Http | Protocol::Http2 => StatusWords::Http,
        }
    }

    /// The response of a failing app: 500, or the status that gRPC libraries send for an exception.
    pub(super) const fn broken(self) -> StepStatus {
        match self {
            StatusWords::Grpc => StepStatus::Grpc(GrpcStatus::Unknown),
            StatusWords::Http | StatusWords::Both => {
                StepStatus::Http(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// The context of the steps of one endpoint.
pub(super) struct StepScope<'a> {
    pub(super) services: &'a [Skeleton],
    /// Client settings of the caller (`calls`).
    pub(super) calls: Option<&'a Node>,
    /// `checkout POST /order`.
    pub(super) by: String,
    /// True if its calls are sent through a sidecar.
    pub(super) meshed: bool,
    /// The notation of its responses.
    pub(super) words: StatusWords,
    /// Services and hosts called so far, in order of first mention.
    pub(super) called: Vec<Callee>,
}

impl ScenarioReader<'_> {
    /// Reads a list of steps.
    pub(super) fn steps(
        &mut self,
        node: &Node,
        path: &str,
        scope: &mut StepScope<'_>,
    ) -> Vec<Step> {
        let items = self.list(node, "steps");
        let mut steps = Vec::new();
        for (at, item) in items.iter().enumerate() {
            steps.extend(self.step(item, &format!("{path}/{at}"), at + 1, scope));
        }
        steps
    }

    /// Reads a step. `number` counts from 1, for messages.
    fn step(
        &mut self,
        node: &Node,
        path: &str,
        number: usize,
        scope: &mut StepScope<'_>,
    ) -> Option<Step> {
        let map = match self.map(node) {
            Some(map) if map.len() == 1 => map,
            Some(_) => {
                self.error(
                    &node.place,
                    "a step must have exactly one key: write each step as a separate item",
                );
                return None;
            }
            None => {
                if node.is_null() {
                    self.error(
                        &node.place,
                        format!(
                            "expected a step, such as `work: 4ms`, found {}",
                            node.describe()
                        ),
                    );
                }
                return None;
            }
        };
        if let Some(value) = map.get("lookup") {
            self.lookup(&value.node, scope);
        }
        let decoder = file::decoder().choice("step");
        match self.decode_by(&decoder, node)? {
            StepKeys::Work(Raw(value)) => self.timed(&value, path).map(Step::Work),
            StepKeys::Sleep(Raw(value)) => self.timed(&value, path).map(Step::Sleep),
            StepKeys::Call(Raw(value)) => self
                .call(&value, path, number, scope)
                .map(|call| Step::Call(Box::new(call))),
            StepKeys::Parallel(Raw(value)) => {
                Some(Step::Parallel(self.branches(&value, path, scope)))
            }
            StepKeys::Sequence(Raw(value)) => Some(Step::Sequence(self.steps(&value, path, scope))),
            StepKeys::Fail(Raw(value)) => self.fail(&value, path, scope.words),
            StepKeys::Respond(Raw(value)) => self.respond(&value, scope.words),
        }
    }

    /// Reads branches, each of which is a step or a list of steps.
    fn branches(&mut self, node: &Node, path: &str, scope: &mut StepScope<'_>) -> Vec<Vec<Step>> {
        let items = self.list(node, "branches");
        let mut branches = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let path = format!("{path}/{at}");
            branches.push(match item.as_list() {
                Some(_) => self.steps(item, &path, scope),
                None => self.step(item, &path, at + 1, scope).into_iter().collect(),
            });
        }
        branches
    }

    fn timed(&mut self, node: &Node, path: &str) -> Option<Timed> {
        let node = long(node, "time");
        let keys: TimedKeys = self.decode(&node)?;
        let from = self.with_file(keys.time.0, get(&node, "time")?)?;
        let time = Draw {
            from,
            draw_id: self.stream(path.to_owned()),
        };
        Some(Timed {
            time,
            drawn: keys.draw,
        })
    }

    fn call(
        &mut self,
        node: &Node,
        path: &str,
        number: usize,
        scope: &mut StepScope<'_>,
    ) -> Option<Call> {
        let node = long(node, "to");
        let decoder = file::decoder().beside(StructKeys::new::<CallSettingKeys>());
        let keys: CallKeys = self.decode_by(&decoder, &node)?;
        let sender = CallSender {
            name: &format!("{}, step {number}", scope.by),
            meshed: scope.meshed,
        };
        let target = self.target(&keys.to.0, scope.services, &sender)?;
        if !scope.called.contains(&target.callee) {
            scope.called.push(target.callee);
        }
        let merged = with_settings(&node, scope.calls, &target.name);
        let times = self.drawn_count(keys.times, &node, "times", path);
        let fan_out = self.drawn_count(keys.fan_out, &node, "fan-out", path);
        let settings = self.call_settings(&merged);
        Some(Call {
            callee: target.callee,
            endpoint: target.endpoint,
            method: target.method,
            path: target.path,
            probability: keys.probability.0,
            times,
            fan_out,
            headers: settings.headers.0,
            size: keys.size.0,
            timeout: settings.timeout.map(|timeout| timeout.0),
            deadline: settings.deadline.map(|deadline| deadline.0),
            retries: self.retries(&merged, path),
            hedge: self.hedge(&merged),
            pool: self.pool(&merged),
            on_error: settings.on_error,
            draw_id: self.stream(format!("{path}/probability")),
        })
    }

    fn drawn_count(&mut self, count: Counts, call: &Node, key: &str, path: &str) -> Draw {
        let written = get(call, key).unwrap_or(call);
        let from = self.with_file(count.0, written);
        Draw {
            from: from.unwrap_or_else(|| Distribution::constant_count(1)),
            draw_id: self.stream(format!("{path}/{key}")),
        }
    }

    fn fail(&mut self, node: &Node, path: &str, words: StatusWords) -> Option<Step> {
        let (rate, with) = self.failure_rate(node, words)?;
        Some(Step::Fail {
            rate,
            with,
            draw_id: self.stream(path.to_owned()),
        })
    }

    /// Reads `{rate, with: 500}` of a step or a service.
    pub(super) fn failure_rate(
        &mut self,
        node: &Node,
        words: StatusWords,
    ) -> Option<(Share, StepFailure)> {
        let keys: FailKeys = self.decode(node)?;
        let with = match keys.with {
            Some(Raw(with)) => self.failure(&with, words)?,
            None => StepFailure::Status(words.broken()),
        };
        Some((keys.rate.0, with))
    }

    /// Reads a status, `reset` or `hang`.
    pub(super) fn failure(&mut self, node: &Node, words: StatusWords) -> Option<StepFailure> {
        match node.as_str() {
            Some("reset") => Some(StepFailure::Reset),
            Some("hang") => Some(StepFailure::Hang),
            _ => self.status(node, words).map(StepFailure::Status),
        }
    }

    /// Reads a status in the notation of the protocol.
    fn status(&mut self, node: &Node, words: StatusWords) -> Option<StepStatus> {
        let text = self.text(node, "a status")?;
        if let Some(status) = GrpcStatus::from_name(text) {
            if words == StatusWords::Http {
                let message = format!(
                    "`{text}` is a gRPC status, but the protocol of this service is HTTP: write `{}`",
                    status.to_http()
                );
                self.error(&node.place, message);
                return None;
            }
            return Some(StepStatus::Grpc(status));
        }
        if words == StatusWords::Grpc {
            let hint = match text.parse::<u16>() {
                Ok(code) => format!("write `{}`", GrpcStatus::from_http(code)),
                Err(_) => suggest::hint(text, GrpcStatus::names()),
            };
            let message = format!("invalid status `{text}` of a gRPC service: {hint}");
            self.error(&node.place, message);
            return None;
        }
        let status = text
            .parse::<u16>()
            .ok()
            .filter(|code| (200..=599).contains(code));
        match status.and_then(|code| StatusCode::from_u16(code).ok()) {
            Some(status) => Some(StepStatus::Http(status)),
            None => {
                self.error(
                    &node.place,
                    format!("invalid final status `{text}`: expected a number from 200 to 599"),
                );
                None
            }
        }
    }

    fn respond(&mut self, node: &Node, words: StatusWords) -> Option<Step> {
        let keys: RespondKeys = self.decode(node)?;
        Some(Step::Respond {
            status: self.status(&keys.status.0, words)?,
            size: keys.size.0,
            headers: keys.headers.0,
        })
    }

    /// Records the callees of a lookup, which is not supported yet, because checks may name those edges.
    fn lookup(&mut self, node: &Node, scope: &mut StepScope<'_>) {
        let callee = get(node, "in")
            .and_then(Node::as_str)
            .and_then(|text| text.split_ascii_whitespace().next());
        let service = callee.and_then(|name| find_service(scope.services, name));
        let callee = service.map(|(id, _)| Callee::Service(id));
        if let Some(callee) = callee.filter(|callee| !scope.called.contains(callee)) {
            scope.called.push(callee);
        }
        if let Some(miss) = get(node, "miss") {
            self.steps(miss, "miss", scope);
        }
    }
}
