//! A body on its way out on an HTTP/2 stream.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as HttpBody, Frame};
use shakedown_env::step_aside;

/// A body being sent.
pub(crate) type Upload<E> = Pin<Box<dyn Future<Output = Result<(), UploadError<E>>>>>;

/// A body was not sent to its end.
#[derive(Debug)]
pub(crate) enum UploadError<E> {
    /// The stream or its connection has ended; who waits for the other direction is told why.
    Stream,
    /// The body broke off; the stream has been reset.
    Body(E),
}

/// Sends a body to its end, with its trailers, as fast as the peer's window allows. One that breaks off resets the stream
/// with `broken`.
pub(crate) async fn upload<B>(
    body: B,
    mut send: SendStream<Bytes>,
    broken: Reason,
) -> Result<(), UploadError<B::Error>>
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = pin!(body);
    loop {
        let frame = poll_fn(|cx| {
            if send.poll_reset(cx).is_ready() {
                return std::task::Poll::Ready(None);
            }
            body.as_mut().poll_frame(cx).map(Some)
        });
        let Some(frame) = frame.await else {
            return Err(UploadError::Stream);
        };
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                let last = body.is_end_stream();
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
                // A reset takes back what waits to be written, the head among it: the connection writes first.
                step_aside().await;
                send.send_reset(broken);
                return Err(UploadError::Body(error));
            }
            None => return ended(send.send_data(Bytes::new(), true)),
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
