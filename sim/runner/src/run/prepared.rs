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
use super::participants::plan_run;
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
        reason = "a run needs a new thread; its tasks are spawned by Env"
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
    pub(super) context: Rc<RunContext>,
    pub(super) journal: Arc<Journal>,
    pub(super) epoch: UnixTime,
    pub(super) participants: Arc<Participants>,
}

impl PreparedRun {
    /// # Errors
    /// The name of a service is not valid in a `host` header.
    pub(super) fn new(
        scenario: &ResolvedScenario,
        seed: u64,
        addresses: Addresses,
    ) -> Result<PreparedRun, RunnerError> {
        let (plan, participants) = plan_run(scenario, seed);
        let participants = Arc::new(participants);
        let context = RunContext::new(Rc::new(scenario.clone()), Arc::clone(&participants))
            .ok_or(RunnerError::Names)?;
        let addresses: Vec<_> = context.pods().map(|pod| addresses.address(pod)).collect();
        Ok(PreparedRun {
            plan,
            context: Rc::new(context),
            journal: Journal::new(Arc::clone(&participants), &addresses),
            epoch: UnixTime::from_nanos(scenario.epoch_unix_ns),
            participants,
        })
    }

    /// Runs the scenario on a backend. `run` must advance the backend until its argument returns true, and
    /// call it whenever no task is ready.
    pub(super) fn play(
        self,
        backend: Rc<dyn Backend>,
        options: RunnerOptions,
        sink: &mut JournalSink<'_>,
        run: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<(), SimError>,
    ) -> Result<FinishedRun, RunnerError> {
        let journal = self.journal;
        let result = Rc::new(RefCell::new(None));
        let (runner_env, over) = (backend.runner_env(), Rc::clone(&result));
        let playing = play(self.context, self.plan, backend, Arc::clone(&journal));
        runner_env.spawn("runner", async move {
            let end = playing.await;
            *over.borrow_mut() = Some(end);
        });
        let mut forwarder = RecordForwarder::new(
            self.participants,
            Arc::clone(&journal),
            sink,
            options.progress,
        );
        let stop = options.stop;
        let ran = run(&mut || {
            forwarder.pass_on();
            result.borrow().is_some() || RunnerOptions::is_stopped(stop.as_deref())
        });
        forwarder.pass_on();
        ran?;
        let Some(end) = result.take() else {
            return Ok(FinishedRun {
                simulated_ns: u64::try_from(forwarder.last_ns).unwrap_or(0),
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
