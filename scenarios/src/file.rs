//! The types of a scenario file, as it is written: each struct has the keys of one map. The reader decodes them, and
//! the JSON Schema and the tables of the documentation are derived from them, so that keys, defaults and descriptions
//! are written once.
//!
//! Parts that are read one by one, because they depend on other sections, are ignored here or kept as raw subtrees. Their
//! schema names the type of the parts. A key that is required is an `Option` if the reader itself reports its absence.

mod chaos;
mod control;
mod load;
mod part;
mod retries;
mod schema;
mod service;
mod steps;
mod topology;
mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_yaml::decode::{Examples, Unsupported};
use shakedown_yaml::{Decoder, Location, Node};

use crate::value::Ratio;
pub(crate) use chaos::{
    ACTIONS, ActionKind, ApplyKeys, DeployKeys, EditFileKeys, EditPatchKeys, EditRemoveKeys,
    FailItemKeys, ItemKeys, ScaleKeys, SlowKeys, SurgeKeys, TargetKeys,
};
pub(crate) use control::{ControlKeys, OutboundMode};
pub(crate) use load::{ConnectionUse, LoadKeys, MixEntryKeys, StageKeys};
pub(crate) use retries::{HedgeKeys, Jitter, PoolKeys, RetriedFailure, RetryKeys};
pub use schema::{KeyRow, key_rows, schema};
pub(crate) use service::{QueueKeys, ReplicaKeys, ServiceKeys, SidecarKeys, VersionKeys};
pub(crate) use steps::{
    CallKeys, CallPoolKeys, CallSettingKeys, FailKeys, RespondKeys, StepKeys, TimedKeys,
};
pub(crate) use topology::{TopologyKeys, ZoneKeys};
pub(crate) use values::{
    AttemptTimeout, Count, Counts, Epoch, Factor, Limit, Seed, SeedRange, Span, Spans, Text,
};

/// A scenario file.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Scenario", rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "some keys are decoded only for their errors, and described by the schema"
)]
pub(crate) struct ScenarioKeys {
    /// The name: `[a-z][a-z0-9-]*`
    #[schemars(required)]
    pub(crate) scenario: Option<Text>,
    /// Free text: the events and the expected outcome, in one to three sentences
    #[schemars(required)]
    pub(crate) story: Option<Text>,
    /// Length of load and chaos, from 0 s, the time at which all pods are ready and every proxy has applied its first
    /// configuration
    #[schemars(required)]
    pub(crate) duration: Option<Span>,
    /// Zones, latency and services
    #[schemars(required, with = "TopologyKeys")]
    pub(crate) topology: Option<IgnoredAny>,
    /// Name -> a stream of requests
    #[schemars(required, with = "BTreeMap<String, LoadKeys>")]
    pub(crate) load: Option<IgnoredAny>,
    /// The checks, each `CHECK` or `name: CHECK`
    #[schemars(required, schema_with = "schema::checks")]
    pub(crate) expect: Option<IgnoredAny>,
    /// Edits of Istio documents, applied in order
    #[schemars(schema_with = "schema::edits")]
    #[serde(default)]
    pub(crate) mesh: Option<IgnoredAny>,
    /// Settings of the control plane
    #[schemars(with = "ControlKeys")]
    #[serde(default)]
    pub(crate) control: Option<IgnoredAny>,
    /// Injected faults and changes
    #[schemars(schema_with = "schema::chaos")]
    #[serde(default)]
    pub(crate) chaos: Option<IgnoredAny>,
    /// Name -> an edit of this file
    #[schemars(schema_with = "schema::variants")]
    #[serde(default)]
    pub(crate) variants: Option<IgnoredAny>,
    /// A paper, post-mortem or URL
    pub(crate) source: Option<Text>,
    /// Keywords
    pub(crate) tags: Option<Vec<Text>>,
    /// The seed that `run` uses
    #[serde(default = "first_seed")]
    pub(crate) seed: Seed,
    /// The seeds that `sweep` uses
    #[serde(default = "thirty_seeds")]
    pub(crate) seeds: SeedRange,
    /// Excluded from every window, unless the window names a time within the warm-up
    #[serde(default = "no_time")]
    pub(crate) warm_up: Span,
    /// Time after `duration` in which nothing is sent and requests in flight may finish; those that do not finish count
    /// as timeouts
    #[serde(default = "half_a_minute")]
    pub(crate) drain: Span,
    /// Divides the timeline: `duration`, `warm-up`, `start`, `stop` and `stages` of loads, the times of chaos items, and
    /// the windows and slices (`per`) of checks. Rates, thresholds, service times, latencies, timeouts, `drain` and mesh
    /// documents are not scaled
    #[serde(default = "one")]
    pub(crate) scale: Factor,
    /// The wall-clock time at 0 s
    #[serde(default = "start_of_2025")]
    pub(crate) epoch: Epoch,
}

