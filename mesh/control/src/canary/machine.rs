//! The rollout of a canary as a state machine: decides the next actions from the time, the state of the cluster and the
//! metrics of the pods. It uses no clock, socket or store. Its [`RolloutProgress`] must survive a crash.
//!
//! ```text
//! Initializing -> Initialized -> Preparing -> Analysing -> Scaling -> Shifting -> Finalising -> Succeeded
//!                                    └──────────┴────────────┴──────────┴─> RollingBack -> Failed
//!                                    ^──────────┴─> Replacing, when a newer version appears
//! ```
//!
//! Flagger's phases are coarser: Preparing to Replacing are its `Progressing`, Scaling and Shifting its `Promoting`.
//! Unlike in Flagger, the new version keeps its name: it is scaled to the replicas of the stable version, receives all
//! traffic and becomes the stable version. The old one is scaled to 0.

mod analysis;
mod promotion;
mod retreat;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shakedown_env::Time;
use shakedown_istio::Canary;
use shakedown_types::CanaryPhase;

use super::Split;
use super::history::History;
use crate::cluster::{CanaryTarget, VersionState};

/// The time that a rollback waits for the acknowledgement of every proxy before the canary is scaled down anyway.
const RETREAT_PATIENCE: Duration = Duration::from_secs(60);
/// A bound on the transitions per call. It exceeds the number of stages, and no stage is entered twice in one call.
const TURNS_MAX: usize = 16;

/// The stage of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RolloutStage {
    /// No stable version is known yet.
    Initializing,
    /// The stable version is known, and nothing has been rolled out yet.
    Initialized,
    /// A new version has appeared. Its pods start, and proxies receive its cluster.
    Preparing,
    /// The new version receives its share of the traffic and is analysed.
    Analysing,
    /// The analysis failed. Proxies are sent a weight of 0%.
    RollingBack,
    /// A newer version replaces this one. Proxies are sent a weight of 0%.
    Replacing,
    /// The analysis passed. The new version is scaled to the stable version's replicas.
    Scaling,
    /// The traffic is shifted to the new version.
    Shifting,
    /// The new version receives all traffic. The old one is scaled down.
    Finalising,
    /// The last rollout was promoted.
    Succeeded,
    /// The last rollout was rolled back.
    Failed,
}

/// The state that must survive a crash of the control plane. It contains no times: an interrupted interval starts
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RolloutProgress {
    stage: RolloutStage,
    stable: String,
    canary: Option<String>,
    /// The canary's share, in percent.
    weight: u32,
    /// The number of failed checks.
    failed: u32,
    /// The number of passed checks of an A/B test.
    passed: u32,
    /// The reason of the rollback.
    reason: String,
}

/// The observed state of the cluster and the proxies.
#[derive(Debug)]
pub(super) struct Observations<'a> {
    pub(super) rollout: &'a CanaryTarget,
    /// True if every proxy has acknowledged the split of [`Machine::split`].
    pub(super) in_force: bool,
    /// True if a scrape is in progress. A check waits for its end.
    pub(super) sampling: bool,
    pub(super) history: &'a History,
    /// The error of the last scrape, if a pod's metrics could not be read.
    pub(super) trouble: Option<&'a str>,
}

/// An action for the controller. Changes of the split are read from [`Machine::split`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RolloutAction {
    /// Report this event.
    Report {
        phase: CanaryPhase,
        weight: u32,
        version: String,
        reason: String,
    },
    /// Set the replicas of a version.
    Scale(String, u32),
    /// Make a version the stable one.
    Stable(String),
    /// Scrape metrics now, and restart the telemetry interval.
    Sample,
    /// Discard all metrics.
    Forget,
}

/// The state machine of one canary.
#[derive(Debug)]
pub(super) struct Machine {
    progress: RolloutProgress,
    /// The time of the rollout's last step.
    since: Time,
    /// The time of the next check, or of the next step of a promotion. `None` while the weight is not in force.
    next: Option<Time>,
    /// The last reason reported in this stage, so that it is not repeated.
    last_reason: String,
}

/// The inputs and the actions of one call of [`Machine::advance`].
struct TickInput<'a> {
    now: Time,
    canary: &'a Canary,
    seen: &'a Observations<'a>,
    in_force: bool,
    acts: Vec<RolloutAction>,
}

impl Machine {
    /// A canary without progress.
    pub(super) fn new(now: Time) -> Machine {
        let progress = RolloutProgress {
            stage: RolloutStage::Initializing,
            stable: String::new(),
            canary: None,
            weight: 0,
            failed: 0,
            passed: 0,
            reason: String::new(),
        };
        Machine::resume(progress, now)
    }

    /// A canary that resumes its progress. Its deadlines restart, so that a crash of the control plane does not fail
    /// it.
    pub(super) fn resume(progress: RolloutProgress, now: Time) -> Machine {
        Machine {
            progress,
            since: now,
            next: None,
            last_reason: String::new(),
        }
    }

