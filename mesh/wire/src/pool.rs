//! A pool of HTTP connections to one address that behaves like Envoy's. The most recently used connection is used next.
//! A request that finds no free capacity waits in order for the first connection that has some, either an existing one
//! or one that is being opened. A failed connect fails all waiting requests (source: Envoy,
//! `source/common/conn_pool/conn_pool_base.cc`).
//!
//! An HTTP/1.1 connection has room for one request. An HTTP/2 connection (without TLS, by prior knowledge) has room for
//! as many streams as the options and the peer's SETTINGS_MAX_CONCURRENT_STREAMS allow. There is one task per
//! connection and none per request. The pool does not retry a request that may have reached the wire. A request that
//! provably did not, because its connection had closed while idle, moves to another connection transparently.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::{Request, Response};
use shakedown_env::{Env, step_aside};

use crate::Body;

mod connection;
mod error;
mod http1;
mod http2;
mod lease;
mod open;
mod options;
mod quota;
mod response_body;
mod waiting;
mod watch;

use connection::{ConnectionState, PooledConnection};
pub use error::{HttpError, SendError};
use lease::Lease;
pub use lease::LeasedBody;
pub use options::{PoolOptions, PoolProtocol};
pub use quota::{Permit, Quota, QuotaBound, QuotaLimits};
pub use response_body::ResponseBody;
use waiting::{PendingRequest, WaitSlot};
pub use watch::{Trace, Traffic};

/// Connections to one address. Clones share them. Dropping the last clone closes idle connections at once, and each
/// busy one at the end of its response.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Rc<PoolShared>,
}

struct PoolShared {
    env: Env,
    to: SocketAddr,
    from: Option<IpAddr>,
    options: PoolOptions,
    state: RefCell<PoolState>,
}

/// The maximum number of idle connections that have never had a request. Such connections are left over if requests
/// give up while their connections are being opened, and would otherwise stay idle for an hour.
const UNUSED_MAX: usize = 16;

/// Bounds: `waiting` contains at most twice the number of waiting requests, plus [`UNUSED_MAX`]. There are at most as
/// many connections as requests of the callers, whose circuit breakers bound them.
#[derive(Default)]
struct PoolState {
    /// Connections with room for a request. The most recently used one is last.
    ready: Vec<Rc<PooledConnection>>,
    /// Requests without a connection, in order of arrival. Requests that gave up are skipped.
    waiting: VecDeque<Rc<WaitSlot>>,
    /// The number of entries of `waiting` that still wait.
    pending: usize,
    /// The number of connections that are being opened.
    connecting: usize,
    /// The number of open connections.
    open: usize,
    /// The number of connections whose response has ended, but which hyper has not reported as free yet.
    returning: usize,
}

impl Pool {
    /// Creates a pool of connections to `to`, from the local address `from` if given. Connections are opened on demand.
    pub fn new(env: Env, to: SocketAddr, from: Option<IpAddr>, options: PoolOptions) -> Pool {
        let state = RefCell::default();
        Pool {
            shared: Rc::new(PoolShared {
                env,
                to,
                from,
                options,
                state,
            }),
        }
    }

