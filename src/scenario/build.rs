//! Builds a scenario from Rust values. Values are written as in the scenario language (`"250ms"`, `"200/s"`,
//! `"exp(4ms)"`), because a built scenario is read by the same parser as a file and reports the same errors.

use serde_json::{Map, Value, json};

use super::{Scenario, ScenarioText};

/// Builds a [`Scenario`].
#[derive(Clone, Debug)]
pub struct ScenarioBuilder {
    root: Map<String, Value>,
    topology: Map<String, Value>,
    services: Map<String, Value>,
    loads: Map<String, Value>,
    mesh: Vec<Value>,
    chaos: Vec<Value>,
    checks: Vec<Value>,
    seed: Option<u64>,
}

impl ScenarioBuilder {
    pub(super) fn new(name: &str) -> ScenarioBuilder {
        let mut root = Map::new();
        root.insert("scenario".into(), name.into());
        ScenarioBuilder {
            root,
            topology: Map::new(),
            services: Map::new(),
            loads: Map::new(),
            mesh: Vec::new(),
            chaos: Vec::new(),
            checks: Vec::new(),
            seed: None,
        }
    }

    /// Describes the events of the scenario and the behaviour that it expects.
    #[must_use]
    pub fn story(self, words: &str) -> ScenarioBuilder {
        self.key("story", words.into())
    }

    /// Sets the duration of load and chaos.
    #[must_use]
    pub fn duration(self, duration: &str) -> ScenarioBuilder {
        self.key("duration", duration.into())
    }

    /// Sets the initial time that windows exclude.
    #[must_use]
    pub fn warm_up(self, duration: &str) -> ScenarioBuilder {
        self.key("warm-up", duration.into())
    }

    /// Sets any other top-level key of docs/language.md. The value is in YAML's flow form or JSON.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> ScenarioBuilder {
        self.root.insert(key.to_owned(), value);
        self
    }

    /// Sets the one-way latency between all pods.
    #[must_use]
    pub fn latency(mut self, latency: &str) -> ScenarioBuilder {
        self.topology.insert("latency".into(), latency.into());
        self
    }

    /// Sets the zones, in order.
    #[must_use]
    pub fn zones(mut self, names: &[&str]) -> ScenarioBuilder {
        let zones: Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        self.topology.insert("zones".into(), zones.into());
        self
    }

    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: ServiceBuilder) -> ScenarioBuilder {
        self.services.insert(service.name, service.keys.into());
        self
    }

    /// Adds a load.
    #[must_use]
    pub fn load(mut self, load: LoadBuilder) -> ScenarioBuilder {
        self.loads.insert(load.name, load.keys.into());
        self
    }

    /// Adds a mesh document (or another edit of the mesh), as JSON.
    #[must_use]
    pub fn mesh(mut self, document: Value) -> ScenarioBuilder {
        self.mesh.push(document);
        self
    }

    /// Adds a chaos item, as JSON:
    /// `json!({"name": "stuck", "at": "20s", "for": "10s", "do": "pause", "target": "api/v1/0"})`.
    #[must_use]
    pub fn chaos(mut self, item: Value) -> ScenarioBuilder {
        self.chaos.push(item);
        self
    }

    /// Adds a named check.
    #[must_use]
    pub fn check(mut self, name: &str, check: &str) -> ScenarioBuilder {
        self.checks.push(json!({ name: check }));
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
        let ScenarioBuilder {
            mut root,
            mut topology,
            services,
            loads,
            mesh,
            chaos,
            checks,
            seed,
        } = self;
        root.entry("story")
            .or_insert_with(|| "Built in Rust.".into());
        topology.insert("services".into(), services.into());
        root.insert("topology".into(), topology.into());
        root.insert("load".into(), loads.into());
        root.insert("mesh".into(), mesh.into());
        root.insert("chaos".into(), chaos.into());
        root.insert("expect".into(), checks.into());
        let name = root["scenario"].as_str().unwrap_or("scenario").to_owned();
        // JSON is YAML in its flow form. Pretty-printing puts each key on its own line, so that errors have useful
        // locations.
        let text = serde_json::to_string_pretty(&Value::from(root)).expect("JSON values serialise");
        let scenario = Scenario::new(ScenarioText::Text {
            name: format!("{name} (built)"),
            text,
        });
        Scenario { seed, ..scenario }
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
    keys: Map<String, Value>,
}

impl ServiceBuilder {
    /// A service with one version of one replica and no endpoints.
    pub fn new(name: &str) -> ServiceBuilder {
        ServiceBuilder {
            name: name.to_owned(),
            keys: Map::new(),
        }
    }

    /// Adds a version with its number of replicas. The first version added is the stable one.
    #[must_use]
    pub fn version(mut self, name: &str, replicas: u32) -> ServiceBuilder {
        let versions = self.keys.entry("versions").or_insert_with(|| json!({}));
        versions[name] = json!({ "replicas": replicas });
        self
    }

    /// Sets the number of requests processed at once, per replica.
    #[must_use]
    pub fn workers(self, workers: u32) -> ServiceBuilder {
        self.key("workers", workers.into())
    }

    /// Adds an endpoint and its steps, each written as in a file: `"work: exp(4ms)"`, `"call: payment POST /charge"`.
    #[must_use]
    pub fn endpoint<'a>(
        mut self,
        endpoint: &str,
        steps: impl IntoIterator<Item = &'a str>,
    ) -> ServiceBuilder {
        let step = |text: &str| match text.split_once(':') {
            Some((kind, value)) => json!({ kind.trim(): value.trim() }),
            // The parser reports the expected form of a step.
            None => text.into(),
        };
        let steps: Vec<Value> = steps.into_iter().map(step).collect();
        let endpoints = self.keys.entry("endpoints").or_insert_with(|| json!({}));
        endpoints[endpoint] = steps.into();
        self
    }

    /// Sets any other key of a service.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> ServiceBuilder {
        self.keys.insert(key.to_owned(), value);
        self
    }
}

/// A stream of requests of a built scenario.
#[derive(Clone, Debug)]
pub struct LoadBuilder {
    name: String,
    keys: Map<String, Value>,
}

impl LoadBuilder {
    /// A load without target and rate.
    pub fn new(name: &str) -> LoadBuilder {
        LoadBuilder {
            name: name.to_owned(),
            keys: Map::new(),
        }
    }

    /// Sets the target endpoint: `"shop GET /"`.
    #[must_use]
    pub fn to(self, endpoint: &str) -> LoadBuilder {
        self.key("to", endpoint.into())
    }

    /// Sets the rate: `"200/s"`.
    #[must_use]
    pub fn rate(self, rate: &str) -> LoadBuilder {
        self.key("rate", rate.into())
    }

    /// Makes arrivals a Poisson process. They are evenly spaced by default.
    #[must_use]
    pub fn poisson(self) -> LoadBuilder {
        self.key("arrivals", "poisson".into())
    }

    /// Sets the timeout of an attempt.
    #[must_use]
    pub fn timeout(self, timeout: &str) -> LoadBuilder {
        self.key("timeout", timeout.into())
    }

    /// Adds a request header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> LoadBuilder {
        let headers = self.keys.entry("headers").or_insert_with(|| json!({}));
        headers[name] = value.into();
        self
    }

    /// Sets any other key of a load.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> LoadBuilder {
        self.keys.insert(key.to_owned(), value);
        self
    }
}
