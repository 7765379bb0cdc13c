//! One connection of a pool, and the task that drives it.

use std::cell::{Cell, RefCell, RefMut};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use shakedown_env::{BoxStream, Env, Sleep, Time};

use super::{SendError, Shared};
use crate::{Body, TlsClient};

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// In the pool since this time.
    Idle(Time),
    /// With a request.
    Leased,
    /// The response has ended; hyper has yet to say that the connection is free (the request is still being written, or its
    /// task has not come round).
    Returning,
    /// Closed, or about to be closed by its task.
    Closed,
}

/// A connection as its pool, its lease and its task share it.
pub(super) struct Connection {
    pool: Weak<Shared>,
    sender: RefCell<SendRequest<Body>>,
    phase: Cell<Phase>,
    requests: Cell<u32>,
    /// Whether it has been idle since it was opened.
    rested: Cell<bool>,
    /// The task that drives it.
    task: RefCell<Option<Waker>>,
}

impl Connection {
    pub(super) fn sender(&self) -> RefMut<'_, SendRequest<Body>> {
        self.sender.borrow_mut()
    }

    /// How many requests it has carried.
    pub(super) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Whether the peer had time to close it before this request: then a request that it did not take may move on.
    pub(super) fn is_seasoned(&self) -> bool {
        self.rested.get() || self.requests() > 0
    }

    pub(super) fn count_request(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
    }

    /// Whether it can take a request now.
    pub(super) fn is_usable(&self) -> bool {
        self.phase.get() != Phase::Closed && self.sender.borrow().is_ready()
    }

    pub(super) fn lease(&self) {
        self.phase.set(Phase::Leased);
    }

    pub(super) fn rest(&self, now: Time) {
        self.phase.set(Phase::Idle(now));
        self.rested.set(true);
    }

    /// Gives it back after a response that ended cleanly.
    pub(super) fn release(self: Rc<Connection>) {
        let Some(pool) = self.pool.upgrade() else {
            return self.close();
        };
        let spent = pool
            .options
            .max_requests_per_connection
            .is_some_and(|most| self.requests() >= most);
        let closing = self.phase.get() == Phase::Closed || self.sender.borrow().is_closed();
        if spent || closing || (!pool.options.reuse && self.requests() > 0) {
            return self.close();
        }
        if self.sender.borrow().is_ready() {
            pool.offer(self);
        } else {
            self.phase.set(Phase::Returning);
            pool.state.borrow_mut().returning += 1;
            self.wake();
        }
    }

    /// Has its task close it, at once and whatever it carries.
    pub(super) fn close(&self) {
        self.leave_returning();
        self.phase.set(Phase::Closed);
        self.wake();
    }

    fn leave_returning(&self) {
        if self.phase.get() == Phase::Returning
            && let Some(pool) = self.pool.upgrade()
        {
            pool.state.borrow_mut().returning -= 1;
        }
    }

    fn wake(&self) {
        let task = self.task.borrow_mut().take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// A connection's task: opens it, gives it to the pool, and drives it to its end.
pub(super) fn open(pool: &Rc<Shared>) -> impl Future<Output = ()> + use<> {
    let env = pool.env.clone();
    let (to, from) = (pool.to, pool.from);
    let (most, idle) = (pool.options.connect_timeout, pool.options.idle_timeout);
    let tls = pool.options.tls.clone();
    let opening = Opening(Rc::downgrade(pool));
    async move {
        let stream = match env.timeout(most, dial(&env, to, from, tls)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return opening.failed(SendError::Connect(error)),
            Err(_elapsed) => return opening.failed(SendError::ConnectTimeout),
        };
        let (sender, http) = match http1::handshake(stream).await {
            Ok(pair) => pair,
            Err(error) => return opening.failed(SendError::Protocol(error)),
        };
        let Some(connection) = opening.opened(sender) else {
            return;
        };
        Driver {
            env: &env,
            http,
            connection,
            idle,
            sleep: None,
        }
        .await;
    }
}

/// Connects, and shakes hands where TLS is spoken.
async fn dial(
    env: &Env,
    to: SocketAddr,
    from: Option<IpAddr>,
    tls: Option<TlsClient>,
) -> io::Result<BoxStream> {
    let stream = env.connect(to, from).await?;
    match tls {
        Some(tls) => tls.wrap(stream).await,
        None => Ok(stream),
    }
}

/// Counts a connection as being opened until it is dropped.
struct Opening(Weak<Shared>);

impl Opening {
    fn failed(self, error: SendError) {
        if let Some(pool) = self.0.upgrade() {
            drop(self);
            pool.refuse(error);
        }
    }

    /// Gives the new connection to the pool, unless that has gone.
    fn opened(self, sender: SendRequest<Body>) -> Option<Rc<Connection>> {
        let pool = self.0.upgrade()?;
        drop(self);
        let connection = Rc::new(Connection {
            pool: Rc::downgrade(&pool),
            sender: RefCell::new(sender),
            phase: Cell::new(Phase::Leased),
            requests: Cell::new(0),
            rested: Cell::new(false),
            task: RefCell::new(None),
        });
        pool.state.borrow_mut().open += 1;
        pool.offer(Rc::clone(&connection));
        Some(connection)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.state.borrow_mut().connecting -= 1;
        }
    }
}

/// Drives a connection to its end.
struct Driver<'a> {
    env: &'a Env,
    http: http1::Connection<BoxStream, Body>,
    connection: Rc<Connection>,
    idle: Option<Duration>,
    /// The idle timer: one a connection, that looks at the phase when it fires.
    sleep: Option<Sleep>,
}

impl Future for Driver<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.connection.phase.get() == Phase::Closed {
            return Poll::Ready(());
        }
        // How it ended is told to the request that it had, if any.
        if Pin::new(&mut this.http).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.connection.phase.get() == Phase::Returning && this.poll_return(cx).is_err() {
            return Poll::Ready(());
        }
        if this.poll_idle(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut task = this.connection.task.borrow_mut();
        if !task
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *task = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The connection ended before it was free again.
struct Ended;

impl Driver<'_> {
    /// Hands the connection back once hyper says that it is free.
    fn poll_return(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        let free = self.connection.sender.borrow_mut().poll_ready(cx);
        match (free, self.connection.pool.upgrade()) {
            (Poll::Pending, Some(_)) => Ok(()),
            (Poll::Ready(Ok(())), Some(pool)) => {
                self.connection.leave_returning();
                pool.offer(Rc::clone(&self.connection));
                Ok(())
            }
            (Poll::Ready(Err(_)), _) | (_, None) => Err(Ended),
        }
    }

    /// Ready when the connection has been idle for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(span) = self.idle else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| self.env.sleep(span));
        while sleep.as_mut().poll(cx).is_ready() {
            let now = self.env.now();
            let since = match self.connection.phase.get() {
                Phase::Idle(since) => since,
                Phase::Leased | Phase::Returning | Phase::Closed => now,
            };
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
        let was_idle = matches!(self.connection.phase.get(), Phase::Idle(_));
        self.connection.close();
        if let Some(pool) = self.connection.pool.upgrade() {
            pool.state.borrow_mut().open -= 1;
            if was_idle {
                pool.remove(&self.connection);
            }
        }
    }
}
