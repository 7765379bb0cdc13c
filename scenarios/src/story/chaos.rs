//! Chaos items of a story: times, targets and actions. ([`crate::plan`] draws the faults of a seed from them.)

use std::time::Duration;

use shakedown_istio::Document;

use super::{Draw, Failure, Place};
use crate::value::{Ratio, Share};

/// A chaos item.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// The name; `chaos.N` (from 0) if it has none.
    pub name: String,
    /// The times at which it fires.
    pub when: When,
    /// For how long; `None`: to the end of the run.
    pub length: Option<Draw>,
    /// The action.
    pub action: Action,
    /// May touch nothing.
    pub may_miss: bool,
    /// The place of the random stream for targets.
    pub place: Place,
}

/// The times at which a chaos item fires.
#[derive(Clone, Debug)]
pub enum When {
    /// Once.
    At(Draw),
    /// Again and again, first after one interval.
    Every {
        /// The interval.
        interval: Draw,
        /// From when on.
        from: Duration,
        /// Until when.
        until: Duration,
    },
}

/// The action of a chaos item.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Gone in silence.
    Crash(Target),
    /// Nothing runs, sockets stay open.
    Pause(Target),
    /// All packets from one side to the other are dropped.
    Partition {
        /// From these pods.
        from: Target,
        /// To those.
        to: Target,
        /// And back.
        both: bool,
    },
    /// Every `work` takes longer.
    Slow {
        /// The target.
        target: Target,
        /// The factor by which it takes longer.
        factor: Ratio,
        /// And so much more.
        add: Option<Draw>,
    },
    /// A share of requests fails before the first step.
    Fail {
        /// The target.
        target: Target,
        /// The share.
        rate: Share,
        /// With what.
        with: Failure,
        /// Only at this endpoint (service, endpoint).
        only: Option<(usize, u16)>,
    },
    /// Multiplies a load's rate.
    Surge {
        /// Index into [`Story::loads`](super::Story::loads).
        load: usize,
        /// By this.
        factor: Ratio,
    },
    /// Sets the replicas of a service's version (of its stable one where none is named).
    Scale {
        /// Index into [`Story::services`](super::Story::services).
        service: usize,
        /// Index into its versions; `None`: whichever is stable then.
        version: Option<u16>,
        /// The number of replicas.
        to: u32,
    },
    /// Starts a version of a service. It is one of [`Service::versions`](super::Service::versions), without replicas at 0 s.
    Deploy {
        /// Index into [`Story::services`](super::Story::services).
        service: usize,
        /// Index into its versions.
        version: u16,
        /// The number of replicas.
        replicas: u32,
    },
    /// Configuration reaches the control plane.
    Apply {
        /// Documents to put in force (new ones and replacements, patches already merged).
        documents: Vec<Document>,
        /// Documents to take away.
        remove: Vec<shakedown_istio::Key>,
    },
    /// Removed by a variant.
    Nothing,
}

/// Pods that a chaos item means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The pods.
    pub of: Selector,
    /// Only those in this zone.
    pub zone: Option<u16>,
    /// Only those with this label.
    pub label: Option<(String, String)>,
    /// The number of them, drawn anew each time.
    pub part: Part,
    /// As written.
    pub text: String,
}

/// The selector of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Every pod of the services.
    All,
    /// The pods of a zone.
    Zone(u16),
    /// The pods of a region.
    Region(String),
    /// A service, one of its versions, one replica of it; or a load's clients.
    Party {
        /// The name.
        name: String,
        /// Index of the version.
        version: Option<u16>,
        /// The replica.
        replica: Option<u32>,
    },
    /// The control plane.
    Control,
}

/// The number of pods of a selector that are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    All,
    /// A number of pods.
    Count(u32),
    /// That share, rounded up.
    Share(Share),
}
