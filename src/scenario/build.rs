//! A scenario made of Rust values. Values are written as in the scenario language (`"250ms"`, `"200/s"`, `"exp(4ms)"`), so
//! that there is one language to know, and a built scenario meets the same reader, with the same errors, as a file.

use serde_json::{Map, Value, json};

use super::{Scenario, Source};

/// Makes a [`Scenario`].
#[derive(Clone, Debug)]
pub struct Builder {
    root: Map<String, Value>,
    topology: Map<String, Value>,
    services: Map<String, Value>,
    loads: Map<String, Value>,
    mesh: Vec<Value>,
    chaos: Vec<Value>,
    checks: Vec<Value>,
    seed: Option<u64>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Builder {
        let mut root = Map::new();
        root.insert("scenario".into(), name.into());
        Builder {
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

    /// What happens and what must hold.
    #[must_use]
    pub fn story(self, words: &str) -> Builder {
        self.key("story", words.into())
    }

    /// How long load and chaos last.
    #[must_use]
    pub fn duration(self, duration: &str) -> Builder {
        self.key("duration", duration.into())
    }

    /// What is left out of windows.
    #[must_use]
    pub fn warm_up(self, duration: &str) -> Builder {
        self.key("warm-up", duration.into())
    }

    /// Any other top-level key, as docs/language.md has it; the value in YAML's flow form or as JSON.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> Builder {
        self.root.insert(key.to_owned(), value);
        self
    }

    /// One-way latency between pods everywhere.
    #[must_use]
    pub fn latency(mut self, latency: &str) -> Builder {
        self.topology.insert("latency".into(), latency.into());
        self
    }

    /// Zones, in order.
    #[must_use]
    pub fn zones(mut self, names: &[&str]) -> Builder {
        let zones: Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        self.topology.insert("zones".into(), zones.into());
        self
    }

    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Builder {
        self.services.insert(service.name, service.keys.into());
        self
    }

    /// Adds a load.
    #[must_use]
    pub fn load(mut self, load: Load) -> Builder {
        self.loads.insert(load.name, load.keys.into());
        self
    }

    /// Adds a mesh document (or another edit of the mesh), as JSON.
    #[must_use]
    pub fn mesh(mut self, document: Value) -> Builder {
        self.mesh.push(document);
        self
    }

    /// Adds a chaos item, as JSON: `json!({"name": "stuck", "at": "20s", "for": "10s", "do": "pause", "target": "api/v1/0"})`.
    #[must_use]
    pub fn chaos(mut self, item: Value) -> Builder {
        self.chaos.push(item);
        self
    }

    /// Adds a named check.
    #[must_use]
    pub fn check(mut self, name: &str, check: &str) -> Builder {
        self.checks.push(json!({ name: check }));
        self
    }

    /// Chooses the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = Some(seed);
        self
    }

    /// The scenario.
    pub fn finish(self) -> Scenario {
        let Builder {
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
        // JSON is YAML in its flow form; a line a key gives errors a place that means something.
        let text = serde_json::to_string_pretty(&Value::from(root)).expect("JSON values serialise");
        let scenario = Scenario::of(Source::Text {
            name: format!("{name} (built)"),
            text,
        });
        Scenario { seed, ..scenario }
    }

    /// Runs it.
    ///
    /// # Errors
    /// See [`Scenario::run`].
    pub fn run(self) -> Result<super::Run, super::Error> {
        self.finish().run()
    }
}

/// A service of a built scenario.
#[derive(Clone, Debug)]
pub struct Service {
    name: String,
    keys: Map<String, Value>,
}

impl Service {
    /// A service with one version of one replica and no endpoints.
    pub fn new(name: &str) -> Service {
        Service {
            name: name.to_owned(),
            keys: Map::new(),
        }
    }

    /// Replicas of a version; the first one named is the stable one.
    #[must_use]
    pub fn version(mut self, name: &str, replicas: u32) -> Service {
        let versions = self.keys.entry("versions").or_insert_with(|| json!({}));
        versions[name] = json!({ "replicas": replicas });
        self
    }

    /// Requests in hand at once, per replica.
    #[must_use]
    pub fn workers(self, workers: u32) -> Service {
        self.key("workers", workers.into())
    }

    /// An endpoint and its steps, each written as in a file: `"work: exp(4ms)"`, `"call: payment POST /charge"`.
    #[must_use]
    pub fn endpoint<'a>(
        mut self,
        endpoint: &str,
        steps: impl IntoIterator<Item = &'a str>,
    ) -> Service {
        let step = |text: &str| match text.split_once(':') {
            Some((kind, value)) => json!({ kind.trim(): value.trim() }),
            // Left as it is: the reader says what a step looks like.
            None => text.into(),
        };
        let steps: Vec<Value> = steps.into_iter().map(step).collect();
        let endpoints = self.keys.entry("endpoints").or_insert_with(|| json!({}));
        endpoints[endpoint] = steps.into();
        self
    }

    /// Any other key of a service.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> Service {
        self.keys.insert(key.to_owned(), value);
        self
    }
}

/// A stream of requests of a built scenario.
#[derive(Clone, Debug)]
pub struct Load {
    name: String,
    keys: Map<String, Value>,
}

impl Load {
    /// A load without target and rate.
    pub fn new(name: &str) -> Load {
        Load {
            name: name.to_owned(),
            keys: Map::new(),
        }
    }

    /// The endpoint: `"shop GET /"`.
    #[must_use]
    pub fn to(self, endpoint: &str) -> Load {
        self.key("to", endpoint.into())
    }

    /// The rate: `"200/s"`.
    #[must_use]
    pub fn rate(self, rate: &str) -> Load {
        self.key("rate", rate.into())
    }

    /// Arrivals as a Poisson process; evenly spaced by default.
    #[must_use]
    pub fn poisson(self) -> Load {
        self.key("arrivals", "poisson".into())
    }

    /// Bound of a try.
    #[must_use]
    pub fn timeout(self, timeout: &str) -> Load {
        self.key("timeout", timeout.into())
    }

    /// A request header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Load {
        let headers = self.keys.entry("headers").or_insert_with(|| json!({}));
        headers[name] = value.into();
        self
    }

    /// Any other key of a load.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> Load {
        self.keys.insert(key.to_owned(), value);
        self
    }
}
