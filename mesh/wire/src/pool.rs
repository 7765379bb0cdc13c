//! A pool of HTTP connections to one address, with Envoy's habits: the connection used last is used next, a request that
//! finds no room on any waits in order for the first that has some, be it an old one or one being opened for it, and a failed
//! connect fails all that wait (source: Envoy, `source/common/conn_pool/conn_pool_base.cc`).
//!
//! A connection of HTTP/1.1 has room for one request; one of HTTP/2 (without TLS, by prior knowledge) for as many streams as
//! the options and the peer's SETTINGS_MAX_CONCURRENT_STREAMS allow. One task a connection, none a request. It refuses to
//! retry what may have reached the wire; a request that provably did not, because its connection had closed while idle, moves
//! to another connection unseen.

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
mod waiting;
mod watch;

use connection::{Connection, Phase};
pub use error::{HttpError, SendError};
use lease::Lease;
pub use lease::LeasedBody;
pub use options::{PoolOptions, Protocol};
pub use quota::{Bound, Permit, Quota, QuotaLimits};
use waiting::{Slot, Waiting};
pub use watch::{Trace, Traffic};

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

/// How many connections that have had no request are kept. More are opened where requests give up while theirs are being
/// opened, and would be idle for an hour.
const UNUSED_MAX: usize = 16;

/// Bounds: `waiting` is at most twice the requests that wait, and the connections are as many as the callers' requests, which
/// their breakers bound.
#[derive(Default)]
struct State {
    /// Connections with room for a request; the one used last is last.
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

