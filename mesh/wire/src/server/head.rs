//! Heads of requests that do not end in time. hyper would close without a word; here the head is refused, and the service
//! answers what stands for it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{Env, Sleep};

use super::http1::REFUSAL_TIMEOUT;
use super::idle::Activity;
use crate::framing::RequestWatch;

/// How long a head may take from its first byte on; `None`: as long as it takes. Clones share it, so that it can be changed
/// under a server that runs.
#[derive(Clone, Debug, Default)]
pub struct HeadTimeout(Rc<Cell<Option<Duration>>>);

impl HeadTimeout {
    /// From now on so long.
    pub fn set(&self, span: Option<Duration>) {
        self.0.set(span);
    }
}

/// What a timer has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// A head is late, and is refused by the next read.
    GaveUp,
    /// The answer to a refused head has not been taken in time.
    Over,
}

/// Fires when a head takes too long, and when the answer to one that was refused does.
pub(super) struct HeadTimer {
    env: Env,
    timeout: HeadTimeout,
    watch: Arc<RequestWatch>,
    sleep: Option<Sleep>,
    /// Runs once a head has been refused.
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

    /// Ready when something has taken too long on a connection that does this.
    pub(super) fn poll_late(&mut self, activity: &Activity, cx: &mut Context<'_>) -> Poll<Late> {
        if let Some(request) = self.watch.refused() {
            if activity.requests() < request {
                // Those before it are still to be answered.
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
