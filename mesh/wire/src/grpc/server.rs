//! The server's side: h2's own server (hyper's cannot set what h2 remembers of reset streams), its streams mapped to a
//! tower service's requests and responses.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame};
use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, Env};
use tonic::body::Body;
use tower_service::Service;

use super::ping::KeepAlive;
use super::{H2Options, RESET_STREAM_DURATION, RESET_STREAMS};

/// An HTTP/2 connection broke.
#[derive(Debug, thiserror::Error)]
pub enum H2Error {
    /// The peer did not speak, or not HTTP/2, in time.
    #[error("shake hands in time")]
    HandshakeTimeout,
    /// A ping was not answered in time.
    #[error("get an answer to a ping in time")]
    PingTimeout,
    /// HTTP/2, or the connection under it, failed.
    #[error("serve HTTP/2")]
    Http2(#[from] h2::Error),
}

/// Serves HTTP/2 on one connection until it ends: each stream is one call of the service, in a task of its own. A call whose
/// client has gone is dropped.
///
/// # Errors
/// The connection broke; its calls are dropped.
pub async fn serve_h2<S>(
    env: &Env,
    stream: BoxStream,
    options: &H2Options,
    service: S,
) -> Result<(), H2Error>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
{
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(options.stream_window)
        .initial_connection_window_size(options.connection_window)
        .max_concurrent_streams(options.max_concurrent_streams)
        .reset_stream_duration(RESET_STREAM_DURATION)
        .max_concurrent_reset_streams(RESET_STREAMS);
    let handshake = builder.handshake::<_, Bytes>(TokioIo::new(stream));
    let mut connection = env
        .timeout(options.connect_timeout, handshake)
        .await
        .map_err(|_elapsed| H2Error::HandshakeTimeout)??;
    let mut keep_alive = KeepAlive::new(env, options, connection.ping_pong());
    loop {
        let next = poll_fn(|cx| {
            // The connection first: what arrived may be the answer that the ping waits for.
            if let Poll::Ready(accepted) = connection.poll_accept(cx) {
                return Poll::Ready(Ok(accepted));
            }
            keep_alive.poll_dead(cx).map(|()| Err(H2Error::PingTimeout))
        });
        match next.await? {
            Some(accepted) => {
                let (request, respond) = accepted?;
                env.spawn("h2-stream", serve_stream(service.clone(), request, respond));
            }
            None => return Ok(()),
        }
    }
}

/// One call. Everything here ends when the stream is reset or its connection ends.
async fn serve_stream<S>(
    mut service: S,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let request = request.map(|recv| {
        Body::new(H2Body {
            recv,
            data_done: false,
        })
    });
    let answer = async {
        let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
        let Ok(response) = service.call(request).await;
        response
    };
    let mut answer = pin!(answer);
    let response = poll_fn(|cx| {
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        answer.as_mut().poll(cx).map(Some)
    });
    let Some(response) = response.await else {
        return;
    };
    let (head, body) = response.into_parts();
    let empty = body.is_end_stream();
    // An error of h2's here and below means that the stream has gone, and nobody is left to be told.
    if let Ok(send) = respond.send_response(Response::from_parts(head, ()), empty)
        && !empty
    {
        let _ = send_body(body, send).await;
    }
}

async fn send_body(mut body: Body, mut send: SendStream<Bytes>) -> Result<(), h2::Error> {
    loop {
        let frame = poll_fn(|cx| {
            if let Poll::Ready(reset) = send.poll_reset(cx) {
                return Poll::Ready(Err(reset));
            }
            Pin::new(&mut body).poll_frame(cx).map(Ok)
        });
        let frame = match frame.await {
            Ok(frame) => frame,
            Err(reset) => return reset.map(|_reason| ()),
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
                    return send.send_trailers(trailers);
                }
            }
            Some(Err(_status)) => {
                send.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => return send.send_data(Bytes::new(), true),
        }
    }
}

/// Sends as fast as the peer's window allows.
async fn send_data(
    send: &mut SendStream<Bytes>,
    mut data: Bytes,
    last: bool,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let granted = match poll_fn(|cx| send.poll_capacity(cx)).await {
            Some(granted) => granted?,
            None => return Ok(()),
        };
        let chunk = data.split_to(granted.min(data.len()));
        send.send_data(chunk, last && data.is_empty())?;
        if data.is_empty() {
            return Ok(());
        }
    }
    if last {
        send.send_data(Bytes::new(), true)
    } else {
        Ok(())
    }
}

/// A request's body. What has been read is given back to the peer's window.
struct H2Body {
    recv: RecvStream,
    data_done: bool,
}

impl HttpBody for H2Body {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_done {
            match std::task::ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails only on a stream that has ended, whose window nobody needs.
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(end_of(error)),
                None => self.data_done = true,
            }
        }
        match std::task::ready!(self.recv.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(end_of(error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.recv.is_end_stream()
    }
}

/// A reset without an error ends a body early, and cleanly (RFC 9113, section 8.1).
fn end_of(error: h2::Error) -> Option<Result<Frame<Bytes>, h2::Error>> {
    (error.reason() != Some(Reason::NO_ERROR)).then_some(Err(error))
}
