//! A run on turmoil's simulator, which verifies the native one, and the checks of the features that turmoil
//! lacks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use shakedown_engine::turmoil::{TurmoilOptions, TurmoilSim, ticks};
use shakedown_env::stream_seed;
use shakedown_results::{Pod, PodId};
use shakedown_scenarios::PlannedAction;
use shakedown_scenarios::scenario::{ChaosAction, ResolvedScenario, Step, StepFailure, VersionId};
use shakedown_scenarios::value::Distribution;

use super::forwarder::JournalSink;
use super::options::RunnerOptions;
use super::outcome::{FinishedRun, RunnerError, UnsupportedPart};
use super::participants::plan_run;
use super::prepared::{PreparedRun, on_a_fresh_thread};
use crate::backend::latency::Latencies;
use crate::backend::turmoil::Turmoil;
use crate::layout::Addresses;
use crate::run_context::RunContext;

/// Maximum number of pods. With more, turmoil is too slow: each host visits each link in each tick.
const PODS_MAX: usize = 30;

/// The result of checking a scenario for turmoil: refused and rounded parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurmoilFit {
    /// Parts that prevent the run; empty if it is possible.
    pub refused: Vec<UnsupportedPart>,
    /// Latencies that turmoil rounds, ns: from the scenario's value to turmoil's.
    pub rounded: BTreeMap<u64, u64>,
    /// Work and sleeps that take much longer when rounded up to whole ticks.
    pub stretched: Vec<Stretched>,
}

/// Work or a sleep that turmoil's ticks make longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretched {
    pub service: String,
    /// The step as written: `work: exp(1ms)`.
    pub step: String,
    /// Mean of the scenario, ns.
    pub mean_ns: u64,
    /// Mean after rounding to ticks, ns.
    pub rounded_ns: u64,
}

/// Checks that turmoil can run a scenario under `seed`.
pub fn turmoil_fit(scenario: &ResolvedScenario, seed: u64) -> TurmoilFit {
    let mut fit = TurmoilFit::default();
    let (plan, participants) = plan_run(scenario, seed);
    let extra = additions(scenario, &plan);
    let pods = participants.pods.len() + extra.len();
    if pods > PODS_MAX {
        let more = match extra.len() {
            0 => String::new(),
            count => format!(", {count} of which are added later"),
        };
        let reason = format!(
            "turmoil supports up to {PODS_MAX} hosts, and the scenario has {pods} pods{more}"
        );
        fit.refuse(&["topology", "services"], reason);
    }
    for item in &scenario.chaos {
        let reason = match item.action {
            ChaosAction::Partition { .. } => {
                "turmoil drops data that TCP would retransmit after a partition"
            }
            _ => continue,
        };
        fit.refuse(&["chaos", &item.name], reason.to_owned());
    }
    for service in &scenario.services {
        let resets = service.versions.iter().any(|version| {
            let mut steps = version.endpoints.iter().flatten().flatten();
            version.queue.full == StepFailure::Reset || steps.any(|step| step.any(&resets))
        });
        if resets {
            let reason = "turmoil's network cannot send a RST on demand (`reset`)";
            fit.refuse(&["topology", "services", &service.name], reason.to_owned());
        }
    }
    fit.stretch(scenario);
    // Without a limit on pods, the number of pairs would be unbounded too.
    if pods <= PODS_MAX
        && let Some(context) = RunContext::new(Rc::new(scenario.clone()), Arc::new(participants))
    {
        for pod in extra {
            context.add(pod);
        }
        fit.latencies(&context);
    }
    fit
}

/// Returns the maximum set of pods that may be added. Each firing that sets replicas may create all of them
/// anew, because a removed pod does not return. A promoted canary grows to the size of the largest
/// version.
fn additions(scenario: &ResolvedScenario, plan: &[PlannedAction]) -> Vec<Pod> {
    let mut pods = Vec::new();
    for planned in plan {
        let (service, version, to) = match scenario.chaos[planned.item].action {
            ChaosAction::Deploy {
                service,
                version,
                replicas,
            } => (service, version, replicas),
            ChaosAction::Scale {
                service,
                version,
                to,
            } => (service, version.unwrap_or(VersionId::FIRST), to),
            _ => continue,
        };
        let versions = &scenario.service(service).versions;
        let known = scenario.version(service, version);
        let initial = versions.iter().map(|version| version.replicas).max();
        for (replica, zone) in (0..to.max(initial.unwrap_or(0))).zip(known.zones.iter().cycle()) {
            pods.push(Pod {
                participant: service.participant(),
                version: version.number(),
                replica,
                zone: *zone,
                meshed: known.sidecar,
            });
        }
    }
    pods
}

