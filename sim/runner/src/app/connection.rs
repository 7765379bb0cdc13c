//! The connections of an app: serves HTTP, and resets a connection with a RST if a step requires it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use shakedown_env::{BoxListener, BoxStream, Stream, Tap, Tapped};
use shakedown_wire::{
    Body, Drain, ResetStream, ServerOptions, serve_auto_until, serve_http1_until,
};

use super::App;
use super::answer::AppBody;

/// Pause of the accept loop after a failed accept, which usually means that the process has run out of
/// file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// Breaks a connection: from then on it can only send a RST.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionBreaker(Arc<AtomicBool>);

impl ConnectionBreaker {
    pub(crate) fn pull(&self) {
        // One thread sets and reads it; it is atomic because streams are `Send`.
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_pulled() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

/// Accepts and serves connections until the pod dies.
pub(super) async fn accept(app: Rc<App>, mut listener: BoxListener) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let task = serve(Rc::clone(&app), stream);
                app.env.spawn("app-connection", task);
            }
            Err(_) => app.env.sleep(ACCEPT_REST).await,
        }
    }
}

async fn serve(app: Rc<App>, stream: BoxStream) {
    let breaker = ConnectionBreaker::default();
    let tap = breaker.clone();
    let stream = Box::new(Tapped { stream, tap });
    let options = ServerOptions {
        idle_timeout: Some(app.version().keep_alive_idle),
        max_requests_per_connection: app.version().keep_alive_requests,
        ..ServerOptions::default()
    };
    // Each request sees how its connection ended, so nothing waits for the connection itself.
    let drain: &Drain = &app.role.drain;
    if app.service().protocol.is_http2() {
        let own = Rc::clone(&app);
        let service = move |request| serve_stream(&own, request);
        let _ = serve_auto_until(&app.env, stream, &options, drain, service).await;
    } else {
        let service =
            |request: Request<Incoming>| app.serve(request.map(Body::from), breaker.clone());
        let _ = serve_http1_until(&app.env, stream, &options, drain, service).await;
    }
}

/// Serves an HTTP/2 request. A failure resets its stream, not the shared connection.
fn serve_stream(
    app: &Rc<App>,
    request: Request<Body>,
) -> impl Future<Output = Response<AppBody>> + use<> {
    let breaker = ConnectionBreaker::default();
    let serving = app.serve(request, breaker.clone());
    async move {
        let mut response = serving.await;
        if breaker.is_pulled() {
            response.extensions_mut().insert(ResetStream);
        }
        response
    }
}

impl Tap for ConnectionBreaker {
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(stream).poll_read(cx, buf)
    }

    fn before_write(&mut self) -> io::Result<()> {
        self.check()
    }

    fn before_drop(&mut self, stream: &mut impl Stream) {
        if self.is_pulled() {
            stream.reset_on_drop();
        }
    }
}
