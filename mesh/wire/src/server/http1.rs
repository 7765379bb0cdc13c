//! One connection of HTTP/1.1, served to its end by hyper.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use shakedown_env::Env;

use super::ServerOptions;
use super::idle::{Activity, IdleTimer};
use crate::EnvTimer;
use crate::drain::{Drain, Stage};

pub(super) async fn serve<T, S, F, B>(
    env: &Env,
    stream: T,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), hyper::Error>
where
    T: Read + Write + Unpin,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let activity = Activity::new(env);
    let last_request = options.max_requests_per_connection.unwrap_or(u32::MAX);
    let service = &service;
    let service = service_fn(|request| {
        let active = activity.begin();
        let last = activity.requests() >= last_request;
        async move {
            // Called in here: a future that came from outside would be kept twice, and is long.
            let mut response = service(request).await;
            if last || drain.stage() == Stage::Retiring {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(active);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder(env, options).serve_connection(stream, service));
    let mut member = drain.join();
    let mut idle = options
        .idle_timeout
        .map(|span| IdleTimer::new(span, &activity));
    let mut closing = false;
    poll_fn(|cx| {
        loop {
            match member.stage(cx) {
                Stage::Stopped => return Poll::Ready(Ok(())),
                Stage::Draining if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                Stage::Draining | Stage::Retiring | Stage::Open => {}
            }
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let Some(timer) = idle.as_mut().filter(|_| !closing) else {
                return Poll::Pending;
            };
            std::task::ready!(timer.poll_expired(cx));
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
    })
    .await
}

fn builder(env: &Env, options: &ServerOptions) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // hyper's header reads the system's clock.
        .auto_date_header(false)
        .half_close(options.half_close)
        .header_read_timeout(options.header_read_timeout);
    if options.header_read_timeout.is_some() {
        builder.timer(EnvTimer::new(env.clone()));
    }
    if let Some(headers) = options.max_headers {
        builder.max_headers(headers);
    }
    if let Some(bytes) = options.max_header_bytes {
        builder.max_header_size(bytes);
    }
    builder
}
