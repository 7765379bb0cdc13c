//! A run on loopback sockets: all pods on one thread, in real time.

use std::io;
use std::pin::pin;
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shakedown_env::BoxListener;
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_results::{Event, Record};
use shakedown_scenarios::scenario::ResolvedScenario;

use super::forwarder::{JournalSink, RecordForwarder};
use super::options::RunnerOptions;
use super::outcome::{FinishedRun, RunnerError};
use super::prepared::PreparedRun;
use crate::backend::Backend;
use crate::backend::real::Real;
use crate::execute::play;
use crate::layout::{Addresses, LOOPBACK_BLOCKS, XDS_PORT, at};

/// Interval at which records are passed to the sink.
const PASS_ON: Duration = Duration::from_millis(20);
/// A request counts as late if it was sent at least this much later than intended.
const LATE_NS: i64 = 100_000_000;
/// Maximum share of late requests, in percent. If it is exceeded, the load generator was starved of CPU.
const LATE_PERCENT_MAX: u64 = 1;

pub(super) fn run(
    scenario: &ResolvedScenario,
    options: RunnerOptions,
    sink: &mut JournalSink<'_>,
) -> Result<FinishedRun, RunnerError> {
    let runtime = Rc::new(Runtime::new().map_err(RunnerError::World)?);
    let (block, _claim) = claim(&runtime).map_err(RunnerError::World)?;
    let PreparedRun {
        plan,
        context,
        journal,
        participants,
        epoch: _,
    } = PreparedRun::new(scenario, options.seed, block)?;
    let backend = Real::new(&runtime, block, options.seed, &context, &journal);
    let backend: Rc<dyn Backend> = Rc::new(backend.map_err(RunnerError::World)?);
    let runner_env = backend.runner_env();

    let mut lag = GeneratorLag::default();
    let mut watched = |participants: &_, record: &Record| {
        lag.note(record);
        sink(participants, record);
    };
    let mut forwarder = RecordForwarder::new(
        participants,
        Arc::clone(&journal),
        &mut watched,
        options.progress,
    );
    let stop = options.stop;
    let end = runtime.block_on(async {
        let mut playing = pin!(play(context, plan, backend, Arc::clone(&journal)));
        let mut tick = runner_env.sleep(PASS_ON);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(end) = playing.as_mut().poll(cx) {
                return Poll::Ready(Some(end));
            }
            while tick.as_mut().poll(cx).is_ready() {
                forwarder.pass_on();
                if RunnerOptions::is_stopped(stop.as_deref()) {
                    return Poll::Ready(None);
                }
                tick.as_mut().reset(runner_env.now() + PASS_ON);
            }
            Poll::Pending
        })
        .await
    });
    // Tasks that the final crash has not reached yet record their last events when they are dropped.
    drop(runtime);
    forwarder.pass_on();
    let last_ns = forwarder.last_ns;
    drop(forwarder);
    let Some(end) = end else {
        return Ok(FinishedRun {
            simulated_ns: u64::try_from(last_ns).unwrap_or(0),
            cut: true,
            invalid: Vec::new(),
        });
    };
    let end = end?;
    if let Some(reason) = lag.starved() {
        journal.record(runner_env.now(), Event::Invalid { reason });
        let mut rest = Vec::new();
        journal.take(&mut rest);
        rest.iter()
            .for_each(|record| sink(journal.participants(), record));
    }
    let simulated_ns = u64::try_from(journal.nanos(end)).unwrap_or(0);
    Ok(FinishedRun {
        simulated_ns,
        cut: false,
        invalid: journal.invalid(),
    })
}

/// Claims a block of loopback addresses for this run, until the returned listener is dropped.
fn claim(runtime: &Runtime) -> io::Result<(Addresses, BoxListener)> {
    let env = runtime.host(HostOptions::new("claim"))?;
    let first = process::id();
    let mut taken = None;
    for number in 0..LOOPBACK_BLOCKS {
        let block = Addresses::loopback(first.wrapping_add(number));
        match env.listen(at(block.last(), XDS_PORT)) {
            Ok(listener) => return Ok((block, listener)),
            Err(error) => taken = Some(error),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// The lateness of the load generator.
#[derive(Debug, Default)]
struct GeneratorLag {
    sent: u64,
    late: u64,
}

impl GeneratorLag {
    fn note(&mut self, record: &Record) {
        if let Event::Finished {
            sent_ns: Some(sent_ns),
            intended_ns,
            ..
        } = &record.event
        {
            self.sent += 1;
            self.late += u64::from(sent_ns - intended_ns > LATE_NS);
        }
    }

    fn starved(&self) -> Option<String> {
        let late = self.late.saturating_mul(100) > self.sent.saturating_mul(LATE_PERCENT_MAX);
        late.then(|| {
            format!(
                "the load generator was starved: {} of {} requests were sent more than 100 ms late",
                self.late, self.sent
            )
        })
    }
}
