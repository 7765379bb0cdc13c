//! Builds a scenario from Rust values: the tree of a scenario file, which the loader reads as it reads a file. Values
//! are written as in the scenario language (`"250ms"`, `"200/s"`, `"exp(4ms)"`). An error names the path of its value,
//! such as `shop (built): topology.services.api.workers`.

mod section;

use serde_json::Value;
use shakedown_yaml::Diagnostics;

use super::{Scenario, ScenarioText};
use section::{Part, Section, text, yaml};

/// Defines a setter for each key, and the list of these keys. A value is `text`, or in YAML's flow form.
macro_rules! setters {
    ($builder:ident, $keys:ident: $($(#[$doc:meta])* $method:ident = $key:literal, $part:ident;)*) => {
        impl $builder {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(mut self, value: &str) -> $builder {
                    self.keys.set($key, $part(value));
                    self
                }
            )*
        }

        /// The keys that are set as they are in a file.
        #[cfg(test)]
        pub(super) const $keys: &[&str] = &[$($key),*];
    };
}

/// Builds a [`Scenario`].
#[derive(Clone, Debug)]
pub struct ScenarioBuilder {
    name: String,
    keys: Section,
    seed: Option<u64>,
}

setters! { ScenarioBuilder, SCENARIO_KEYS:
    /// Describes the events of the scenario and the behaviour that it expects.
    story = "story", text;
    /// Sets the duration of load and chaos.
    duration = "duration", text;
    /// Sets the initial time that windows exclude.
    warm_up = "warm-up", text;
    /// Sets the time after `duration` in which requests in flight may finish.
    drain = "drain", text;
    /// Sets the factor by which the timeline is divided.
    scale = "scale", text;
    /// Sets the wall-clock time at 0 s: `"2025-01-01T00:00:00Z"`.
    epoch = "epoch", text;
    /// Sets the seeds of a sweep: `"1..30"`.
    seeds = "seeds", text;
    /// Sets the source of the scenario: a paper, post-mortem or URL.
    source = "source", text;
    /// Sets the keys of the control plane, in YAML's flow form: `"{outbound: registry-only}"`.
    control = "control", yaml;
}

impl ScenarioBuilder {
    pub(super) fn new(name: &str) -> ScenarioBuilder {
        let mut keys = Section::default();
        keys.set("scenario", text(name));
        keys.set("story", text("Built in Rust."));
        ScenarioBuilder {
            name: name.to_owned(),
            keys,
            seed: None,
        }
    }

    /// Sets the keywords.
    #[must_use]
    pub fn tags(mut self, tags: &[&str]) -> ScenarioBuilder {
        self.keys.names("tags", tags);
        self
    }

    /// Sets the one-way latency between pods: one duration or distribution, or a map in YAML's flow form:
    /// `"{same-zone: 250us, cross-zone: 1ms}"`.
    #[must_use]
    pub fn latency(mut self, latency: &str) -> ScenarioBuilder {
        self.keys.section("topology").set("latency", yaml(latency));
        self
    }

    /// Sets the zones, in order.
    #[must_use]
    pub fn zones(mut self, names: &[&str]) -> ScenarioBuilder {
        let zones = self.keys.section("topology").section("zones");
        for name in names {
            zones.section(name);
        }
        self
    }

    /// Adds a service. Services keep the order in which they are added.
    #[must_use]
    pub fn service(mut self, service: ServiceBuilder) -> ScenarioBuilder {
        let services = self.keys.section("topology").section("services");
        services.set(&service.name, Part::Section(service.keys));
        self
    }

    /// Adds a load.
    #[must_use]
    pub fn load(mut self, load: LoadBuilder) -> ScenarioBuilder {
        let loads = self.keys.section("load");
        loads.set(&load.name, Part::Section(load.keys));
        self
    }

    /// Adds a mesh document (or another edit of the mesh), as JSON.
    #[must_use]
    pub fn mesh(mut self, document: Value) -> ScenarioBuilder {
        self.keys.push("mesh", Part::Yaml(document.to_string()));
        self
    }

    /// Adds a chaos item, as JSON:
    /// `json!({"name": "stuck", "at": "20s", "for": "10s", "do": "pause", "target": "api/v1/0"})`.
    #[must_use]
    pub fn chaos(mut self, item: Value) -> ScenarioBuilder {
        self.keys.push("chaos", Part::Yaml(item.to_string()));
        self
    }

    /// Adds a named check.
    #[must_use]
    pub fn check(mut self, name: &str, check: &str) -> ScenarioBuilder {
        let mut named = Section::default();
        named.set(name, text(check));
        self.keys.push("expect", Part::Section(named));
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> ScenarioBuilder {
        self.seed = Some(seed);
        self
    }

    /// Returns the scenario.
    pub fn finish(self) -> Scenario {
        let name = format!("{} (built)", self.name);
        let mut errors = Diagnostics::new();
        let tree = self.keys.node(&format!("{name}: "), &mut errors);
        let scenario = Scenario::new(ScenarioText::Tree { name, tree, errors });
        Scenario {
            seed: self.seed,
            ..scenario
        }
    }

    /// Finishes the scenario and runs it.
    ///
    /// # Errors
    /// See [`Scenario::run`].
    pub fn run(self) -> Result<super::Run, super::ScenarioError> {
        self.finish().run()
    }
}

/// A service of a built scenario.
#[derive(Clone, Debug)]
pub struct ServiceBuilder {
    name: String,
    keys: Section,
}

setters! { ServiceBuilder, SERVICE_KEYS:
    /// Sets the namespace.
    namespace = "namespace", text;
    /// Sets the service account.
    account = "account", text;
    /// Sets the protocol: `"http"`, `"http2"` or `"grpc"`.
    protocol = "protocol", text;
    /// Sets the scheduling of work on cores: `"ps"` or `"fifo"`.
    cpu = "cpu", text;
    /// Sets the queue, in YAML's flow form: `"100"` or `"{limit: 100, order: lifo}"`.
    queue = "queue", yaml;
    /// Sets the treatment of a queued request whose caller has disconnected: `"finish"` or `"drop"`.
    abandoned = "abandoned", text;
    /// Sets the share of requests that fail, in YAML's flow form: `"5%"` or `"{rate: 5%, with: reset}"`.
    fail = "fail", yaml;
    /// Sets client settings by callee, in YAML's flow form: `"{any: {timeout: 1s}}"`.
    calls = "calls", yaml;
    /// Sets the limits of idle connections, in YAML's flow form: `"60s"` or `"{idle: 60s, requests: 100}"`.
    keep_alive = "keep-alive", yaml;
    /// Sets the time until a new pod is ready.
    boot = "boot", text;
    /// Sets the sidecar; `"none"` removes it.
    sidecar = "sidecar", text;
}

impl ServiceBuilder {
    /// A service with one version of one replica and no endpoints.
    pub fn new(name: &str) -> ServiceBuilder {
        ServiceBuilder {
            name: name.to_owned(),
            keys: Section::default(),
        }
    }

    /// Adds a version with its number of replicas. The first version added is the stable one.
    #[must_use]
    pub fn version(mut self, name: &str, replicas: u32) -> ServiceBuilder {
        let version = self.keys.section("versions").section(name);
        version.set("replicas", text(&replicas.to_string()));
        self
    }

    /// Sets the number of requests processed at once, per replica.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> ServiceBuilder {
        self.keys.set("workers", text(&workers.to_string()));
        self
    }

    /// Sets the number of `work` steps that run at once, per replica.
    #[must_use]
    pub fn cores(mut self, cores: u32) -> ServiceBuilder {
        self.keys.set("cores", text(&cores.to_string()));
        self
    }

    /// Sets the port.
    #[must_use]
    pub fn port(mut self, port: u16) -> ServiceBuilder {
        self.keys.set("port", text(&port.to_string()));
        self
    }

    /// Sets the zones to which replicas are assigned in turn.
    #[must_use]
    pub fn zones(mut self, names: &[&str]) -> ServiceBuilder {
        self.keys.names("zones", names);
        self
    }

    /// Adds a label of the pods.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> ServiceBuilder {
        self.keys.section("labels").set(name, text(value));
        self
    }

    /// Sets the request headers that are copied to calls.
    #[must_use]
    pub fn forward(mut self, headers: &[&str]) -> ServiceBuilder {
        self.keys.names("forward", headers);
        self
    }

    /// Adds an endpoint and its steps, each written as in a file: `"work: exp(4ms)"`, `"call: payment POST /charge"`,
    /// `"call: {to: payment POST /charge, timeout: 1s}"`.
    #[must_use]
    pub fn endpoint<'a>(
        mut self,
        endpoint: &str,
        steps: impl IntoIterator<Item = &'a str>,
    ) -> ServiceBuilder {
        let steps = steps.into_iter().map(yaml).collect();
        let endpoints = self.keys.section("endpoints");
        endpoints.set(endpoint, Part::List(steps));
        self
    }
}

