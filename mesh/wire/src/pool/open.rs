//! The task of a connection: opens it, passes it to its pool, and drives it until it ends.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{BoxStream, Env, Sleep};

use super::connection::{ConnectionState, PooledConnection, RequestSender};
use super::http1::{self, Http1};
use super::http2::{self, Http2};
use super::quota::Permit;
use super::watch::{self, TrafficMeter};
use super::{HttpError, PoolOptions, PoolProtocol, PoolShared, SendError};

/// Returns the task that opens and drives one more connection.
pub(super) fn open(
    pool: &Rc<PoolShared>,
    permit: Option<Permit>,
) -> impl Future<Output = ()> + use<> {
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
        Driver {
            env: &env,
            end,
            connection,
            permit,
            idle: options.idle_timeout,
            sleep: None,
            life: options.max_connection_duration.map(|life| env.sleep(life)),
        }
        .await;
        // The freed permit may be the one that a waiting request needs.
        if let Some(pool) = pool.upgrade() {
            pool.open_for_queue();
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
        Some(tls) => tls.wrap(stream).await.map_err(SendError::Handshake),
        None => Ok(stream),
    }
}

/// The future that drives a connection's I/O.
enum ProtocolDriver {
    Http1(Box<http1::Http1Driver>),
    Http2(Box<http2::Http2Driver>),
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
        pool.offer(&connection);
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

/// Drives a connection until it ends.
struct Driver<'a> {
    env: &'a Env,
    end: ProtocolDriver,
    connection: Rc<PooledConnection>,
    /// The connection's permit of the quota.
    permit: Option<Permit>,
    idle: Option<Duration>,
    /// The idle timer. There is one per connection, which checks the idle time when it fires.
    sleep: Option<Sleep>,
    /// Fires when the connection must take no more requests.
    life: Option<Sleep>,
}

impl Future for Driver<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.connection.phase() == ConnectionState::Closed {
            return Poll::Ready(());
        }
        // The connection reports its result to its requests.
        let ended = match &mut this.end {
            ProtocolDriver::Http1(end) => end.poll(&this.connection, cx),
            ProtocolDriver::Http2(end) => end.poll(&this.connection, cx),
        };
        if let Some(life) = &mut this.life
            && life.as_mut().poll(cx).is_ready()
        {
            this.life = None;
            this.connection.retire();
        }
        if ended.is_ready() || this.connection.phase() == ConnectionState::Closed {
            return Poll::Ready(());
        }
        if this.poll_idle(cx).is_ready() {
            return Poll::Ready(());
        }
        this.connection.driven_by(cx.waker());
        Poll::Pending
    }
}

impl Driver<'_> {
    /// Ready when the connection has been idle for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(span) = self.idle else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| self.env.sleep(span));
        while sleep.as_mut().poll(cx).is_ready() {
            let now = self.env.now();
            let since = self.connection.idle_since().unwrap_or(now);
            if since + span <= now {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(since + span);
        }
        Poll::Pending
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        let was_ready = self.connection.phase() == ConnectionState::Ready;
        self.connection.close();
        self.permit = None;
        if let Some(pool) = self.connection.pool() {
            pool.state.borrow_mut().open -= 1;
            if was_ready {
                pool.remove(&self.connection);
            }
        }
    }
}
