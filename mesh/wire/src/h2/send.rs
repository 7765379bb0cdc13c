//! Sending of a body on an HTTP/2 stream.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use http_body::{Body as HttpBody, Frame};
use shakedown_env::step_aside;

use super::watched::{H2Accounting, SMALL, Waiter};

/// The maximum size in bytes of small data that is held while the socket is blocked.
const HELD: usize = 16 * 1024;

/// The future of a body being sent.
pub(crate) type Upload<E> = Pin<Box<dyn Future<Output = Result<(), UploadError<E>>>>>;

/// A body was not sent to its end.
#[derive(Debug)]
pub(crate) enum UploadError<E> {
    /// The stream or its connection has ended. The receiving half reports the reason.
    Stream,
    /// The body was cut off, and the stream has been reset.
    Body(E),
}

/// Sends a body to its end, with its trailers, as fast as the peer's window allows. A body that is cut off resets the
/// stream with `broken`.
///
/// While the connection's socket is blocked, small data is joined, because h2 buffers each piece separately.
pub(crate) async fn upload<B>(
    body: B,
    mut send: SendStream<Bytes>,
    broken: Reason,
    watch: &H2Accounting,
) -> Result<(), UploadError<B::Error>>
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = pin!(body);
    let (mut held, waiter) = (PendingData::default(), watch.waiter());
    loop {
        let frame = poll_fn(|cx| {
            if send.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            held.poll_frame(body.as_mut(), &waiter, cx).map(Some)
        });
        let Some(frame) = frame.await else {
            return Err(UploadError::Stream);
        };
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                let last = held.is_empty() && body.is_end_stream();
                send_data(&mut send, data, last).await?;
                if last {
                    return Ok(());
                }
            }
            Some(Ok(Err(frame))) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return ended(send.send_trailers(trailers));
                }
            }
            Some(Err(error)) => {
                // A reset discards data that waits to be written, including the head. Let the connection write it
                // first.
                step_aside().await;
                send.send_reset(broken);
                return Err(UploadError::Body(error));
            }
            None => return ended(send.send_data(Bytes::new(), true)),
        }
    }
}

/// Small data that waits for the socket, and the item after it.
struct PendingData<E> {
    data: BytesMut,
    then: Option<Next<E>>,
}

/// An item of a body.
type Next<E> = Option<Result<Frame<Bytes>, E>>;

impl<E> Default for PendingData<E> {
    fn default() -> PendingData<E> {
        PendingData {
            data: BytesMut::new(),
            then: None,
        }
    }
}

impl<E> PendingData<E> {
    fn is_empty(&self) -> bool {
        self.data.is_empty() && self.then.is_none()
    }

    fn poll_frame<B>(
        &mut self,
        mut body: Pin<&mut B>,
        waiter: &Waiter<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Next<E>>
    where
        B: HttpBody<Data = Bytes, Error = E>,
    {
        loop {
            let blocked = waiter.is_blocked();
            let full = self.data.len() >= HELD || self.then.is_some() || !blocked;
            if full && !self.data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(self.data.split().freeze()))));
            }
            if let Some(then) = self.then.take() {
                return Poll::Ready(then);
            }
            let Poll::Ready(next) = body.as_mut().poll_frame(cx) else {
                if !self.data.is_empty() {
                    waiter.wait(cx);
                }
                return Poll::Pending;
            };
            let data = match &next {
                Some(Ok(frame)) => frame.data_ref(),
                Some(Err(_)) | None => None,
            };
            match data {
                Some(data) if blocked && data.len() < SMALL => self.data.extend_from_slice(data),
                _ if self.data.is_empty() => return Poll::Ready(next),
                _ => self.then = Some(next),
            }
        }
    }
}

async fn send_data<E>(
    send: &mut SendStream<Bytes>,
    mut data: Bytes,
    last: bool,
) -> Result<(), UploadError<E>> {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let granted = match poll_fn(|cx| send.poll_capacity(cx)).await {
            Some(Ok(granted)) => granted,
            Some(Err(_)) | None => return Err(UploadError::Stream),
        };
        let chunk = data.split_to(granted.min(data.len()));
        if chunk.is_empty() {
            continue;
        }
        let end = data.is_empty();
        ended(send.send_data(chunk, last && end))?;
        if end {
            return Ok(());
        }
    }
    if last {
        ended(send.send_data(Bytes::new(), true))
    } else {
        Ok(())
    }
}

fn ended<E>(result: Result<(), h2::Error>) -> Result<(), UploadError<E>> {
    result.map_err(|_| UploadError::Stream)
}