/// A stream of requests of a built scenario.
#[derive(Clone, Debug)]
pub struct LoadBuilder {
    name: String,
    keys: Section,
}

setters! { LoadBuilder, LOAD_KEYS:
    /// Sets the target endpoint: `"shop GET /"`.
    to = "to", text;
    /// Sets a mix of targets, in YAML's flow form: `"{home: {to: shop GET /, weight: 9}, buy: {to: shop POST /buy}}"`.
    mix = "mix", yaml;
    /// Sets the rate: `"200/s"`.
    rate = "rate", text;
    /// Sets the rate over time, in YAML's flow form: `"[{for: 1m, to: 100/s}, {rate: 100/s}]"`.
    stages = "stages", yaml;
    /// Sets the size of request bodies.
    size = "size", text;
    /// Sets the timeout of an attempt.
    timeout = "timeout", text;
    /// Sets the client's own retries, in YAML's flow form: `"2"` or `"{times: 2, budget: 20%}"`.
    retries = "retries", yaml;
    /// Sets the statuses that count as a success, in YAML's flow form: `"200..299"` or `"[200, NOT_FOUND]"`.
    ok = "ok", yaml;
    /// Sets the time of the first arrival at the earliest.
    start = "start", text;
    /// Sets the end of arrivals.
    stop = "stop", text;
    /// Sets the sidecar of the clients; `"none"` removes it.
    sidecar = "sidecar", text;
    /// Sets the namespace.
    namespace = "namespace", text;
    /// Sets the service account.
    account = "account", text;
    /// Sets the use of connections: `"reuse"`, or `"new"` for a new connection for each request.
    connections = "connections", text;
    /// Sets the URL of the real server for `shakedown load --scenario`.
    target = "target", text;
}

