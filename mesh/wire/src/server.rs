//! HTTP servers: serving one connection to its end, and accept loops. They support HTTP/1.1 alone, or HTTP/1.1 and
//! HTTP/2 chosen by the client's first bytes, like Envoy's AUTO codec.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use shakedown_env::{BoxListener, BoxStream, Env, TaskName};

use crate::{Body, Drain, SessionClient};

mod body;
mod error;
mod head;
mod http1;
mod http2;
mod idle;
mod options;
mod sniff;
mod transport;

pub use body::ServerBody;
pub use error::ServeError;
pub use head::HeadTimeout;
pub use options::ServerOptions;
use sniff::{Sniffed, poll_is_http2, sniffed};
pub use transport::{ServerTls, TransportSecurity};
use transport::{secured, until_closing};

/// The pause of an accept loop after a failed accept. The usual cause is a lack of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// The addresses of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionAddresses {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// An accepted connection whose transport has been established.
#[derive(Clone, Debug)]
pub struct AcceptedConnection {
    pub addresses: ConnectionAddresses,
    /// The client of a TLS session. `None`: plain text.
    pub tls: Option<SessionClient>,
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
    serve_sniffed(env, sniffed(stream), options, drain, service).await
}

async fn serve_sniffed<S, F, B>(
    env: &Env,
    mut stream: Sniffed,
    options: &ServerOptions,
    drain: &Drain,
    service: S,
) -> Result<(), ServeError>
where
    S: Fn(Request<Body>) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: ServerBody,
{
    let known = until_closing(env, options, drain, |cx| poll_is_http2(&mut stream, cx));
    match known.await {
        None => Ok(()),
        Some(Err(error)) => Err(ServeError::First(error)),
        Some(Ok(true)) => http2::serve(env, stream, options, drain, service).await,
        Some(Ok(false)) => {
            let service = |request: Request<Incoming>| service(request.map(Body::from));
            Ok(http1::serve(env, stream, options, drain, service).await?)
        }
    }
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

/// Like [`accept_loop_until`], for HTTP/1.1 or HTTP/2 as chosen by each client, with the transport security of the options.
/// `make` returns the service of a connection once its transport has been established. Calls `ended` with a connection's
/// result after its last request.
pub async fn accept_auto_until<M, S, F, B, E>(
    env: &Env,
    listener: BoxListener,
    options: &ServerOptions,
    name: TaskName,
    drain: &Drain,
    make: M,
    ended: E,
) where
    M: Fn(AcceptedConnection) -> S + 'static,
    S: Fn(Request<Body>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: ServerBody,
    E: Fn(ConnectionAddresses, Result<(), ServeError>) + 'static,
{
    let options = Rc::new(options.clone());
    let (make, ended) = (Rc::new(make), Rc::new(ended));
    accept_each(env, listener, drain, |stream, addresses| {
        let (own, options, drain) = (env.clone(), Rc::clone(&options), drain.clone());
        let (make, ended) = (Rc::clone(&make), Rc::clone(&ended));
        env.spawn(name, async move {
            // Boxed, because the state of a handshake would enlarge the task of every connection.
            let result = match Box::pin(secured(&own, stream, &options, &drain)).await {
                None => Ok(()),
                Some(Err(error)) => Err(error),
                Some(Ok(secured)) => {
                    let service = make(AcceptedConnection {
                        addresses,
                        tls: secured.tls,
                    });
                    serve_sniffed(&own, secured.stream, &options, &drain, service).await
                }
            };
            ended(addresses, result);
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
