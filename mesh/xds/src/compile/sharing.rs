//! What the routes of one configuration have alike, and is kept once: a control plane gives most of them the same retry policy,
//! and many lead to the cluster of the route before.

use std::cell::RefCell;
use std::sync::Arc;

use super::problem::Result;
use super::retries;
use crate::proto::route as message;
use crate::table::RetryPolicy;

/// The values of the route before.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    retry: RefCell<Option<(message::RetryPolicy, Option<Arc<RetryPolicy>>)>>,
    cluster: RefCell<Option<Arc<str>>>,
}

impl Sharing {
    /// The retry policy of a message; `None` if it never tries again.
    pub(super) fn retry(&self, message: &message::RetryPolicy) -> Result<Option<Arc<RetryPolicy>>> {
        let mut last = self.retry.borrow_mut();
        if let Some((_, policy)) = last.as_ref().filter(|(known, _)| known == message) {
            return Ok(policy.clone());
        }
        let policy = retries::compile(message)?.map(Arc::new);
        *last = Some((message.clone(), policy.clone()));
        Ok(policy)
    }

    /// The name of a cluster.
    pub(super) fn cluster(&self, name: &str) -> Arc<str> {
        let mut last = self.cluster.borrow_mut();
        match last.as_ref().filter(|known| ***known == *name) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(last.insert(Arc::from(name))),
        }
    }
}
