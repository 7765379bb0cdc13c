//! A canary's rollout as a state machine: given the time, what the cluster is like and what pods have counted, what to do
//! next. It knows no clock, no socket and no store; what must survive a crash is its [`Progress`].
//!
//! ```text
//! Initializing -> Initialized -> Preparing -> Analysing -> Scaling -> Shifting -> Finalising -> Succeeded
//!                                    └──────────┴────────────┴──────────┴─> RollingBack -> Failed
//!                                    ^──────────┴─> Replacing, when a newer version comes
//! ```
//!
//! Flagger's phases are coarser: Preparing to Replacing are its `Progressing`, Scaling and Shifting its `Promoting`. Other
//! than Flagger's, the new version keeps its name: it is scaled to the stable one's replicas, gets all traffic and is the
//! stable one from then on; the old one is scaled to 0.

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
use crate::cluster::{Rollout, VersionState};

/// How long a canary that is taken back waits for every proxy before it is scaled down in any case.
const RETREAT_PATIENCE: Duration = Duration::from_secs(60);
/// More turns than there are stages: the machine never goes round within one.
const TURNS_MAX: usize = 16;

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// No stable version is known yet.
    Initializing,
    /// The stable version is known, and nothing was ever rolled out.
    Initialized,
    /// A new version has come: its pods start, and proxies learn its cluster.
    Preparing,
    /// It gets its share, and is judged.
    Analysing,
    /// It is taken back: proxies learn that it gets nothing.
    RollingBack,
    /// A newer version takes its place: proxies learn that it gets nothing.
    Replacing,
    /// It is good: it is scaled to the stable version's replicas.
    Scaling,
    /// It takes over the traffic.
    Shifting,
    /// It has all traffic; the old version goes.
    Finalising,
    /// The last rollout was promoted.
    Succeeded,
    /// The last rollout was taken back.
    Failed,
}

/// What must survive a crash of the control plane. Times are not in it: an interval that was cut short begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    stage: Stage,
    stable: String,
    canary: Option<String>,
    /// The canary's share, in percent.
    weight: u32,
    /// Failed checks.
    failed: u32,
    /// Passed checks of an A/B test.
    passed: u32,
    /// Why it is taken back.
    reason: String,
}

/// What the machine is to know of the world.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) rollout: &'a Rollout,
    /// Whether every proxy has acknowledged the split of [`Machine::split`].
    pub(super) in_force: bool,
    /// Whether metrics are being read right now: a check waits for them.
    pub(super) sampling: bool,
    pub(super) history: &'a History,
    /// Why some pod's metrics could not be read the last time.
    pub(super) trouble: Option<&'a str>,
}

/// What is to be done. Changes of the split are seen in [`Machine::split`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Say this.
    Tell {
        phase: CanaryPhase,
        weight: u32,
        version: String,
        reason: String,
    },
    /// A version shall have so many replicas.
    Scale(String, u32),
    /// This version is the stable one from now on.
    Stable(String),
    /// Read metrics now, and count the telemetry's interval from here.
    Sample,
    /// Metrics are of no use any more.
    Forget,
}

/// The machine of one canary.
#[derive(Debug)]
pub(super) struct Machine {
    progress: Progress,
    /// When the rollout made its last step.
    since: Time,
    /// When the next check, or the next step of a promotion, is due; none while the weight is not in force.
    next: Option<Time>,
    /// What the last check said, so that the same is not said twice.
    said: String,
}

/// The world and the document, for one turn.
struct Turn<'a> {
    now: Time,
    canary: &'a Canary,
    seen: &'a Seen<'a>,
    in_force: bool,
    acts: Vec<Act>,
}

impl Machine {
    /// A canary that nothing is known of.
    pub(super) fn new(now: Time) -> Machine {
        let progress = Progress {
            stage: Stage::Initializing,
            stable: String::new(),
            canary: None,
            weight: 0,
            failed: 0,
            passed: 0,
            reason: String::new(),
        };
        Machine::resume(progress, now)
    }

    /// A canary that goes on where it was. Its deadlines begin anew: a crash of the control plane is not its fault.
    pub(super) fn resume(progress: Progress, now: Time) -> Machine {
        Machine {
            progress,
            since: now,
            next: None,
            said: String::new(),
        }
    }

