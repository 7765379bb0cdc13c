//! Steps of endpoints.

use std::time::Duration;

use http::StatusCode;
use shakedown_types::GrpcStatus;
use shakedown_yaml::{Node, suggest};

use super::endpoint::CallSender;
use super::fields::{Keys, get, long};
use super::reader::ScenarioReader;
use super::settings::with_settings;
use super::skeleton::Skeleton;
use crate::scenario::{
    AttemptBound, Call, Draw, Drawn, OnError, Protocol, Step, StepFailure, StepStatus, Timed,
};
use crate::value::{Distribution, Share};

const STEPS: [&str; 7] = [
    "work", "sleep", "call", "parallel", "sequence", "fail", "respond",
];
const LATER: [&str; 2] = ["lookup", "choice"];
const TIMED: Keys = Keys {
    known: &["time", "draw"],
    later: &[],
};
const CALL: Keys = Keys {
    known: &[
        "to",
        "probability",
        "times",
        "fan-out",
        "headers",
        "size",
        "timeout",
        "deadline",
        "retries",
        "hedge",
        "on-error",
    ],
    later: &[],
};
const FAIL: Keys = Keys {
    known: &["rate", "with"],
    later: &[],
};
const RESPOND: Keys = Keys {
    known: &["status", "size", "headers"],
    later: &[],
};

/// In whose words a status may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusWords {
    Http,
    Grpc,
    /// Of pods that may speak either.
    Both,
}

impl StatusWords {
    /// The words of what a service speaks.
    pub(super) const fn for_protocol(protocol: Protocol) -> StatusWords {
        match protocol {
            Protocol::Grpc => StatusWords::Grpc,
            Protocol::Http | Protocol::Http2 => StatusWords::Http,
        }
    }

