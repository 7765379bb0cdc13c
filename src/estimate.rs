//! Estimates the cost of a run before it begins, from the rates of the loads and the calls that endpoints make.
//!
//! The estimate is a guide within a factor of a few, because failures, retries and the machine change it. Memory is not
//! estimated: it grows with the pods of a run and the requests in flight at once, not with the run's length.

use std::collections::BTreeMap;

use shakedown_env::{Rng, stream_seed};
use shakedown_scenarios::scenario::{
    Call, Callee, Draw, EndpointId, LoadSpec, ResolvedScenario, ServiceId, Step,
};
use shakedown_scenarios::value::Distribution;

use crate::journal::Format;

/// Duration of a simulated call through both sidecars, in ns. Measured with `retry-storm` and `header-routing` on one
/// core of a 2023 server, optimised and with the profile of `cargo build`.
const CALL_NS: u64 = if cfg!(debug_assertions) {
    200_000
} else {
    50_000
};
/// Bytes of a call's records in a journal, and of a load request's records besides its calls. Measured the same way.
const CALL_BYTES: u64 = 1_050;
const REQUEST_BYTES: u64 = 280;
/// The compression ratio of a zstd journal.
const ZSTD_TIMES: u64 = 25;

/// Thresholds of the warning.
const MINUTES_MANY: u64 = 10;
const JOURNAL_BYTES_MANY: u64 = 2_000_000_000;

/// The maximum depth to which nested calls are followed.
const DEPTH_MAX: u32 = 32;
/// The number of draws averaged to estimate the mean of a random count.
const DRAWS: u32 = 1_000;

/// The work of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Number of requests of all loads.
    pub requests: u64,
    /// Number of requests plus the calls that they cause, without retries.
    pub calls: u64,
}

impl Estimate {
    /// Estimates the work of a scenario.
    pub fn new(scenario: &ResolvedScenario) -> Estimate {
        let mut calls = Calls::new(scenario);
        let (mut requests, mut all) = (0.0, 0.0);
        for load in &scenario.loads {
            let sent = requests_of(load);
            let weight: f64 = load.entries.iter().map(|entry| entry.weight as f64).sum();
            let each = load.entries.iter().map(|entry| {
                let share = entry.weight as f64 / weight.max(1.0);
                share * (1.0 + calls.from((entry.callee, entry.endpoint), 0))
            });
            requests += sent;
            all += sent * each.sum::<f64>();
        }
        Estimate {
            requests: requests as u64,
            calls: all as u64,
        }
    }

    /// The duration of `runs` sequential runs, in s.
    pub fn seconds(&self, runs: u64) -> u64 {
        self.calls.saturating_mul(CALL_NS).saturating_mul(runs) / 1_000_000_000
    }

    /// The size of one run's journal, in bytes.
    pub fn journal_bytes(&self, format: Format) -> u64 {
        let calls = self.calls.saturating_mul(CALL_BYTES);
        let plain = calls.saturating_add(self.requests.saturating_mul(REQUEST_BYTES));
        match format {
            Format::Plain => plain,
            Format::Zstd => plain / ZSTD_TIMES,
        }
    }

    /// Returns a warning that names the cost and a way to reduce it, if the cost exceeds a threshold.
    pub fn warning(&self, runs: u64, jobs: u64, journal: Option<Format>) -> Option<String> {
        let minutes = self.seconds(runs) / jobs.max(1) / 60;
        let journal = journal.map_or(0, |format| self.journal_bytes(format));
        let mut costs = Vec::new();
        if minutes >= MINUTES_MANY {
            costs.push(format!("about {}", time(minutes)));
        }
        if journal >= JOURNAL_BYTES_MANY {
            costs.push(format!("a journal of about {}", size(journal)));
        }
        if costs.is_empty() {
            return None;
        }
        let requests = count(self.requests.saturating_mul(runs));
        Some(format!(
            "{requests} requests will need {}; reduce this with `--set duration=...` or a lower rate",
            costs.join(" and ")
        ))
    }
}

/// The expected number of calls caused by a request, by (service, endpoint).
struct Calls<'a> {
    scenario: &'a ResolvedScenario,
    known: BTreeMap<(ServiceId, EndpointId), f64>,
    rng: Rng,
}

