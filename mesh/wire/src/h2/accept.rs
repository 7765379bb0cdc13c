//! The server's side of a connection, within the limits on cheap frames and on reset streams. All of this crate's HTTP/2
//! servers accept their streams here.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{PingPong, Reason, RecvStream};
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper_util::rt::TokioIo;
use shakedown_env::{Elapsed, Env, Stream};

use super::constraints::Flood;
use super::expulsion::Expulsion;
use super::serve::serve_stream;
use super::watched::{AccountedStream, H2Accounting};
use super::{RESET_STREAM_DURATION, RESET_STREAMS, RESETS_MAX};

/// The server's side of a connection.
pub(crate) struct ServerConnection<T> {
    connection: Connection<AccountedStream<TokioIo<T>>, Bytes>,
    watch: Rc<H2Accounting>,
    /// The number of streams that ended before their request. h2 remembers each of them.
    resets: Rc<Cell<usize>>,
    expulsion: Expulsion,
}

/// Returns h2's server builder with this crate's limits.
pub(crate) fn server_builder(
    stream_window: u32,
    connection_window: u32,
    max_concurrent_streams: u32,
) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(stream_window)
        .initial_connection_window_size(connection_window)
        .max_concurrent_streams(max_concurrent_streams)
        .reset_stream_duration(RESET_STREAM_DURATION)
        .max_concurrent_reset_streams(RESET_STREAMS);
    builder
}

impl<T: Stream> ServerConnection<T> {
    /// Waits for the client's part of the handshake.
    ///
    /// # Errors
    /// The handshake failed, or took longer than `timeout`.
    pub(crate) async fn handshake(
        env: &Env,
        stream: T,
        builder: &Builder,
        timeout: Duration,
    ) -> Result<Result<ServerConnection<T>, h2::Error>, Elapsed> {
        let watch = H2Accounting::new(env);
        let handshake = builder.handshake(AccountedStream::server(TokioIo::new(stream), &watch));
        let shaken = env.timeout(timeout, handshake).await?;
        Ok(shaken.map(|connection| ServerConnection {
            connection,
            watch,
            resets: Rc::default(),
            expulsion: Expulsion::default(),
        }))
    }

    /// Accepts the next stream. `None` after the end, and when a client that floods the connection takes too long to read
    /// the reason of its closing.
    #[expect(clippy::type_complexity, reason = "the type of h2's own `accept`")]
    pub(crate) fn poll_accept(
        &mut self,
        env: &Env,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Request<RecvStream>, SendResponse<Bytes>), h2::Error>>> {
        loop {
            if let Poll::Ready(accepted) = self.connection.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
            if !self.watch.gather() {
                break;
            }
        }
        if self.watch.flood().is_none() {
            return Poll::Pending;
        }
        self.expulsion
            .poll(env, &mut self.connection, cx)
            .map(|()| None)
    }

    /// Answers a stream in a task of its own. `guard` is dropped at the end of the stream.
    pub(crate) fn answer<F, B>(
        &self,
        env: &Env,
        answer: Pin<Box<F>>,
        respond: SendResponse<Bytes>,
        to_head: bool,
        guard: impl Sized + 'static,
    ) where
        F: Future<Output = Response<B>> + 'static,
        B: HttpBody<Data = Bytes> + 'static,
    {
        let (resets, watch) = (Rc::clone(&self.resets), Rc::clone(&self.watch));
        env.spawn("h2-stream", async move {
            let finished = serve_stream(answer, respond, to_head, &watch).await;
            resets.set(resets.get() + usize::from(!finished));
            drop(guard);
        });
    }

    /// Returns true if the connection must accept no more streams, because h2 remembers too many that were reset.
    pub(crate) fn is_worn(&self) -> bool {
        self.resets.get() >= RESETS_MAX
    }

    /// Sends GOAWAY, so that the client opens no more streams. Existing streams continue.
    pub(crate) fn leave(&mut self) {
        self.connection.graceful_shutdown();
        self.watch.leaving();
    }

    /// Closes the connection, and its streams, with `reason`.
    pub(crate) fn abort(&mut self, reason: Reason) {
        self.connection.abrupt_shutdown(reason);
    }

    /// Returns the limit that the client has exceeded, if any.
    pub(crate) fn flood(&self) -> Option<Flood> {
        self.watch.flood()
    }

    pub(crate) fn watch(&self) -> &H2Accounting {
        &self.watch
    }

    pub(crate) fn ping_pong(&mut self) -> Option<PingPong> {
        self.connection.ping_pong()
    }
}
