//! Assignment of connections to waiting requests, and the task of each connection: opens it, assigns it, and drives it
//! until it ends.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};

use shakedown_env::{BoxStream, Env};

use super::connection::{ConnectionState, PooledConnection, RequestSender};
use super::driver::{Driver, ProtocolDriver};
use super::error::{HttpError, SendError};
use super::http1::Http1;
use super::http2::Http2;
use super::options::{PoolOptions, PoolProtocol};
use super::quota::{Permit, QuotaBound};
use super::shared::{AssignedConnection, PoolShared, UNUSED_MAX};
use super::watch::{self, TrafficMeter};

/// Assigns a connection with free capacity to the first requests in the queue. The connection is ready if capacity
/// remains.
pub(super) fn offer(pool: &Rc<PoolShared>, connection: &Rc<PooledConnection>) {
    while connection.has_room() && connection.phase() != ConnectionState::Draining {
        let slot = pool.state.borrow_mut().next_in_queue();
        let Some(slot) = slot else {
            if connection.is_unused() && pool.state.borrow().unused() >= UNUSED_MAX {
                return connection.retire();
            }
            connection.rest(pool.env.now());
            pool.state.borrow_mut().ready.push(Rc::clone(connection));
            return;
        };
        match pool.options.take(QuotaBound::Requests) {
            Ok(permit) => {
                slot.settle(Ok(AssignedConnection::new(
                    pool,
                    Rc::clone(connection),
                    permit,
                )));
            }
            Err(exceeded) => slot.settle(Err(exceeded.into())),
        }
    }
    open_for_queue(pool);
}

/// Opens a connection if those being opened do not suffice for the queue, and the quota allows one more. A pool
/// without any connection gets one despite the quota, because its queue would otherwise wait forever.
pub(super) fn open_for_queue(pool: &Rc<PoolShared>) {
    let alone = {
        let state = pool.state.borrow();
        if state.connecting.saturating_mul(pool.options.room()) >= state.pending {
            return;
        }
        state.connecting + state.open == 0
    };
    let permit = match pool.options.take(QuotaBound::Connections) {
        Ok(permit) => permit,
        Err(_) if alone => pool.options.take_despite_limit(QuotaBound::Connections),
        Err(_) => return,
    };
    pool.state.borrow_mut().connecting += 1;
    pool.env.spawn(pool.options.task_name(), open(pool, permit));
}

/// Returns the task that opens and drives one more connection.
fn open(pool: &Rc<PoolShared>, permit: Option<Permit>) -> impl Future<Output = ()> + use<> {
    let env = pool.env.clone();
    let (to, from) = (pool.to, pool.from);
    let options = pool.options.clone();
    let pool = Rc::downgrade(pool);
    let opening = Opening {
        pool: Weak::clone(&pool),
        permit,
    };
    async move {
        let connecting = env.timeout(options.connect_timeout, dial(&env, to, from, &options));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return opening.failed(error),
            Err(_elapsed) => return opening.failed(SendError::ConnectTimeout),
        };
        let (stream, watch) = match &options.traffic {
            None => (stream, None),
            Some(traffic) => {
                let http2 = options.protocol == PoolProtocol::Http2;
                let (stream, watch) = watch::watched(stream, &env, traffic, http2);
                (stream, Some(watch))
            }
        };
        let (wire, end) = match handshake(&env, stream, &options).await {
            Ok(pair) => pair,
            Err(error) => return opening.failed(SendError::Protocol(error)),
        };
        let Some((connection, permit)) = opening.opened(wire, watch) else {
            return;
        };
        Driver::new(&env, end, connection, permit, &options).await;
        // The freed permit may be the one that a waiting request needs.
        if let Some(pool) = pool.upgrade() {
            open_for_queue(&pool);
        }
    }
}

/// Connects, and performs TLS's handshake if the options have a TLS client.
async fn dial(
    env: &Env,
    to: SocketAddr,
    from: Option<IpAddr>,
    options: &PoolOptions,
) -> Result<BoxStream, SendError> {
    let stream = env.connect(to, from).await.map_err(SendError::Connect)?;
    match &options.tls {
        // Boxed, because the state of a handshake would enlarge the task of every connection without TLS.
        Some(tls) => Box::pin(tls.wrap(stream))
            .await
            .map_err(SendError::Handshake),
        None => Ok(stream),
    }
}

async fn handshake(
    env: &Env,
    stream: BoxStream,
    options: &PoolOptions,
) -> Result<(RequestSender, ProtocolDriver), HttpError> {
    Ok(match options.protocol {
        PoolProtocol::Http1 => {
            let (http1, end) = Http1::handshake(stream).await?;
            (
                RequestSender::Http1(http1),
                ProtocolDriver::Http1(Box::new(end)),
            )
        }
        PoolProtocol::Http2 => {
            let (http2, end) =
                Http2::handshake(env, stream, options.max_concurrent_streams).await?;
            (
                RequestSender::Http2(http2),
                ProtocolDriver::Http2(Box::new(end)),
            )
        }
    })
}

/// Counts a connection as being opened until it is dropped.
struct Opening {
    pool: Weak<PoolShared>,
    permit: Option<Permit>,
}

impl Opening {
    fn failed(self, error: SendError) {
        if let Some(pool) = self.pool.upgrade() {
            drop(self);
            pool.refuse(&error);
        }
    }

    /// Passes the new connection to the pool, unless the pool is gone.
    fn opened(
        mut self,
        wire: RequestSender,
        watch: Option<TrafficMeter>,
    ) -> Option<(Rc<PooledConnection>, Option<Permit>)> {
        let pool = self.pool.upgrade()?;
        let permit = self.permit.take();
        drop(self);
        let connection = PooledConnection::new(&pool, wire, watch);
        pool.state.borrow_mut().open += 1;
        offer(&pool, &connection);
        Some((connection, permit))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.permit = None;
        if let Some(pool) = self.pool.upgrade() {
            pool.state.borrow_mut().connecting -= 1;
        }
    }
}
