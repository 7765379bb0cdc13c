//! Serving of one HTTP/2 connection to its end, with a task per stream.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use shakedown_env::{Env, Sleep};

use super::error::ServeError;
use super::idle::{Active, Activity, IdleTimer};
use super::options::ServerOptions;
use super::sniff::Sniffed;
use crate::drain::{Drain, DrainStage};
use crate::framing::authority::is_valid;
use crate::h2::{
    CONNECTION_WINDOW, H2Body, STREAM_WINDOW, STREAMS_PER_TURN, ServerConnection, server_builder,
    toward_service,
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
    let mut builder = server_builder(
        STREAM_WINDOW,
        CONNECTION_WINDOW,
        options.max_concurrent_streams,
    );
    let own = u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX);
    builder.max_header_list_size(if options.service_refuses {
        own.max(HEADER_LIST_BYTES_READ)
    } else {
        own
    });
    let connection = ServerConnection::handshake(env, stream, &builder, LEAVE_TIMEOUT)
        .await
        .map_err(|_elapsed| ServeError::HandshakeTimeout)??;
    let mut serving = Http2Serving::new(env, connection, options);
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
                serving.connection.abort(Reason::PROTOCOL_ERROR);
            }
            if let Poll::Ready(accepted) = serving.connection.poll_accept(env, cx) {
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
            if serving.connection.flood().is_some() {
                return Poll::Pending;
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
    connection: ServerConnection<Sniffed>,
    activity: Rc<Activity>,
    idle: Option<IdleTimer>,
    last_request: u32,
    /// True if a request had an invalid head.
    broken: Rc<Cell<bool>>,
    /// The timeout of the client's disconnect. Set once GOAWAY has been sent.
    leaving: Option<Sleep>,
}

impl Http2Serving {
    fn new(
        env: &Env,
        connection: ServerConnection<Sniffed>,
        options: &ServerOptions,
    ) -> Http2Serving {
        let activity = Activity::new(env);
        Http2Serving {
            env: env.clone(),
            connection,
            idle: options
                .idle_timeout
                .map(|span| IdleTimer::new(span, &activity)),
            activity,
            last_request: options.max_requests_per_connection.unwrap_or(u32::MAX),
            broken: Rc::default(),
            leaving: None,
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
            Body::Stream(H2Body::new(recv, &head.headers, self.connection.watch()))
        };
        // Boxed, because this large future is moved with each future that contains it.
        let answer = Box::pin(service(Request::from_parts(head, body)));
        if bad {
            return self.refuse(answer, respond, active);
        }
        self.connection
            .answer(&self.env, answer, respond, to_head, active);
        if self.activity.requests() >= self.last_request || self.connection.is_worn() {
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
            self.connection.leave();
            self.leaving = Some(self.env.sleep(LEAVE_TIMEOUT));
        }
    }

    /// Returns the result of the connection.
    fn ended(&self, error: Option<h2::Error>) -> Result<(), ServeError> {
        match (self.connection.flood(), error) {
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
