//! The app model: a real HTTP server whose requests execute the steps that the scenario declares.
//!
//! A request waits in the queue, occupies a worker from start to response (including calls and sleeps), and
//! uses cores for its work. It records exactly one `Served` for its `Arrived`. A disconnected caller does not
//! stop it (`abandoned: finish`).

mod answer;
mod carried;
mod concurrency;
mod connection;
mod connection_breaker;
mod cores;
mod draws;
mod handle;
mod meter;
mod path;
mod queue;
mod sharing;
mod state;
mod steps;
mod visit;

use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{BoxListener, Env};
use shakedown_loadgen::CallingHost;

use crate::journal::Journal;
use crate::run_context::RunContext;

pub(crate) use state::{App, AppIdentity};

impl App {
    /// Starts a replica's app on a listener of its pod.
    pub(crate) fn start(
        env: &Env,
        context: &Rc<RunContext>,
        journal: &Arc<Journal>,
        role: AppIdentity,
        caller: CallingHost,
        listener: BoxListener,
    ) {
        let app = Rc::new(App::new(env, context, journal, role, caller));
        env.spawn("app", connection::accept(app, listener));
    }
}
