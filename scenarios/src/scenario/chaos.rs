//! Chaos items of a scenario: times, targets and actions. [`crate::plan`] draws the faults of a seed from them.

use std::time::Duration;

use shakedown_istio::Document;

use super::draw::{Draw, DrawId};
use super::ids::{EndpointId, LoadId, ServiceId, VersionId};
use super::steps::StepFailure;
use crate::value::{Ratio, Share};

#[derive(Clone, Debug)]
pub struct ChaosItem {
    /// The name; `chaos.N` (from 0) if none is given.
    pub name: String,
    pub when: FireTimes,
    /// The length of each firing; `None`: to the end of the run.
    pub length: Option<Draw>,
    pub action: ChaosAction,
    /// True if the run is valid even if the item affects nothing.
    pub may_miss: bool,
    /// The source location whose random stream draws targets.
    pub draw_id: DrawId,
}

/// The times at which a chaos item fires.
#[derive(Clone, Debug)]
pub enum FireTimes {
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
pub enum ChaosAction {
    /// The pods vanish without closing connections.
    Crash(PodTarget),
    /// Nothing runs in the pods, but sockets stay open.
    Pause(PodTarget),
    /// All packets from one side to the other are dropped.
    Partition {
        from: PodTarget,
        to: PodTarget,
        /// True if packets in the other direction are dropped, too.
        both: bool,
    },
    /// Every `work` step takes longer.
    Slow {
        target: PodTarget,
        /// The factor by which a step takes longer.
        factor: Ratio,
        /// The time to add, drawn per step.
        add: Option<Draw>,
    },
    /// A share of requests fails before the first step.
    Fail {
        target: PodTarget,
        /// The share of requests.
        rate: Share,
        with: StepFailure,
        /// Restricts the failures to one endpoint (service, endpoint).
        only: Option<(ServiceId, EndpointId)>,
    },
    /// Multiplies a load's rate.
    Surge { load: LoadId, factor: Ratio },
    /// Sets the replicas of a service's version, by default the stable one.
    Scale {
        service: ServiceId,
        /// `None`: the version that is stable at that time.
        version: Option<VersionId>,
        to: u32,
    },
    /// Starts a version of a service. The version is in [`ServiceSpec::versions`](super::ServiceSpec::versions), without
    /// replicas at 0 s.
    Deploy {
        service: ServiceId,
        version: VersionId,
        replicas: u32,
    },
    /// Sends new configuration to the control plane.
    Apply {
        /// New and replaced documents, with patches already merged.
        documents: Vec<Document>,
        remove: Vec<shakedown_istio::DocumentKey>,
    },
    /// An item that a variant removed.
    Nothing,
}

/// The pods that a chaos item affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTarget {
    pub of: PodSelector,
    /// Restricts the target to this zone.
    pub zone: Option<u16>,
    /// Restricts the target to pods with this label.
    pub label: Option<(String, String)>,
    /// The part of the pods, drawn anew at each firing.
    pub part: PodCount,
    /// The target as written.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodSelector {
    /// Every pod of the services.
    All,
    Zone(u16),
    Region(String),
    /// A service, one of its versions, or one of its replicas.
    Service {
        service: ServiceId,
        version: Option<VersionId>,
        replica: Option<u32>,
    },
    /// The clients of a load.
    Load(LoadId),
    Control,
}

/// The part of the selected pods that is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodCount {
    All,
    Count(u32),
    /// A share of the pods, rounded up.
    Share(Share),
}
