//! The setup shared by all runs. For both simulators also a new thread, and a loop that passes records on
//! whenever no task is ready.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use shakedown_engine::SimError;
use shakedown_env::UnixTime;
use shakedown_results::Participants;
use shakedown_scenarios::PlannedAction;
use shakedown_scenarios::scenario::ResolvedScenario;

use super::forwarder::{JournalSink, RecordForwarder};
use super::options::RunnerOptions;
use super::outcome::{FinishedRun, RunnerError};
use super::participants::cast;
use crate::backend::Backend;
use crate::execute::play;
use crate::journal::Journal;
use crate::layout::Addresses;
use crate::run_context::RunContext;

/// Large enough for deeply nested steps, which recurse.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Runs a simulation on a new thread.
pub(super) fn on_a_fresh_thread(
    run: impl FnOnce() -> Result<FinishedRun, RunnerError> + Send,
) -> Result<FinishedRun, RunnerError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a run is one fresh thread; its tasks go through Env"
    )]
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("run".to_owned())
            .stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, run);
        // A panic outside of the simulation's tasks is the sink's or a bug, so it is resumed in the caller.
        thread
            .map_err(RunnerError::World)?
            .join()
            .unwrap_or_else(|cause| resume_unwind(cause))
    })
}

/// A scenario under a seed, before it has a backend.
pub(super) struct PreparedRun {
    pub(super) plan: Vec<PlannedAction>,
    pub(super) plot: Rc<RunContext>,
    pub(super) journal: Arc<Journal>,
    pub(super) epoch: UnixTime,
    pub(super) cast: Arc<Participants>,
}

impl PreparedRun {
    /// # Errors
    /// The name of a service is not valid in a `host` header.
    pub(super) fn new(
        story: &ResolvedScenario,
        seed: u64,
        addresses: Addresses,
    ) -> Result<PreparedRun, RunnerError> {
        let (plan, cast) = cast(story, seed);
        let cast = Arc::new(cast);
        let plot =
            RunContext::new(Rc::new(story.clone()), Arc::clone(&cast)).ok_or(RunnerError::Names)?;
        let addresses: Vec<_> = plot.pods().map(|pod| addresses.address(pod)).collect();
        Ok(PreparedRun {
            plan,
            plot: Rc::new(plot),
            journal: Journal::new(Arc::clone(&cast), &addresses),
            epoch: UnixTime::from_nanos(story.epoch_unix_ns),
            cast,
        })
    }

    /// Runs the scenario on a backend. `run` must advance the backend until its argument returns true, and
    /// call it whenever no task is ready.
    pub(super) fn play(
        self,
        ground: Rc<dyn Backend>,
        options: RunnerOptions,
        sink: &mut JournalSink<'_>,
        run: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<(), SimError>,
    ) -> Result<FinishedRun, RunnerError> {
        let journal = self.journal;
        let result = Rc::new(RefCell::new(None));
        let (stage, over) = (ground.stage(), Rc::clone(&result));
        let playing = play(self.plot, self.plan, ground, Arc::clone(&journal));
        stage.spawn("stage", async move {
            let end = playing.await;
            *over.borrow_mut() = Some(end);
        });
        let mut outlet =
            RecordForwarder::new(self.cast, Arc::clone(&journal), sink, options.progress);
        let stop = options.stop;
        let ran = run(&mut || {
            outlet.pass_on();
            result.borrow().is_some() || RunnerOptions::is_stopped(stop.as_deref())
        });
        outlet.pass_on();
        ran?;
        let Some(end) = result.take() else {
            return Ok(FinishedRun {
                simulated_ns: u64::try_from(outlet.last_ns).unwrap_or(0),
                cut: true,
                invalid: Vec::new(),
            });
        };
        let end = end?;
        let simulated_ns = u64::try_from(journal.nanos(end)).unwrap_or(0);
        Ok(FinishedRun {
            simulated_ns,
            cut: false,
            invalid: journal.invalid(),
        })
    }
}
