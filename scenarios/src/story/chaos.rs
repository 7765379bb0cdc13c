//! What goes wrong in a story: when, to whom, and what. ([`crate::plan`] draws the faults of one seed from it.)

use std::time::Duration;

use shakedown_config::api::Document;

use super::{Draw, Failure, Place};
use crate::value::{Ratio, Share};

/// A chaos item.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// Its name; `chaos.N` (from 0) where it has none.
    pub name: String,
    /// When it fires.
    pub when: When,
    /// For how long; `None`: to the end of the run.
    pub length: Option<Draw>,
    /// What it does.
    pub action: Action,
    /// May touch nothing.
    pub may_miss: bool,
    /// Where targets are drawn.
    pub place: Place,
}

/// When a chaos item fires.
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

/// What a chaos item does.
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
        /// Whose.
        target: Target,
        /// So many times as long.
        factor: Ratio,
        /// And so much more.
        add: Option<Draw>,
    },
    /// A share of requests fails before the first step.
    Fail {
        /// Whose.
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
        /// Index into [`Story::loads`].
        load: usize,
        /// By this.
        factor: Ratio,
    },
    /// Sets the replicas of a service's version (of its stable one where none is named).
    Scale {
        /// Index into [`Story::services`].
        service: usize,
        /// Index into its versions; `None`: whichever is stable then.
        version: Option<u16>,
        /// How many.
        to: u32,
    },
    /// Starts a version of a service. It stands among [`Service::versions`] with no replicas at 0 s.
    Deploy {
        /// Index into [`Story::services`].
        service: usize,
        /// Index into its versions.
        version: u16,
        /// How many replicas.
        replicas: u32,
    },
    /// Configuration reaches the control plane.
    Apply {
        /// Documents to put in force (new ones and replacements, patches already merged).
        documents: Vec<Document>,
        /// Documents to take away.
        remove: Vec<shakedown_config::api::Key>,
    },
    /// Removed by a variant.
    Nothing,
}

/// Pods that a chaos item means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who.
    pub of: Selector,
    /// Only those in this zone.
    pub zone: Option<u16>,
    /// Only those with this label.
    pub label: Option<(String, String)>,
    /// How many of them, drawn anew each time.
    pub part: Part,
    /// As written.
    pub text: String,
}

/// Whom a target names.
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
        /// Its name.
        name: String,
        /// Index of the version.
        version: Option<u16>,
        /// The replica.
        replica: Option<u32>,
    },
    /// The control plane.
    Control,
}

/// How many of the pods that a selector names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    All,
    /// So many.
    Count(u32),
    /// That share, rounded up.
    Share(Share),
}
