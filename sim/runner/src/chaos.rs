//! Executes the fault plan: begins each fault, counts the pods, requests and packets that it affects, and
//! clears it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::{Env, Time};
use shakedown_loadgen::LoadPlan;
use shakedown_results::{Event, PodId};
use shakedown_scenarios::scenario::{ChaosAction, LoadId, PodCount, PodTarget};
use shakedown_scenarios::{PlannedAction, resolve};

use crate::backend::PartitionGuard;
use crate::injected_faults::{InjectedFault, InjectedFaultKind};
use crate::pods::Pods;

/// The faults of a run in progress.
pub(crate) struct ChaosRunner {
    pods: Rc<Pods>,
    loads: Vec<Rc<LoadPlan>>,
    plan: Vec<PlannedAction>,
    moments: Vec<Moment>,
    /// Index of the next entry of `moments`.
    next: usize,
    /// Open faults, by index into `plan`; `None` before a fault begins and after it ends.
    open: Vec<Option<ActiveFault>>,
    /// By chaos item of the scenario.
    firings: Vec<Firings>,
}

/// All faults of one chaos item.
#[derive(Clone, Copy, Debug, Default)]
struct Firings {
    planned: u32,
    over: u32,
    hits: u64,
}

/// A fault that has begun and not ended.
enum ActiveFault {
    /// The pods, and the number of them that were up.
    Crash(Vec<PodId>, u64),
    /// The pods, each with true if the pause took effect when it began.
    Pause(Vec<(PodId, bool)>),
    Cuts(Vec<PartitionGuard>),
    Injected(Rc<InjectedFault>),
    /// The load, and the number of requests that it had scheduled before.
    Surge(LoadId, u64),
    /// An instantaneous action, with the number of objects that it changed.
    Done(u64),
}

/// A start or end of a fault. At equal times ends are ordered before starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    at_ns: i64,
    begins: bool,
    fault: usize,
}

impl ChaosRunner {
    pub(crate) fn new(
        pods: Rc<Pods>,
        loads: Vec<Rc<LoadPlan>>,
        plan: Vec<PlannedAction>,
    ) -> ChaosRunner {
        let open = plan.iter().map(|_| None).collect();
        let mut firings = vec![Firings::default(); pods.context.scenario.chaos.len()];
        for planned in &plan {
            firings[planned.item].planned += 1;
        }
        ChaosRunner {
            pods,
            loads,
            moments: moments(&plan),
            next: 0,
            plan,
            open,
            firings,
        }
    }

    /// Executes the plan up to `until`. May be dropped and called again: the plan continues where it stopped.
    pub(crate) async fn run(&mut self, env: &Env, zero: Time, until: Time) {
        while let Some(moment) = self.moments.get(self.next).copied() {
            let offset = u64::try_from(moment.at_ns).unwrap_or(0);
            let at = zero + Duration::from_nanos(offset);
            if at > until {
                break;
            }
            env.sleep_until(at).await;
            self.next += 1;
            if moment.begins {
                self.begin(env, moment.fault);
            } else {
                self.over(env, moment.fault);
            }
        }
    }

    /// Ends all faults, at the end of the run.
    pub(crate) fn finish(&mut self, env: &Env) {
        for fault in 0..self.plan.len() {
            self.over(env, fault);
        }
    }

    fn begin(&mut self, env: &Env, fault: usize) {
        let scenario = Rc::clone(&self.pods.context.scenario);
        let action = &scenario.chaos[self.plan[fault].item].action;
        let open = match action {
            ChaosAction::Crash(_) | ChaosAction::Pause(_) | ChaosAction::Partition { .. } => {
                self.begin_on_pods(env, fault, action)
            }
            ChaosAction::Slow {
                target,
                factor,
                add,
            } => {
                let (factor, add) = (*factor, add.clone());
                self.inject(env, fault, target, InjectedFaultKind::Slow { factor, add })
            }
            ChaosAction::Fail {
                target,
                rate,
                with,
                only,
            } => {
                let kind = InjectedFaultKind::Fail {
                    rate: *rate,
                    with: *with,
                    only: *only,
                    draw_id: scenario.chaos[self.plan[fault].item].draw_id,
                };
                self.inject(env, fault, target, kind)
            }
            ChaosAction::Surge { .. }
            | ChaosAction::Scale { .. }
            | ChaosAction::Deploy { .. }
            | ChaosAction::Apply { .. }
            | ChaosAction::Nothing => {
                self.record_start(env, fault, Vec::new());
                self.at_once(action)
            }
        };
        self.open[fault] = Some(open);
    }

    /// Begins an action on the pods drawn at 0 s, or on the links between them.
    fn begin_on_pods(&self, env: &Env, fault: usize, action: &ChaosAction) -> ActiveFault {
        let pods = &self.pods;
        let planned = &self.plan[fault];
        let targets = planned.pods.clone();
        match action {
            ChaosAction::Partition { both, .. } => {
                let (from, to) = (&planned.pods, &planned.others);
                let mut cuts = vec![pods.backend.cut(from, to)];
                if *both {
                    cuts.push(pods.backend.cut(to, from));
                }
                let mut touched = targets;
                touched.extend(to.iter().filter(|pod| !from.contains(pod)));
                self.record_start(env, fault, touched);
                ActiveFault::Cuts(cuts)
            }
            ChaosAction::Pause(_) => {
                let hit = targets.iter().map(|pod| (*pod, pods.pause(*pod))).collect();
                self.record_start(env, fault, targets);
                ActiveFault::Pause(hit)
            }
            _ => {
                self.record_start(env, fault, targets.clone());
                let hits = targets.iter().filter(|pod| pods.crash(**pod)).count();
                ActiveFault::Crash(targets, hits as u64)
            }
        }
    }

