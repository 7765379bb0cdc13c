//! The activity of a served connection, and the timer that closes an idle one.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{Env, Sleep, Time};

/// The activity of a connection, as seen by its service.
pub(super) struct Activity {
    env: Env,
    requests: Cell<u32>,
    active: Cell<u32>,
    /// The time at which the last request ended.
    since: Cell<Time>,
}

impl Activity {
    pub(super) fn new(env: &Env) -> Rc<Activity> {
        Rc::new(Activity {
            env: env.clone(),
            requests: Cell::new(0),
            active: Cell::new(0),
            since: Cell::new(env.now()),
        })
    }

    /// Records a request, which is active until the returned value is dropped.
    pub(super) fn begin(self: &Rc<Activity>) -> Active {
        self.requests.set(self.requests.get().saturating_add(1));
        self.active.set(self.active.get() + 1);
        Active(Rc::clone(self))
    }

    /// Returns true if any request has not been answered completely.
    pub(super) fn is_active(&self) -> bool {
        self.active.get() > 0
    }

    /// Returns the number of requests so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Returns the time since which no request is active. The current time if one is.
    pub(super) fn idle_since(&self) -> Time {
        if self.active.get() > 0 {
            self.env.now()
        } else {
            self.since.get()
        }
    }
}

/// A request that is being answered.
pub(super) struct Active(Rc<Activity>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
        self.0.since.set(self.0.env.now());
    }
}

/// Fires when a connection has been idle for long enough. There is one timer per connection. A request only records its
/// end, and the timer checks that time when it fires.
pub(super) struct IdleTimer {
    span: Duration,
    activity: Rc<Activity>,
    sleep: Sleep,
}

impl IdleTimer {
    pub(super) fn new(span: Duration, activity: &Rc<Activity>) -> IdleTimer {
        IdleTimer {
            span,
            activity: Rc::clone(activity),
            sleep: activity.env.sleep(span),
        }
    }

    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let end = self.activity.idle_since() + self.span;
            if end <= self.activity.env.now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(end);
        }
        Poll::Pending
    }
}
