//! Serving of one HTTP/2 connection to its end, with a task per stream.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use hyper_util::rt::TokioIo;
use shakedown_env::{Env, Sleep};

use super::error::ServeError;
use super::idle::{Active, Activity, IdleTimer};
use super::options::ServerOptions;
use super::sniff::Sniffed;
use crate::drain::{Drain, DrainStage};
use crate::framing::authority::is_valid;
use crate::h2::{
    AccountedStream, CONNECTION_WINDOW, Expulsion, H2Accounting, H2Body, RESETS_MAX, STREAM_WINDOW,
    STREAMS_PER_TURN, serve_stream, server_builder, toward_service,
};
use crate::{BadHead, Body};

/// The maximum time for a client's part of the handshake, and for its disconnect after GOAWAY once it has no stream.
/// Source: Envoy, `HttpConnectionManager.drain_timeout`, default 5 s.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of request headers, in HTTP/2's count, that are read if the service responds to oversized ones.
/// Larger ones get h2's bare 431.
const HEADER_LIST_BYTES_READ: u32 = 256 * 1024;

pub(super) async fn serve<S, F, B>(
    env: &Env,
    stream: Sniffed,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), ServeError>
where
    S: Fn(Request<Body>) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
{
    let mut builder = server_builder(STREAM_WINDOW, CONNECTION_WINDOW);
    builder.max_concurrent_streams(options.max_concurrent_streams);
    let own = u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX);
    builder.max_header_list_size(if options.service_refuses {
        own.max(HEADER_LIST_BYTES_READ)
    } else {
        own
    });
    let watch = H2Accounting::new(env);
    let handshake = builder.handshake(AccountedStream::server(TokioIo::new(stream), &watch));
    let connection = env
        .timeout(LEAVE_TIMEOUT, handshake)
        .await
        .map_err(|_elapsed| ServeError::HandshakeTimeout)??;
    let mut serving = Http2Serving::new(env, connection, watch, options);
    let mut member = drain.join();
    poll_fn(|cx| {
        let mut begun = 0;
        loop {
            match member.stage(cx) {
                DrainStage::Stopped => return Poll::Ready(Ok(())),
                DrainStage::Draining => serving.leave(),
                DrainStage::Retiring | DrainStage::Open => {}
            }
            if serving.broken.take() {
                serving.connection.abrupt_shutdown(Reason::PROTOCOL_ERROR);
            }
            if let Poll::Ready(accepted) = serving.connection.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, respond))) => serving.answer(request, respond, &service),
                    ended => return Poll::Ready(serving.ended(ended.and_then(Result::err))),
                }
                if drain.stage() == DrainStage::Retiring {
                    serving.leave();
                }
                begun += 1;
                if begun == STREAMS_PER_TURN {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                continue;
            }
            if serving.watch.gather() {
                continue;
            }
            if serving.watch.flood().is_some() {
                std::task::ready!(serving.poll_expelled(cx));
                return Poll::Ready(serving.ended(None));
            }
            if serving.leaving.is_none() {
                std::task::ready!(serving.poll_idle(cx));
                serving.leave();
                continue;
            }
            std::task::ready!(serving.poll_left(cx));
            return Poll::Ready(Ok(()));
        }
    })
    .await
}

/// The state of a served connection.
struct Http2Serving {
    env: Env,
    connection: Connection<AccountedStream<TokioIo<Sniffed>>, Bytes>,
    watch: Rc<H2Accounting>,
    activity: Rc<Activity>,
    idle: Option<IdleTimer>,
    last_request: u32,
    /// The number of streams that ended before their request. h2 remembers each of them.
    resets: Rc<Cell<usize>>,
    /// True if a request had an invalid head.
    broken: Rc<Cell<bool>>,
    /// The timeout of the client's disconnect. Set once GOAWAY has been sent.
    leaving: Option<Sleep>,
    expulsion: Expulsion,
}

