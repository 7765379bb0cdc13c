//! Timeout of request heads. hyper would close the connection silently. Here the head is rejected instead, and the
//! service responds to its placeholder.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{Env, Sleep};

use super::idle::Activity;
use crate::framing::RequestWatch;

/// The maximum time for sending the response to a rejected head, and for reading and dropping the bytes after such a
/// head so that a reset does not destroy the response. Source: Envoy, `delayed_close_timeout`, default 1 s.
pub(super) const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum time from the first byte of a head to its end. `None`: unlimited. Clones share the value, so that it can
/// be changed while a server runs.
#[derive(Clone, Debug, Default)]
pub struct HeadTimeout(Rc<Cell<Option<Duration>>>);

impl HeadTimeout {
    /// Changes the timeout from now on.
    pub fn set(&self, span: Option<Duration>) {
        self.0.set(span);
    }
}

/// The event that a timer has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// A head is late, and the next read rejects it.
    GaveUp,
    /// The client has not read the response to a rejected head in time.
    Over,
}

/// Fires when a head takes too long, or the response to a rejected head does.
pub(super) struct HeadTimer {
    env: Env,
    timeout: HeadTimeout,
    watch: Arc<RequestWatch>,
    sleep: Option<Sleep>,
    /// Runs once a head has been rejected.
    end: Option<Sleep>,
}

impl HeadTimer {
    pub(super) fn new(env: &Env, timeout: &HeadTimeout, watch: &Arc<RequestWatch>) -> HeadTimer {
        HeadTimer {
            env: env.clone(),
            timeout: timeout.clone(),
            watch: Arc::clone(watch),
            sleep: None,
            end: None,
        }
    }

    /// Ready when a timeout has expired, given the connection's activity.
    pub(super) fn poll_late(&mut self, activity: &Activity, cx: &mut Context<'_>) -> Poll<Late> {
        if let Some(request) = self.watch.refused() {
            if activity.requests() < request {
                // The requests before it have not been answered yet.
                return Poll::Pending;
            }
            let end = self
                .end
                .get_or_insert_with(|| self.env.sleep(REFUSAL_TIMEOUT));
            return end.as_mut().poll(cx).map(|()| Late::Over);
        }
        let span = self.timeout.0.get();
        let Some(span) = span.filter(|_| !activity.is_active() && self.watch.is_unfinished())
        else {
            self.sleep = None;
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| self.env.sleep(span));
        std::task::ready!(sleep.as_mut().poll(cx));
        self.watch.give_up();
        Poll::Ready(Late::GaveUp)
    }
}
