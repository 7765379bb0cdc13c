//! A gRPC server connection, which maps streams to the requests and responses of a tower service.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;

use http::{Request, Response};
use shakedown_env::{BoxStream, Env, step_aside};
use tonic::body::Body;
use tower_service::Service;

use super::H2Options;
use super::ping::KeepAlive;
use crate::Flood;
use crate::h2::{H2Accounting, H2Body, STREAMS_PER_TURN, ServerConnection, server_builder};

/// An HTTP/2 connection failed.
#[derive(Debug, thiserror::Error)]
pub enum H2Error {
    /// The peer did not complete HTTP/2's handshake in time.
    #[error("complete the handshake in time")]
    HandshakeTimeout,
    /// A ping was not answered in time.
    #[error("receive a ping acknowledgement in time")]
    PingTimeout,
    /// The peer exceeded the limits on cheap HTTP/2 frames.
    #[error("serve a client that floods HTTP/2")]
    Flood(#[from] Flood),
    /// HTTP/2, or the connection under it, failed.
    #[error("serve HTTP/2")]
    Http2(#[from] h2::Error),
}

/// Serves HTTP/2 on one connection until it ends. Each stream is one call of the service, in its own task. A call is
/// dropped when its client is gone. Clients have the same limits as those of
/// [`serve_auto_until`](crate::serve_auto_until).
///
/// # Errors
/// The connection failed. Its calls are dropped.
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
    let builder = server_builder(
        options.stream_window,
        options.connection_window,
        options.max_concurrent_streams,
    );
    let mut connection =
        ServerConnection::handshake(env, stream, &builder, options.connect_timeout)
            .await
            .map_err(|_elapsed| H2Error::HandshakeTimeout)??;
    let mut keep_alive = KeepAlive::new(env, options, connection.ping_pong());
    let mut begun = 0;
    loop {
        let next = poll_fn(|cx| {
            // Polled before the ping, because the received bytes may contain its answer.
            if let Poll::Ready(accepted) = connection.poll_accept(env, cx) {
                return Poll::Ready(Ok(accepted));
            }
            if connection.flood().is_some() {
                return Poll::Pending;
            }
            keep_alive.poll_dead(cx).map(|()| Err(H2Error::PingTimeout))
        });
        let accepted = next.await?;
        if let Some(flood) = connection.flood() {
            return Err(flood.into());
        }
        let Some(accepted) = accepted else {
            return Ok(());
        };
        let (request, respond) = accepted?;
        let answer = Box::pin(call(service.clone(), request, connection.watch()));
        connection.answer(env, answer, respond, false, ());
        if connection.is_worn() {
            connection.leave();
        }
        begun += 1;
        if begun == STREAMS_PER_TURN {
            begun = 0;
            step_aside().await;
        }
    }
}

fn call<S>(
    mut service: S,
    request: Request<h2::RecvStream>,
    watch: &H2Accounting,
) -> impl Future<Output = Response<Body>> + use<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let (head, recv) = request.into_parts();
    let body = Body::new(H2Body::new(recv, &head.headers, watch));
    async move {
        let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
        let Ok(response) = service.call(Request::from_parts(head, body)).await;
        response
    }
}
