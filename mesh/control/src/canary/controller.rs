//! Drives the state machines of canaries: supplies each with the observed state, runs its actions and scrapes its
//! metrics.
//!
//! A single task serves all canaries. Each pod that is scraped has its own task, with a time limit. The progress of a
//! machine is stored at the end of each of its turns, before the next one.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shakedown_env::{Env, Owned, Time};
use shakedown_istio::{Canary, DocumentKey};
use shakedown_types::MeshEvent;

use super::Split;
use super::history::{History, PodCounts};
use super::machine::{Machine, Observations, RolloutAction};
use super::scrape::{ScrapeError, scrape};
use crate::cluster::{CanaryTarget, ManagedMesh};
use crate::push::Hub;
use crate::watch::Watched;

/// The time limit for scraping a pod, or half the scrape interval if that is shorter, so that a check finds the scrape
/// finished. Source: Prometheus, `scrape_timeout`.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Controller {
    env: Env,
    cluster: ManagedMesh,
    hub: Arc<Hub>,
    telemetry: Duration,
    charges: BTreeMap<DocumentKey, CanaryTask>,
    inbox: Arc<Watched<Vec<ScrapeOutcome>>>,
    /// The number of scrape rounds so far, which identifies each round.
    rounds: u64,
}

/// The state of one canary.
struct CanaryTask {
    machine: Machine,
    history: History,
    /// The longest window of its metrics.
    keep: Duration,
    /// The last requested split, and the version of the cluster that contains it.
    requested: Option<(Split, u64)>,
    /// The shares that were last reported to be in force.
    reported: Vec<(String, u32)>,
    /// The time of the next scrape.
    sample_at: Option<Time>,
    round: Option<ScrapeRound>,
    trouble: Option<String>,
    /// The progress as last stored.
    stored: Vec<u8>,
}

/// A scrape of all pods that is in progress.
struct ScrapeRound {
    number: u64,
    left: usize,
    trouble: Option<String>,
    /// Dropping the tasks stops them.
    _tasks: Vec<Owned>,
}

/// The result of scraping a pod.
struct ScrapeOutcome {
    canary: DocumentKey,
    round: u64,
    pod: IpAddr,
    at: Time,
    counts: Result<PodCounts, ScrapeError>,
}

impl Controller {
    /// A controller that scrapes metrics every `telemetry`.
    pub(crate) fn new(
        env: Env,
        cluster: ManagedMesh,
        hub: Arc<Hub>,
        telemetry: Duration,
    ) -> Controller {
        Controller {
            env,
            cluster,
            hub,
            // The interval must not be zero.
            telemetry: telemetry.max(Duration::from_millis(1)),
            charges: BTreeMap::new(),
            inbox: Arc::new(Watched::new(Vec::new())),
            rounds: 0,
        }
    }