    /// What must survive a crash.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The version whose pods' metrics count, while they do.
    pub(super) fn judged(&self) -> Option<&str> {
        let canary = self.progress.canary.as_deref();
        canary.filter(|_| self.progress.stage == Stage::Analysing)
    }

    /// How the service is to be split; `None` while no version is known.
    pub(super) fn split(&self, canary: &Canary) -> Option<Split> {
        let progress = &self.progress;
        let tested = matches!(
            progress.stage,
            Stage::Analysing | Stage::Scaling | Stage::Shifting
        );
        (!progress.stable.is_empty()).then(|| Split {
            stable: progress.stable.clone(),
            canary: progress.canary.clone(),
            weight: progress.weight,
            matched: tested && !canary.analysis.r#match.is_empty(),
        })
    }

    /// When time alone makes a difference.
    pub(super) fn wake(&self, now: Time, canary: &Canary) -> Option<Time> {
        let deadline = match self.progress.stage {
            Stage::Initializing | Stage::Initialized | Stage::Succeeded | Stage::Failed => {
                return None;
            }
            Stage::RollingBack | Stage::Replacing => self.since + RETREAT_PATIENCE,
            _ => self.since + canary.progress_deadline(),
        };
        let times = [self.next, Some(deadline)].into_iter().flatten();
        times.filter(|time| *time > now).min()
    }

    /// Goes on as far as it can.
    pub(super) fn advance(&mut self, now: Time, canary: &Canary, seen: &Seen<'_>) -> Vec<Act> {
        let mut turn = Turn {
            now,
            canary,
            seen,
            in_force: seen.in_force,
            acts: Vec::new(),
        };
        for _ in 0..TURNS_MAX {
            let (stage, split) = (self.progress.stage, self.split(canary));
            self.step(&mut turn);
            // What proxies have acknowledged is the split before.
            turn.in_force &= self.split(canary) == split;
            // At the end of a rollout what is seen of the cluster is older than what is to be done.
            let over = matches!(self.progress.stage, Stage::Succeeded | Stage::Failed);
            if over || self.progress.stage == stage {
                break;
            }
        }
        turn.acts
    }

    fn step(&mut self, turn: &mut Turn<'_>) {
        match self.progress.stage {
            Stage::Initializing | Stage::Initialized | Stage::Succeeded | Stage::Failed => {
                self.rest(turn);
            }
            Stage::Preparing => self.prepare(turn),
            Stage::Analysing => self.analyse(turn),
            Stage::RollingBack => self.roll_back(turn),
            Stage::Replacing => self.replace(turn),
            Stage::Scaling => self.scale(turn),
            Stage::Shifting => self.shift(turn),
            Stage::Finalising => self.finalise(turn),
        }
    }

    /// Nothing is rolled out.
    fn rest(&mut self, turn: &mut Turn<'_>) {
        let rollout = turn.seen.rollout;
        let Some(stable) = &rollout.stable else {
            let reason = format!(
                "no endpoint of {} has a label `version` yet",
                turn.canary.service_name().value
            );
            self.say_once(turn, reason);
            return;
        };
        self.progress.stable.clone_from(stable);
        if self.progress.stage == Stage::Initializing {
            self.enter(Stage::Initialized, turn.now);
            self.tell(turn, format!("{stable} is the stable version"));
            return;
        }
        if let Some(version) = newest(turn.seen.rollout) {
            self.begin(turn, &version);
        }
    }

    /// Begins the rollout of a version. Those before it that were never rolled out are scaled to 0: a Deployment has one
    /// revision at a time.
    fn begin(&mut self, turn: &mut Turn<'_>, version: &str) {
        let stable = self.progress.stable.clone();
        for (other, state) in &turn.seen.rollout.versions {
            if *other != stable && other != version && state.desired.is_some_and(|pods| pods > 0) {
                turn.acts.push(Act::Scale(other.clone(), 0));
            }
        }
        self.progress.canary = Some(version.to_owned());
        (self.progress.failed, self.progress.passed) = (0, 0);
        self.enter(Stage::Preparing, turn.now);
        self.tell(
            turn,
            format!("{version} has come beside {stable}: it gets nothing until it is ready"),
        );
    }