impl Default for ScenarioKeys {
    /// Decodes a map without keys, so that defaults are written once.
    fn default() -> Self {
        let empty = Node::map(Vec::<(String, Node)>::new(), Location::whole(""));
        decoder().decode(&empty).expect("no key is required")
    }
}

const fn first_seed() -> Seed {
    Seed(1)
}

const fn thirty_seeds() -> SeedRange {
    SeedRange((1, 30))
}

const fn no_time() -> Span {
    Span::seconds(0)
}

const fn half_a_minute() -> Span {
    Span::seconds(30)
}

const fn one() -> Factor {
    Factor(Ratio::ONE)
}

/// 2025-01-01T00:00:00Z.
const fn start_of_2025() -> Epoch {
    Epoch(1_735_689_600_000_000_000)
}

/// Keys and words of the language that are not supported yet, by type. Ignoring one has no stated effect, because each
/// is an error.
const UNSUPPORTED: Unsupported = &[
    ("Scenario", &[("swarm", "")]),
    (
        "Topology",
        &[
            ("from", ""),
            ("loss", ""),
            ("bandwidth", ""),
            ("generate", ""),
        ],
    ),
    (
        "Service",
        &[
            ("slow", ""),
            ("cache", ""),
            ("memory", ""),
            ("probe", ""),
            ("autoscale", ""),
            ("gateway", ""),
            ("host", ""),
        ],
    ),
    ("Protocol", &[("tcp", "")]),
    ("Queue", &[("shed", "")]),
    ("Order", &[("adaptive-lifo", ""), ("priority", "")]),
    ("Boot", &[("cold", ""), ("for", "")]),
    ("Sidecar", &[("handshake", ""), ("workers", "")]),
    ("Step", &[("lookup", ""), ("choice", "")]),
    ("Load", &[("users", ""), ("think", ""), ("host", "")]),
    (
        "Control",
        &[("push", ""), ("staged", ""), ("certificates", "")],
    ),
    ("MtlsMode", &[("strict", ""), ("none", "")]),
    ("Item", &[("when", "")]),
    (
        "Action",
        &[
            ("delay", ""),
            ("loss", ""),
            ("bandwidth", ""),
            ("reset", ""),
            ("restart", ""),
            ("leak", ""),
            ("exhaust", ""),
            ("skew", ""),
            ("flush", ""),
            ("dns", ""),
            ("poison", ""),
            ("expire", ""),
            ("rotate-root", ""),
        ],
    ),
];

/// Examples of required keys.
const EXAMPLES: Examples = &[
    ("Timed", &[("time", "work: 4ms")]),
    ("Call", &[("to", "call: payment POST /charge")]),
    ("Fail", &[("rate", "fail: 5%")]),
    ("Respond", &[("status", "respond: 302")]),
    ("MixEntry", &[("to", "to: checkout POST /order")]),
    ("Retries", &[("times", "retries: {times: 2}")]),
    ("Hedge", &[("after", "hedge: 10ms")]),
    ("Pool", &[("size", "pool: {size: 10}")]),
    ("FailItem", &[("rate", "rate: 5%")]),
    ("Surge", &[("factor", "factor: 3")]),
    ("Scale", &[("to", "to: 8")]),
    ("Apply", &[("mesh", "mesh: [{file: mesh/new.yaml}]")]),
    ("EditPatch", &[("with", "with: {spec: {...}}")]),
];

/// The decoder of the types of this module. Unknown words of an enum are reported as such.
pub(crate) fn decoder() -> Decoder {
    Decoder::new()
        .choice("word")
        .unsupported(UNSUPPORTED)
        .examples(EXAMPLES)
        .null_is_absent()
}

/// Returns true if chaos items will have this action, which is not supported yet.
pub(crate) fn is_unsupported_action(name: &str) -> bool {
    let actions = UNSUPPORTED.iter().find(|(of, _)| *of == "Action");
    actions.is_some_and(|(_, actions)| actions.iter().any(|(action, _)| *action == name))
}