impl LoadBuilder {
    /// A load without target and rate.
    pub fn new(name: &str) -> LoadBuilder {
        LoadBuilder {
            name: name.to_owned(),
            keys: Section::default(),
        }
    }

    /// Makes arrivals a Poisson process. They are evenly spaced by default.
    #[must_use]
    pub fn poisson(mut self) -> LoadBuilder {
        self.keys.set("arrivals", text("poisson"));
        self
    }

    /// Adds a request header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> LoadBuilder {
        self.keys.section("headers").set(name, text(value));
        self
    }

    /// Adds a cookie.
    #[must_use]
    pub fn cookie(mut self, name: &str, value: &str) -> LoadBuilder {
        self.keys.section("cookies").set(name, text(value));
        self
    }

    /// Sets the number of client hosts.
    #[must_use]
    pub fn clients(mut self, clients: u32) -> LoadBuilder {
        self.keys.set("clients", text(&clients.to_string()));
        self
    }

    /// Sets the limit of requests in flight.
    #[must_use]
    pub fn in_flight(mut self, limit: u64) -> LoadBuilder {
        self.keys.set("in-flight", text(&limit.to_string()));
        self
    }

    /// Sets the zones to which client hosts are assigned in turn.
    #[must_use]
    pub fn zones(mut self, names: &[&str]) -> LoadBuilder {
        self.keys.names("zones", names);
        self
    }
}
