//! The connections of an app: accepts them, and serves HTTP on each.

use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use shakedown_env::{BoxListener, BoxStream, Tapped};
use shakedown_wire::{
    Body, Drain, ResetStream, ServerOptions, serve_auto_until, serve_http1_until,
};

use super::answer::AppBody;
use super::connection_breaker::ConnectionBreaker;
use super::state::App;

/// Pause of the accept loop after a failed accept, which usually means that the process has run out of
/// file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(10);

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
