//! Chaos items of a scenario: times, targets and actions. [`crate::plan`] draws the faults of a seed from them.

use std::time::Duration;

use shakedown_istio::Document;

use super::{Draw, Failure, Place};
use crate::value::{Ratio, Share};

#[derive(Clone, Debug)]
pub struct Chaos {
    /// The name; `chaos.N` (from 0) if none is given.
    pub name: String,
    pub when: When,
    /// The length of each firing; `None`: to the end of the run.
    pub length: Option<Draw>,
    pub action: Action,
    /// True if the run is valid even if the item affects nothing.
    pub may_miss: bool,
    /// The source location whose random stream draws targets.
    pub place: Place,
}

/// The times at which a chaos item fires.
#[derive(Clone, Debug)]
pub enum When {
    At(Draw),
    /// Repeatedly, the first time one interval after `from`.
    Every {
        interval: Draw,
        /// The start of the first interval.
        from: Duration,
        /// The end of firings, exclusive.
        until: Duration,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The pods vanish without closing connections.
    Crash(Target),
    /// Nothing runs in the pods, but sockets stay open.
    Pause(Target),
    /// All packets from one side to the other are dropped.
    Partition {
        from: Target,
        to: Target,
        /// True if packets in the other direction are dropped, too.
        both: bool,
    },
    /// Every `work` step takes longer.
    Slow {
        target: Target,
        /// The factor by which a step takes longer.
        factor: Ratio,
        /// The time to add, drawn per step.
        add: Option<Draw>,
    },
    /// A share of requests fails before the first step.
    Fail {
        target: Target,
        /// The share of requests.
        rate: Share,
        with: Failure,
        /// Restricts the failures to one endpoint (service, endpoint).
        only: Option<(usize, u16)>,
    },
    /// Multiplies a load's rate.
    Surge {
        /// Index into [`Story::loads`](super::Story::loads).
        load: usize,
        factor: Ratio,
    },
    /// Sets the replicas of a service's version, by default the stable one.
    Scale {
        /// Index into [`Story::services`](super::Story::services).
        service: usize,
        /// Index into its versions. `None`: the version that is stable at that time.
        version: Option<u16>,
        to: u32,
    },
    /// Starts a version of a service. The version is in [`Service::versions`](super::Service::versions), without
    /// replicas at 0 s.
    Deploy {
        /// Index into [`Story::services`](super::Story::services).
        service: usize,
        /// Index into its versions.
        version: u16,
        replicas: u32,
    },
    /// Sends new configuration to the control plane.
    Apply {
        /// New and replaced documents, with patches already merged.
        documents: Vec<Document>,
        remove: Vec<shakedown_istio::Key>,
    },
    /// An item that a variant removed.
    Nothing,
}

/// The pods that a chaos item affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub of: Selector,
    /// Restricts the target to this zone.
    pub zone: Option<u16>,
    /// Restricts the target to pods with this label.
    pub label: Option<(String, String)>,
    /// The part of the pods, drawn anew at each firing.
    pub part: Part,
    /// The target as written.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Every pod of the services.
    All,
    Zone(u16),
    Region(String),
    /// A service, one of its versions, one of its replicas, or the clients of a load.
    Party {
        name: String,
        /// Index of the version.
        version: Option<u16>,
        replica: Option<u32>,
    },
    Control,
}

/// The part of the selected pods that is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    Count(u32),
    /// A share of the pods, rounded up.
    Share(Share),
}
