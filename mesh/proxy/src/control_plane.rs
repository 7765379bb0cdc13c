//! The status of the connection to the control plane, written by `ads` and reported by `admin`.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io;

use shakedown_env::Time;

/// The state of the ADS stream and of the last push.
#[derive(Debug, Default)]
pub(crate) struct ControlPlaneStatus {
    connected: Cell<bool>,
    since: Cell<Time>,
    push: Cell<Option<u64>>,
    trouble: RefCell<Option<String>>,
}

impl ControlPlaneStatus {
    /// Notes that the stream has opened.
    pub(crate) fn connected(&self, now: Time) {
        self.connected.set(true);
        self.since.set(now);
    }

    /// Notes that the stream has ended, or could not be opened.
    pub(crate) fn lost(&self, now: Time, error: &(dyn Error + 'static)) {
        self.connected.set(false);
        self.since.set(now);
        self.trouble.replace(Some(chain(error)));
    }

    /// Notes that the store did not take the configuration.
    pub(crate) fn not_saved(&self, error: &io::Error) {
        self.trouble
            .replace(Some(format!("save the configuration: {error}")));
    }

    /// Notes that a push is in force.
    pub(crate) fn in_force(&self, push: u64) {
        self.push.set(Some(push));
    }

    /// True if a stream is open, and the time of the last change.
    pub(crate) fn stream(&self) -> (bool, Time) {
        (self.connected.get(), self.since.get())
    }

    /// The last push in force.
    pub(crate) fn push(&self) -> Option<u64> {
        self.push.get()
    }

    /// The last error, even if it is over.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

/// The text of an error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
