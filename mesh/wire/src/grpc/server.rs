//! A gRPC server connection, which maps streams to the requests and responses of a tower service.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, Env, step_aside};
use tonic::body::Body;
use tower_service::Service;

use super::H2Options;
use super::ping::KeepAlive;
use crate::Flood;
use crate::h2::{
    AccountedStream, Expulsion, H2Accounting, H2Body, RESETS_MAX, STREAMS_PER_TURN, serve_stream,
    server_builder,
};

/// An HTTP/2 connection failed.
#[derive(Debug, thiserror::Error)]
pub enum H2Error {
    /// The peer did not complete HTTP/2's handshake in time.
    #[error("shake hands in time")]
    HandshakeTimeout,
    /// A ping was not answered in time.
    #[error("get an answer to a ping in time")]
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
    let mut builder = server_builder(options.stream_window, options.connection_window);
    builder.max_concurrent_streams(options.max_concurrent_streams);
    let watch = H2Accounting::new(env);
    let io = AccountedStream::server(TokioIo::new(stream), &watch);
    let handshake = builder.handshake::<_, Bytes>(io);
    let mut connection = env
        .timeout(options.connect_timeout, handshake)
        .await
        .map_err(|_elapsed| H2Error::HandshakeTimeout)??;
    let mut keep_alive = KeepAlive::new(env, options, connection.ping_pong());
    let (mut expulsion, resets) = (Expulsion::default(), Rc::new(Cell::new(0)));
    let mut begun = 0;
    loop {
        let next = poll_fn(|cx| {
            loop {
                // Polled before the ping, because the received bytes may contain its answer.
                if let Poll::Ready(accepted) = connection.poll_accept(cx) {
                    return Poll::Ready(Ok(accepted));
                }
                if !watch.gather() {
                    break;
                }
            }
            if watch.flood().is_some() {
                std::task::ready!(expulsion.poll(env, &mut connection, cx));
                return Poll::Ready(Ok(None));
            }
            keep_alive.poll_dead(cx).map(|()| Err(H2Error::PingTimeout))
        });
        let accepted = next.await?;
        if let Some(flood) = watch.flood() {
            return Err(flood.into());
        }
        let Some(accepted) = accepted else {
            return Ok(());
        };
        let (request, respond) = accepted?;
        let answer = Box::pin(call(service.clone(), request, &watch));
        let (counted, watched) = (Rc::clone(&resets), Rc::clone(&watch));
        env.spawn("h2-stream", async move {
            let finished = serve_stream(answer, respond, false, Some(watched)).await;
            counted.set(counted.get() + usize::from(!finished));
        });
        if resets.get() >= RESETS_MAX {
            connection.graceful_shutdown();
            watch.leaving();
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
    let body = Body::new(H2Body::new(recv, &head.headers).watched(watch));
    async move {
        let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
        let Ok(response) = service.call(Request::from_parts(head, body)).await;
        response
    }
}
