//! What a served connection is doing, and the timer that ends it when it does nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{Env, Sleep, Time};

/// What a connection is doing, as its service sees it.
pub(super) struct Activity {
    env: Env,
    requests: Cell<u32>,
    active: Cell<u32>,
    /// Since when it has nothing to do.
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

    /// Notes a request, which is active until what comes back is dropped.
    pub(super) fn begin(self: &Rc<Activity>) -> Active {
        self.requests.set(self.requests.get().saturating_add(1));
        self.active.set(self.active.get() + 1);
        Active(Rc::clone(self))
    }

    /// Whether there is a request that has not been answered whole.
    pub(super) fn is_active(&self) -> bool {
        self.active.get() > 0
    }

    /// How many requests there have been.
    pub(super) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Since when nothing is active; now, while something is.
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

/// Fires when a connection has been idle for long enough. One timer a connection: a request only notes the time, and the
/// timer looks at it when it fires.
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