    /// Sends a request, and returns its response when the headers have arrived. The body occupies the connection, or
    /// its stream, until its end.
    ///
    /// Dropping this future cancels the request, and so does dropping the response's body before its end: an HTTP/1.1
    /// connection is closed, an HTTP/2 stream is reset. The only timeout is that of the connect, so callers must
    /// add their own.
    ///
    /// The request is written as it is, so it must have its target in origin form and a `host` header. HTTP/2 converts
    /// both to pseudo-headers and omits connection-level headers.
    ///
    /// # Errors
    /// No connection was available, or it ended before the response's headers.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<ResponseBody>, SendError> {
        self.send_telling(request, || ()).await
    }

    /// Like [`send`](Pool::send), but calls `connected` when the request gets a connection, for example to start a
    /// timeout. `connected` is called again if that connection turns out to have closed while idle.
    ///
    /// # Errors
    /// Those of [`send`](Pool::send).
    pub async fn send_telling(
        &self,
        request: Request<Body>,
        connected: impl Fn(),
    ) -> Result<Response<ResponseBody>, SendError> {
        self.send_observed(request, connected, None).await
    }

    /// Like [`send`](Pool::send), but records the progress of the request in `trace`, which can be read at any time,
    /// even after this future was dropped. Nothing is recorded without [`Traffic`](PoolOptions::traffic).
    ///
    /// # Errors
    /// Those of [`send`](Pool::send).
    pub async fn send_traced(
        &self,
        request: Request<Body>,
        trace: &Trace,
    ) -> Result<Response<ResponseBody>, SendError> {
        self.send_observed(request, || (), Some(trace)).await
    }

    /// Opens a connection unless one is free, and leaves it idle for the next request.
    ///
    /// # Errors
    /// The connection could not be opened.
    pub async fn open(&self) -> Result<(), SendError> {
        let lease = match self.shared.take_ready() {
            Some(lease) => lease?,
            None => self.shared.wait().await?,
        };
        lease.release();
        Ok(())
    }

    async fn send_observed(
        &self,
        mut request: Request<Body>,
        connected: impl Fn(),
        trace: Option<&Trace>,
    ) -> Result<Response<ResponseBody>, SendError> {
        loop {
            let lease = match self.shared.take_ready() {
                Some(lease) => lease?,
                None => self.shared.wait().await?,
            };
            connected();
            let seasoned = lease.is_seasoned();
            let failed = match lease.dispatch(request, trace).await {
                Ok(response) => return Ok(response.map(ResponseBody::from)),
                Err(failed) => failed,
            };
            // Bounded, because each iteration uses up a connection that had closed while idle.
            request = match failed.unsent {
                Some(unsent) if seasoned => unsent,
                _ => return Err(failed.error),
            };
        }
    }

    /// Returns the protocol of the connections.
    pub fn protocol(&self) -> PoolProtocol {
        self.shared.options.protocol
    }

    /// Returns the quota that limits connections and requests, if any.
    pub fn quota(&self) -> Option<&Quota> {
        self.shared.options.quota.as_ref()
    }

    /// Returns the remote address.
    pub fn address(&self) -> SocketAddr {
        self.shared.to
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.state.borrow().open
    }

    /// Returns the number of open connections without a request.
    pub fn idle(&self) -> usize {
        self.shared.state.borrow().idle()
    }

    /// Returns the number of open connections with a request.
    pub fn active(&self) -> usize {
        let state = self.shared.state.borrow();
        state.open - state.idle()
    }

    /// Returns the number of connections that are being opened.
    pub fn connecting(&self) -> usize {
        self.shared.state.borrow().connecting
    }

    /// Returns the number of requests that wait for a connection.
    pub fn pending(&self) -> usize {
        self.shared.state.borrow().pending
    }

    /// Closes the idle connections, for example when the endpoint is drained. Busy connections finish their requests.
    pub fn close_idle(&self) {
        self.shared.close_idle();
    }
}

impl PoolShared {
    /// Leases the most recently used connection with room for a request.
    fn take_ready(&self) -> Option<Result<Lease, SendError>> {
        let connection = self.last_usable()?;
        let Some(permit) = self.options.take(QuotaBound::Requests) else {
            return Some(Err(overflow(QuotaBound::Requests)));
        };
        let lease = Lease::new(self, Rc::clone(&connection), permit);
        if connection.phase() != ConnectionState::Ready {
            self.state.borrow_mut().ready.pop();
        }
        Some(Ok(lease))
    }

    /// Returns the most recently used ready connection, and removes those that are known to have closed.
    fn last_usable(&self) -> Option<Rc<PooledConnection>> {
        loop {
            let connection = Rc::clone(self.state.borrow().ready.last()?);
            if connection.is_usable() {
                return Some(connection);
            }
            self.state.borrow_mut().ready.pop();
            connection.retire();
        }
    }

    /// Waits in the queue for a connection, and opens one if the connections being opened do not suffice for the queue.
    async fn wait(self: &Rc<PoolShared>) -> Result<Lease, SendError> {
        if self.state.borrow().returning > 0 {
            // A connection whose response ends at this very instant is reported as free by its task, which runs before
            // this task runs again.
            step_aside().await;
            if let Some(lease) = self.take_ready() {
                return lease;
            }
        }
        let permit = self.options.take(QuotaBound::Pending);
        let permit = permit.ok_or(overflow(QuotaBound::Pending))?;
        let waiting = PendingRequest::join(self, permit);
        self.open_for_queue();
        waiting.await
    }

