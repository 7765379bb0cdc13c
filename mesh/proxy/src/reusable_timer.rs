//! The timer of a request. Most requests end before it is due, and their [`Sleep`] is then reused by another request.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

use shakedown_env::{Sleep, Time};

use crate::shared::Shared;

/// A timer that takes a [`Sleep`] from the pool, or creates one, when first polled.
pub(crate) struct ReusableTimer {
    shared: Rc<Shared>,
    sleep: Option<Sleep>,
}

impl ReusableTimer {
    pub(crate) fn new(shared: &Rc<Shared>) -> ReusableTimer {
        ReusableTimer {
            shared: Rc::clone(shared),
            sleep: None,
        }
    }

    /// Ready at this time. An earlier call for another time is superseded.
    pub(crate) fn poll(&mut self, at: Time, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_none() {
            self.sleep = self.shared.sleeps.take();
        }
        self.shared.env.poll_until(&mut self.sleep, at, cx)
    }
}

impl Drop for ReusableTimer {
    fn drop(&mut self) {
        if let Some(mut sleep) = self.sleep.take() {
            // A pooled timer must not wake a task.
            sleep.as_mut().reset(Time::FAR);
            self.shared.sleeps.put(sleep);
        }
    }
}

impl fmt::Debug for ReusableTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("set", &self.sleep.is_some())
            .finish_non_exhaustive()
    }
}
