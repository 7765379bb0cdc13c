//! The options of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub struct RunnerOptions {
    /// Seed of every random draw.
    pub seed: u64,
    /// Seed of real sleeps between polls of a simulated run, which must not change its result.
    pub noise: Option<u64>,
    /// Called at intervals with the time in the run, ns from 0 s.
    pub progress: Option<Box<dyn FnMut(i64) + Send>>,
    /// Stops the run when it is set. Requests in flight then have no end event.
    pub stop: Option<Arc<AtomicBool>>,
}

impl RunnerOptions {
    pub(super) fn is_stopped(stop: Option<&AtomicBool>) -> bool {
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}
