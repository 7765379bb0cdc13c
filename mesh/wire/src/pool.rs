//! A pool of HTTP/1.1 connections to one address, with Envoy's habits: the connection used last is used next, a request
//! that finds none waits in order for the first that is free, be it an old one or one being opened for it, and a failed
//! connect fails all that wait (source: Envoy, `source/common/conn_pool/conn_pool_base.cc`).
//!
//! One task a connection, none a request. It refuses to retry what may have reached the wire; a request that provably did
//! not, because its connection had closed while idle, moves to another connection unseen.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use shakedown_env::Env;

use crate::{Body, TlsClient};

mod connection;
mod error;
mod lease;
mod waiting;

use connection::Connection;
pub use error::SendError;
use lease::Lease;
pub use lease::LeasedBody;
use waiting::{Slot, Waiting};

/// How a pool treats its connections. The defaults are Envoy's.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// The longest that opening a connection may take. Istio's default, 10 s.
    pub connect_timeout: Duration,
    /// A connection without a request for this long is closed.
    pub idle_timeout: Option<Duration>,
    /// A connection is closed after this many requests.
    pub max_requests_per_connection: Option<u32>,
    /// Whether a connection serves more than one request.
    pub reuse: bool,
    /// Speaks TLS inside each connection; its handshake counts into `connect_timeout`. Where none, plaintext.
    pub tls: Option<TlsClient>,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(3600)),
            max_requests_per_connection: None,
            reuse: true,
            tls: None,
        }
    }
}

/// Connections to one address. Clones share them; the last clone's drop closes the idle ones, and each busy one at the end
/// of its response.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Rc<Shared>,
}

struct Shared {
    env: Env,
    to: SocketAddr,
    from: Option<IpAddr>,
    options: PoolOptions,
    state: RefCell<State>,
}

/// Bounds: `waiting` and the connections are as many as the callers' requests, which their breakers bound.
#[derive(Default)]
struct State {
    /// Idle connections; the one used last is last.
    ready: Vec<Rc<Connection>>,
    /// Requests without a connection, in order of arrival. Those that gave up are skipped when their turn comes.
    waiting: VecDeque<Rc<Slot>>,
    /// How many of `waiting` still wait.
    pending: usize,
    /// Connections being opened.
    connecting: usize,
    /// Connections that are open.
    open: usize,
    /// Connections whose response has ended while hyper has yet to say that they are free.
    returning: usize,
}

impl Pool {
    /// A pool of connections to `to`, from `from` where given. It opens none before the first request.
    pub fn new(env: Env, to: SocketAddr, from: Option<IpAddr>, options: PoolOptions) -> Pool {
        let state = RefCell::default();
        Pool {
            shared: Rc::new(Shared {
                env,
                to,
                from,
                options,
                state,
            }),
        }
    }

    /// Sends a request, and gives its response when the headers have arrived. The body holds the connection until its end.
    ///
    /// Dropping this future cancels the request: its connection is closed, if it had one. Dropping the response's body
    /// before its end closes the connection, too. There is no timeout but the connect's: wrap it.
    ///
    /// The request is written as it stands: its target in origin form, its `host` header set.
    ///
    /// # Errors
    /// No connection could be had, or it ended before the response's headers.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, SendError> {
        loop {
            let lease = match self.shared.take_ready() {
                Some(lease) => lease,
                None => self.shared.wait().await?,
            };
            let seasoned = lease.is_seasoned();
            let failed = match lease.dispatch(request).await {
                Ok(response) => return Ok(LeasedBody::wrap(response, lease)),
                Err(failed) => failed,
            };
            // Each turn of this loop uses up a connection that had closed while it was idle.
            request = match failed.unsent {
                Some(unsent) if seasoned => unsent,
                unsent => return Err(SendError::of_exchange(failed.error, unsent.is_none())),
            };
        }
    }

    /// The address that the connections go to.
    pub fn address(&self) -> SocketAddr {
        self.shared.to
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.state.borrow().open
    }

    /// How many connections are open and without a request.
    pub fn idle(&self) -> usize {
        self.shared.state.borrow().ready.len()
    }

    /// How many connections have a request.
    pub fn active(&self) -> usize {
        let state = self.shared.state.borrow();
        state.open - state.ready.len()
    }

    /// How many connections are being opened.
    pub fn connecting(&self) -> usize {
        self.shared.state.borrow().connecting
    }

    /// How many requests wait for a connection.
    pub fn pending(&self) -> usize {
        self.shared.state.borrow().pending
    }

    /// Closes the idle connections, as when the endpoint is drained. Busy ones go on.
    pub fn close_idle(&self) {
        self.shared.close_idle();
    }
}

impl Shared {
    /// The idle connection used last. One that is known to have closed is passed over.
    fn take_ready(&self) -> Option<Lease> {
        let mut state = self.state.borrow_mut();
        while let Some(connection) = state.ready.pop() {
            if connection.is_usable() {
                return Some(Lease::new(connection));
            }
            connection.close();
        }
        None
    }

    /// Waits in line for a connection, and opens one where the line is longer than what is being opened.
    async fn wait(self: &Rc<Shared>) -> Result<Lease, SendError> {
        if self.state.borrow().returning > 0 {
            // A connection that ends its response in this very instant is told free by its task, whose turn comes before
            // ours comes again.
            waiting::step_aside().await;
            if let Some(lease) = self.take_ready() {
                return Ok(lease);
            }
        }
        let waiting = Waiting::join(self);
        let opens = {
            let mut state = self.state.borrow_mut();
            let opens = state.connecting < state.pending;
            state.connecting += usize::from(opens);
            opens
        };
        if opens {
            self.env.spawn("http1-client", connection::open(self));
        }
        waiting.await
    }

    /// Takes in a connection that is free: the first in line gets it, or it becomes idle.
    fn offer(&self, connection: Rc<Connection>) {
        let mut state = self.state.borrow_mut();
        match state.next_in_line() {
            Some(slot) => {
                drop(state);
                slot.settle(Ok(Lease::new(connection)));
            }
            None => {
                connection.rest(self.env.now());
                state.ready.push(connection);
            }
        }
    }

    /// Takes note of a connect that failed: so do all in line.
    fn refuse(&self, error: SendError) {
        let line: Vec<Rc<Slot>> = {
            let mut state = self.state.borrow_mut();
            std::iter::from_fn(|| state.next_in_line()).collect()
        };
        for slot in line {
            slot.settle(Err(error.copy_of_connect()));
        }
    }

    /// Forgets an idle connection.
    fn remove(&self, connection: &Rc<Connection>) {
        self.state
            .borrow_mut()
            .ready
            .retain(|other| !Rc::ptr_eq(other, connection));
    }

    fn close_idle(&self) {
        let ready = std::mem::take(&mut self.state.borrow_mut().ready);
        ready.iter().for_each(|connection| connection.close());
    }
}

impl State {
    fn next_in_line(&mut self) -> Option<Rc<Slot>> {
        while let Some(slot) = self.waiting.pop_front() {
            if slot.still_waits() {
                self.pending -= 1;
                return Some(slot);
            }
        }
        None
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close_idle();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Pool")
            .field("to", &self.to)
            .field("open", &state.open)
            .field("idle", &state.ready.len())
            .field("pending", &state.pending)
            .finish_non_exhaustive()
    }
}

/// A copy of an error, which has no `Clone`.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests;
