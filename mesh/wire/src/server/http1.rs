//! One connection of HTTP/1.1, served to its end by hyper.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::service_fn;
use shakedown_env::{Env, Stream, Tapped};

use super::ServerOptions;
use super::head::{HeadTimer, LateHead, Notice, Noticed};
use super::idle::{Active, Activity, IdleTimer};
use crate::drain::{Drain, Stage};

/// How long an answer to a head that is late may take to be sent. Source: Envoy, `delayed_close_timeout`, default 1 s.
const LATE_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn serve<T, S, F, B>(
    env: &Env,
    stream: T,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), hyper::Error>
where
    T: Stream + 'static,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let activity = Activity::new(env);
    let tap = Notice::default();
    let mut head = HeadTimer::new(env, &options.head_timeout, &tap);
    let came = head.came();
    let last_request = options.max_requests_per_connection.unwrap_or(u32::MAX);
    let service = &service;
    let one = service_fn(|request| {
        let active = activity.begin();
        came.store(false, Ordering::Relaxed);
        let last = activity.requests() >= last_request;
        // Called at once: a request that has been read has reached its service, though its caller may go before it is polled.
        // And mapped: an async block would keep the answer's future twice, which is long.
        service(request).map(move |response| finish(response, last, drain, active))
    });
    let mut connection = builder(options)
        .serve_connection(Tapped { stream, tap }, one)
        .with_upgrades();
    let idle = options
        .idle_timeout
        .map(|span| IdleTimer::new(span, &activity));
    let leave = UpgradeableConnection::graceful_shutdown;
    let timers = (&mut head, idle);
    match carry(&mut connection, leave, drain, &activity, timers).await {
        Some(result) => result,
        None => {
            let stream = connection.into_parts().map(|parts| parts.io);
            if let Some(mut stream) = stream {
                stream.tap.stand_in();
                answer_late(env, stream, options, service).await;
            }
            Ok(())
        }
    }
}

/// Carries a connection until it has ended: none where a head is late. `leave` has it end after its request.
async fn carry<C>(
    connection: &mut C,
    leave: fn(Pin<&mut C>),
    drain: &Drain,
    activity: &Activity,
    (head, mut idle): (&mut HeadTimer, Option<IdleTimer>),
) -> Option<Result<(), hyper::Error>>
where
    C: Future<Output = Result<(), hyper::Error>> + Unpin,
{
    let mut member = drain.join();
    let mut closing = false;
    poll_fn(|cx| {
        loop {
            match member.stage(cx) {
                Stage::Stopped => return Poll::Ready(Some(Ok(()))),
                Stage::Draining if !closing => {
                    closing = true;
                    leave(Pin::new(connection));
                }
                Stage::Draining | Stage::Retiring | Stage::Open => {}
            }
            if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(Some(result));
            }
            if head.poll_late(activity.is_active(), cx).is_ready() {
                return Poll::Ready(None);
            }
            let Some(timer) = idle.as_mut().filter(|_| !closing) else {
                return Poll::Pending;
            };
            std::task::ready!(timer.poll_expired(cx));
            closing = true;
            leave(Pin::new(connection));
        }
    })
    .await
}

/// Makes an answer whose request is active as long as it is sent; the `last` of its connection says so.
fn finish<B>(
    mut response: Response<B>,
    last: bool,
    drain: &Drain,
    active: Active,
) -> Result<Response<Answering<B>>, Infallible> {
    let retires = last || drain.stage() == Stage::Retiring;
    if retires && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response.map(|body| Answering {
        body,
        _active: active,
    }))
}

/// Answers the head that has not come, and closes.
async fn answer_late<T, S, F, B>(
    env: &Env,
    stream: Noticed<T>,
    options: &ServerOptions,
    service: &S,
) where
    T: Stream + 'static,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let late = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(LateHead);
        let answer = service(request);
        async move {
            let mut response = answer.await;
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            Ok::<_, Infallible>(response)
        }
    });
    let answering = builder(options).serve_connection(stream, late);
    // One who does not read it is closed all the same.
    let _ = env.timeout(LATE_ANSWER_TIMEOUT, answering).await;
}

/// A response's body: while it is sent its request is active.
struct Answering<B> {
    body: B,
    _active: Active,
}

impl<B: HttpBody + Unpin> HttpBody for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn builder(options: &ServerOptions) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // hyper's header reads the system's clock.
        .auto_date_header(false)
        .half_close(options.half_close);
    if let Some(headers) = options.max_headers {
        builder.max_headers(headers);
    }
    if let Some(bytes) = options.max_header_bytes {
        builder.max_header_size(bytes);
    }
    builder
}
