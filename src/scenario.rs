//! Scenarios in Rust tests: loaded from YAML or built from values, run under a seed, and asserted on.
//!
// The example is a test of this repository.
#![doc = "```no_run"]
#![doc = include_str!("../tests/suite/facade.rs")]
#![doc = "```"]

mod build;

use std::fmt;

use shakedown_istio::refused;
use shakedown_results::{CheckResult, Document, Engine, Load as LoadResult, Verdict};
use shakedown_scenarios::{Edits, LoadError, load, load_text, load_tree};
use shakedown_yaml::{Diagnostics, Node};

pub use build::{LoadBuilder, ScenarioBuilder, ServiceBuilder};

use crate::run::{RunError, RunOptions, run};

/// A scenario, the variant and edits chosen of it, and the seed to run it under.
#[derive(Clone, Debug)]
pub struct Scenario {
    source: ScenarioText,
    edits: Edits,
    seed: Option<u64>,
    engine: Engine,
    strict: bool,
}

#[derive(Clone, Debug)]
enum ScenarioText {
    Named(String),
    Text {
        name: String,
        text: String,
    },
    /// A scenario built in Rust, and the errors of its values.
    Tree {
        name: String,
        tree: Node,
        errors: Diagnostics,
    },
}

/// A scenario that could not be run. `Debug` prints the command's message, so that `unwrap` shows readable text.
#[derive(thiserror::Error)]
pub enum ScenarioError {
    /// The scenario is invalid. Contains all errors with their source locations.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The backend could not execute the scenario.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl fmt::Debug for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScenarioError::Load(error) => fmt::Debug::fmt(error, f),
            ScenarioError::Run(error) => fmt::Debug::fmt(error, f),
        }
    }
}

impl Scenario {
    /// Refers to a scenario by path, or by name in the catalogue.
    pub fn open(path_or_name: impl Into<String>) -> Scenario {
        Scenario::new(ScenarioText::Named(path_or_name.into()))
    }

    /// Takes a scenario from text, which cannot include files.
    pub fn yaml(text: impl Into<String>) -> Scenario {
        Scenario::new(ScenarioText::Text {
            name: "scenario.yaml".to_owned(),
            text: text.into(),
        })
    }

    /// Starts a scenario built from Rust values. `name` must match `[a-z][a-z0-9-]*`.
    pub fn build(name: &str) -> ScenarioBuilder {
        ScenarioBuilder::new(name)
    }

    fn new(source: ScenarioText) -> Scenario {
        Scenario {
            source,
            edits: Edits::default(),
            seed: None,
            engine: Engine::Native,
            strict: false,
        }
    }

    /// Chooses a variant.
    #[must_use]
    pub fn variant(mut self, name: impl Into<String>) -> Scenario {
        self.edits.variant = Some(name.into());
        self
    }

    /// Changes a value, as `--set` does: `load.users.rate=150/s`.
    ///
    /// ```
    /// # use shakedown::scenario::{LoadBuilder, Scenario, ServiceBuilder};
    /// let shop = Scenario::build("shop")
    ///     .duration("10s")
    ///     .service(ServiceBuilder::new("shop").workers(1).endpoint("GET /", ["work: exp(2ms)"]))
    ///     .load(LoadBuilder::new("users").to("shop GET /").rate("50/s").poisson())
    ///     .check("fast", "p99(users) < 50ms")
    ///     .finish();
    /// shop.run()?.assert_pass();
    /// // One worker serves at most 500 requests a second.
    /// shop.set("load.users.rate=550/s").run()?.assert_breaks(&["fast"]);
    /// # Ok::<(), shakedown::scenario::ScenarioError>(())
    /// ```
    #[must_use]
    pub fn set(mut self, edit: impl Into<String>) -> Scenario {
        self.edits.set.push(edit.into());
        self
    }

