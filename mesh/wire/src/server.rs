//! HTTP servers: one connection served to its end, and the loop that accepts them; for HTTP/1.1 alone, or for whichever of
//! HTTP/1.1 and HTTP/2 (without TLS, by prior knowledge) the client begins with, as Envoy's AUTO codec does.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use shakedown_env::{BoxListener, BoxStream, Env, TaskName};

use crate::drain::Stage;
use crate::{Body, Drain, Flood};

mod head;
mod http1;
mod http2;
mod idle;
mod sniff;

pub use head::HeadTimeout;
use idle::{Activity, IdleTimer};
use sniff::{Sniffed, poll_is_http2, sniffed};

/// How long an accept loop rests after an accept that failed: no file descriptors left, as a rule.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// How a server treats its connections. The defaults are Envoy's HTTP connection manager's.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The longest that a request's head may take from its first byte on (HTTP/1.1); beyond it 408.
    pub head_timeout: HeadTimeout,
    /// Whether the service answers heads that are refused. HTTP/2: it gets those over `max_header_bytes`. HTTP/1.1: it gets a request with a [`BadHead`](crate::BadHead)
    /// among its extensions, of which nothing else is true. Where not, the answer is the status alone. The connection is
    /// closed after it in either case.
    pub service_refuses: bool,
    /// A connection without a request for this long is closed.
    pub idle_timeout: Option<Duration>,
    /// The most headers of a request; beyond it 431. Where none, hyper's 100, which costs no allocation.
    pub max_headers: Option<usize>,
    /// The most bytes of a request's head, its target and its lines' ends included (HTTP/1.1); beyond it 431.
    pub max_header_bytes: usize,
    /// The connection is closed after this many requests.
    pub max_requests_per_connection: Option<u32>,
    /// The most streams that a client of HTTP/2 may have open.
    pub max_concurrent_streams: u32,
    /// A client that has closed its sending half still gets its response (HTTP/1.1). Where not, its request is cancelled, which is how
    /// a caller that gave up is noticed.
    pub half_close: bool,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            head_timeout: HeadTimeout::default(),
            service_refuses: false,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_headers: None,
            max_header_bytes: 60 * 1024,
            max_requests_per_connection: None,
            max_concurrent_streams: 1024,
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

/// How serving a connection failed. A client that leaves in the middle of a request is no failure in HTTP/2, where only its
/// streams end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The connection broke before it was known what the client speaks.
    #[error("read the client's first bytes")]
    First(#[source] io::Error),
    /// The connection broke, or spoke no HTTP.
    #[error("serve HTTP/1.1")]
    Http1(#[from] hyper::Error),
    /// The connection broke, or broke HTTP/2's rules.
    #[error("serve HTTP/2")]
    Http2(#[from] h2::Error),
    /// The client sent more than HTTP/2 has a use for.
    #[error("serve a client that floods HTTP/2")]
    Flood(#[from] Flood),
    /// The client took too long over HTTP/2's handshake.
    #[error("shake hands in time")]
    HandshakeTimeout,
}

/// Serves HTTP/1.1 on one connection until it ends. No `date` header is added.
///
/// A request's future is dropped when its client goes away first.
///
/// # Errors
/// The connection broke, or spoke no HTTP.
pub async fn serve_http1<S, F, B>(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    service: S,
) -> Result<(), hyper::Error>
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_http1_until(env, stream, options, &Drain::new(), service).await
}

/// Serves HTTP/1.1 on one connection until it ends, or until the drain has ended it.
///
/// # Errors
/// The connection broke, or spoke no HTTP.
pub async fn serve_http1_until<S, F, B>(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), hyper::Error>
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    http1::serve(env, stream, options, drain, service).await
}

/// Serves HTTP/1.1 or HTTP/2, whichever the client begins with, until the connection ends or the drain has ended it. No
/// `date` header is added. Requests of both look like HTTP/1.1's: the target in origin form, and a `host`.
///
/// A request's future is dropped when its client goes away first, or resets its stream.
///
/// # Errors
/// The connection broke, or spoke no HTTP.
pub async fn serve_auto_until<S, F, B>(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), ServeError>
where
    S: Fn(Request<Body>) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut stream = sniffed(stream);
    match sniff(env, &mut stream, options, drain).await {
        None => Ok(()),
        Some(Err(error)) => Err(ServeError::First(error)),
        Some(Ok(true)) => http2::serve(env, stream, options, drain, service).await,
        Some(Ok(false)) => {
            let service = |request: Request<Incoming>| service(request.map(Body::from));
            Ok(http1::serve(env, stream, options, drain, service).await?)
        }
    }
}

