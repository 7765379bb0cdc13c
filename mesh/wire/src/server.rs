//! HTTP/1.1 servers: one connection served to its end, and the loop that accepts them.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use shakedown_env::{BoxListener, BoxStream, Env, Sleep, TaskName, Time};

use crate::drain::Stage;
use crate::{Body, Drain, EnvTimer};

/// How long an accept loop rests after an accept that failed: no file descriptors left, as a rule.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// How a server treats its connections. The defaults are Envoy's HTTP connection manager's.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The longest that a request's headers may take to arrive, counted from the end of the request before: an idle
    /// connection is closed by it too. Costs a timer a request.
    pub header_read_timeout: Option<Duration>,
    /// A connection without a request for this long is closed.
    pub idle_timeout: Option<Duration>,
    /// The most headers of a request; beyond it 431. Where none, hyper's 100, which costs no allocation.
    pub max_headers: Option<usize>,
    /// The most bytes of a request's head; beyond it 431.
    pub max_header_bytes: Option<usize>,
    /// The connection is closed after this many requests.
    pub max_requests_per_connection: Option<u32>,
    /// A client that has closed its sending half still gets its response. Where not, its request is cancelled, which is how
    /// a caller that gave up is noticed.
    pub half_close: bool,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            header_read_timeout: None,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_headers: None,
            max_header_bytes: Some(60 * 1024),
            max_requests_per_connection: None,
            half_close: false,
        }
    }
}

/// The two ends of a connection that a server accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The address that was dialled.
    pub local: SocketAddr,
    /// The address that dialled.
    pub peer: SocketAddr,
}

/// Serves HTTP/1.1 on one connection until it ends. No `date` header is added.
///
/// A request's future is dropped when its client goes away first.
///
/// # Errors
/// The connection broke, or spoke no HTTP.
pub async fn serve_http1<S, F>(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    service: S,
) -> Result<(), hyper::Error>
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Body>>,
{
    serve_http1_until(env, stream, options, &Drain::new(), service).await
}

/// Serves HTTP/1.1 on one connection until it ends, or until the drain has ended it.
///
/// # Errors
/// The connection broke, or spoke no HTTP.
pub async fn serve_http1_until<S, F>(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), hyper::Error>
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Body>>,
{
    let activity = Rc::new(Activity::new(env.now()));
    let last_request = options.max_requests_per_connection.unwrap_or(u32::MAX);
    let service = service_fn(|request| {
        let last = activity.begin() >= last_request;
        let answer = service(request);
        let activity = Rc::clone(&activity);
        async move {
            let mut response = answer.await;
            if last {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            activity.end(env);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder(env, options).serve_connection(stream, service));
    let mut member = drain.join();
    let mut idle = options
        .idle_timeout
        .map(|span| IdleTimer::new(env, span, &activity));
    let mut closing = false;
    poll_fn(|cx| {
        loop {
            match member.stage(cx) {
                Stage::Stopped => return Poll::Ready(Ok(())),
                Stage::Draining if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                Stage::Draining | Stage::Open => {}
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

/// Accepts connections and serves each in a task of its own, under `name`, with the service that `make` gives for it.
///
/// It never ends by itself. Dropping its future closes the listener and every connection.
pub async fn accept_loop<M, S, F>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    make: M,
) where
    M: FnMut(Connected) -> S,
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<Body>> + 'static,
{
    accept_loop_until(env, listener, options, name, &Drain::new(), make).await;
}

/// As [`accept_loop`], but ends when the drain begins; then the connections end gracefully, as the drain says.
/// Dropping its future before that closes them at once.
pub async fn accept_loop_until<M, S, F>(
    env: &Env,
    mut listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    drain: &Drain,
    mut make: M,
) where
    M: FnMut(Connected) -> S,
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<Body>> + 'static,
{
    let options = Rc::new(options.clone());
    let _owner = StopOnDrop(drain);
    loop {
        let accepted = poll_fn(|cx| {
            if drain.poll_begun(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        });
        let stream = match accepted.await {
            Some(Ok(stream)) => stream,
            Some(Err(_)) => {
                env.sleep(ACCEPT_REST).await;
                continue;
            }
            None => break,
        };
        let service = make(Connected {
            local: stream.local_addr(),
            peer: stream.peer_addr(),
        });
        let (own, options, drain) = (env.clone(), Rc::clone(&options), drain.clone());
        env.spawn(name, async move {
            // How a connection ended is known to its service, request by request; nobody waits for the connection.
            let _ = serve_http1_until(&own, stream, &options, &drain, service).await;
        });
    }
}

/// Ends the connections of an accept loop that is dropped while it accepts.
struct StopOnDrop<'a>(&'a Drain);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if !self.0.has_begun() {
            self.0.stop();
        }
    }
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

/// What a connection is doing, as its service sees it.
struct Activity {
    requests: Cell<u32>,
    busy: Cell<bool>,
    since: Cell<Time>,
}

impl Activity {
    fn new(now: Time) -> Activity {
        Activity {
            requests: Cell::new(0),
            busy: Cell::new(false),
            since: Cell::new(now),
        }
    }

    /// Notes a request, and tells how many there have been.
    fn begin(&self) -> u32 {
        self.busy.set(true);
        self.requests.set(self.requests.get().saturating_add(1));
        self.requests.get()
    }

    fn end(&self, env: &Env) {
        self.busy.set(false);
        self.since.set(env.now());
    }
}

/// Fires when a connection has been idle for long enough. One timer a connection: a request only notes the time, and the
/// timer looks at it when it fires.
struct IdleTimer<'a> {
    env: &'a Env,
    span: Duration,
    activity: &'a Activity,
    sleep: Sleep,
}

impl<'a> IdleTimer<'a> {
    fn new(env: &'a Env, span: Duration, activity: &'a Activity) -> IdleTimer<'a> {
        IdleTimer {
            env,
            span,
            activity,
            sleep: env.sleep(span),
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = self.env.now();
            let since = if self.activity.busy.get() {
                now
            } else {
                self.activity.since.get()
            };
            if since + self.span <= now {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(since + self.span);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