impl TurmoilFit {
    fn refuse(&mut self, path: &[&str], reason: String) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        let refusal = UnsupportedPart { path, reason };
        if !self.refused.contains(&refusal) {
            self.refused.push(refusal);
        }
    }

    /// Finds the steps whose mean grows by at least 5% in ticks.
    fn stretch(&mut self, scenario: &ResolvedScenario) {
        let stretched = RefCell::new(Vec::new());
        for service in &scenario.services {
            let steps = service
                .versions
                .iter()
                .flat_map(|version| &version.endpoints);
            for step in steps.flatten().flatten() {
                // `any` visits all nested steps, too.
                let _none = step.any(&|step| {
                    let (name, timed) = match step {
                        Step::Work(timed) => ("work", timed),
                        Step::Sleep(timed) => ("sleep", timed),
                        _ => return false,
                    };
                    let [mean_ns, rounded_ns] = means(&timed.time.from);
                    let known = Stretched {
                        service: service.name.clone(),
                        step: format!("{name}: {}", timed.time.from),
                        mean_ns,
                        rounded_ns,
                    };
                    let mut stretched = stretched.borrow_mut();
                    if (rounded_ns - mean_ns) * 20 >= mean_ns && !stretched.contains(&known) {
                        stretched.push(known);
                    }
                    false
                });
            }
        }
        self.stretched = stretched.into_inner();
    }

    fn latencies(&mut self, context: &RunContext) {
        const PATH: [&str; 2] = ["topology", "latency"];
        let pairs = |a: PodId| context.pods().filter(move |b| *b != a).map(move |b| (a, b));
        let latencies = Latencies::new(context);
        let latency = |from, to| latencies.between(from, to).expect("both hosts are pods");
        for (a, b) in context.pods().flat_map(pairs) {
            let (there, back) = (latency(a, b), latency(b, a));
            let Some(nanos) = there.as_constant() else {
                let reason =
                    format!("turmoil supports only constant latencies, and `{there}` is random");
                self.refuse(&PATH, reason);
                continue;
            };
            let rounded = ticks(Duration::from_nanos(nanos));
            let same = back
                .as_constant()
                .is_some_and(|back| ticks(Duration::from_nanos(back)) == rounded);
            if !same && a < b {
                let reason = format!(
                    "turmoil supports only links with one latency for both directions, and these are `{there}` and `{back}`"
                );
                self.refuse(&PATH, reason);
            }
            let rounded = u64::try_from(rounded.as_nanos()).unwrap_or(u64::MAX);
            if rounded != nanos {
                self.rounded.insert(nanos, rounded);
            }
        }
    }
}

/// Returns the mean of a duration, and of the same in whole ticks, ns, with a random stream of its own.
fn means(of: &Distribution) -> [u64; 2] {
    const DRAWS: u64 = 10_000;
    let draws = if of.as_constant().is_some() { 1 } else { DRAWS };
    let mut rng = stream_seed(0, "turmoil", "means");
    let (mut exact, mut rounded) = (0u128, 0u128);
    for _ in 0..draws {
        let nanos = of.sample_ns(&mut rng);
        exact += u128::from(nanos);
        if nanos > 0 {
            rounded += ticks(Duration::from_nanos(nanos)).as_nanos();
        }
    }
    [exact, rounded].map(|sum| u64::try_from(sum / u128::from(draws)).unwrap_or(u64::MAX))
}

fn resets(step: &Step) -> bool {
    matches!(step, Step::Fail { with, .. } if *with == StepFailure::Reset)
}

pub(super) fn run(
    scenario: &ResolvedScenario,
    options: RunnerOptions,
    sink: &mut JournalSink<'_>,
) -> Result<FinishedRun, RunnerError> {
    let fit = turmoil_fit(scenario, options.seed);
    if !fit.refused.is_empty() {
        return Err(RunnerError::Refused(fit.refused));
    }
    on_a_fresh_thread(|| {
        let prepared = PreparedRun::new(scenario, options.seed, Addresses::SIMULATED)?;
        let mut sim = TurmoilSim::new(TurmoilOptions {
            seed: options.seed,
            epoch: prepared.epoch,
        });
        let spare = additions(scenario, &prepared.plan).len();
        let backend = Turmoil::new(&mut sim, &prepared.context, spare, &prepared.journal);
        prepared.play(Rc::new(backend), options, sink, |over| sim.run(over))
    })
}