    /// The answer of a failing app: 500, or the status of gRPC's libraries for an exception.
    pub(super) const fn broken(self) -> StepStatus {
        match self {
            StatusWords::Grpc => StepStatus::Grpc(GrpcStatus::Unknown),
            StatusWords::Http | StatusWords::Both => {
                StepStatus::Http(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// The context of steps: their owner, the path of their random streams, and the caller, in words.
pub(super) struct StepScope<'a> {
    pub(super) services: &'a [Skeleton],
    /// Client settings of the caller (`calls`).
    pub(super) calls: Option<&'a Node>,
    /// `checkout POST /order`.
    pub(super) by: String,
    /// True if its calls pass a sidecar.
    pub(super) meshed: bool,
    /// In which words its answers are written.
    pub(super) words: StatusWords,
    /// Services and hosts called so far, in order of first mention.
    pub(super) called: Vec<usize>,
}

impl ScenarioReader<'_> {
    /// A list of steps.
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

    /// `number` counts from 1, for messages.
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
                    "a step has one key: write each step as an item of its own",
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
        let (key, entry) = map.first()?;
        let value = &entry.node;
        match key.as_str() {
            "work" => self.timed(value, path).map(Step::Work),
            "sleep" => self.timed(value, path).map(Step::Sleep),
            "call" => self
                .call(value, path, number, scope)
                .map(|call| Step::Call(Box::new(call))),
            "parallel" => Some(Step::Parallel(self.branches(value, path, scope))),
            "sequence" => Some(Step::Sequence(self.steps(value, path, scope))),
            "fail" => self.fail(value, path, scope.words),
            "respond" => self.respond(value, scope.words),
            later if LATER.contains(&later) => {
                self.later(&entry.key, later);
                self.lookup(value, scope);
                None
            }
            unknown => {
                let accepted: Vec<&str> = STEPS.into_iter().chain(LATER).collect();
                self.error(
                    &entry.key,
                    format!(
                        "unknown step `{unknown}`: {}",
                        suggest::hint(unknown, accepted)
                    ),
                );
                None
            }
        }
    }

    /// Branches: each a step, or a list of steps.
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
        const WORDS: [(&str, Drawn); 2] =
            [("attempt", Drawn::Attempt), ("request", Drawn::Request)];
        let node = long(node, "time");
        self.keys(&node, &TIMED);
        let drawn = get(&node, "draw").and_then(|draw| self.word(draw, &WORDS, &[]));
        let Some(time) = get(&node, "time") else {
            self.missing(&node, "time", "work: 4ms");
            return None;
        };
        let from = self.durations(time)?;
        let time = Draw {
            from,
            place: self.place(path.to_owned()),
        };
        Some(Timed {
            time,
            drawn: drawn.unwrap_or(Drawn::Attempt),
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
        self.keys(&node, &CALL);
        let Some(to) = get(&node, "to") else {
            self.missing(&node, "to", "call: payment POST /charge");
            return None;
        };
        let sender = CallSender {
            name: &format!("{}, step {number}", scope.by),
            meshed: scope.meshed,
        };
        let target = self.target(to, scope.services, &sender)?;
        if !scope.called.contains(&target.service) {
            scope.called.push(target.service);
        }
        let node = with_settings(&node, scope.calls, &target.name);
        let probability = self.share(&node, "probability").unwrap_or(Share::ALL);
        let times = self.drawn_count(&node, "times", path);
        let fan_out = self.drawn_count(&node, "fan-out", path);
        Some(Call {
            service: target.service,
            endpoint: target.endpoint,
            method: target.method,
            path: target.path,
            probability,
            times,
            fan_out,
            headers: self.headers(&node, "headers"),
            size: self.size(&node, "size").unwrap_or(0),
            timeout: self.try_timeout(&node),
            deadline: self.bound(&node, "deadline"),
            retries: self.retries(&node, path),
            hedge: self.hedge(&node),
            pool: self.pool(&node),
            on_error: self.on_error(&node).unwrap_or(OnError::Fail),
            place: self.place(format!("{path}/probability")),
        })
    }

    /// Bound of a try.
    pub(super) fn try_timeout(&mut self, node: &Node) -> Option<AttemptBound> {
        match get(node, "timeout")?.as_str() {
            Some("rest") => Some(AttemptBound::Rest),
            _ => self.bound(node, "timeout").map(AttemptBound::Span),
        }
    }

    /// The effect of a failed call.
    pub(super) fn on_error(&mut self, node: &Node) -> Option<OnError> {
        const WORDS: [(&str, OnError); 2] = [("fail", OnError::Fail), ("ignore", OnError::Ignore)];
        let written = get(node, "on-error")?;
        self.word(written, &WORDS, &[])
    }

    /// A bound of a try, or of all of them.
    pub(super) fn bound(&mut self, node: &Node, key: &str) -> Option<Duration> {
        let bound = self.duration(node, key)?;
        if bound.is_zero()
            && let Some(written) = get(node, key)
        {
            self.error(&written.place, format!("`{key}` is longer than `0s`"));
        }
        Some(bound)
    }

    fn drawn_count(&mut self, node: &Node, key: &str, path: &str) -> Draw {
        let from = get(node, key).and_then(|n| self.counts(n));
        Draw {
            from: from.unwrap_or_else(|| Distribution::constant_count(1)),
            place: self.place(format!("{path}/{key}")),
        }
    }

    fn fail(&mut self, node: &Node, path: &str, words: StatusWords) -> Option<Step> {
        let (rate, with) = self.failure_rate(node, words)?;
        Some(Step::Fail {
            rate,
            with,
            place: self.place(path.to_owned()),
        })
    }

    /// `{rate, with: 500}`, of a step or of a service.
    pub(super) fn failure_rate(
        &mut self,
        node: &Node,
        words: StatusWords,
    ) -> Option<(Share, StepFailure)> {
        let node = long(node, "rate");
        self.keys(&node, &FAIL);
        if get(&node, "rate").is_none() {
            self.missing(&node, "rate", "fail: 5%");
            return None;
        }
        let rate = self.share(&node, "rate")?;
        let with = match get(&node, "with") {
            Some(with) => self.failure(with, words)?,
            None => StepFailure::Status(words.broken()),
        };
        Some((rate, with))
    }

    /// A status, `reset` or `hang`.
    pub(super) fn failure(&mut self, node: &Node, words: StatusWords) -> Option<StepFailure> {
        match node.as_str() {
            Some("reset") => Some(StepFailure::Reset),
            Some("hang") => Some(StepFailure::Hang),
            _ => self.status(node, words).map(StepFailure::Status),
        }
    }

    /// A status, in the words of what is spoken.
    fn status(&mut self, node: &Node, words: StatusWords) -> Option<StepStatus> {
        let text = self.text(node, "a status")?;
        if let Some(status) = GrpcStatus::from_name(text) {
            if words == StatusWords::Http {
                let message = format!(
                    "`{text}` is a status of gRPC, and this service speaks HTTP: write `{}`",
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
            let message =
                format!("`{text}` is no status of gRPC, which this service speaks: {hint}");
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
                    format!("`{text}` is no final status: one is 200 to 599"),
                );
                None
            }
        }
    }

    fn respond(&mut self, node: &Node, words: StatusWords) -> Option<Step> {
        let node = long(node, "status");
        self.keys(&node, &RESPOND);
        let Some(status) = get(&node, "status") else {
            self.missing(&node, "status", "respond: 302");
            return None;
        };
        let status = self.status(status, words)?;
        Some(Step::Respond {
            status,
            size: self.size(&node, "size").unwrap_or(0),
            headers: self.headers(&node, "headers"),
        })
    }

    /// A lookup is refused, but whom it and its misses call is known: checks may name those edges.
    fn lookup(&mut self, node: &Node, scope: &mut StepScope<'_>) {
        let callee = get(node, "in")
            .and_then(Node::as_str)
            .and_then(|text| text.split_ascii_whitespace().next());
        let service = callee.and_then(|name| scope.services.iter().position(|s| s.name == name));
        if let Some(service) = service.filter(|service| !scope.called.contains(service)) {
            scope.called.push(service);
        }
        if let Some(miss) = get(node, "miss") {
            self.steps(miss, "miss", scope);
        }
    }
}
