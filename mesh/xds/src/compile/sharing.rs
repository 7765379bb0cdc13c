//! Sharing of equal values between the routes of one configuration, because a control plane gives most of them the
//! same retry policy, and many routes have the same cluster as the route before.

use std::cell::RefCell;
use std::sync::Arc;

use super::problem::Result;
use super::retries;
use crate::proto::route as message;
use crate::table::RetryPolicy;

/// The values of the previous route.
#[derive(Debug, Default)]
pub(super) struct PreviousRoute {
    retry: RefCell<Option<(message::RetryPolicy, Option<Arc<RetryPolicy>>)>>,
    cluster: RefCell<Option<Arc<str>>>,
}

impl PreviousRoute {
    /// Returns the compiled retry policy, or `None` if it has no effect.
    pub(super) fn retry(&self, message: &message::RetryPolicy) -> Result<Option<Arc<RetryPolicy>>> {
        let mut last = self.retry.borrow_mut();
        if let Some((_, policy)) = last.as_ref().filter(|(known, _)| known == message) {
            return Ok(policy.clone());
        }
        let policy = retries::compile(message)?.map(Arc::new);
        *last = Some((message.clone(), policy.clone()));
        Ok(policy)
    }

    /// Returns the shared name of a cluster.
    pub(super) fn cluster(&self, name: &str) -> Arc<str> {
        let mut last = self.cluster.borrow_mut();
        match last.as_ref().filter(|known| ***known == *name) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(last.insert(Arc::from(name))),
        }
    }
}