    /// The state that must survive a crash.
    pub(super) fn progress(&self) -> &RolloutProgress {
        &self.progress
    }

    /// The version whose pods must be scraped; `None` outside its analysis.
    pub(super) fn judged(&self) -> Option<&str> {
        let canary = self.progress.canary.as_deref();
        canary.filter(|_| self.progress.stage == RolloutStage::Analysing)
    }

    /// The traffic split of the service; `None` if no version is known.
    pub(super) fn split(&self, canary: &Canary) -> Option<Split> {
        let progress = &self.progress;
        let tested = matches!(
            progress.stage,
            RolloutStage::Analysing | RolloutStage::Scaling | RolloutStage::Shifting
        );
        (!progress.stable.is_empty()).then(|| Split {
            stable: progress.stable.clone(),
            canary: progress.canary.clone(),
            weight: progress.weight,
            matched: tested && !canary.analysis.r#match.is_empty(),
        })
    }

    /// The next time at which the machine must be advanced without another event.
    pub(super) fn wake(&self, now: Time, canary: &Canary) -> Option<Time> {
        let deadline = match self.progress.stage {
            RolloutStage::Initializing
            | RolloutStage::Initialized
            | RolloutStage::Succeeded
            | RolloutStage::Failed => {
                return None;
            }
            RolloutStage::RollingBack | RolloutStage::Replacing => self.since + RETREAT_PATIENCE,
            _ => self.since + canary.progress_deadline(),
        };
        let times = [self.next, Some(deadline)].into_iter().flatten();
        times.filter(|time| *time > now).min()
    }

    /// Advances as far as possible now, and returns the actions.
    pub(super) fn advance(
        &mut self,
        now: Time,
        canary: &Canary,
        seen: &Observations<'_>,
    ) -> Vec<RolloutAction> {
        let mut turn = TickInput {
            now,
            canary,
            seen,
            in_force: seen.in_force,
            acts: Vec::new(),
        };
        for _ in 0..TURNS_MAX {
            let (stage, split) = (self.progress.stage, self.split(canary));
            self.step(&mut turn);
            // The proxies have acknowledged the previous split only.
            turn.in_force &= self.split(canary) == split;
            // At the end of a rollout the observed state is outdated by the actions of this call.
            let over = matches!(
                self.progress.stage,
                RolloutStage::Succeeded | RolloutStage::Failed
            );
            if over || self.progress.stage == stage {
                break;
            }
        }
        turn.acts
    }

    fn step(&mut self, turn: &mut TickInput<'_>) {
        match self.progress.stage {
            RolloutStage::Initializing
            | RolloutStage::Initialized
            | RolloutStage::Succeeded
            | RolloutStage::Failed => {
                self.rest(turn);
            }
            RolloutStage::Preparing => self.prepare(turn),
            RolloutStage::Analysing => self.analyse(turn),
            RolloutStage::RollingBack => self.roll_back(turn),
            RolloutStage::Replacing => self.replace(turn),
            RolloutStage::Scaling => self.scale(turn),
            RolloutStage::Shifting => self.shift(turn),
            RolloutStage::Finalising => self.finalise(turn),
        }
    }

    /// Handles the stages without a rollout in progress.
    fn rest(&mut self, turn: &mut TickInput<'_>) {
        let rollout = turn.seen.rollout;
        let Some(stable) = &rollout.stable else {
            let reason = format!(
                "no endpoint of {} has a label `version` yet",
                turn.canary.service_name().value
            );
            self.report_once(turn, reason);
            return;
        };
        self.progress.stable.clone_from(stable);
        if self.progress.stage == RolloutStage::Initializing {
            self.enter(RolloutStage::Initialized, turn.now);
            self.report(turn, format!("{stable} is the stable version"));
            return;
        }
        if let Some(version) = newest(turn.seen.rollout) {
            self.begin(turn, &version);
        }
    }

    /// Starts the rollout of a version. All others except the stable one are scaled to 0, because a Deployment has one
    /// revision at a time.
    fn begin(&mut self, turn: &mut TickInput<'_>, version: &str) {
        let stable = self.progress.stable.clone();
        for (other, state) in &turn.seen.rollout.versions {
            if *other != stable && other != version && state.desired.is_some_and(|pods| pods > 0) {
                turn.acts.push(RolloutAction::Scale(other.clone(), 0));
            }
        }
        self.progress.canary = Some(version.to_owned());
        (self.progress.failed, self.progress.passed) = (0, 0);
        self.enter(RolloutStage::Preparing, turn.now);
        self.report(
            turn,
            format!(
                "{version} was deployed next to {stable}: it receives no requests until it is ready"
            ),
        );
    }

