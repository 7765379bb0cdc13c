//! A body that can be sent more than once while it still arrives: what has been read of it is kept, up to a bound.

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
use shakedown_env::step_aside;

use super::{Body, BodyError};
use crate::wakers::Wakers;

mod kept;

use kept::Kept;

/// The bytes that several bodies may keep together: those of one connection. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct KeptBudget(Rc<Cell<usize>>);

impl KeptBudget {
    /// So many bytes.
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

/// A body, of which each reader gets all, the part that has arrived at once and the rest as it comes. Clones share it.
///
/// Once more than `most` bytes have come, or more than its budget has left, it cannot be read again from its start. Readers that have begun go on with the
/// rest at the pace of the slowest; but for followers, whose end it is when they fall behind.
/// Source: Envoy, `Router::Filter::decodeData`: each open try gets the data, and a copy that lags is reset.
pub struct Replay {
    source: Rc<RefCell<Source>>,
    follows: bool,
    /// Its key among those who wait.
    waiter: u64,
}

impl Clone for Replay {
    fn clone(&self) -> Replay {
        Replay::sharing(&self.source, self.follows)
    }
}

struct Source {
    /// What has not arrived yet.
    body: Body,
    most: usize,
    budget: Option<KeptBudget>,
    /// What it has taken of its budget.
    taken: usize,
    /// Whether its budget had no more.
    starved: bool,
    /// What has arrived and may be read yet.
    kept: Kept,
    trailers: Option<HeaderMap>,
    length: Option<u64>,
    end: End,
    /// Those who wait for more, or for the end.
    waiting: Wakers,
    /// The readers that are not left behind, by number, and the byte that each reads next.
    readers: BTreeMap<u64, usize>,
    next_reader: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    /// It broke off: its sender has gone, or has broken HTTP's framing.
    Broken {
        malformed: bool,
    },
}

impl Replay {
    /// Keeps up to `most` bytes of `body`, as far as the budget allows.
    pub fn new(body: Body, most: usize, budget: Option<&KeptBudget>) -> Replay {
        let source = Source {
            length: body.size_hint().exact(),
            body,
            most,
            budget: budget.cloned(),
            taken: 0,
            starved: false,
            kept: Kept::default(),
            trailers: None,
            end: End::Open,
            waiting: Wakers::default(),
            readers: BTreeMap::new(),
            next_reader: 0,
        };
        Replay::sharing(&Rc::new(RefCell::new(source)), false)
    }

    /// The same body, for readers that may be left behind.
    pub fn follower(&self) -> Replay {
        Replay::sharing(&self.source, true)
    }

    fn sharing(source: &Rc<RefCell<Source>>, follows: bool) -> Replay {
        Replay {
            source: Rc::clone(source),
            follows,
            waiter: source.borrow_mut().waiting.key(),
        }
    }

    /// Takes in what is there already, without waiting for more than its connection's next turn. Gives the whole body, if
    /// that was all of it.
    pub async fn arrive(&self) -> Option<Bytes> {
        self.take_in().await;
        if self.source.borrow().end == End::Open {
            step_aside().await;
            self.take_in().await;
        }
        self.source.borrow().whole()
    }

    /// Whether it can be read from its start.
    pub fn is_repeatable(&self) -> bool {
        let source = self.source.borrow();
        !source.is_over() && !matches!(source.end, End::Broken { .. })
    }

    /// How many bytes have arrived.
    pub fn arrived(&self) -> usize {
        self.source.borrow().kept.end()
    }

    /// Ready when all of it has arrived, or it has broken off. Until then, who asks is woken by each piece, too.
    pub fn poll_complete(&self, cx: &Context<'_>) -> Poll<()> {
        let mut source = self.source.borrow_mut();
        if source.end != End::Open {
            return Poll::Ready(());
        }
        source.waiting.wait(self.waiter, cx);
        Poll::Pending
    }

    /// The body from its start.
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
            told_trailers: false,
        })
    }

    async fn take_in(&self) {
        poll_fn(|cx| {
            let mut source = self.source.borrow_mut();
            while source.end == End::Open && !source.is_over() {
                if source.poll_more(self.waiter, cx).is_pending() {
                    break;
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Source {
    /// Whether more has come than is kept.
    fn is_over(&self) -> bool {
        self.starved || self.kept.end() > self.most
    }

    /// The whole body, where that is what was kept.
    fn whole(&self) -> Option<Bytes> {
        if self.end != End::Whole || self.is_over() || self.trailers.is_some() {
            return None;
        }
        Some(self.kept.whole())
    }

    /// Takes in one frame more, or the end.
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
                    self.finish(End::Whole);
                }
            }
            Some(Ok(Err(frame))) => {
                self.trailers = frame.into_trailers().ok();
                self.finish(End::Whole);
            }
            Some(Err(error)) => {
                let malformed = error.is_malformed();
                self.finish(End::Broken { malformed });
                broken = Some(error);
            }
            None => self.finish(End::Whole),
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

    /// Gives back to the budget what is not kept any more.
    fn settle(&mut self) {
        let kept = self.kept.end() - self.kept.start();
        let back = self.taken.saturating_sub(kept);
        self.taken -= back;
        if let Some(budget) = &self.budget {
            budget.give_back(back);
        }
    }

    /// Whether a reader has to wait for a slower one: what it would take in could not be kept for that.
    fn holds_back(&self, id: u64, next: usize) -> bool {
        let slower = |(other, at): (&u64, &usize)| *other != id && *at < next;
        self.is_over() && self.readers.iter().any(slower)
    }

    /// Notes that a reader has come to this byte, and forgets what nobody will read again.
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

    fn finish(&mut self, end: End) {
        self.end = end;
        self.body = Body::Empty;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.taken);
        }
    }
}

/// One reading of a [`Replay`].
pub struct ReplayBody {
    source: Rc<RefCell<Source>>,
    id: u64,
    /// Its key among those who wait.
    waiter: u64,
    /// The byte that it reads next.
    next: usize,
    told_trailers: bool,
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
                End::Open if source.holds_back(this.id, this.next) => {
                    source.waiting.wait(this.waiter, cx);
                    return Poll::Pending;
                }
                End::Open => {
                    if let Some(error) = std::task::ready!(source.poll_more(this.waiter, cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                End::Broken { malformed: true } => {
                    return Poll::Ready(Some(Err(BodyError::Malformed)));
                }
                End::Broken { malformed: false } => {
                    return Poll::Ready(Some(Err(BodyError::Forgotten)));
                }
                End::Whole if this.told_trailers => return Poll::Ready(None),
                End::Whole => {
                    this.told_trailers = true;
                    let trailers = source.trailers.clone().map(Frame::trailers);
                    return Poll::Ready(trailers.map(Ok));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.borrow();
        source.end == End::Whole
            && self.next == source.kept.end()
            && (self.told_trailers || source.trailers.is_none())
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
        // The body may have been told to wake this one's task only; and others may have waited for it.
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