impl Http2Serving {
    fn new(
        env: &Env,
        connection: Connection<AccountedStream<TokioIo<Sniffed>>, Bytes>,
        watch: Rc<H2Accounting>,
        options: &ServerOptions,
    ) -> Http2Serving {
        let activity = Activity::new(env);
        Http2Serving {
            env: env.clone(),
            connection,
            watch,
            idle: options
                .idle_timeout
                .map(|span| IdleTimer::new(span, &activity)),
            activity,
            last_request: options.max_requests_per_connection.unwrap_or(u32::MAX),
            resets: Rc::default(),
            broken: Rc::default(),
            leaving: None,
            expulsion: Expulsion::default(),
        }
    }

    /// Answers a stream in a task of its own.
    fn answer<S, F, B>(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        service: &S,
    ) where
        S: Fn(Request<Body>) -> F,
        F: Future<Output = Response<B>> + 'static,
        B: HttpBody<Data = Bytes> + 'static,
    {
        let active = self.activity.begin();
        let (mut head, recv) = request.into_parts();
        let bad = head.uri.authority().is_some_and(|authority| {
            let authority = authority.as_str().as_bytes();
            !is_valid(authority) || authority.contains(&b'@')
        });
        if bad {
            head.extensions.insert(BadHead::Authority);
        }
        toward_service(&mut head);
        let to_head = head.method == Method::HEAD;
        let body = if recv.is_end_stream() {
            Body::Empty
        } else {
            Body::Stream(H2Body::new(recv, &head.headers).watched(&self.watch))
        };
        // Boxed, because this large future is moved with each future that contains it.
        let answer = Box::pin(service(Request::from_parts(head, body)));
        if bad {
            return self.refuse(answer, respond, active);
        }
        let (resets, watch) = (Rc::clone(&self.resets), Rc::clone(&self.watch));
        self.env.spawn("h2-stream", async move {
            let finished = serve_stream(answer, respond, to_head, Some(watch)).await;
            resets.set(resets.get() + usize::from(!finished));
            drop(active);
        });
        if self.activity.requests() >= self.last_request || self.resets.get() >= RESETS_MAX {
            self.leave();
        }
    }

    /// Closes the connection after a request with an invalid head, as Envoy does. The service observes that request.
    fn refuse<F, B>(
        &mut self,
        answer: Pin<Box<F>>,
        mut respond: SendResponse<Bytes>,
        active: Active,
    ) where
        F: Future<Output = Response<B>> + 'static,
        B: 'static,
    {
        let broken = Rc::clone(&self.broken);
        self.env.spawn("h2-stream", async move {
            drop(answer.await);
            broken.set(true);
            respond.send_reset(Reason::PROTOCOL_ERROR);
            drop(active);
        });
    }

    /// Sends GOAWAY, so that the client opens no more streams. Existing streams continue.
    fn leave(&mut self) {
        if self.leaving.is_none() {
            self.connection.graceful_shutdown();
            self.watch.leaving();
            self.leaving = Some(self.env.sleep(LEAVE_TIMEOUT));
        }
    }

    /// Ready when a client that floods the connection takes too long to read the reason of its closing.
    fn poll_expelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.expulsion.poll(&self.env, &mut self.connection, cx)
    }

    /// Returns the result of the connection.
    fn ended(&self, error: Option<h2::Error>) -> Result<(), ServeError> {
        match (self.watch.flood(), error) {
            (Some(flood), _) => Err(flood.into()),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Ok(()),
        }
    }

    /// Ready when the connection has had no stream for long enough.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.idle {
            Some(timer) => timer.poll_expired(cx),
            None => Poll::Pending,
        }
    }

    /// Ready when a client without streams takes too long to disconnect after GOAWAY.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.leaving else {
            return Poll::Pending;
        };
        while sleep.as_mut().poll(cx).is_ready() {
            let end = self.activity.idle_since() + LEAVE_TIMEOUT;
            if end <= self.env.now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(end);
        }
        Poll::Pending
    }
}
