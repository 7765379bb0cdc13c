//! A run in the simulator: one new thread, one simulation.

use std::rc::Rc;

use shakedown_engine::{Sim, SimOptions};
use shakedown_scenarios::scenario::ResolvedScenario;

use super::forwarder::JournalSink;
use super::options::RunnerOptions;
use super::outcome::{FinishedRun, RunnerError};
use super::prepared::{PreparedRun, on_a_fresh_thread};
use crate::backend::simulated::Simulated;
use crate::layout::Addresses;

pub(super) fn run(
    scenario: &ResolvedScenario,
    options: RunnerOptions,
    sink: &mut JournalSink<'_>,
) -> Result<FinishedRun, RunnerError> {
    on_a_fresh_thread(|| on_this_thread(scenario, options, sink, &mut |_| {}))
}

/// Runs a scenario on the calling thread. `watch` is called with the simulation whenever no task is ready.
pub(crate) fn on_this_thread(
    scenario: &ResolvedScenario,
    options: RunnerOptions,
    sink: &mut JournalSink<'_>,
    watch: &mut dyn FnMut(&Sim),
) -> Result<FinishedRun, RunnerError> {
    let prepared = PreparedRun::new(scenario, options.seed, Addresses::SIMULATED)?;
    let sim = Sim::new(SimOptions {
        seed: options.seed,
        epoch: prepared.epoch,
        noise: options.noise,
    });
    let backend = Rc::new(Simulated::new(&sim, &prepared.context, &prepared.journal));
    prepared.play(backend, options, sink, |over| {
        sim.run(|| {
            let is_over = over();
            watch(&sim);
            is_over
        })
    })
}
