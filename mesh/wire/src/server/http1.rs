//! Serving of one HTTP/1.1 connection to its end, by hyper.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::Either;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::ReadBuf;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::service_fn;
use shakedown_env::{Env, Stream, Tapped};

use super::body::ServerBody;
use super::head::{HeadTimer, Late, REFUSAL_TIMEOUT};
use super::idle::{Active, Activity, IdleTimer};
use super::options::ServerOptions;
use crate::drain::{Drain, DrainStage};
use crate::framing::{BadHead, Framing, RequestFraming, RequestWatch};

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
    B: ServerBody,
{
    let activity = Activity::new(env);
    let watch = Arc::new(RequestWatch::default());
    let tap = Framing::new(RequestFraming::new(&watch, options.max_header_bytes));
    let last_request = options.max_requests_per_connection.unwrap_or(u32::MAX);
    let service = &service;
    let one = service_fn(|mut request: Request<Incoming>| {
        let active = activity.begin();
        let number = activity.requests();
        let refused = watch.refusal_of(number);
        if let Some(why) = refused {
            request.extensions_mut().insert(why);
        }
        if let Some(path) = watch.path_of(number) {
            request.extensions_mut().insert(path);
        }
        let last = number >= last_request || refused.is_some();
        let bare = refused.filter(|_| !options.service_refuses);
        let watch = &watch;
        // The service is called at once, so that a request that has been read reaches it even if the client disconnects
        // before the first poll. `map` is used because an async block would contain the large response future twice.
        let answer = match bare {
            Some(why) => Either::Left(ready(refusal(why, active))),
            None => Either::Right(
                service(request).map(move |response| finish(response, last, drain, active)),
            ),
        };
        answer.map(move |response| {
            watch.answered(number, response.status() == StatusCode::SWITCHING_PROTOCOLS);
            Ok::<_, Infallible>(response)
        })
    });
    let mut connection = builder(options)
        .serve_connection(Tapped { stream, tap }, one)
        .with_upgrades();
    let mut head = HeadTimer::new(env, &options.head_timeout, &watch);
    let idle = options
        .idle_timeout
        .map(|span| IdleTimer::new(span, &activity));
    let leave = UpgradeableConnection::graceful_shutdown;
    let timers = (&mut head, idle);
    let result = carry(&mut connection, leave, drain, &activity, timers).await;
    if watch.refused().is_some()
        && let Some(parts) = connection.into_parts()
    {
        let _ = env.timeout(REFUSAL_TIMEOUT, drained(parts.io)).await;
    }
    result
}

/// Reads and drops bytes until the peer has closed.
async fn drained<T: Stream>(mut io: Tapped<T, Framing<RequestFraming>>) {
    poll_fn(|cx| {
        // A local of the closure, so that it does not enlarge every connection's future.
        let mut bytes = [MaybeUninit::uninit(); 4096];
        loop {
            let mut read = ReadBuf::uninit(&mut bytes);
            let polled = Pin::new(&mut io.stream).poll_read(cx, read.unfilled());
            if std::task::ready!(polled).is_err() || read.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

/// Drives a connection until it has ended. `leave` makes it end after its current request.
async fn carry<C>(
    connection: &mut C,
    leave: fn(Pin<&mut C>),
    drain: &Drain,
    activity: &Activity,
    (head, mut idle): (&mut HeadTimer, Option<IdleTimer>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>> + Unpin,
{
    let mut member = drain.join();
    let mut closing = false;
    poll_fn(|cx| {
        loop {
            match member.stage(cx) {
                DrainStage::Stopped => return Poll::Ready(Ok(())),
                DrainStage::Draining if !closing => {
                    closing = true;
                    leave(Pin::new(connection));
                }
                DrainStage::Draining | DrainStage::Retiring | DrainStage::Open => {}
            }
            if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(result);
            }
            match head.poll_late(activity, cx) {
                Poll::Ready(Late::GaveUp) => continue,
                Poll::Ready(Late::Over) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
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

/// Wraps a response so that its request counts as active while it is sent. The `last` response closes the connection.
fn finish<B>(
    mut response: Response<B>,
    last: bool,
    drain: &Drain,
    active: Active,
) -> Response<Answering<B>> {
    let retires = last || drain.stage() == DrainStage::Retiring;
    if retires && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response.map(|body| Answering {
        body: Some(body),
        broken: None,
        _active: active,
    })
}

/// Creates the response to a rejected head if the service does not respond to such heads.
fn refusal<B>(why: BadHead, active: Active) -> Response<Answering<B>> {
    let mut response = Response::new(Answering {
        body: None,
        broken: None,
        _active: active,
    });
    *response.status_mut() = why.status();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// A response's body, which keeps its request active while it is sent.
struct Answering<B> {
    body: Option<B>,
    /// The error of the body, until it is reported to hyper.
    broken: Option<BoxError>,
    _active: Active,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<B> HttpBody for Answering<B>
where
    B: HttpBody + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        match std::task::ready!(Pin::new(body).poll_frame(cx)) {
            Some(Err(error)) => {
                // When a body fails, hyper drops everything it has not written. The error is reported one poll later,
                // so that the head is written first.
                self.broken = Some(error.into());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
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
    builder
}
