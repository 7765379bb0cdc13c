//! The scenario's latencies on loopback sockets: at both ends of a connection, received bytes are delayed by
//! a packet's latency. The kernel's own time on loopback is added to it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read as _, ReadBuf, ReadBufCursor};
use shakedown_env::{BoxStream, Env, Rng, Sleep, Time};
use shakedown_results::{Pod, PodId};
use shakedown_scenarios::value::Distribution;

use crate::backend::latency::Latencies;

/// Maximum number of bytes in flight to one end of a connection. Beyond it data stays in the kernel's
/// buffers, as with a full window.
const FLIGHT_BYTES_MAX: usize = 4 << 20;
const BLOCK_BYTES: usize = 16 * 1024;

/// All links of a run.
#[derive(Debug)]
pub(super) struct DelayedLinks(Mutex<DelayState>);

#[derive(Debug)]
struct DelayState {
    latencies: Latencies,
    /// Number of delayed directions of connections so far. Each draws from its own random stream.
    opened: u64,
}

impl DelayedLinks {
    pub(super) fn new(latencies: Latencies) -> DelayedLinks {
        let opened = 0;
        DelayedLinks(Mutex::new(DelayState { latencies, opened }))
    }

    /// Adds the next pod, in pod order.
    pub(super) fn add(&self, pod: Pod) {
        self.lock().latencies.add(pod);
    }

    /// Returns one direction of a new connection; `None` if its latency is zero.
    pub(super) fn lag(&self, env: &Env, from: PodId, to: PodId) -> Option<DelayLine> {
        let mut state = self.lock();
        let latency = state.latencies.between(from, to)?.clone();
        if from == to || latency.as_constant() == Some(0) {
            return None;
        }
        state.opened += 1;
        let rng = env.rng(&format!("latency/{}>{}/{}", from.0, to.0, state.opened));
        Some(DelayLine {
            latency,
            rng,
            flight: VecDeque::new(),
            bytes: 0,
            end: None,
            last: Time::ZERO,
            timer: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, DelayState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A direction of a connection: its data in flight, in order.
pub(super) struct DelayLine {
    latency: Distribution,
    rng: Rng,
    flight: VecDeque<(Time, VecDeque<u8>)>,
    bytes: usize,
    /// End of the data, with its arrival time: regular, or an error.
    end: Option<(Time, io::Result<()>)>,
    /// Arrival time of the data that was sent last. Later data must not overtake it.
    last: Time,
    timer: Option<Sleep>,
}

impl DelayLine {
    /// Draws the latency of one packet.
    pub(super) fn draw(&mut self) -> Duration {
        Duration::from_nanos(self.latency.sample_ns(&mut self.rng))
    }

    pub(super) fn carries(&self) -> bool {
        !self.flight.is_empty()
    }

    /// Reads data whose latency has passed. If `stream` is given, first takes in all data that it has
    /// received.
    pub(super) fn poll_read(
        &mut self,
        stream: Option<&mut BoxStream>,
        env: &Env,
        cx: &mut Context<'_>,
        buf: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(stream) = stream {
            self.take_in(stream, env, cx);
        }
        let next = self.flight.front().map(|(at, _)| *at);
        let Some(due) = next.or(self.end.as_ref().map(|(at, _)| *at)) else {
            return Poll::Pending;
        };
        ready!(self.poll_until(due, env, cx));
        let Some((_, bytes)) = self.flight.front_mut() else {
            // End of file is reported on every read, an error only once.
            return match self.end.take().map(|(_, end)| end) {
                Some(Err(error)) => Poll::Ready(Err(error)),
                _ => {
                    self.end = Some((due, Ok(())));
                    Poll::Ready(Ok(()))
                }
            };
        };
        let (front, _) = bytes.as_slices();
        let count = front.len().min(buf.remaining());
        buf.put_slice(&front[..count]);
        bytes.drain(..count);
        self.bytes -= count;
        if bytes.is_empty() {
            self.flight.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads all data that the socket has received, and draws an arrival time for each block.
    fn take_in(&mut self, stream: &mut BoxStream, env: &Env, cx: &mut Context<'_>) {
        let mut block = [0; BLOCK_BYTES];
        while self.bytes < FLIGHT_BYTES_MAX && self.end.is_none() {
            let mut read = ReadBuf::new(&mut block);
            let Poll::Ready(result) = Pin::new(&mut *stream).poll_read(cx, read.unfilled()) else {
                return;
            };
            self.last = self.last.max(env.now() + self.draw());
            if result.is_err() || read.filled().is_empty() {
                self.end = Some((self.last, result));
                return;
            }
            let bytes: VecDeque<u8> = read.filled().iter().copied().collect();
            self.bytes += bytes.len();
            self.flight.push_back((self.last, bytes));
        }
    }

    fn poll_until(&mut self, due: Time, env: &Env, cx: &mut Context<'_>) -> Poll<()> {
        if env.now() >= due {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| env.sleep_until(due));
        timer.as_mut().reset(due);
        timer.as_mut().poll(cx)
    }
}
