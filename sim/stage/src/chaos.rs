//! Carries out the plan of faults: each begins, touches what it touches, and is undone.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::{Env, Time};
use shakedown_loadgen::Plan;
use shakedown_results::{Event, PodId};
use shakedown_scenarios::story::{Action, Part, Target};
use shakedown_scenarios::{PlannedAction, resolve};

use crate::ailments::{Ailment, Kind};
use crate::ground::Cut;
use crate::pods::Pods;

/// The faults of a run under way.
pub(crate) struct Chaos {
    pods: Rc<Pods>,
    loads: Vec<Rc<Plan>>,
    plan: Vec<PlannedAction>,
    moments: Vec<Moment>,
    /// Index of the first of `moments` that is still to come.
    next: usize,
    /// By fault; `None` before it begins and when it is over.
    open: Vec<Option<Open>>,
    /// By item of the story.
    firings: Vec<Firings>,
}

/// All faults of one item.
#[derive(Clone, Copy, Debug, Default)]
struct Firings {
    planned: u32,
    over: u32,
    hits: u64,
}

/// A fault that has begun.
enum Open {
    /// The pods, and how many of them it touched.
    Crash(Vec<PodId>, u64),
    /// The pods, each with whether the pause took effect when it began.
    Pause(Vec<(PodId, bool)>),
    Cuts(Vec<Cut>),
    Ails(Rc<Ailment>),
    /// The load, and how many requests it had sent before.
    Surge(usize, u64),
    /// An instantaneous action, with the number of things that it touched.
    Done(u64),
}

/// A moment of the plan. At the same time, ends precede beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    at_ns: i64,
    begins: bool,
    fault: usize,
}

impl Chaos {
    pub(crate) fn new(pods: Rc<Pods>, loads: Vec<Rc<Plan>>, plan: Vec<PlannedAction>) -> Chaos {
        let open = plan.iter().map(|_| None).collect();
        let mut firings = vec![Firings::default(); pods.plot.story.chaos.len()];
        for planned in &plan {
            firings[planned.item].planned += 1;
        }
        Chaos {
            pods,
            loads,
            moments: moments(&plan),
            next: 0,
            plan,
            open,
            firings,
        }
    }

    /// Carries out what is left of the plan up to `until`. May be dropped and called again: the plan continues where it was.
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

    /// The run is over, and with it every fault.
    pub(crate) fn finish(&mut self, env: &Env) {
        for fault in 0..self.plan.len() {
            self.over(env, fault);
        }
    }

    fn begin(&mut self, env: &Env, fault: usize) {
        let story = Rc::clone(&self.pods.plot.story);
        let action = &story.chaos[self.plan[fault].item].action;
        let open = match action {
            Action::Crash(_) | Action::Pause(_) | Action::Partition { .. } => {
                self.begin_on_pods(env, fault, action)
            }
            Action::Slow {
                target,
                factor,
                add,
            } => {
                let (factor, add) = (*factor, add.clone());
                self.ail(env, fault, target, Kind::Slow { factor, add })
            }
            Action::Fail {
                target,
                rate,
                with,
                only,
            } => {
                let kind = Kind::Fail {
                    rate: *rate,
                    with: *with,
                    only: *only,
                    place: story.chaos[self.plan[fault].item].place,
                };
                self.ail(env, fault, target, kind)
            }
            Action::Surge { .. }
            | Action::Scale { .. }
            | Action::Deploy { .. }
            | Action::Apply { .. }
            | Action::Nothing => {
                self.tell_start(env, fault, Vec::new());
                self.at_once(action)
            }
        };
        self.open[fault] = Some(open);
    }

