//! HTTP servers: serving one connection to its end, and accept loops. They support HTTP/1.1 alone, or HTTP/1.1 and
//! HTTP/2 (without TLS, by prior knowledge) chosen by the client's first bytes, like Envoy's AUTO codec.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use shakedown_env::{BoxListener, BoxStream, Env, TaskName};

use crate::drain::DrainStage;
use crate::{Body, Drain};

mod body;
mod error;
mod head;
mod http1;
mod http2;
mod idle;
mod options;
mod sniff;

pub use body::ServerBody;
pub use error::ServeError;
pub use head::HeadTimeout;
use idle::{Activity, IdleTimer};
pub use options::ServerOptions;
use sniff::{Sniffed, poll_is_http2, sniffed};

/// The pause of an accept loop after a failed accept. The usual cause is a lack of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// The addresses of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionAddresses {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// Serves HTTP/1.1 on one connection until it ends. No `date` header is added.
///
/// A request's future is dropped if its client disconnects first.
///
/// # Errors
/// The connection failed, or the client did not speak HTTP.
pub async fn serve_http1<S, F, B>(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    service: S,
) -> Result<(), hyper::Error>
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: ServerBody,
{
    serve_http1_until(env, stream, options, &Drain::new(), service).await
}

/// Serves HTTP/1.1 on one connection until it ends, or until the drain has ended it.
///
/// # Errors
/// The connection failed, or the client did not speak HTTP.
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
    B: ServerBody,
{
    http1::serve(env, stream, options, drain, service).await
}

/// Serves HTTP/1.1 or HTTP/2, chosen by the client's first bytes, until the connection ends or the drain has ended it.
/// No `date` header is added. HTTP/2 requests are presented in HTTP/1.1's form, with the target in origin form and a
/// `host`.
///
/// A request's future is dropped if its client disconnects or resets its stream first.
///
/// # Errors
/// The connection failed, or the client did not speak HTTP.
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
    B: ServerBody,
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

/// Returns true if the client speaks HTTP/2. `None` if the connection has to close before this is known.
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
        if member.stage(cx) >= DrainStage::Draining {
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

/// Accepts connections and serves HTTP/1.1 on each, in a task named `name`, with the service that `make` returns for
/// it.
///
/// Runs until its future is dropped, which closes the listener and every connection.
pub async fn accept_loop<M, S, F, B>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    make: M,
) where
    M: FnMut(ConnectionAddresses) -> S,
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: ServerBody,
{
    accept_loop_until(env, listener, options, name, &Drain::new(), make).await;
}

/// Like [`accept_loop`], but returns when the drain begins. The connections then end gracefully, as the drain
/// specifies. Dropping the future before that closes them at once.
pub async fn accept_loop_until<M, S, F, B>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    drain: &Drain,
    mut make: M,
) where
    M: FnMut(ConnectionAddresses) -> S,
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: ServerBody,
{
    let options = Rc::new(options.clone());
    accept_each(env, listener, drain, |stream, connected| {
        let service = make(connected);
        let (own, options, drain) = (env.clone(), Rc::clone(&options), drain.clone());
        env.spawn(name, async move {
            // The service observes the outcome of each request, and the connection's own result is not needed.
            let _ = serve_http1_until(&own, stream, &options, &drain, service).await;
        });
    })
    .await;
}

/// Like [`accept_loop_until`], for HTTP/1.1 or HTTP/2 as chosen by each client. Calls `ended` with a connection's
/// result after its last request.
pub async fn accept_auto_until<M, S, F, B, E>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    drain: &Drain,
    mut make: M,
    ended: E,
) where
    M: FnMut(ConnectionAddresses) -> S,
    S: Fn(Request<Body>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: ServerBody,
    E: Fn(ConnectionAddresses, Result<(), ServeError>) + 'static,
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

/// Accepts connections until the drain begins.
async fn accept_each(
    env: &Env,
    mut listener: BoxListener,
    drain: &Drain,
    mut serve: impl FnMut(BoxStream, ConnectionAddresses),
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
                let connected = ConnectionAddresses {
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

/// Closes the connections of an accept loop that is dropped while it accepts.
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
