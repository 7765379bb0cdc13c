//! Reads loads: their targets, rates, timeouts, retries and clients.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use shakedown_types::GrpcStatus;
use shakedown_yaml::{Location as FilePlace, Node};

use super::endpoint::{CallSender, RequestSpec};
use super::fields::get;
use super::reader::ScenarioReader;
use super::skeleton::Skeleton;
use crate::file::{ConnectionUse, Count, LoadKeys, MixEntryKeys, Span, StageKeys};
use crate::scenario::{Callee, LoadSpec, MixEntry, RateStage, Success, Zone};
use crate::value::Rate;

/// The maximum number of client hosts of a load.
const CLIENTS_MAX: u32 = 10_000;
/// The maximum number of entries of a mix. The journal counts them in 16 bits.
const ENTRIES_MAX: usize = 10_000;

impl ScenarioReader<'_> {
    /// Reads a load. Returns also the indices of the services and hosts that it calls.
    pub(super) fn load(
        &mut self,
        name: &str,
        node: &Node,
        place: &FilePlace,
        skeletons: &[Skeleton],
        zones: &[Zone],
        duration: Duration,
    ) -> (LoadSpec, Vec<Callee>) {
        let keys: LoadKeys = self.decode_load(node);
        let entries = self.entries(name, &keys, node, place, skeletons);
        let called: Vec<Callee> = entries.iter().map(|entry| entry.callee).collect();
        let (start, stop) = self.active_time(&keys, node, duration);
        let Count(clients) = keys.clients;
        if !(1..=CLIENTS_MAX).contains(&clients)
            && let Some(written) = get(node, "clients")
        {
            self.error(
                &written.place,
                format!("a load must have 1 to {CLIENTS_MAX} clients"),
            );
        }
        let load = LoadSpec {
            name: name.to_owned(),
            entries,
            arrivals: keys.arrivals,
            stages: self.stages(name, &keys, node, place),
            timeout: self.timeout(&keys, node),
            retries: self.retries(node, &format!("load.{name}")),
            ok: self.ok(node),
            start,
            stop,
            zones: self.zone_list(node, zones),
            clients: clients.clamp(1, CLIENTS_MAX),
            sidecar: self.sidecar(node),
            new_connections: keys.connections == ConnectionUse::New,
            in_flight: keys.in_flight.0,
            account: keys
                .account
                .map_or_else(|| name.to_owned(), |account| account.0),
            namespace: keys.namespace.0,
            target: self.target_url(node),
            draw_id: self.stream(format!("load.{name}")),
        };
        (load, called)
    }

    /// Decodes the keys of a load. Arrivals from a file are not supported yet.
    fn decode_load(&mut self, node: &Node) -> LoadKeys {
        let arrivals = get(node, "arrivals");
        if let Some(written) = arrivals
            && let Some(text) = written.as_str()
            && text.starts_with("file(")
        {
            self.unsupported(&written.place, "arrivals: file(...)");
            let mut rest = node.clone();
            rest.as_map_mut().map(|map| map.shift_remove("arrivals"));
            return self.decode_or_default(&rest);
        }
        self.decode_or_default(node)
    }

    /// Reads the start and stop of a load.
    fn active_time(
        &mut self,
        keys: &LoadKeys,
        node: &Node,
        duration: Duration,
    ) -> (Duration, Duration) {
        let start = keys.start.0;
        let stop = keys.stop.as_ref().map_or(duration, |stop| stop.0);
        if let Some(at) = get(node, "stop").or_else(|| get(node, "start"))
            && (start >= stop || stop > duration)
        {
            self.error(
                &at.place,
                "`start` must be before `stop`, and `stop` must be at most `duration`",
            );
        }
        (start, stop)
    }

    /// Reads the URL for `shakedown load`.
    fn target_url(&mut self, node: &Node) -> Option<String> {
        let written = get(node, "target")?;
        let url = self.text(written, "a URL")?;
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
            self.error(
                &written.place,
                format!("invalid URL `{url}`: expected the URL of a server, such as `http://localhost:8080`"),
            );
            return None;
        }
        Some(url.to_owned())
    }

    fn timeout(&mut self, keys: &LoadKeys, node: &Node) -> Duration {
        let Span(timeout) = keys.timeout;
        if timeout.is_zero()
            && let Some(written) = get(node, "timeout")
        {
            self.error(
                &written.place,
                "the `timeout` of a load must be longer than `0s`",
            );
        }
        timeout
    }

    fn entries(
        &mut self,
        load: &str,
        keys: &LoadKeys,
        node: &Node,
        place: &FilePlace,
        skeletons: &[Skeleton],
    ) -> Vec<MixEntry> {
        let by = CallSender {
            name: load,
            meshed: get(node, "sidecar").and_then(Node::as_str) != Some("none"),
        };
        match (get(node, "to"), get(node, "mix")) {
            (Some(to), None) => {
                let target = self.target(to, skeletons, &by);
                let headers = self.with_cookies(keys.headers.0.clone(), &keys.cookies.0, node);
                let entry = |target| mix_entry("", 1, target, headers, keys.size.0);
                target.map(entry).into_iter().collect()
            }
            (None, Some(mix)) => {
                let mut entries = Vec::new();
                let map = self.map(mix);
                for (name, written) in map.into_iter().flatten() {
                    self.is_name(name, &written.key, "mix entry");
                    entries.extend(self.entry(name, &written.node, keys, &by, skeletons));
                }
                if entries.len() > ENTRIES_MAX {
                    self.error(
                        &mix.place,
                        format!("a mix may have at most {ENTRIES_MAX} entries"),
                    );
                }
                if map.is_some()
                    && self.errors.is_empty()
                    && entries.iter().all(|entry| entry.weight == 0)
                {
                    self.error(
                        &mix.place,
                        "at least one weight of a mix must be greater than zero",
                    );
                }
                entries
            }
            (Some(_), Some(mix)) => {
                self.error(&mix.place, "a load takes either `to` or `mix`, not both");
                Vec::new()
            }
            (None, None) => {
                self.error(
                    place,
                    format!(
                        "load `{load}` has no target: write `to: checkout POST /order`, or `mix`"
                    ),
                );
                Vec::new()
            }
        }
    }

    fn entry(
        &mut self,
        name: &str,
        node: &Node,
        load: &LoadKeys,
        by: &CallSender<'_>,
        skeletons: &[Skeleton],
    ) -> Option<MixEntry> {
        let keys: MixEntryKeys = self.decode(node)?;
        let target = self.target(&keys.to.0, skeletons, by);
        let mut headers = load.headers.0.clone();
        for (header, value) in keys.headers.0 {
            headers.retain(|(known, _)| *known != header);
            headers.push((header, value));
        }
        let mut cookies = load.cookies.0.clone();
        for (cookie, value) in keys.cookies.0 {
            cookies.retain(|(known, _)| *known != cookie);
            cookies.push((cookie, value));
        }
        let headers = self.with_cookies(headers, &cookies, node);
        let size = keys.size.as_ref().unwrap_or(&load.size).0;
        Some(mix_entry(name, keys.weight.0, target?, headers, size))
    }

    /// Adds all cookies as one header. Source: RFC 6265.
    fn with_cookies(
        &mut self,
        mut headers: Vec<(HeaderName, HeaderValue)>,
        cookies: &[(String, String)],
        node: &Node,
    ) -> Vec<(HeaderName, HeaderValue)> {
        if cookies.is_empty() {
            return headers;
        }
        let pairs: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match HeaderValue::try_from(pairs.join("; ")) {
            Ok(value) => headers.push((COOKIE, value)),
            Err(_) => self.error(&node.place, "these cookies cannot be sent as a header"),
        }
        headers
    }

    fn stages(
        &mut self,
        load: &str,
        keys: &LoadKeys,
        node: &Node,
        place: &FilePlace,
    ) -> Vec<RateStage> {
        let hold = |rate| {
            vec![RateStage {
                length: None,
                from: rate,
                to: rate,
            }]
        };
        match (get(node, "rate"), get(node, "stages")) {
            (Some(_), None) => hold(keys.rate.as_ref().map_or(Rate::NONE, |rate| rate.0)),
            (None, Some(list)) => {
                let mut level = Rate::NONE;
                let mut stages = Vec::new();
                let items = self.list(list, "stages");
                for (at, item) in items.iter().enumerate() {
                    stages.extend(self.stage(item, &mut level, at + 1 == items.len()));
                }
                if items.is_empty() {
                    self.error(
                        &list.place,
                        "`stages` needs at least one stage, for example `[{for: 1m, rate: 100/s}]`",
                    );
                }
                stages
            }
            (Some(_), Some(list)) => {
                self.error(
                    &list.place,
                    "a load takes only one of `rate`, `stages` and `users`",
                );
                Vec::new()
            }
            (None, None) => {
                if get(node, "users").is_none() {
                    self.error(
                        place,
                        format!("load `{load}` has no rate: write `rate: 200/s`, or `stages`"),
                    );
                }
                Vec::new()
            }
        }
    }

    fn stage(&mut self, node: &Node, level: &mut Rate, is_last: bool) -> Option<RateStage> {
        let keys: StageKeys = self.decode_or_default(node);
        let length = keys.r#for.map(|length| length.0);
        let (hold, ramp) = (keys.rate.map(|rate| rate.0), keys.to.map(|rate| rate.0));
        let (from, to) = match (get(node, "rate"), get(node, "to")) {
            (Some(_), None) => (hold?, hold?),
            (None, Some(_)) => (*level, ramp?),
            _ => {
                self.error(
                    &node.place,
                    "a stage needs `rate` (constant) or `to` (ramp)",
                );
                return None;
            }
        };
        let endless = get(node, "for").is_none();
        if (endless && !(is_last && get(node, "to").is_none()))
            || length.is_some_and(|l| l.is_zero())
        {
            self.error(
                &node.place,
                "a stage needs a length, for example `for: 1m`; only a last stage with `rate` may omit it",
            );
            return None;
        }
        *level = to;
        Some(RateStage { length, from, to })
    }

    /// Reads the statuses that count as success.
    fn ok(&mut self, node: &Node) -> Success {
        let usual = Success::default();
        let Some(written) = get(node, "ok") else {
            return usual;
        };
        let items = match written.as_list() {
            Some(items) => items.to_vec(),
            None => vec![written.clone()],
        };
        let (mut http, mut grpc) = (Vec::new(), Vec::new());
        for item in &items {
            match item.as_str().and_then(GrpcStatus::from_name) {
                Some(status) => grpc.push(status),
                None => http.extend(self.parsed(item, "a status or a range of statuses", statuses)),
            }
        }
        // A protocol without any listed status keeps its default.
        if http.is_empty() {
            http = usual.http;
        }
        if grpc.is_empty() {
            grpc = usual.grpc;
        }
        Success { http, grpc }
    }
}

fn mix_entry(
    name: &str,
    weight: u32,
    target: RequestSpec,
    headers: Vec<(HeaderName, HeaderValue)>,
    size: u64,
) -> MixEntry {
    MixEntry {
        name: name.to_owned(),
        weight: u64::from(weight),
        callee: target.callee,
        endpoint: target.endpoint,
        method: target.method,
        path: target.path,
        headers,
        size,
    }
}

/// Parses `200` or `200..399`.
fn statuses(text: &str) -> Result<(u16, u16), String> {
    let wrong = || {
        format!(
            "invalid status `{text}`: expected a status such as `200`, a range such as `200..399`, or a gRPC status such as `OK`"
        )
    };
    let code = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|code| (100..=599).contains(code))
            .ok_or_else(wrong)
    };
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (code(low)?, code(high)?);
    if low <= high {
        Ok((low, high))
    } else {
        Err(wrong())
    }
}