    /// Opens a connection if those being opened do not suffice for the queue, and the quota allows one more. A pool
    /// without any connection gets one despite the quota, because its queue would otherwise wait forever.
    fn open_for_queue(self: &Rc<PoolShared>) {
        let alone = {
            let state = self.state.borrow();
            if state.connecting.saturating_mul(self.options.room()) >= state.pending {
                return;
            }
            state.connecting + state.open == 0
        };
        let permit = match self.options.take(QuotaBound::Connections) {
            None if alone => self.options.take_despite_limit(QuotaBound::Connections),
            None => return,
            Some(permit) => permit,
        };
        self.state.borrow_mut().connecting += 1;
        self.env
            .spawn(self.options.task_name(), open::open(self, permit));
    }

    /// Assigns a connection with free capacity to the first requests in the queue. The connection is ready if capacity
    /// remains.
    fn offer(self: &Rc<PoolShared>, connection: &Rc<PooledConnection>) {
        while connection.has_room() && connection.phase() != ConnectionState::Draining {
            let slot = self.state.borrow_mut().next_in_queue();
            let Some(slot) = slot else {
                if connection.is_unused() && self.state.borrow().unused() >= UNUSED_MAX {
                    return connection.retire();
                }
                connection.rest(self.env.now());
                self.state.borrow_mut().ready.push(Rc::clone(connection));
                return;
            };
            match self.options.take(QuotaBound::Requests) {
                Some(permit) => {
                    slot.settle(Ok(Lease::new(self, Rc::clone(connection), permit)));
                }
                None => slot.settle(Err(overflow(QuotaBound::Requests))),
            }
        }
        self.open_for_queue();
    }

    /// Fails all waiting requests after a failed connect.
    fn refuse(&self, error: &SendError) {
        let queue: Vec<Rc<WaitSlot>> = {
            let mut state = self.state.borrow_mut();
            std::iter::from_fn(|| state.next_in_queue()).collect()
        };
        for slot in queue {
            slot.settle(Err(error.copy_of_connect()));
        }
    }

    /// Removes a connection from the ready ones.
    fn remove(&self, connection: &PooledConnection) {
        self.state
            .borrow_mut()
            .ready
            .retain(|other| !std::ptr::eq(Rc::as_ptr(other), connection));
    }

    /// Prevents all ready connections from taking further requests. Those without a request close.
    fn close_idle(&self) {
        let ready = std::mem::take(&mut self.state.borrow_mut().ready);
        ready.iter().for_each(|connection| connection.retire());
    }
}

impl PoolState {
    fn idle(&self) -> usize {
        self.ready.iter().filter(|ready| ready.is_idle()).count()
    }

    fn unused(&self) -> usize {
        self.ready.iter().filter(|ready| ready.is_unused()).count()
    }

    /// Records that a waiting request gave up. Entries of such requests are removed once they are the majority.
    fn give_up(&mut self) {
        self.pending -= 1;
        if self.waiting.len() > 2 * self.pending + UNUSED_MAX {
            self.waiting.retain(|slot| slot.still_waits());
        }
    }

    fn next_in_queue(&mut self) -> Option<Rc<WaitSlot>> {
        while let Some(slot) = self.waiting.pop_front() {
            if slot.still_waits() {
                self.pending -= 1;
                return Some(slot);
            }
        }
        None
    }
}

fn overflow(bound: QuotaBound) -> SendError {
    SendError::Overflow { bound }
}

impl Drop for PoolShared {
    fn drop(&mut self) {
        self.close_idle();
    }
}

impl std::fmt::Debug for PoolShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Pool")
            .field("to", &self.to)
            .field("open", &state.open)
            .field("idle", &state.idle())
            .field("pending", &state.pending)
            .finish_non_exhaustive()
    }
}

/// Copies an error, because `io::Error` does not implement `Clone`.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests;