impl<'a> Calls<'a> {
    fn new(scenario: &'a ResolvedScenario) -> Calls<'a> {
        Calls {
            scenario,
            known: BTreeMap::new(),
            rng: stream_seed(0, "estimate", "counts"),
        }
    }

    /// The expected number of calls caused by a request. A request that routes send to another service has no endpoint
    /// here, and counts as 0.
    fn from(&mut self, (callee, endpoint): (Callee, Option<EndpointId>), depth: u32) -> f64 {
        let (Some(service), Some(endpoint)) = (callee.service(), endpoint) else {
            return 0.0;
        };
        let at = (service, endpoint);
        if let Some(known) = self.known.get(&at) {
            return *known;
        }
        if depth > DEPTH_MAX {
            return 0.0;
        }
        // The stable version represents all versions.
        let version = self.scenario.service(service).versions.first();
        let steps = version.and_then(|version| version.endpoints.get(endpoint.index())?.as_deref());
        let follow = self.of_steps(steps.unwrap_or_default(), depth);
        self.known.insert(at, follow);
        follow
    }

    fn of_steps(&mut self, steps: &[Step], depth: u32) -> f64 {
        let mut sum = 0.0;
        for step in steps {
            sum += match step {
                Step::Call(call) => self.of_call(call, depth),
                Step::Parallel(branches) => branches
                    .iter()
                    .map(|branch| self.of_steps(branch, depth))
                    .sum(),
                Step::Sequence(steps) => self.of_steps(steps, depth),
                _ => 0.0,
            };
        }
        sum
    }

    fn of_call(&mut self, call: &Call, depth: u32) -> f64 {
        let each = 1.0 + self.from((call.callee, call.endpoint), depth + 1);
        let times = self.mean(&call.times) * self.mean(&call.fan_out);
        call.probability.ratio().to_f64() * times * each
    }

    fn mean(&mut self, of: &Draw) -> f64 {
        let from: &Distribution = &of.from;
        if let Some(count) = from.as_constant() {
            return count as f64;
        }
        let draws = (0..DRAWS).map(|_| from.sample_count(&mut self.rng) as f64);
        draws.sum::<f64>() / f64::from(DRAWS)
    }
}

/// The number of requests that a load schedules, without surges.
fn requests_of(load: &LoadSpec) -> f64 {
    let whole = load.stop.saturating_sub(load.start).as_nanos() as f64;
    let (mut left, mut sum) = (whole, 0.0);
    for stage in &load.stages {
        let length = stage.length.map_or(left, |length| length.as_nanos() as f64);
        let length = length.min(left);
        sum += length * (stage.from.per_ns_f64() + stage.to.per_ns_f64()) / 2.0;
        left -= length;
    }
    sum
}

fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{} thousand", number / 1_000),
        10_000_000..10_000_000_000 => format!("{} million", number / 1_000_000),
        _ => format!("{} billion", number / 1_000_000_000),
    }
}

fn time(minutes: u64) -> String {
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

fn size(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10)
}

#[cfg(test)]
mod tests {
    use shakedown_scenarios::{Edits, load_text};

    use super::*;

    fn estimate(edit: &str) -> Estimate {
        let text = "
scenario: s
story: s
duration: 100s
topology:
  services:
    front: {workers: 4, endpoints: {GET /: [call: {to: back GET /, times: 3, probability: 50%}]}}
    back: {workers: 4, endpoints: {GET /: [parallel: [{call: db GET /}, {call: db GET /}]]}}
    db: {workers: 4, endpoints: {GET /: [work: 1ms]}}
load:
  users: {to: front GET /, rate: 10/s}
  ramp: {to: db GET /, stages: [{for: 50s, rate: 0/s}, {for: 10s, to: 40/s}, {for: 20s, rate: 40/s}]}
expect: [success(users) >= 0%]
";
        let set = vec![edit.to_owned()];
        let edits = Edits { variant: None, set };
        let scenario = load_text("s.yaml", text, &edits).unwrap_or_else(|error| panic!("{error}"));
        Estimate::new(&scenario)
    }

    #[test]
    fn requests_and_the_calls_that_follow_are_counted() {
        let estimate = estimate("seed=1");
        // 1,000 of `users`; 200 and 800 of the ramp.
        assert_eq!(estimate.requests, 2_000);
        // 1.5 calls of `back` per request, each with two calls of its own.
        assert_eq!(estimate.calls, 1_000 + 1_500 + 3_000 + 1_000);
        assert_eq!(estimate.warning(1, 1, Some(Format::Plain)), None);
    }

    #[test]
    fn a_year_of_it_is_warned_of_with_its_time_and_disk() {
        let estimate = estimate("duration=365d");
        let words = estimate.warning(1, 1, Some(Format::Plain)).unwrap();
        for part in ["315 million requests", "a journal of about 1"] {
            assert!(words.contains(part), "{words}");
        }
        let words = estimate.warning(1, 1, None).unwrap();
        assert!(!words.contains("journal"), "{words}");
    }
}