/// Whether the client speaks HTTP/2; none where it has not spoken until it had to go.
async fn sniff(
    env: &Env,
    stream: &mut Sniffed,
    options: &ServerOptions,
    drain: &Drain,
) -> Option<io::Result<bool>> {
    let mut member = drain.join();
    let activity = Activity::new(env);
    let mut idle = options
        .idle_timeout
        .map(|span| IdleTimer::new(span, &activity));
    poll_fn(|cx| {
        if member.stage(cx) >= Stage::Draining {
            return Poll::Ready(None);
        }
        if let Poll::Ready(known) = poll_is_http2(stream, cx) {
            return Poll::Ready(Some(known));
        }
        match &mut idle {
            Some(timer) => timer.poll_expired(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// Accepts connections and serves HTTP/1.1 on each in a task of its own, under `name`, with the service that `make` gives
/// for it.
///
/// It never ends by itself. Dropping its future closes the listener and every connection.
pub async fn accept_loop<M, S, F, B>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    make: M,
) where
    M: FnMut(Connected) -> S,
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    accept_loop_until(env, listener, options, name, &Drain::new(), make).await;
}

/// As [`accept_loop`], but ends when the drain begins; then the connections end gracefully, as the drain says.
/// Dropping its future before that closes them at once.
pub async fn accept_loop_until<M, S, F, B>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    drain: &Drain,
    mut make: M,
) where
    M: FnMut(Connected) -> S,
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let options = Rc::new(options.clone());
    accept_each(env, listener, drain, |stream, connected| {
        let service = make(connected);
        let (own, options, drain) = (env.clone(), Rc::clone(&options), drain.clone());
        env.spawn(name, async move {
            // How a connection ended is known to its service, request by request; nobody waits for the connection.
            let _ = serve_http1_until(&own, stream, &options, &drain, service).await;
        });
    })
    .await;
}

/// As [`accept_loop_until`], for whichever of HTTP/1.1 and HTTP/2 a client begins with. `ended` is told how a connection
/// ended, after its last request.
pub async fn accept_auto_until<M, S, F, B, E>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    drain: &Drain,
    mut make: M,
    ended: E,
) where
    M: FnMut(Connected) -> S,
    S: Fn(Request<Body>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: Fn(Connected, Result<(), ServeError>) + 'static,
{
    let (options, ended) = (Rc::new(options.clone()), Rc::new(ended));
    accept_each(env, listener, drain, |stream, connected| {
        let service = make(connected);
        let (own, options, drain) = (env.clone(), Rc::clone(&options), drain.clone());
        let ended = Rc::clone(&ended);
        env.spawn(name, async move {
            let result = serve_auto_until(&own, stream, &options, &drain, service).await;
            ended(connected, result);
        });
    })
    .await;
}

/// Accepts until the drain begins.
async fn accept_each(
    env: &Env,
    mut listener: BoxListener,
    drain: &Drain,
    mut serve: impl FnMut(BoxStream, Connected),
) {
    let _owner = StopOnDrop(drain);
    let mut watch = drain.watch();
    loop {
        let accepted = poll_fn(|cx| {
            if watch.poll_begun(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        });
        match accepted.await {
            Some(Ok(stream)) => {
                let connected = Connected {
                    local: stream.local_addr(),
                    peer: stream.peer_addr(),
                };
                serve(stream, connected);
            }
            Some(Err(_)) => env.sleep(ACCEPT_REST).await,
            None => break,
        }
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

#[cfg(test)]
mod tests;
