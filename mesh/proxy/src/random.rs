//! The random streams of a proxy's request path. Each decision has a stream of its own, so that one decision more or less
//! does not shift the others' numbers.

use std::cell::RefCell;

use shakedown_env::{Env, Rng};

/// The random streams, one per decision.
#[derive(Debug)]
pub(crate) struct RandomStreams {
    pub(crate) request_ids: RefCell<Rng>,
    /// Weighted destinations.
    pub(crate) splits: RefCell<Rng>,
    /// Waits before retries.
    pub(crate) backoffs: RefCell<Rng>,
    /// Decisions of filters: injected faults, and shares of requests.
    pub(crate) filters: RefCell<Rng>,
    /// Shares of mirrored requests.
    pub(crate) mirrors: RefCell<Rng>,
}

impl RandomStreams {
    pub(crate) fn new(env: &Env) -> RandomStreams {
        let stream = |name| RefCell::new(env.rng(name));
        RandomStreams {
            request_ids: stream("proxy/request-id"),
            splits: stream("proxy/split"),
            backoffs: stream("proxy/backoff"),
            filters: stream("proxy/fault"),
            mirrors: stream("proxy/mirror"),
        }
    }
}