    /// Begins what touches pods of 0 s, and the way between them.
    fn begin_on_pods(&self, env: &Env, fault: usize, action: &Action) -> Open {
        let pods = &self.pods;
        let planned = &self.plan[fault];
        let targets = planned.pods.clone();
        match action {
            Action::Partition { both, .. } => {
                let (from, to) = (&planned.pods, &planned.others);
                let mut cuts = vec![pods.ground.cut(from, to)];
                if *both {
                    cuts.push(pods.ground.cut(to, from));
                }
                let mut touched = targets;
                touched.extend(to.iter().filter(|pod| !from.contains(pod)));
                self.tell_start(env, fault, touched);
                Open::Cuts(cuts)
            }
            Action::Pause(_) => {
                let hit = targets.iter().map(|pod| (*pod, pods.pause(*pod))).collect();
                self.tell_start(env, fault, targets);
                Open::Pause(hit)
            }
            _ => {
                self.tell_start(env, fault, targets.clone());
                let hits = targets.iter().filter(|pod| pods.crash(**pod)).count();
                Open::Crash(targets, hits as u64)
            }
        }
    }

    /// Begins what may touch pods that are added later, too.
    fn ail(&self, env: &Env, fault: usize, target: &Target, kind: Kind) -> Open {
        let pods = self.targets(env, fault, target);
        let ailment = Rc::new(Ailment {
            fault,
            kind,
            hits: Cell::new(0),
        });
        self.pods.ail(&pods, target, &ailment);
        self.tell_start(env, fault, pods);
        Open::Ails(ailment)
    }

    /// An instantaneous action, and the beginning of one that lasts.
    fn at_once(&self, action: &Action) -> Open {
        let pods = &self.pods;
        Open::Done(match action {
            Action::Surge { load, .. } => {
                return Open::Surge(*load, self.loads[*load].scheduled());
            }
            Action::Scale {
                service,
                version,
                to,
            } => {
                let version = version.unwrap_or_else(|| pods.stable(*service));
                pods.scale(*service, version, *to)
            }
            Action::Deploy {
                service,
                version,
                replicas,
            } => pods.scale(*service, *version, *replicas),
            Action::Apply { documents, remove } => {
                let offered = documents.len() + remove.len();
                if !documents.is_empty() {
                    pods.cluster.apply(documents.clone());
                }
                remove.iter().for_each(|key| pods.cluster.remove(key));
                offered as u64
            }
            // The others begin with pods, or do nothing.
            _ => 0,
        })
    }

    /// The pods that a fault hits now. Those drawn at 0 s stay as they were drawn; where all are meant, all that are there.
    fn targets(&self, env: &Env, fault: usize, target: &Target) -> Vec<PodId> {
        let drawn = &self.plan[fault].pods;
        if target.part != Part::All && !drawn.is_empty() {
            return drawn.clone();
        }
        let plot = &self.pods.plot;
        let place = plot.story.chaos[self.plan[fault].item].place;
        let mut rng = env.rng(&format!("{}/late/{fault}", plot.path(place)));
        let there = |pod| self.pods.is_there(pod);
        resolve(&plot.story, &plot.roster(), there, target, &mut rng)
    }

    fn tell_start(&self, env: &Env, fault: usize, pods: Vec<PodId>) {
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
            Open::Crash(targets, hits) => {
                targets.iter().for_each(|pod| pods.revive(*pod));
                hits
            }
            Open::Pause(targets) => {
                // A pod that was down at first may have been started again meanwhile, paused.
                let touched = |(pod, at_start): (PodId, bool)| pods.resume(pod) || at_start;
                targets.into_iter().map(touched).filter(|hit| *hit).count() as u64
            }
            Open::Cuts(cuts) => cuts.into_iter().map(|cut| pods.ground.heal(cut)).sum(),
            Open::Ails(ailment) => {
                pods.cure(fault);
                ailment.hits.get()
            }
            Open::Surge(load, before) => self.loads[load].scheduled() - before,
            Open::Done(hits) => hits,
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
        // One firing of several may miss by chance.
        if firings.over == firings.planned && firings.hits == 0 && !planned.fault.may_miss {
            let (name, what) = (&planned.fault.name, &planned.fault.what);
            let reason = match firings.planned {
                1 => format!("{name} touched nothing ({what})"),
                times => format!("{name} touched nothing in {times} firings ({what} was the last)"),
            };
            journal.record(env.now(), Event::Invalid { reason });
        }
    }
}

fn number(fault: usize) -> u16 {
    u16::try_from(fault).expect("the cast numbers faults in 16 bits")
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
        // A fault of no length ends after it has begun.
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
