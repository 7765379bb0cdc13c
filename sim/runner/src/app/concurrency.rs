//! Call pools: limit the number of concurrent calls from one replica to one service, and queue the others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use shakedown_env::{Env, Time};
use shakedown_scenarios::scenario::{CallConcurrency, Callee, Order};

use super::queue::{QueueAdmission, ServerGuard, Servers};
use super::visit::Gone;

/// The call pools of one replica, by callee.
#[derive(Debug, Default)]
pub(crate) struct ConcurrencyLimits(RefCell<BTreeMap<Callee, Rc<Servers>>>);

/// The reason why a call got no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// The maximum wait of the pool has passed.
    Waited,
    /// The deadline of the call has passed.
    Deadline,
}

impl ConcurrencyLimits {
    /// Takes a permit for a call to `callee`, in FIFO order. Dropping the guard returns it.
    pub(crate) async fn take(
        &self,
        env: &Env,
        callee: Callee,
        concurrency: CallConcurrency,
        deadline: Option<Time>,
    ) -> Result<ServerGuard, LimitReached> {
        let servers = {
            let mut limits = self.0.borrow_mut();
            let new = || Servers::new(concurrency.size, None, Order::Fifo, false);
            Rc::clone(limits.entry(callee).or_insert_with(new))
        };
        let waited = concurrency.wait.map(|wait| env.now() + wait);
        // The calling endpoint continues after its own caller has disconnected, so this wait does too.
        let wait = match servers.enter(&Gone::default()) {
            QueueAdmission::Admitted(guard) => return Ok(guard),
            QueueAdmission::Queued(wait) => wait,
            QueueAdmission::Full => return Err(LimitReached::Waited),
        };
        let end = [waited, deadline].into_iter().flatten().min();
        let granted = match end {
            Some(end) => env.deadline(end, wait).await.ok(),
            None => Some(wait.await),
        };
        match granted {
            Some(Ok(guard)) => Ok(guard),
            _ if waited.is_some_and(|waited| Some(waited) == end) => Err(LimitReached::Waited),
            _ => Err(LimitReached::Deadline),
        }
    }
}