    fn prepare(&mut self, turn: &mut Turn<'_>) {
        if self.is_withdrawn(turn) || self.halts(turn) || self.is_replaced(turn) {
            return;
        }
        let (ready, wanted) = pods(&self.state(turn));
        if ready < wanted || !turn.in_force {
            self.keep_deadline(turn, |late| {
                if ready < wanted {
                    format!("{ready} of {wanted} pods are ready {late}")
                } else {
                    format!("not every proxy has taken its cluster {late}")
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
            _ => format!("{ready}: it gets the requests that match"),
        };
        self.enter(Stage::Analysing, turn.now);
        turn.acts.push(Act::Forget);
        turn.acts.push(Act::Sample);
        self.tell(turn, reason);
    }

    /// Whether nothing may be done because the stable version lacks ready pods. Meanwhile no deadline runs.
    fn halts(&mut self, turn: &mut Turn<'_>) -> bool {
        if !self.primary_lacks_pods(turn) {
            return false;
        }
        self.since = turn.now;
        let stable = self.progress.stable.clone();
        let (ready, wanted) = pods_of(&stable, turn.seen.rollout);
        self.say_once(
            turn,
            format!("{ready} of {wanted} pods of {stable} are ready: halted"),
        );
        true
    }

    /// Whether the stable version lacks ready pods, and that counts.
    fn primary_lacks_pods(&self, turn: &Turn<'_>) -> bool {
        let (ready, wanted) = pods_of(&self.progress.stable, turn.seen.rollout);
        ready < wanted && !turn.canary.skip_analysis
    }

    fn state(&self, turn: &Turn<'_>) -> VersionState {
        let canary = self.progress.canary.as_ref();
        let state = canary.and_then(|canary| turn.seen.rollout.versions.get(canary));
        state.cloned().unwrap_or_default()
    }

    fn state_name(&self) -> String {
        self.progress.canary.clone().unwrap_or_default()
    }

    fn enter(&mut self, stage: Stage, now: Time) {
        self.progress.stage = stage;
        self.since = now;
        self.next = None;
        self.said.clear();
    }

    fn clear(&mut self) {
        self.progress.canary = None;
        self.progress.weight = 0;
        self.next = None;
        self.said.clear();
    }

    fn say_once(&mut self, turn: &mut Turn<'_>, reason: String) {
        if self.said != reason {
            self.said.clone_from(&reason);
            self.tell(turn, reason);
        }
    }

    fn tell(&self, turn: &mut Turn<'_>, reason: String) {
        turn.acts.push(Act::Tell {
            phase: phase(self.progress.stage),
            weight: self.progress.weight,
            version: self.state_name(),
            reason,
        });
    }
}

/// Flagger's phase of a stage.
const fn phase(stage: Stage) -> CanaryPhase {
    match stage {
        Stage::Initializing => CanaryPhase::Initializing,
        Stage::Initialized => CanaryPhase::Initialized,
        Stage::Preparing | Stage::Analysing | Stage::RollingBack | Stage::Replacing => {
            CanaryPhase::Progressing
        }
        Stage::Scaling | Stage::Shifting => CanaryPhase::Promoting,
        Stage::Finalising => CanaryPhase::Finalising,
        Stage::Succeeded => CanaryPhase::Succeeded,
        Stage::Failed => CanaryPhase::Failed,
    }
}

/// The version that came last beside the stable one.
fn newest(rollout: &Rollout) -> Option<String> {
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

/// As [`pods`], of a version by its name.
fn pods_of(version: &str, rollout: &Rollout) -> (u32, u32) {
    let state = rollout.versions.get(version).cloned();
    pods(&state.unwrap_or_default())
}

/// How many pods of a version are ready, and how many there shall be; at least one.
fn pods(state: &VersionState) -> (u32, u32) {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let ready = count(state.pods.values().filter(|ready| **ready).count());
    let wanted = state.desired.unwrap_or(count(state.pods.len()));
    (ready, wanted.max(1))
}

#[cfg(test)]
mod tests;
