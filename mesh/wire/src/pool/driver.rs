//! The I/O of a connection, and its timers.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{Env, Sleep};

use super::connection::{ConnectionState, PooledConnection, RequestSender};
use super::http1::Http1Driver;
use super::http2::Http2Driver;
use super::open::offer;
use super::options::PoolOptions;
use super::quota::Permit;

/// The future that drives a connection's I/O.
pub(super) enum ProtocolDriver {
    Http1(Box<Http1Driver>),
    Http2(Box<Http2Driver>),
}

/// Drives a connection until it ends.
pub(super) struct Driver<'a> {
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

impl<'a> Driver<'a> {
    pub(super) fn new(
        env: &'a Env,
        end: ProtocolDriver,
        connection: Rc<PooledConnection>,
        permit: Option<Permit>,
        options: &PoolOptions,
    ) -> Driver<'a> {
        Driver {
            env,
            end,
            connection,
            permit,
            idle: options.idle_timeout,
            sleep: None,
            life: options.max_connection_duration.map(|life| env.sleep(life)),
        }
    }
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
            ProtocolDriver::Http1(end) => poll_http1(end, &this.connection, cx),
            ProtocolDriver::Http2(end) => poll_http2(end, &this.connection, cx),
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

/// Drives HTTP/1.1's I/O. Ready once the connection has ended.
fn poll_http1(
    driver: &mut Http1Driver,
    connection: &Rc<PooledConnection>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if driver.is_done() {
        return Poll::Pending;
    }
    if driver.poll(cx).is_ready() {
        // An upgraded connection counts as open until its user drops it.
        if connection.may_be_upgraded() && !connection.is_idle() {
            return Poll::Pending;
        }
        return Poll::Ready(());
    }
    if connection.phase() == ConnectionState::Returning {
        return poll_return(connection, cx);
    }
    Poll::Pending
}

/// Returns the connection to its pool once hyper reports it as free. Ready if it has ended before that.
fn poll_return(connection: &Rc<PooledConnection>, cx: &mut Context<'_>) -> Poll<()> {
    let RequestSender::Http1(http1) = connection.wire() else {
        return Poll::Pending;
    };
    match (http1.poll_ready(cx), connection.pool()) {
        (Poll::Pending, Some(_)) => Poll::Pending,
        (Poll::Ready(Ok(())), Some(pool)) => {
            connection.leave_returning();
            offer(&pool, connection);
            Poll::Pending
        }
        (Poll::Ready(Err(_)), _) | (_, None) => Poll::Ready(()),
    }
}

/// Drives HTTP/2's I/O. Ready once the connection has ended.
fn poll_http2(
    driver: &mut Http2Driver,
    connection: &Rc<PooledConnection>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let RequestSender::Http2(http2) = connection.wire() else {
        return Poll::Pending;
    };
    if driver.poll(http2, cx).is_ready() {
        return Poll::Ready(());
    }
    if !http2.is_open() {
        connection.retire();
    } else if http2.follow_peer()
        && let Some(pool) = connection.fit()
    {
        offer(&pool, connection);
    }
    Poll::Pending
}
