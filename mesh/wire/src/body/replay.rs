//! A body that can be sent more than once while it is still arriving. The received bytes are kept up to a bound.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use shakedown_env::{Wakers, step_aside};

use super::{Body, BodyError};

mod kept;

use kept::KeptBytes;

/// A budget of kept bytes, shared by the bodies of one connection. Clones share the same budget.
#[derive(Clone, Debug)]
pub struct KeptBudget(Rc<Cell<usize>>);

impl KeptBudget {
    /// Creates a budget of this many bytes.
    pub fn new(bytes: usize) -> KeptBudget {
        KeptBudget(Rc::new(Cell::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.unwrap_or(self.0.get()));
        left.is_some()
    }

    fn give_back(&self, bytes: usize) {
        self.0.set(self.0.get() + bytes);
    }
}

/// A body with several readers. Each reader gets the bytes that have arrived at once, and the rest as it arrives.
/// Clones share the body.
///
/// Once more than `most` bytes have arrived, or more than the budget has left, the body cannot be read again from its
/// start. Existing readers then continue at the pace of the slowest one. Followers are the exception: a follower that
/// falls behind fails. Source: Envoy, `Router::Filter::decodeData`: each open attempt gets the data, and a shadow that
/// lags is reset.
pub struct Replay {
    source: Rc<RefCell<ReplaySource>>,
    follows: bool,
    /// The key of its waker in [`ReplaySource::waiting`].
    waiter: u64,
}

impl Clone for Replay {
    fn clone(&self) -> Replay {
        Replay::sharing(&self.source, self.follows)
    }
}

struct ReplaySource {
    /// The rest of the body, which has not arrived yet.
    body: Body,
    most: usize,
    budget: Option<KeptBudget>,
    /// The number of bytes taken from the budget.
    taken: usize,
    /// True once the budget was exhausted.
    starved: bool,
    /// The received bytes that can still be read.
    kept: KeptBytes,
    trailers: Option<HeaderMap>,
    length: Option<u64>,
    end: ReplayEnd,
    /// The wakers of readers that wait for more data or for the end.
    waiting: Wakers,
    /// The readers that must not be left behind, each with the offset of the byte that it reads next.
    readers: BTreeMap<u64, usize>,
    next_reader: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplayEnd {
    Open,
    Whole,
    /// The body was cut off. `malformed`: because its sender violated HTTP's framing.
    Broken {
        malformed: bool,
    },
}

impl Replay {
    /// Creates a body of which up to `most` bytes are kept, as far as the budget allows.
    pub fn new(body: Body, most: usize, budget: Option<&KeptBudget>) -> Replay {
        let source = ReplaySource {
            length: body.size_hint().exact(),
            body,
            most,
            budget: budget.cloned(),
            taken: 0,
            starved: false,
            kept: KeptBytes::default(),
            trailers: None,
            end: ReplayEnd::Open,
            waiting: Wakers::default(),
            readers: BTreeMap::new(),
            next_reader: 0,
        };
        Replay::sharing(&Rc::new(RefCell::new(source)), false)
    }

    /// Returns the same body for readers that may be left behind.
    pub fn follower(&self) -> Replay {
        Replay::sharing(&self.source, true)
    }

    fn sharing(source: &Rc<RefCell<ReplaySource>>, follows: bool) -> Replay {
        Replay {
            source: Rc::clone(source),
            follows,
            waiter: source.borrow_mut().waiting.key(),
        }
    }

    /// Reads the data that is already available, without waiting for more than the connection's next turn. Returns the
    /// whole body if it is complete.
    pub async fn arrive(&self) -> Option<Bytes> {
        self.take_in().await;
        if self.source.borrow().end == ReplayEnd::Open {
            step_aside().await;
            self.take_in().await;
        }
        self.source.borrow().whole()
    }

    /// Returns true if the body can be read from its start.
    pub fn is_repeatable(&self) -> bool {
        let source = self.source.borrow();
        !source.is_over() && !matches!(source.end, ReplayEnd::Broken { .. })
    }

    /// Returns the number of bytes that have arrived.
    pub fn arrived(&self) -> usize {
        self.source.borrow().kept.end()
    }

    /// Ready when the body is complete or was cut off. Until then the task is also woken by each piece.
    pub fn poll_complete(&self, cx: &Context<'_>) -> Poll<()> {
        let mut source = self.source.borrow_mut();
        if source.end != ReplayEnd::Open {
            return Poll::Ready(());
        }
        source.waiting.wait(self.waiter, cx);
        Poll::Pending
    }

    /// Returns a reader that starts at the beginning of the body.
    pub fn reader(&self) -> Body {
        let mut source = self.source.borrow_mut();
        let id = source.next_reader;
        source.next_reader += 1;
        if !self.follows && source.kept.start() == 0 {
            source.readers.insert(id, 0);
        }
        Body::Replay(ReplayBody {
            source: Rc::clone(&self.source),
            id,
            waiter: source.waiting.key(),
            next: 0,
            sent_trailers: false,
        })
    }

