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
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::{Request, Response};
use shakedown_env::{Env, step_aside};

use crate::Body;

mod connection;
mod driver;
mod error;
mod http1;
mod http2;
mod lease;
mod open;
mod options;
mod quota;
mod response_body;
mod shared;
mod waiting;
mod watch;

use connection::ConnectionState;
pub use error::{HttpError, SendError};
use lease::Lease;
pub use lease::LeasedBody;
use open::open_for_queue;
pub use options::{PoolOptions, PoolProtocol};
pub use quota::{Permit, Quota, QuotaBound, QuotaLimits};
pub use response_body::ResponseBody;
use shared::{AssignedConnection, PoolShared};
use waiting::PendingRequest;
pub use watch::{Trace, Traffic};

/// Connections to one address. Clones share them. Dropping the last clone closes idle connections at once, and each
/// busy one at the end of its response.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Rc<PoolShared>,
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
        let lease = match self.take_ready() {
            Some(lease) => lease?,
            None => self.wait().await?,
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
            let lease = match self.take_ready() {
                Some(lease) => lease?,
                None => self.wait().await?,
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

    /// Leases the most recently used connection with room for a request.
    fn take_ready(&self) -> Option<Result<Lease, SendError>> {
        let pool = &self.shared;
        let connection = pool.last_usable()?;
        let permit = match pool.options.take(QuotaBound::Requests) {
            Ok(permit) => permit,
            Err(exceeded) => return Some(Err(exceeded.into())),
        };
        let lease = Lease::new(AssignedConnection::new(
            pool,
            Rc::clone(&connection),
            permit,
        ));
        if connection.phase() != ConnectionState::Ready {
            pool.state.borrow_mut().ready.pop();
        }
        Some(Ok(lease))
    }

    /// Waits in the queue for a connection, and opens one if the connections being opened do not suffice for the queue.
    async fn wait(&self) -> Result<Lease, SendError> {
        let pool = &self.shared;
        if pool.state.borrow().returning > 0 {
            // A connection whose response ends at this very instant is reported as free by its task, which runs before
            // this task runs again.
            step_aside().await;
            if let Some(lease) = self.take_ready() {
                return lease;
            }
        }
        let permit = pool.options.take(QuotaBound::Pending)?;
        let waiting = PendingRequest::join(pool, permit);
        open_for_queue(pool);
        waiting.await
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

#[cfg(test)]
mod tests;
