//! A run in the simulator: one new thread, one simulation.

use std::rc::Rc;

use shakedown_engine::{Sim, SimOptions};
use shakedown_scenarios::story::Story;

use super::scene::{Scene, on_a_fresh_thread};
use super::{Ended, Options, RunError, Sink};
use crate::ground::simulated::Simulated;
use crate::layout::Addresses;

pub(super) fn run(story: &Story, options: Options, sink: &mut Sink<'_>) -> Result<Ended, RunError> {
    on_a_fresh_thread(|| on_this_thread(story, options, sink, &mut |_| {}))
}

/// Runs a scenario on the calling thread. `watch` is called with the simulation whenever no task is ready.
pub(crate) fn on_this_thread(
    story: &Story,
    options: Options,
    sink: &mut Sink<'_>,
    watch: &mut dyn FnMut(&Sim),
) -> Result<Ended, RunError> {
    let scene = Scene::new(story, options.seed, Addresses::SIMULATED)?;
    let sim = Sim::new(SimOptions {
        seed: options.seed,
        epoch: scene.epoch,
        noise: options.noise,
    });
    let ground = Rc::new(Simulated::new(&sim, &scene.plot, &scene.journal));
    scene.play(ground, options, sink, |over| {
        sim.run(|| {
            let is_over = over();
            watch(&sim);
            is_over
        })
    })
}