    fn prepare(&mut self, turn: &mut TickInput<'_>) {
        if self.is_withdrawn(turn) || self.halts(turn) || self.is_replaced(turn) {
            return;
        }
        let (ready, wanted) = pods(&self.state(turn));
        if ready < wanted || !turn.in_force {
            self.keep_deadline(turn, |late| {
                if ready < wanted {
                    format!("{ready} of {wanted} pods are ready {late}")
                } else {
                    format!("not every proxy has applied its cluster {late}")
                }
            });
            return;
        }
        let canary = turn.canary;
        if canary.skip_analysis {
            self.promote(turn, "its analysis is skipped");
            return;
        }
        let ready = format!("{ready} of {wanted} pods are ready and every proxy has its cluster");
        let reason = match canary.analysis.steps().first() {
            Some(first) if canary.analysis.r#match.is_empty() => {
                self.progress.weight = *first;
                format!("{ready}: weight 0% -> {first}%")
            }
            _ => format!("{ready}: it receives the requests that match"),
        };
        self.enter(RolloutStage::Analysing, turn.now);
        turn.acts.push(RolloutAction::Forget);
        turn.acts.push(RolloutAction::Sample);
        self.report(turn, reason);
    }

    /// Returns true if the rollout pauses because the stable version lacks ready pods. Deadlines are suspended
    /// meanwhile.
    fn halts(&mut self, turn: &mut TickInput<'_>) -> bool {
        if !self.primary_lacks_pods(turn) {
            return false;
        }
        self.since = turn.now;
        let stable = self.progress.stable.clone();
        let (ready, wanted) = pods_of(&stable, turn.seen.rollout);
        self.report_once(
            turn,
            format!("{ready} of {wanted} pods of {stable} are ready: halted"),
        );
        true
    }

    /// Returns true if the stable version lacks ready pods and `skipAnalysis` is not set.
    fn primary_lacks_pods(&self, turn: &TickInput<'_>) -> bool {
        let (ready, wanted) = pods_of(&self.progress.stable, turn.seen.rollout);
        ready < wanted && !turn.canary.skip_analysis
    }

    fn state(&self, turn: &TickInput<'_>) -> VersionState {
        let canary = self.progress.canary.as_ref();
        let state = canary.and_then(|canary| turn.seen.rollout.versions.get(canary));
        state.cloned().unwrap_or_default()
    }

    fn state_name(&self) -> String {
        self.progress.canary.clone().unwrap_or_default()
    }

    fn enter(&mut self, stage: RolloutStage, now: Time) {
        self.progress.stage = stage;
        self.since = now;
        self.next = None;
        self.last_reason.clear();
    }

    fn clear(&mut self) {
        self.progress.canary = None;
        self.progress.weight = 0;
        self.next = None;
        self.last_reason.clear();
    }

    fn report_once(&mut self, turn: &mut TickInput<'_>, reason: String) {
        if self.last_reason != reason {
            self.last_reason.clone_from(&reason);
            self.report(turn, reason);
        }
    }

    fn report(&self, turn: &mut TickInput<'_>, reason: String) {
        turn.acts.push(RolloutAction::Report {
            phase: phase(self.progress.stage),
            weight: self.progress.weight,
            version: self.state_name(),
            reason,
        });
    }
}

const fn phase(stage: RolloutStage) -> CanaryPhase {
    match stage {
        RolloutStage::Initializing => CanaryPhase::Initializing,
        RolloutStage::Initialized => CanaryPhase::Initialized,
        RolloutStage::Preparing
        | RolloutStage::Analysing
        | RolloutStage::RollingBack
        | RolloutStage::Replacing => CanaryPhase::Progressing,
        RolloutStage::Scaling | RolloutStage::Shifting => CanaryPhase::Promoting,
        RolloutStage::Finalising => CanaryPhase::Finalising,
        RolloutStage::Succeeded => CanaryPhase::Succeeded,
        RolloutStage::Failed => CanaryPhase::Failed,
    }
}

/// The version that was last scaled up, other than the stable one.
fn newest(rollout: &CanaryTarget) -> Option<String> {
    let wanted = |state: &VersionState| match state.desired {
        Some(replicas) => replicas > 0,
        None => !state.pods.is_empty(),
    };
    let versions = rollout.versions.iter();
    let beside = versions
        .filter(|(version, state)| rollout.stable.as_ref() != Some(*version) && wanted(state));
    beside
        .max_by_key(|(version, state)| (state.raised, std::cmp::Reverse(*version)))
        .map(|(version, _)| version.clone())
}

/// As [`pods`], for a version by name.
fn pods_of(version: &str, rollout: &CanaryTarget) -> (u32, u32) {
    let state = rollout.versions.get(version).cloned();
    pods(&state.unwrap_or_default())
}

/// The numbers of ready and desired pods of a version. At least one is desired.
fn pods(state: &VersionState) -> (u32, u32) {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let ready = count(state.pods.values().filter(|ready| **ready).count());
    let wanted = state.desired.unwrap_or(count(state.pods.len()));
    (ready, wanted.max(1))
}

#[cfg(test)]
mod tests;
