//! A run in the simulator: one fresh thread, one simulated world.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use shakedown_engine::{Sim, SimOptions};
use shakedown_env::UnixTime;
use shakedown_scenarios::story::Story;

use super::{Ended, Options, Outlet, RunError, Sink};
use crate::ground::Ground;
use crate::ground::simulated::Simulated;
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::play::play;
use crate::plot::Plot;

/// Deeply nested steps recurse.
pub(super) const STACK_BYTES: usize = 16 * 1024 * 1024;

pub(super) fn run(story: &Story, options: Options, sink: &mut Sink<'_>) -> Result<Ended, RunError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a run is one fresh thread; its tasks go through Env"
    )]
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("run".to_owned())
            .stack_size(STACK_BYTES);
        let thread =
            builder.spawn_scoped(scope, || on_this_thread(story, options, sink, &mut |_| {}));
        // What panics outside of the world's tasks is the sink, or a bug: it goes on in the caller.
        thread
            .map_err(RunError::World)?
            .join()
            .unwrap_or_else(|cause| resume_unwind(cause))
    })
}

/// Runs a story on the calling thread. `watch` looks at the world whenever nothing is ready to run.
pub(crate) fn on_this_thread(
    story: &Story,
    options: Options,
    sink: &mut Sink<'_>,
    watch: &mut dyn FnMut(&Sim),
) -> Result<Ended, RunError> {
    let (plan, cast) = super::cast(story, options.seed);
    let cast = Arc::new(cast);
    let plot = Plot::new(Rc::new(story.clone()), Arc::clone(&cast)).ok_or(RunError::Names)?;
    let plot = Rc::new(plot);
    let addresses: Vec<_> = plot
        .pods()
        .map(|pod| Addresses::SIMULATED.of(pod))
        .collect();
    let journal = Journal::new(Arc::clone(&cast), &addresses);
    let epoch = UnixTime::from_nanos(story.epoch_unix_ns);
    let sim = Sim::new(SimOptions {
        seed: options.seed,
        epoch,
        noise: options.noise,
    });
    let ground: Rc<dyn Ground> = Rc::new(Simulated::new(&sim, &plot, &journal));

    let result = Rc::new(RefCell::new(None));
    let (stage, over) = (ground.stage(), Rc::clone(&result));
    let playing = play(plot, plan, ground, Arc::clone(&journal));
    stage.spawn("stage", async move {
        let end = playing.await;
        *over.borrow_mut() = Some(end);
    });
    let mut outlet = Outlet::new(cast, Arc::clone(&journal), sink, options.progress);
    let ran = sim.run(|| {
        outlet.pass_on();
        watch(&sim);
        result.borrow().is_some()
    });
    outlet.pass_on();
    ran?;
    let end = result
        .take()
        .expect("the world runs until the play is over")?;
    let simulated_ns = u64::try_from(journal.nanos(end)).unwrap_or(0);
    Ok(Ended {
        simulated_ns,
        invalid: journal.invalid(),
    })
}