    /// Begins an action that may also affect pods added later.
    fn inject(
        &self,
        env: &Env,
        fault: usize,
        target: &PodTarget,
        kind: InjectedFaultKind,
    ) -> ActiveFault {
        let pods = self.targets(env, fault, target);
        let injected = Rc::new(InjectedFault {
            fault,
            kind,
            hits: Cell::new(0),
        });
        self.pods.inject(&pods, target, &injected);
        self.record_start(env, fault, pods);
        ActiveFault::Injected(injected)
    }

    /// Executes an instantaneous action, or begins a surge.
    fn at_once(&self, action: &ChaosAction) -> ActiveFault {
        let pods = &self.pods;
        ActiveFault::Done(match action {
            ChaosAction::Surge { load, .. } => {
                return ActiveFault::Surge(*load, self.loads[load.index()].scheduled());
            }
            ChaosAction::Scale {
                service,
                version,
                to,
            } => {
                let version = version.unwrap_or_else(|| pods.stable(*service));
                pods.scale(*service, version, *to)
            }
            ChaosAction::Deploy {
                service,
                version,
                replicas,
            } => pods.scale(*service, *version, *replicas),
            ChaosAction::Apply { documents, remove } => {
                let offered = documents.len() + remove.len();
                if !documents.is_empty() {
                    pods.cluster.apply(documents.clone());
                }
                remove.iter().for_each(|key| pods.cluster.remove(key));
                offered as u64
            }
            // The other actions begin on pods, or have no effect.
            _ => 0,
        })
    }

    /// Returns the pods that a fault hits now: those drawn at 0 s, or, if the target means all pods, all that
    /// exist now.
    fn targets(&self, env: &Env, fault: usize, target: &PodTarget) -> Vec<PodId> {
        let drawn = &self.plan[fault].pods;
        if target.part != PodCount::All && !drawn.is_empty() {
            return drawn.clone();
        }
        let context = &self.pods.context;
        let draw_id = context.scenario.chaos[self.plan[fault].item].draw_id;
        let mut rng = env.rng(&format!("{}/late/{fault}", context.path(draw_id)));
        let there = |pod| self.pods.is_there(pod);
        resolve(
            &context.scenario,
            &context.roster(),
            there,
            target,
            &mut rng,
        )
    }

    fn record_start(&self, env: &Env, fault: usize, pods: Vec<PodId>) {
        self.pods.journal.record(
            env.now(),
            Event::FaultStarted {
                fault: number(fault),
                pods,
            },
        );
    }

    fn over(&mut self, env: &Env, fault: usize) {
        let Some(open) = self.open[fault].take() else {
            return;
        };
        let pods = &self.pods;
        let hits = match open {
            ActiveFault::Crash(targets, hits) => {
                targets.iter().for_each(|pod| pods.revive(*pod));
                hits
            }
            ActiveFault::Pause(targets) => {
                // A pod that was down at the start may have been restarted meanwhile, in paused state.
                let touched = |(pod, at_start): (PodId, bool)| pods.resume(pod) || at_start;
                targets.into_iter().map(touched).filter(|hit| *hit).count() as u64
            }
            ActiveFault::Cuts(cuts) => cuts.into_iter().map(|cut| pods.backend.heal(cut)).sum(),
            ActiveFault::Injected(injected) => {
                pods.clear(fault);
                injected.hits.get()
            }
            ActiveFault::Surge(load, before) => self.loads[load.index()].scheduled() - before,
            ActiveFault::Done(hits) => hits,
        };
        let journal = &pods.journal;
        journal.record(
            env.now(),
            Event::FaultEnded {
                fault: number(fault),
                hits,
            },
        );
        let planned = &self.plan[fault];
        let firings = &mut self.firings[planned.item];
        firings.over += 1;
        firings.hits += hits;
        // A single firing may miss by chance, so only the sum over all firings is checked.
        if firings.over == firings.planned && firings.hits == 0 && !planned.fault.may_miss {
            let (name, what) = (&planned.fault.name, &planned.fault.what);
            let reason = match firings.planned {
                1 => format!("{name} affected nothing ({what})"),
                times => {
                    format!("{name} affected nothing in {times} firings (the last one: {what})")
                }
            };
            journal.record(env.now(), Event::Invalid { reason });
        }
    }
}

fn number(fault: usize) -> u16 {
    u16::try_from(fault).expect("a run numbers faults in 16 bits")
}

fn moments(plan: &[PlannedAction]) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::with_capacity(plan.len() * 2);
    for (fault, planned) in plan.iter().enumerate() {
        let planned = &planned.fault;
        moments.push(Moment {
            at_ns: planned.start_ns,
            begins: true,
            fault,
        });
        // A fault of zero length ends 1 ns after its start, so that the start is executed first.
        let end = planned
            .end_ns
            .map(|end| end.max(planned.start_ns.saturating_add(1)));
        moments.extend(end.map(|at_ns| Moment {
            at_ns,
            begins: false,
            fault,
        }));
    }
    moments.sort();
    moments
}