    /// Runs the controller. Never returns.
    pub(crate) async fn run(mut self) {
        loop {
            // Watched from before the turn, so that its own changes cause another turn, which finds nothing more to do.
            let mut cluster = self.cluster.watcher(self.cluster.version());
            let mut inbox = self.inbox.watcher(self.inbox.version());
            let mut status = self.hub.status().watcher();
            let (_, mut covered) = self.hub.covered();
            let turn = self.turn();
            let mut sleep = turn.wake.map(|time| self.env.sleep_until(time));
            poll_fn(|cx| {
                // All watchers are polled, so that each registers the waker.
                let mut ready = cluster.poll_changed(cx).is_ready();
                ready |= inbox.poll_changed(cx).is_ready();
                if turn.waits_for_proxies {
                    ready |= status.poll_changed(cx).is_ready();
                    ready |= covered.poll_changed(cx).is_ready();
                }
                if let Some(sleep) = &mut sleep {
                    ready |= sleep.as_mut().poll(cx).is_ready();
                }
                if ready {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// Advances every canary as far as possible now.
    fn turn(&mut self) -> NextWait {
        self.receive();
        let rollouts = self.cluster.rollouts();
        self.take_charge(&rollouts);
        let mut turn = NextWait::default();
        for rollout in &rollouts {
            self.attend(rollout, &mut turn);
        }
        turn
    }

    /// Processes finished scrapes.
    fn receive(&mut self) {
        let reads = self.inbox.with(|reads, _| std::mem::take(reads));
        for read in reads {
            let Some(charge) = self.charges.get_mut(&read.canary) else {
                continue;
            };
            let Some(round) = charge
                .round
                .as_mut()
                .filter(|round| round.number == read.round)
            else {
                continue;
            };
            round.left -= 1;
            match read.counts {
                Ok(counts) => charge.history.add(read.pod, read.at, counts, charge.keep),
                Err(error) => round.trouble = Some(format!("{}: {error}", read.pod)),
            }
            if round.left == 0 {
                charge.trouble = round.trouble.take();
                charge.round = None;
            }
        }
    }

    /// Adds new canaries, and drops those whose document was removed.
    fn take_charge(&mut self, rollouts: &[CanaryTarget]) {
        let gone: Vec<DocumentKey> = self
            .charges
            .keys()
            .filter(|key| !rollouts.iter().any(|rollout| rollout.key == **key))
            .cloned()
            .collect();
        for key in gone {
            self.charges.remove(&key);
            self.cluster.forget_split(&key);
            // A later canary of the same name must start again. If the write fails, it would resume the progress of
            // this one.
            let _ = self.env.store().write(&store_key(&key), b"");
        }
        for rollout in rollouts {
            let load = || CanaryTask::load(&self.env, &rollout.key);
            let charge = self.charges.entry(rollout.key.clone()).or_insert_with(load);
            let windows = rollout.canary.spec.analysis.metrics.iter();
            charge.keep = windows
                .map(|metric| metric.window())
                .max()
                .unwrap_or_default();
        }
    }

    fn attend(&mut self, rollout: &CanaryTarget, turn: &mut NextWait) {
        let now = self.env.now();
        let Some(mut charge) = self.charges.remove(&rollout.key) else {
            return;
        };
        let canary = &rollout.canary.spec.value;
        if charge.sample_at.is_some_and(|due| due <= now) && charge.round.is_none() {
            self.read(&mut charge, rollout, now);
        }
        self.request_split(&mut charge, rollout);
        let in_force = self.is_in_force(&charge);
        if in_force {
            self.report_weights(&mut charge, canary);
        }
        let seen = Observations {
            rollout,
            in_force,
            sampling: charge.round.is_some(),
            history: &charge.history,
            trouble: charge.trouble.as_deref(),
        };
        for act in charge.machine.advance(now, canary, &seen) {
            self.act(&mut charge, rollout, act, now);
        }
        if charge.machine.judged().is_none() {
            charge.sample_at = None;
        }
        if charge.sample_at.is_some_and(|due| due <= now) && charge.round.is_none() {
            self.read(&mut charge, rollout, now);
        }
        self.request_split(&mut charge, rollout);
        charge.store(&self.env, &rollout.key);
        turn.waits_for_proxies |= !self.is_in_force(&charge);
        turn.wake(charge.machine.wake(now, canary));
        // A slow scrape ends by its own time limit, which wakes this task.
        turn.wake(charge.sample_at.filter(|_| charge.round.is_none()));
        self.charges.insert(rollout.key.clone(), charge);
    }

    /// Requests the split of the machine, if it has changed.
    fn request_split(&mut self, charge: &mut CanaryTask, rollout: &CanaryTarget) {
        let Some(split) = charge.machine.split(&rollout.canary.spec) else {
            return;
        };
        if charge
            .requested
            .as_ref()
            .is_some_and(|(requested, _)| *requested == split)
        {
            return;
        }
        self.cluster.set_split(&rollout.key, split.clone());
        charge.requested = Some((split, self.cluster.version()));
    }

    /// Returns true if every proxy has acknowledged the requested split.
    fn is_in_force(&self, charge: &CanaryTask) -> bool {
        let (covered, _) = self.hub.covered();
        charge.requested.as_ref().is_some_and(|(_, version)| {
            covered.version >= *version && self.hub.status().is_synced(covered.push)
        })
    }

    fn report_weights(&self, charge: &mut CanaryTask, canary: &Canary) {
        let shares = charge.requested.as_ref().map(|(split, _)| split.shares());
        let mut shares = shares.unwrap_or_default();
        for (version, share) in &charge.reported {
            // A version that had a share and has left the split is reported with 0%.
            if *share > 0 && !shares.iter().any(|(known, _)| known == version) {
                shares.push((version.clone(), 0));
            }
        }
        if charge.reported != shares {
            self.env.emit(MeshEvent::Weights {
                name: canary.service_name().as_str().into(),
                percent: shares.clone().into(),
            });
            charge.reported = shares;
        }
    }

    fn act(
        &mut self,
        charge: &mut CanaryTask,
        rollout: &CanaryTarget,
        act: RolloutAction,
        now: Time,
    ) {
        match act {
            RolloutAction::Report {
                phase,
                weight,
                version,
                reason,
            } => self.env.emit(MeshEvent::Canary {
                name: rollout.canary.spec.service_name().as_str().into(),
                phase,
                weight_percent: weight,
                version: version.into(),
                reason: reason.into(),
            }),
            RolloutAction::Scale(version, replicas) => {
                self.cluster
                    .set_replicas(&rollout.service, &version, replicas);
            }
            RolloutAction::Stable(version) => self.cluster.set_stable(&rollout.service, &version),
            RolloutAction::Sample => charge.sample_at = Some(now),
            RolloutAction::Forget => {
                charge.history = History::default();
                charge.sample_at = None;
                charge.round = None;
                charge.trouble = None;
            }
        }
    }

    /// Starts to scrape all pods of the analysed version.
    fn read(&mut self, charge: &mut CanaryTask, rollout: &CanaryTarget, now: Time) {
        charge.sample_at = Some(now + self.telemetry);
        let version = charge.machine.judged();
        let Some(state) = version.and_then(|version| rollout.versions.get(version)) else {
            return;
        };
        if state.pods.is_empty() {
            return;
        }
        self.rounds += 1;
        let patience = (self.telemetry / 2).min(SCRAPE_TIMEOUT);
        let read = |pod: &IpAddr| {
            let (env, pod, inbox) = (self.env.clone(), *pod, Arc::clone(&self.inbox));
            let (canary, round) = (rollout.key.clone(), self.rounds);
            self.env.spawn_owned("control-canary-scrape", async move {
                let counts = scrape(&env, pod, patience).await;
                let read = ScrapeOutcome {
                    canary,
                    round,
                    pod,
                    at: now,
                    counts,
                };
                inbox.change(|reads| reads.push(read));
            })
        };
        let tasks: Vec<Owned> = state.pods.keys().map(read).collect();
        charge.round = Some(ScrapeRound {
            number: self.rounds,
            left: tasks.len(),
            trouble: None,
            _tasks: tasks,
        });
    }
}

/// The conditions that the controller waits for after a turn, besides changes of the cluster.
#[derive(Default)]
struct NextWait {
    wake: Option<Time>,
    waits_for_proxies: bool,
}

impl NextWait {
    fn wake(&mut self, at: Option<Time>) {
        self.wake = match (self.wake, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

impl CanaryTask {
    /// A canary with its stored progress, or a new one.
    fn load(env: &Env, key: &DocumentKey) -> CanaryTask {
        let stored = env.store().read(&store_key(key)).unwrap_or_default();
        let machine = match serde_json::from_slice(&stored) {
            Ok(progress) => Machine::resume(progress, env.now()),
            Err(_) => Machine::new(env.now()),
        };
        CanaryTask {
            machine,
            history: History::default(),
            keep: Duration::ZERO,
            requested: None,
            reported: Vec::new(),
            // Has no effect unless an analysis is in progress.
            sample_at: Some(env.now()),
            round: None,
            trouble: None,
            stored,
        }
    }

    /// Stores the progress, if it has changed.
    fn store(&mut self, env: &Env, key: &DocumentKey) {
        let progress = serde_json::to_vec(self.machine.progress())
            .expect("names and numbers can be serialized as JSON");
        if progress == self.stored {
            return;
        }
        // A failed write is repeated at the next turn. Until then a crash would resume the earlier progress.
        if env.store().write(&store_key(key), &progress).is_ok() {
            self.stored = progress;
        }
    }
}

fn store_key(key: &DocumentKey) -> String {
    format!("canary/{}/{}", key.namespace, key.name)
}