    /// Chooses the seed. The default is the scenario's seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Scenario {
        self.seed = Some(seed);
        self
    }

    /// Runs the scenario on loopback sockets in real time instead of in the simulator.
    #[must_use]
    pub fn real(mut self) -> Scenario {
        self.engine = Engine::Real;
        self
    }

    /// Refuses kinds and fields of mesh documents that are not modelled, as `--strict` does. By default they are passed
    /// over and listed in the document's `not_modelled`.
    #[must_use]
    pub fn strict(mut self) -> Scenario {
        self.strict = true;
        self
    }

    /// Runs the scenario.
    ///
    /// # Errors
    /// Fails if the scenario is invalid, if it is [`strict`](Scenario::strict) and has documents that are not modelled,
    /// or if the backend could not execute it. A failed check is not an error: see [`Run::assert_pass`].
    pub fn run(&self) -> Result<Run, ScenarioError> {
        let scenario = match &self.source {
            ScenarioText::Named(name) => load(name, &self.edits)?,
            ScenarioText::Text { name, text } => load_text(name, text, &self.edits)?,
            ScenarioText::Tree { name, tree, errors } => {
                load_tree(name, tree.clone(), errors.clone(), &self.edits)?
            }
        };
        if self.strict && !scenario.omissions.is_empty() {
            return Err(LoadError::Wrong(refused(&scenario.omissions)).into());
        }
        let options = RunOptions {
            seed: self.seed,
            engine: self.engine,
            set: self.edits.set.clone(),
            called: match &self.source {
                ScenarioText::Named(name) => Some(name.clone()),
                ScenarioText::Text { .. } | ScenarioText::Tree { .. } => None,
            },
            ..RunOptions::default()
        };
        let mut document = run(&scenario, options)?.document;
        if !matches!(self.source, ScenarioText::Named(_)) {
            document.replay = self.again(document.seed);
        }
        Ok(Run { document })
    }

    /// Describes the calls that repeat a scenario without a file, which no command can load.
    fn again(&self, seed: u64) -> String {
        let mut calls = String::new();
        if let Some(variant) = &self.edits.variant {
            calls.push_str(&format!(".variant({variant:?})"));
        }
        for edit in &self.edits.set {
            calls.push_str(&format!(".set({edit:?})"));
        }
        calls.push_str(&format!(".seed({seed})"));
        if self.engine == Engine::Real {
            calls.push_str(".real()");
        }
        if self.strict {
            calls.push_str(".strict()");
        }
        format!("this test, with {calls}")
    }
}

/// A completed run.
#[derive(Clone, Debug)]
pub struct Run {
    /// All results of the run.
    pub document: Document,
}

impl Run {
    /// The verdict over all checks.
    pub fn verdict(&self) -> Verdict {
        self.document.verdict
    }

    /// The result of the check with this name. An unnamed check is found by its text.
    ///
    /// # Panics
    /// Panics if the scenario has no such check.
    #[track_caller]
    pub fn check(&self, name: &str) -> &CheckResult {
        let found = self.document.checks.iter().find(|check| check.name == name);
        found.unwrap_or_else(|| panic!("unknown check `{name}`:\n{self}"))
    }

    /// The figures of a load, including its histograms.
    ///
    /// # Panics
    /// Panics if the scenario has no such load.
    #[track_caller]
    pub fn load(&self, name: &str) -> &LoadResult {
        let found = self.document.loads.iter().find(|load| load.name == name);
        found.unwrap_or_else(|| panic!("unknown load `{name}`:\n{self}"))
    }

    /// Asserts that every check is true.
    ///
    /// # Panics
    /// Panics with the summary and the seed if a check is false.
    #[track_caller]
    pub fn assert_pass(&self) {
        assert!(self.verdict() == Verdict::Pass, "{self}");
    }

    /// Asserts that exactly these checks are false.
    ///
    /// # Panics
    /// Panics with the summary and the seed if other checks are false.
    #[track_caller]
    pub fn assert_breaks(&self, checks: &[&str]) {
        let broken = |check: &&CheckResult| check.pass == Some(false);
        let mut found: Vec<&str> = self
            .document
            .checks
            .iter()
            .filter(broken)
            .map(|check| check.name.as_str())
            .collect();
        let mut wanted = checks.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert!(
            self.verdict() == Verdict::Fail && found == wanted,
            "expected exactly {wanted:?} to fail:\n{self}"
        );
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shakedown_reports::text::render(
            &self.document,
            shakedown_reports::text::Paint::Plain,
        ))
    }
}

#[cfg(test)]
mod tests;
