//! The keys of chaos items and of mesh edits.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_yaml::Raw;

use super::part::KeyPart;
use super::schema;
use super::values::{Count, Factor, Percentage, Span, Spans, Text};

/// Keys of every chaos item.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "Item", rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "some keys are decoded only for their errors, and described by the schema"
)]
pub(crate) struct ItemKeys {
    /// The name, which checks can use as a window
    pub(crate) name: Option<Text>,
    /// The action
    #[schemars(required)]
    pub(crate) r#do: Option<Text>,
    /// The time at which the item starts: a duration or a distribution
    pub(crate) at: Option<Spans>,
    /// The interval at which the item starts again and again
    pub(crate) every: Option<Spans>,
    /// With `every`: the time from which intervals count. The default is `warm-up`
    pub(crate) from: Option<Span>,
    /// With `every`: the end. The default is `duration`
    pub(crate) until: Option<Span>,
    /// The length. The default is the rest of the run
    pub(crate) r#for: Option<Spans>,
    /// An item that affects nothing in any of its firings makes the run invalid, unless this is `true`
    #[serde(default)]
    pub(crate) may_miss: bool,
}

/// The key `target`, which every action but `apply` has.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "Target", rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "some keys are decoded only for their errors, and described by the schema"
)]
pub(crate) struct TargetKeys {
    /// Pods, a link, a load or a service, as the action requires
    #[schemars(required, with = "Text")]
    pub(crate) target: Option<IgnoredAny>,
}

/// Keys of `slow`, one of which is required.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "Slow", rename_all = "kebab-case", default)]
pub(crate) struct SlowKeys {
    /// `work` takes this many times as long
    pub(crate) factor: Option<Factor>,
    /// `work` takes this much longer: a duration or a distribution
    pub(crate) add: Option<Spans>,
}

/// Keys of `fail`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "FailItem", rename_all = "kebab-case")]
pub(crate) struct FailItemKeys {
    /// The share of requests that fail, before the first step
    pub(crate) rate: Percentage,
    /// A status, `reset` or `hang`. The default is 500, of gRPC UNKNOWN
    #[schemars(with = "Option<Text>")]
    pub(crate) with: Option<Raw>,
    /// The only endpoint whose requests fail
    #[schemars(with = "Option<Text>")]
    pub(crate) only: Option<Raw>,
}

/// Keys of `surge`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Surge", rename_all = "kebab-case")]
pub(crate) struct SurgeKeys {
    /// Multiplies the rate of the load
    pub(crate) factor: Factor,
}

/// Keys of `scale`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Scale", rename_all = "kebab-case")]
pub(crate) struct ScaleKeys {
    /// The new number of replicas
    pub(crate) to: Count,
}

/// Keys of `deploy`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Deploy", rename_all = "kebab-case", default)]
pub(crate) struct DeployKeys {
    /// The number of pods of the new version
    pub(crate) replicas: Count,
    /// The keys of a service in which the new version differs
    #[schemars(schema_with = "schema::with")]
    pub(crate) with: Option<IgnoredAny>,
}

impl Default for DeployKeys {
    fn default() -> Self {
        DeployKeys {
            replicas: Count(1),
            with: None,
        }
    }
}

/// Keys of `apply`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Apply", rename_all = "kebab-case")]
pub(crate) struct ApplyKeys {
    /// Edits that are sent to the control plane
    #[schemars(schema_with = "schema::edits")]
    pub(crate) mesh: Raw,
}

/// A mesh edit that adds the documents of a file.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "EditFile", rename_all = "kebab-case")]
pub(crate) struct EditFileKeys {
    /// The path of unmodified Istio documents, relative to the scenario file
    #[schemars(with = "Text")]
    pub(crate) file: Raw,
}

/// A mesh edit that changes a document.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "EditPatch", rename_all = "kebab-case")]
pub(crate) struct EditPatchKeys {
    /// The document: `KIND/NAME`
    #[schemars(with = "Text")]
    pub(crate) patch: Raw,
    /// A JSON merge patch
    #[schemars(schema_with = "schema::any_map")]
    pub(crate) with: Raw,
}

/// A mesh edit that removes a document.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "EditRemove", rename_all = "kebab-case")]
pub(crate) struct EditRemoveKeys {
    /// The document: `KIND/NAME`
    #[schemars(with = "Text")]
    pub(crate) remove: Raw,
}

/// An action of a chaos item.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename = "Action", rename_all = "kebab-case")]
pub(crate) enum ActionKind {
    /// Pods stop without closing their connections; they boot again after `for`
    Crash,
    /// Pods are suspended: nothing runs, sockets stay open
    Pause,
    /// Packets of a link `a -> b` or `a <-> b` are dropped, in that direction or in both
    Partition,
    /// `work` of pods takes `factor` times as long, or `add` longer
    Slow,
    /// Requests to pods fail as by the step `fail`, before the first step; `only` restricts it to one endpoint
    Fail,
    /// The rate of a load is multiplied
    Surge,
    /// A service, or one of its versions, has `to` replicas from now on
    Scale,
    /// A new version `service/version` starts; `with` has the keys of a service in which it differs
    Deploy,
    /// Edits are sent to the control plane
    Apply,
    /// In a variant: removes the item of that name
    Nothing,
}

/// All actions, in the order of the documentation.
pub(crate) const ACTIONS: [ActionKind; 10] = [
    ActionKind::Crash,
    ActionKind::Pause,
    ActionKind::Partition,
    ActionKind::Slow,
    ActionKind::Fail,
    ActionKind::Surge,
    ActionKind::Scale,
    ActionKind::Deploy,
    ActionKind::Apply,
    ActionKind::Nothing,
];

impl ActionKind {
    /// The word of the language.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ActionKind::Crash => "crash",
            ActionKind::Pause => "pause",
            ActionKind::Partition => "partition",
            ActionKind::Slow => "slow",
            ActionKind::Fail => "fail",
            ActionKind::Surge => "surge",
            ActionKind::Scale => "scale",
            ActionKind::Deploy => "deploy",
            ActionKind::Apply => "apply",
            ActionKind::Nothing => "nothing",
        }
    }

    /// Returns true if the action is over at once, so that its items take no `for`.
    pub(crate) const fn is_instant(self) -> bool {
        matches!(
            self,
            ActionKind::Scale | ActionKind::Deploy | ActionKind::Apply
        )
    }

    /// The structs whose keys items of this action have in addition to those of every item.
    pub(crate) fn parts(self) -> Vec<KeyPart> {
        let target = KeyPart::new::<TargetKeys>();
        match self {
            ActionKind::Crash | ActionKind::Pause | ActionKind::Partition => vec![target],
            ActionKind::Slow => vec![target, KeyPart::new::<SlowKeys>()],
            ActionKind::Fail => vec![target, KeyPart::new::<FailItemKeys>()],
            ActionKind::Surge => vec![target, KeyPart::new::<SurgeKeys>()],
            ActionKind::Scale => vec![target, KeyPart::new::<ScaleKeys>()],
            ActionKind::Deploy => vec![target, KeyPart::new::<DeployKeys>()],
            ActionKind::Apply => vec![KeyPart::new::<ApplyKeys>()],
            ActionKind::Nothing => Vec::new(),
        }
    }
}
