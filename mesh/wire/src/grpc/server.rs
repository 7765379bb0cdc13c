//! The server's side: streams mapped to a tower service's requests and responses.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, Env};
use tonic::body::Body;
use tower_service::Service;

use super::H2Options;
use super::ping::KeepAlive;
use crate::h2::{H2Body, serve_stream, server_builder};

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
    let mut builder = server_builder(options.stream_window, options.connection_window);
    builder.max_concurrent_streams(options.max_concurrent_streams);
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
        let Some(accepted) = next.await? else {
            return Ok(());
        };
        let (request, respond) = accepted?;
        let answer = Box::pin(call(service.clone(), request));
        env.spawn("h2-stream", async move {
            serve_stream(answer, respond, false, None).await;
        });
    }
}

async fn call<S>(mut service: S, request: Request<h2::RecvStream>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let (head, recv) = request.into_parts();
    let body = Body::new(H2Body::new(recv, &head.headers));
    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
    let Ok(response) = service.call(Request::from_parts(head, body)).await;
    response
}
