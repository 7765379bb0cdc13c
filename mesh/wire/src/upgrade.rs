//! Connections of HTTP/1.1 that become something else, on either side of a proxy: what each is once HTTP has ended on it,
//! and the tunnel between two of them.
//!
//! A tunnel ends when one of its ends does, as Envoy's does: what that has said is passed on, and the other is closed.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Extensions;
use hyper::rt::{Read, ReadBuf, Write};
use hyper::upgrade::{OnUpgrade, Upgraded};
use shakedown_env::{Env, Sleep, Time};

use crate::Drain;
use crate::drain::{Member, Stage};

/// How much of one direction is held at a time, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;
/// How long an end may take to become what it was upgraded to, and to close.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that is to be upgraded: what it becomes once the message that says so has been written or read.
#[derive(Debug)]
pub struct Upgrade(OnUpgrade);

impl Upgrade {
    /// Takes it from a message that asks for it, or that agrees to it; `None` if it does neither.
    pub fn take(extensions: &mut Extensions) -> Option<Upgrade> {
        extensions.remove::<OnUpgrade>().map(Upgrade)
    }
}

/// What a tunnel is held to.
#[derive(Debug)]
pub struct TunnelBounds<'a> {
    /// How long it may go without a byte; `None`: as long as it takes.
    pub idle: Option<Duration>,
    /// When it must be over.
    pub until: Option<Time>,
    /// Ends it at once when it has stopped.
    pub drain: &'a Drain,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Why.
    pub end: TunnelEnd,
    /// How many bytes went from the caller to the upstream.
    pub sent: u64,
    /// How many bytes went from the upstream to the caller.
    pub received: u64,
}

/// Why a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// The caller closed its end, or broke it.
    Caller,
    /// The upstream closed its end, or broke it.
    Upstream,
    /// Neither end said anything for too long.
    Idle,
    /// Its time was over.
    Deadline,
    /// The drain has stopped it.
    Stopped,
}

/// Passes bytes between a caller and an upstream until one of them ends, or a bound is met.
pub async fn tunnel(
    env: &Env,
    caller: Upgrade,
    upstream: Upgrade,
    bounds: TunnelBounds<'_>,
) -> Tunnel {
    let mut member = bounds.drain.join();
    let none = |end| Tunnel {
        end,
        sent: 0,
        received: 0,
    };
    // The upstream's is there already: it has agreed.
    let Ok(Ok(upstream)) = env.timeout(TURN_TIMEOUT, upstream.0).await else {
        return none(TunnelEnd::Upstream);
    };
    let Ok(Ok(caller)) = env.timeout(TURN_TIMEOUT, caller.0).await else {
        return none(TunnelEnd::Caller);
    };
    let mut open = Open {
        env,
        caller,
        upstream,
        up: Flow::new(),
        down: Flow::new(),
        last: env.now(),
        sleep: None,
    };
    let end = poll_fn(|cx| open.poll(&mut member, &bounds, cx)).await;
    // Whoever is still there is told that it is over.
    let other = match end {
        TunnelEnd::Caller => &mut open.upstream,
        _ => &mut open.caller,
    };
    let closing = poll_fn(|cx| Pin::new(&mut *other).poll_shutdown(cx));
    // One who does not take it is closed by the drop.
    let _ = env.timeout(TURN_TIMEOUT, closing).await;
    Tunnel {
        end,
        sent: open.up.passed,
        received: open.down.passed,
    }
}

/// A tunnel that passes bytes.
struct Open<'a> {
    env: &'a Env,
    caller: Upgraded,
    upstream: Upgraded,
    up: Flow,
    down: Flow,
    /// When a byte came last.
    last: Time,
    sleep: Option<Sleep>,
}

impl Open<'_> {
    fn poll(
        &mut self,
        member: &mut Member,
        bounds: &TunnelBounds<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<TunnelEnd> {
        if member.stage(cx) == Stage::Stopped {
            return Poll::Ready(TunnelEnd::Stopped);
        }
        let before = self.up.passed + self.down.passed;
        // The caller first: who has gone is not answered.
        if let Poll::Ready(end) = self.up.poll(&mut self.caller, &mut self.upstream, cx) {
            return Poll::Ready(match end {
                Ended::Read => TunnelEnd::Caller,
                Ended::Write => TunnelEnd::Upstream,
            });
        }
        if let Poll::Ready(end) = self.down.poll(&mut self.upstream, &mut self.caller, cx) {
            return Poll::Ready(match end {
                Ended::Read => TunnelEnd::Upstream,
                Ended::Write => TunnelEnd::Caller,
            });
        }
        if self.up.passed + self.down.passed != before {
            self.last = self.env.now();
        }
        self.poll_bounds(bounds, cx)
    }

    fn poll_bounds(&mut self, bounds: &TunnelBounds<'_>, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        let idle = bounds.idle.map(|span| (self.last + span, TunnelEnd::Idle));
        let until = bounds.until.map(|at| (at, TunnelEnd::Deadline));
        let first = idle.into_iter().chain(until).min_by_key(|(at, _)| *at);
        let Some((at, end)) = first else {
            return Poll::Pending;
        };
        self.env.poll_until(&mut self.sleep, at, cx).map(|()| end)
    }
}

/// One direction of a tunnel.
struct Flow {
    buffer: Box<[u8]>,
    /// What of the buffer is still to be written.
    from: usize,
    to: usize,
    unflushed: bool,
    ended: bool,
    passed: u64,
}

/// How one direction ended.
enum Ended {
    /// The end that is read has closed, and all of it has been passed on; or it has broken.
    Read,
    /// The end that is written has broken.
    Write,
}

impl Flow {
    fn new() -> Flow {
        Flow {
            buffer: vec![0; BUFFER_BYTES].into(),
            from: 0,
            to: 0,
            unflushed: false,
            ended: false,
            passed: 0,
        }
    }

    fn poll(
        &mut self,
        read: &mut Upgraded,
        write: &mut Upgraded,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        loop {
            if self.from < self.to {
                let rest = &self.buffer[self.from..self.to];
                match ready!(Pin::new(&mut *write).poll_write(cx, rest)) {
                    Ok(written) if written > 0 => self.wrote(written),
                    _ => return Poll::Ready(Ended::Write),
                }
                continue;
            }
            if self.ended {
                let flushed = ready!(Pin::new(&mut *write).poll_flush(cx));
                return Poll::Ready(flushed.map_or(Ended::Write, |()| Ended::Read));
            }
            match self.poll_fill(read, cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(count)) => (self.from, self.to) = (0, count),
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::Read),
                Poll::Pending => {
                    if self.unflushed {
                        let flushed = ready!(Pin::new(&mut *write).poll_flush(cx));
                        if flushed.is_err() {
                            return Poll::Ready(Ended::Write);
                        }
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn wrote(&mut self, count: usize) {
        self.from += count;
        self.passed += count as u64;
        self.unflushed = true;
    }

    fn poll_fill(&mut self, read: &mut Upgraded, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(read).poll_read(cx, space.unfilled()))?;
        Poll::Ready(Ok(space.filled().len()))
    }
}