    async fn take_in(&self) {
        poll_fn(|cx| {
            let mut source = self.source.borrow_mut();
            while source.end == ReplayEnd::Open && !source.is_over() {
                if source.poll_more(self.waiter, cx).is_pending() {
                    break;
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl ReplaySource {
    /// Returns true if more bytes have arrived than are kept.
    fn is_over(&self) -> bool {
        self.starved || self.kept.end() > self.most
    }

    /// Returns the whole body if it is complete, entirely kept, and has no trailers.
    fn whole(&self) -> Option<Bytes> {
        if self.end != ReplayEnd::Whole || self.is_over() || self.trailers.is_some() {
            return None;
        }
        Some(self.kept.whole())
    }

    /// Reads the next frame, or the end.
    fn poll_more(&mut self, waiter: u64, cx: &mut Context<'_>) -> Poll<Option<BodyError>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.waiting.wait(waiter, cx);
            return Poll::Pending;
        };
        let mut broken = None;
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                self.keep(data);
                if self.body.is_end_stream() {
                    self.finish(ReplayEnd::Whole);
                }
            }
            Some(Ok(Err(frame))) => {
                self.trailers = frame.into_trailers().ok();
                self.finish(ReplayEnd::Whole);
            }
            Some(Err(error)) => {
                let malformed = error.is_malformed();
                self.finish(ReplayEnd::Broken { malformed });
                broken = Some(error);
            }
            None => self.finish(ReplayEnd::Whole),
        }
        for waiting in self.waiting.take() {
            if !waiting.will_wake(cx.waker()) {
                waiting.wake();
            }
        }
        Poll::Ready(broken)
    }

    fn keep(&mut self, data: Bytes) {
        if let Some(budget) = &self.budget
            && !self.is_over()
        {
            self.starved = !budget.take(data.len());
            self.taken += if self.starved { 0 } else { data.len() };
        }
        self.kept.push(data);
    }

    /// Gives bytes that have been discarded back to the budget.
    fn settle(&mut self) {
        let kept = self.kept.end() - self.kept.start();
        let back = self.taken.saturating_sub(kept);
        self.taken -= back;
        if let Some(budget) = &self.budget {
            budget.give_back(back);
        }
    }

    /// Returns true if a reader has to wait for a slower one, because further bytes could not be kept for that one.
    fn holds_back(&self, id: u64, next: usize) -> bool {
        let slower = |(other, at): (&u64, &usize)| *other != id && *at < next;
        self.is_over() && self.readers.iter().any(slower)
    }

    /// Records the position of a reader, and discards the bytes that no reader needs any more.
    fn advance(&mut self, id: u64, next: usize) {
        if let Some(at) = self.readers.get_mut(&id) {
            *at = next;
        }
        if !self.is_over() {
            return;
        }
        let least = self.readers.values().copied().min().unwrap_or(next);
        if self.kept.forget_before(least) {
            self.settle();
            self.wake_all();
        }
    }

    fn wake_all(&mut self) {
        self.waiting.take().for_each(Waker::wake);
    }

    fn finish(&mut self, end: ReplayEnd) {
        self.end = end;
        self.body = Body::Empty;
    }
}

impl Drop for ReplaySource {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.taken);
        }
    }
}

/// A reader of a [`Replay`].
pub struct ReplayBody {
    source: Rc<RefCell<ReplaySource>>,
    id: u64,
    /// The key of its waker in [`ReplaySource::waiting`].
    waiter: u64,
    /// The offset of the byte that it reads next.
    next: usize,
    sent_trailers: bool,
}

impl HttpBody for ReplayBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut source = this.source.borrow_mut();
        loop {
            if this.next < source.kept.start() {
                return Poll::Ready(Some(Err(BodyError::Forgotten)));
            }
            if let Some(data) = source.kept.read(this.next) {
                this.next += data.len();
                source.advance(this.id, this.next);
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match source.end {
                ReplayEnd::Open if source.holds_back(this.id, this.next) => {
                    source.waiting.wait(this.waiter, cx);
                    return Poll::Pending;
                }
                ReplayEnd::Open => {
                    if let Some(error) = std::task::ready!(source.poll_more(this.waiter, cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                ReplayEnd::Broken { malformed: true } => {
                    return Poll::Ready(Some(Err(BodyError::Malformed)));
                }
                ReplayEnd::Broken { malformed: false } => {
                    return Poll::Ready(Some(Err(BodyError::Forgotten)));
                }
                ReplayEnd::Whole if this.sent_trailers => return Poll::Ready(None),
                ReplayEnd::Whole => {
                    this.sent_trailers = true;
                    let trailers = source.trailers.clone().map(Frame::trailers);
                    return Poll::Ready(trailers.map(Ok));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.borrow();
        source.end == ReplayEnd::Whole
            && self.next == source.kept.end()
            && (self.sent_trailers || source.trailers.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        let left = self.source.borrow().length;
        let left = left.and_then(|length| length.checked_sub(self.next as u64));
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ReplayBody {
    fn drop(&mut self) {
        let mut source = self.source.borrow_mut();
        source.readers.remove(&self.id);
        source.waiting.forget(self.waiter);
        // The body may know only the waker of this reader's task, and other readers may have waited for it.
        source.wake_all();
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.borrow();
        f.debug_struct("Replay")
            .field("arrived", &source.kept.end())
            .field("end", &source.end)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReplayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