    /// Sends a request, and gives its response when the headers have arrived. The body holds the connection, or its stream,
    /// until its end.
    ///
    /// Dropping this future cancels the request, and so does dropping the response's body before its end: a connection of
    /// HTTP/1.1 is closed, a stream of HTTP/2 reset. There is no timeout but the connect's: wrap it.
    ///
    /// The request is written as it stands: its target in origin form, its `host` header set; HTTP/2 makes of them what it
    /// needs, and leaves out what concerns a connection only.
    ///
    /// # Errors
    /// No connection could be had, or it ended before the response's headers.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        self.send_telling(request, || ()).await
    }

    /// [`send`](Pool::send), and calls `connected` when the request has a connection: what counts from then on counts from
    /// there. One that turns out to have closed while idle makes for another call.
    ///
    /// # Errors
    /// Those of [`send`](Pool::send).
    pub async fn send_telling(
        &self,
        request: Request<Body>,
        connected: impl Fn(),
    ) -> Result<Response<Body>, SendError> {
        self.send_observed(request, connected, None).await
    }

    /// [`send`](Pool::send), and leaves in `trace` how far the request has come, at any time: also after this future was
    /// dropped. Only a pool with [`Traffic`](PoolOptions::traffic) leaves anything.
    ///
    /// # Errors
    /// Those of [`send`](Pool::send).
    pub async fn send_traced(
        &self,
        request: Request<Body>,
        trace: &Trace,
    ) -> Result<Response<Body>, SendError> {
        self.send_observed(request, || (), Some(trace)).await
    }

    /// Opens a connection unless one is free, and leaves it to the next request.
    ///
    /// # Errors
    /// No connection could be had.
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
    ) -> Result<Response<Body>, SendError> {
        loop {
            let lease = match self.shared.take_ready() {
                Some(lease) => lease?,
                None => self.shared.wait().await?,
            };
            connected();
            let seasoned = lease.is_seasoned();
            let failed = match lease.dispatch(request, trace).await {
                Ok(response) => return Ok(response.map(LeasedBody::into_body)),
                Err(failed) => failed,
            };
            // Each turn of this loop uses up a connection that had closed while it was idle.
            request = match failed.unsent {
                Some(unsent) if seasoned => unsent,
                _ => return Err(failed.error),
            };
        }
    }

    /// What the connections speak.
    pub fn protocol(&self) -> Protocol {
        self.shared.options.protocol
    }

    /// What its connections and requests count against.
    pub fn quota(&self) -> Option<&Quota> {
        self.shared.options.quota.as_ref()
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
        self.shared.state.borrow().idle()
    }

    /// How many connections have a request.
    pub fn active(&self) -> usize {
        let state = self.shared.state.borrow();
        state.open - state.idle()
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
    /// The connection used last that has room for one more request, with the request on it.
    fn take_ready(&self) -> Option<Result<Lease, SendError>> {
        let connection = self.last_usable()?;
        let Some(permit) = self.options.take(Bound::Requests) else {
            return Some(Err(overflow(Bound::Requests)));
        };
        let lease = Lease::new(self, Rc::clone(&connection), permit);
        if connection.phase() != Phase::Ready {
            self.state.borrow_mut().ready.pop();
        }
        Some(Ok(lease))
    }

    /// The ready connection used last. One that is known to have closed is passed over.
    fn last_usable(&self) -> Option<Rc<Connection>> {
        loop {
            let connection = Rc::clone(self.state.borrow().ready.last()?);
            if connection.is_usable() {
                return Some(connection);
            }
            self.state.borrow_mut().ready.pop();
            connection.retire();
        }
    }

    /// Waits in line for a connection, and opens one where the line is longer than what is being opened.
    async fn wait(self: &Rc<Shared>) -> Result<Lease, SendError> {
        if self.state.borrow().returning > 0 {
            // A connection that ends its response in this very instant is told free by its task, whose turn comes before
            // ours comes again.
            step_aside().await;
            if let Some(lease) = self.take_ready() {
                return lease;
            }
        }
        let permit = self.options.take(Bound::Pending);
        let permit = permit.ok_or(overflow(Bound::Pending))?;
        let waiting = Waiting::join(self, permit);
        self.open_for_line();
        waiting.await
    }

    /// Opens a connection where the line is longer than what is being opened, and the quota allows one more. A pool without
    /// any gets one whatever the quota says, lest its line wait for ever.
    fn open_for_line(self: &Rc<Shared>) {
        let alone = {
            let state = self.state.borrow();
            if state.connecting.saturating_mul(self.options.room()) >= state.pending {
                return;
            }
            state.connecting + state.open == 0
        };
        let permit = match self.options.take(Bound::Connections) {
            None if alone => self.options.take_anyway(Bound::Connections),
            None => return,
            Some(permit) => permit,
        };
        self.state.borrow_mut().connecting += 1;
        self.env
            .spawn(self.options.task_name(), open::open(self, permit));
    }

    /// Takes in a connection that has room: the first in line get it, and what is left makes it ready.
    fn offer(self: &Rc<Shared>, connection: &Rc<Connection>) {
        while connection.has_room() && connection.phase() != Phase::Draining {
            let slot = self.state.borrow_mut().next_in_line();
            let Some(slot) = slot else {
                if connection.is_unused() && self.state.borrow().unused() >= UNUSED_MAX {
                    return connection.retire();
                }
                connection.rest(self.env.now());
                self.state.borrow_mut().ready.push(Rc::clone(connection));
                return;
            };
            match self.options.take(Bound::Requests) {
                Some(permit) => {
                    slot.settle(Ok(Lease::new(self, Rc::clone(connection), permit)));
                }
                None => slot.settle(Err(overflow(Bound::Requests))),
            }
        }
        self.open_for_line();
    }

    /// Takes note of a connect that failed: so do all in line.
    fn refuse(&self, error: &SendError) {
        let line: Vec<Rc<Slot>> = {
            let mut state = self.state.borrow_mut();
            std::iter::from_fn(|| state.next_in_line()).collect()
        };
        for slot in line {
            slot.settle(Err(error.copy_of_connect()));
        }
    }

    /// Forgets a connection that was ready.
    fn remove(&self, connection: &Connection) {
        self.state
            .borrow_mut()
            .ready
            .retain(|other| !std::ptr::eq(Rc::as_ptr(other), connection));
    }

    /// Lets no connection take another request; those without one close.
    fn close_idle(&self) {
        let ready = std::mem::take(&mut self.state.borrow_mut().ready);
        ready.iter().for_each(|connection| connection.retire());
    }
}

impl State {
    fn idle(&self) -> usize {
        self.ready.iter().filter(|ready| ready.is_idle()).count()
    }

    fn unused(&self) -> usize {
        self.ready.iter().filter(|ready| ready.is_unused()).count()
    }

    /// A request that waits waits no more. Those that have given up do not pile up before one that goes on.
    fn give_up(&mut self) {
        self.pending -= 1;
        if self.waiting.len() > 2 * self.pending + UNUSED_MAX {
            self.waiting.retain(|slot| slot.still_waits());
        }
    }

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

fn overflow(bound: Bound) -> SendError {
    SendError::Overflow { bound }
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
            .field("idle", &state.idle())
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
