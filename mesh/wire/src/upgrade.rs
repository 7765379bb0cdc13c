//! HTTP/1.1 connections that were upgraded to another protocol, on either side of a proxy, and the tunnel between two
//! of them.
//!
//! A tunnel ends when either end closes, as in Envoy: the bytes received from that end are passed on, and the other end
//! is closed.

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
use crate::drain::{DrainMember, DrainStage};

/// The buffer size of each direction, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;
/// The maximum time for each end to complete its upgrade, and to close.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A pending upgrade of a connection. Completes once the message that confirms it has been written or read.
#[derive(Debug)]
pub struct Upgrade(OnUpgrade);

impl Upgrade {
    /// Takes the upgrade from a message that requests or confirms one. `None` for any other message.
    pub fn take(extensions: &mut Extensions) -> Option<Upgrade> {
        extensions.remove::<OnUpgrade>().map(Upgrade)
    }
}

/// Limits of a tunnel.
#[derive(Debug)]
pub struct TunnelBounds<'a> {
    /// The maximum time without a byte in either direction. `None`: unlimited.
    pub idle: Option<Duration>,
    /// The time at which the tunnel is closed. `None`: unlimited.
    pub until: Option<Time>,
    /// Closes the tunnel at once when the drain is stopped.
    pub drain: &'a Drain,
}

/// The outcome of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    pub end: TunnelEnd,
    /// The number of bytes from the caller to the upstream.
    pub sent: u64,
    /// The number of bytes from the upstream to the caller.
    pub received: u64,
}

/// The reason for which a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// The caller closed its end, or its connection failed.
    Caller,
    /// The upstream closed its end, or its connection failed.
    Upstream,
    /// Neither end sent a byte for too long.
    Idle,
    /// The deadline was reached.
    Deadline,
    /// The drain was stopped.
    Stopped,
}

/// Passes bytes between a caller and an upstream until one of them closes or a limit is reached.
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
    // The upstream first, because its upgrade has already been confirmed.
    let Ok(Ok(upstream)) = env.timeout(TURN_TIMEOUT, upstream.0).await else {
        return none(TunnelEnd::Upstream);
    };
    let Ok(Ok(caller)) = env.timeout(TURN_TIMEOUT, caller.0).await else {
        return none(TunnelEnd::Caller);
    };
    let mut open = OpenTunnel {
        env,
        caller,
        upstream,
        up: TunnelFlow::new(),
        down: TunnelFlow::new(),
        last: env.now(),
        sleep: None,
    };
    let end = poll_fn(|cx| open.poll(&mut member, &bounds, cx)).await;
    // Close the end that is still open.
    let other = match end {
        TunnelEnd::Caller => &mut open.upstream,
        _ => &mut open.caller,
    };
    let closing = poll_fn(|cx| Pin::new(&mut *other).poll_shutdown(cx));
    // If the end does not complete the close in time, it is closed by the drop.
    let _ = env.timeout(TURN_TIMEOUT, closing).await;
    Tunnel {
        end,
        sent: open.up.passed,
        received: open.down.passed,
    }
}

/// A tunnel that passes bytes.
struct OpenTunnel<'a> {
    env: &'a Env,
    caller: Upgraded,
    upstream: Upgraded,
    up: TunnelFlow,
    down: TunnelFlow,
    /// The time at which the last byte was passed.
    last: Time,
    sleep: Option<Sleep>,
}

impl OpenTunnel<'_> {
    fn poll(
        &mut self,
        member: &mut DrainMember,
        bounds: &TunnelBounds<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<TunnelEnd> {
        if member.stage(cx) == DrainStage::Stopped {
            return Poll::Ready(TunnelEnd::Stopped);
        }
        let before = self.up.passed + self.down.passed;
        // The caller first, because responses are pointless once it is gone.
        if let Poll::Ready(end) = self.up.poll(&mut self.caller, &mut self.upstream, cx) {
            return Poll::Ready(match end {
                FlowEnd::Read => TunnelEnd::Caller,
                FlowEnd::Write => TunnelEnd::Upstream,
            });
        }
        if let Poll::Ready(end) = self.down.poll(&mut self.upstream, &mut self.caller, cx) {
            return Poll::Ready(match end {
                FlowEnd::Read => TunnelEnd::Upstream,
                FlowEnd::Write => TunnelEnd::Caller,
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

/// A direction of a tunnel.
struct TunnelFlow {
    buffer: Box<[u8]>,
    /// The range of the buffer that has not been written yet.
    from: usize,
    to: usize,
    unflushed: bool,
    ended: bool,
    passed: u64,
}

/// The reason for which a direction ended.
enum FlowEnd {
    /// The end that is read has closed and all of its bytes have been passed on, or it has failed.
    Read,
    /// The end that is written has failed.
    Write,
}

impl TunnelFlow {
    fn new() -> TunnelFlow {
        TunnelFlow {
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
    ) -> Poll<FlowEnd> {
        loop {
            if self.from < self.to {
                let rest = &self.buffer[self.from..self.to];
                match ready!(Pin::new(&mut *write).poll_write(cx, rest)) {
                    Ok(written) if written > 0 => self.wrote(written),
                    _ => return Poll::Ready(FlowEnd::Write),
                }
                continue;
            }
            if self.ended {
                let flushed = ready!(Pin::new(&mut *write).poll_flush(cx));
                return Poll::Ready(flushed.map_or(FlowEnd::Write, |()| FlowEnd::Read));
            }
            match self.poll_fill(read, cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(count)) => (self.from, self.to) = (0, count),
                Poll::Ready(Err(_)) => return Poll::Ready(FlowEnd::Read),
                Poll::Pending => {
                    if self.unflushed {
                        let flushed = ready!(Pin::new(&mut *write).poll_flush(cx));
                        if flushed.is_err() {
                            return Poll::Ready(FlowEnd::Write);
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
