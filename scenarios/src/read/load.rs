//! Reads loads: their targets, rates, timeouts, retries and clients.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use shakedown_types::GrpcStatus;
use shakedown_yaml::{Location as FilePlace, Node};

use super::endpoint::CallSender;
use super::fields::{Keys, get};
use super::reader::ScenarioReader;
use super::skeleton::Skeleton;
use crate::scenario::{Arrivals, LoadSpec, MixEntry, RateStage, Success, Zone};
use crate::value::Rate;

const LOAD: Keys = Keys {
    known: &[
        "to",
        "mix",
        "rate",
        "stages",
        "arrivals",
        "headers",
        "cookies",
        "size",
        "timeout",
        "retries",
        "ok",
        "start",
        "stop",
        "zones",
        "clients",
        "sidecar",
        "namespace",
        "account",
        "connections",
        "in-flight",
        "target",
    ],
    later: &["users", "think", "host"],
};
const ENTRY: Keys = Keys {
    known: &["weight", "to", "headers", "cookies", "size"],
    later: &[],
};
const STAGE: Keys = Keys {
    known: &["for", "rate", "to"],
    later: &[],
};
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
    ) -> (LoadSpec, Vec<usize>) {
        self.keys(node, &LOAD);
        let entries = self.entries(name, node, place, skeletons);
        let called: Vec<usize> = entries.iter().map(|entry| entry.service).collect();
        let (start, stop) = self.on_air(node, duration);
        let clients = self.count(node, "clients").unwrap_or(1);
        if !(1..=CLIENTS_MAX).contains(&clients)
            && let Some(written) = get(node, "clients")
        {
            self.error(
                &written.place,
                format!("a load has 1 to {CLIENTS_MAX} clients"),
            );
        }
        let in_flight = get(node, "in-flight")
            .and_then(|n| self.parsed(n, "a count", crate::value::parse_count));
        let load = LoadSpec {
            name: name.to_owned(),
            entries,
            arrivals: self.arrivals(node),
            stages: self.stages(name, node, place),
            timeout: self.timeout(node),
            retries: self.retries(node, &format!("load.{name}")),
            ok: self.ok(node),
            start,
            stop,
            zones: self.zone_list(node, zones),
            clients: clients.clamp(1, CLIENTS_MAX),
            sidecar: self.sidecar(node),
            new_connections: get(node, "connections")
                .and_then(|n| self.word(n, &[("reuse", false), ("new", true)], &[]))
                .unwrap_or(false),
            in_flight: in_flight.unwrap_or(10_000),
            namespace: self
                .plain(node, "namespace")
                .unwrap_or_else(|| "default".to_owned()),
            account: self
                .plain(node, "account")
                .unwrap_or_else(|| name.to_owned()),
            target: self.target_url(node),
            place: self.place(format!("load.{name}")),
        };
        (load, called)
    }

    /// Reads the start and stop of a load.
    fn on_air(&mut self, node: &Node, duration: Duration) -> (Duration, Duration) {
        let start = self.duration(node, "start").unwrap_or(Duration::ZERO);
        let stop = self.duration(node, "stop").unwrap_or(duration);
        if let Some(at) = get(node, "stop").or_else(|| get(node, "start"))
            && (start >= stop || stop > duration)
        {
            self.error(
                &at.place,
                "a load starts before it stops, and stops at `duration` at the latest",
            );
        }
        (start, stop)
    }

    pub(super) fn plain(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = get(node, key)?;
        self.text(value, "a name").map(str::to_owned)
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
                format!("`{url}` is no URL of a server: write `http://localhost:8080`"),
            );
            return None;
        }
        Some(url.to_owned())
    }

    fn timeout(&mut self, node: &Node) -> Duration {
        let timeout = self
            .duration(node, "timeout")
            .unwrap_or(Duration::from_secs(30));
        if timeout.is_zero()
            && let Some(written) = get(node, "timeout")
        {
            self.error(&written.place, "a load's `timeout` is longer than `0s`");
        }
        timeout
    }

    fn entries(
        &mut self,
        load: &str,
        node: &Node,
        place: &FilePlace,
        skeletons: &[Skeleton],
    ) -> Vec<MixEntry> {
        let by = CallSender {
            name: load,
            meshed: get(node, "sidecar").and_then(Node::as_str) != Some("none"),
        };
        match (get(node, "to"), get(node, "mix")) {
            (Some(_), None) => self
                .entry("", node, node, &by, skeletons)
                .into_iter()
                .collect(),
            (None, Some(mix)) => {
                let mut entries = Vec::new();
                let map = self.map(mix);
                for (name, written) in map.into_iter().flatten() {
                    self.is_name(name, &written.key, "entry of a mix");
                    self.keys(&written.node, &ENTRY);
                    entries.extend(self.entry(name, &written.node, node, &by, skeletons));
                }
                if entries.len() > ENTRIES_MAX {
                    self.error(
                        &mix.place,
                        format!("a mix has at most {ENTRIES_MAX} entries"),
                    );
                }
                if map.is_some()
                    && self.errors.is_empty()
                    && entries.iter().all(|entry| entry.weight == 0)
                {
                    self.error(&mix.place, "the weights of a mix sum to more than zero");
                }
                entries
            }
            (Some(_), Some(mix)) => {
                self.error(&mix.place, "a load has `to` or `mix`, not both");
                Vec::new()
            }
            (None, None) => {
                self.error(
                    place,
                    format!(
                        "load `{load}` sends nothing: write `to: checkout POST /order`, or a `mix`"
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
        load: &Node,
        by: &CallSender<'_>,
        skeletons: &[Skeleton],
    ) -> Option<MixEntry> {
        let Some(to) = get(node, "to") else {
            self.missing(node, "to", "to: checkout POST /order");
            return None;
        };
        let target = self.target(to, skeletons, by);
        let weight = match get(node, "weight") {
            Some(weight) => self.count_of(weight).unwrap_or(1),
            None => 1,
        };
        let mut headers = self.headers(load, "headers");
        let mut cookies = self.cookies(load);
        if !std::ptr::eq(node, load) {
            for (header, value) in self.headers(node, "headers") {
                headers.retain(|(known, _)| *known != header);
                headers.push((header, value));
            }
            for (cookie, value) in self.cookies(node) {
                cookies.retain(|(known, _)| *known != cookie);
                cookies.push((cookie, value));
            }
        }
        self.fold_cookies(&mut headers, &cookies, &node.place);
        let size = self
            .size(node, "size")
            .or_else(|| self.size(load, "size"))
            .unwrap_or(0);
        let target = target?;
        Some(MixEntry {
            name: name.to_owned(),
            weight: u64::from(weight),
            service: target.service,
            endpoint: target.endpoint,
            method: target.method,
            path: target.path,
            headers,
            size,
        })
    }

    fn cookies(&mut self, node: &Node) -> Vec<(String, String)> {
        let Some(map) = get(node, "cookies").and_then(|n| self.map(n)) else {
            return Vec::new();
        };
        let mut cookies = Vec::new();
        for (name, entry) in map {
            if let Some(value) = self.text(&entry.node, "a cookie's value") {
                cookies.push((name.clone(), value.to_owned()));
            }
        }
        cookies
    }

    /// Merges all cookies into one header. Source: RFC 6265.
    fn fold_cookies(
        &mut self,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
        cookies: &[(String, String)],
        place: &FilePlace,
    ) {
        if cookies.is_empty() {
            return;
        }
        let pairs: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match HeaderValue::try_from(pairs.join("; ")) {
            Ok(value) => headers.push((COOKIE, value)),
            Err(_) => self.error(place, "these cookies cannot be sent as a header"),
        }
    }

    fn arrivals(&mut self, node: &Node) -> Arrivals {
        let Some(written) = get(node, "arrivals") else {
            return Arrivals::Constant;
        };
        if written
            .as_str()
            .is_some_and(|text| text.starts_with("file("))
        {
            self.later(&written.place, "arrivals: file(...)");
            return Arrivals::Constant;
        }
        self.word(
            written,
            &[
                ("constant", Arrivals::Constant),
                ("poisson", Arrivals::Poisson),
            ],
            &[],
        )
        .unwrap_or(Arrivals::Constant)
    }

    fn stages(&mut self, load: &str, node: &Node, place: &FilePlace) -> Vec<RateStage> {
        let hold = |rate| {
            vec![RateStage {
                length: None,
                from: rate,
                to: rate,
            }]
        };
        match (get(node, "rate"), get(node, "stages")) {
            (Some(_), None) => hold(self.rate(node, "rate").unwrap_or(Rate::NONE)),
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
                        "`stages` has one at least: write `[{for: 1m, rate: 100/s}]`",
                    );
                }
                stages
            }
            (Some(_), Some(list)) => {
                self.error(
                    &list.place,
                    "a load has one of `rate`, `stages` and `users`",
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
        self.keys(node, &STAGE);
        let length = self.duration(node, "for");
        let (hold, ramp) = (self.rate(node, "rate"), self.rate(node, "to"));
        let (from, to) = match (get(node, "rate"), get(node, "to")) {
            (Some(_), None) => (hold?, hold?),
            (None, Some(_)) => (*level, ramp?),
            _ => {
                self.error(
                    &node.place,
                    "a stage has `rate`, which holds, or `to`, a ramp",
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
                "a stage lasts: write `for: 1m`; only a last one that holds may do without",
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
                None => http.extend(self.parsed(item, "a status or a range of them", statuses)),
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

/// Parses `200` or `200..399`.
fn statuses(text: &str) -> Result<(u16, u16), String> {
    let wrong = || {
        format!(
            "`{text}` is no status: write `200`, a range `200..399`, or one of gRPC's, such as `OK`"
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
