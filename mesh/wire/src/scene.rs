//! Test fixtures: simulated hosts, and servers that misbehave on purpose.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::rt::{Read, ReadBuf, Write};
use shakedown_engine::{HostSpec, LinkLatency, Sim, SimLink, SimOptions};
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_env::{BoxStream, Env, UnixTime};

use crate::{
    Body, Drain, Pool, PoolOptions, PoolProtocol, ServeError, ServerOptions, accept_auto_until,
    accept_loop,
};

pub(crate) mod frames;

const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// The latency between the two hosts of [`run_apart`].
pub(crate) const LATENCY: Duration = ms(10);

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Any port of the test's host.
pub(crate) const ANY: SocketAddr = SocketAddr::new(NEAR, 0);
/// Any port of the remote host.
pub(crate) const ANY_FAR: SocketAddr = SocketAddr::new(FAR, 0);

/// Runs a test on one simulated host, with a network without latency.
pub(crate) fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(Env) -> F + 'static) {
    run_apart(|near, _far| test(near));
}

/// Runs a test on two simulated hosts with [`LATENCY`] between them. The test must end within a simulated hour.
pub(crate) fn run_apart<F: Future<Output = ()> + 'static>(
    test: impl FnOnce(Env, Env) -> F + 'static,
) {
    let sim = Sim::new(SimOptions {
        seed: 1,
        epoch: UnixTime::default(),
        noise: None,
    });
    sim.net().set_link(Box::new(|from, to| SimLink {
        latency: LinkLatency::Constant(if from == to { Duration::ZERO } else { LATENCY }),
        ..SimLink::default()
    }));
    let (near, far) = (
        sim.add_host(HostSpec::new("near", NEAR)),
        sim.add_host(HostSpec::new("far", FAR)),
    );
    let ended = Rc::new(Cell::new(false));
    let flag = Rc::clone(&ended);
    near.spawn("test", {
        let test = test(near.clone(), far);
        async move {
            test.await;
            flag.set(true);
        }
    });
    let limit = near.now() + Duration::from_secs(3600);
    sim.run(|| ended.get() || near.now() > limit).unwrap();
    assert!(ended.get(), "the test did not end");
}

/// Runs a test on the real loopback, at `127.0.0.1`. Assertions must not depend on the machine's speed.
pub(crate) fn run_real<F: Future<Output = ()>>(test: impl FnOnce(Env) -> F) {
    let runtime = Runtime::new().unwrap();
    let env = runtime
        .host(HostOptions {
            seed: Some(1),
            ..HostOptions::new("here")
        })
        .unwrap();
    let test = test(env.clone());
    runtime
        .block_on(async { env.timeout(ms(60_000), test).await })
        .expect("the test ends in time");
}

/// The observations of a server.
#[derive(Debug, Default)]
pub(crate) struct ServerLog {
    pub(crate) connections: Cell<usize>,
    pub(crate) requests: Cell<usize>,
    /// Requests whose handler was dropped before its end.
    pub(crate) cancelled: Cell<usize>,
    /// `path content-length` of each request.
    pub(crate) log: RefCell<Vec<String>>,
    /// The results of connections, if the server reports them.
    pub(crate) ended: RefCell<Vec<Result<(), ServeError>>>,
}

/// Counts a cancelled request on drop, unless its flag has been cleared.
struct Cancel<'a>(&'a ServerLog, bool);

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        self.0
            .cancelled
            .set(self.0.cancelled.get() + usize::from(self.1));
    }
}

/// Starts a server with these paths: `/echo` returns the request's body, `/stream` the same while it arrives (chunked
/// if the request is), `/size/N` N bytes, `/none` 204, `/close` adds `connection: close`, `/slow/MS` responds after
/// that time, `/never` does not respond.
pub(crate) fn serve(env: &Env, options: &ServerOptions) -> (SocketAddr, Rc<ServerLog>) {
    serve_at(env, ANY, options)
}

/// Starts the same server at an address.
pub(crate) fn serve_at(
    env: &Env,
    at: SocketAddr,
    options: &ServerOptions,
) -> (SocketAddr, Rc<ServerLog>) {
    let seen = Rc::new(ServerLog::default());
    let listener = env.listen(at).unwrap();
    let addr = listener.local_addr();
    let (own, options, count) = (env.clone(), options.clone(), Rc::clone(&seen));
    env.spawn("server", async move {
        let make = |_connected| {
            count.connections.set(count.connections.get() + 1);
            let (env, seen) = (own.clone(), Rc::clone(&count));
            move |request: Request<hyper::body::Incoming>| {
                answer(env.clone(), Rc::clone(&seen), request)
            }
        };
        accept_loop(&own, listener, &options, "connection", make).await;
    });
    (addr, seen)
}

/// Starts the same server for HTTP/1.1 and HTTP/2, chosen by the client's first bytes.
pub(crate) fn serve_auto_at(
    env: &Env,
    at: SocketAddr,
    options: &ServerOptions,
) -> (SocketAddr, Rc<ServerLog>, Drain) {
    let (seen, drain) = (Rc::new(ServerLog::default()), Drain::new());
    let listener = env.listen(at).unwrap();
    let addr = listener.local_addr();
    let (own, options, count) = (env.clone(), options.clone(), Rc::clone(&seen));
    let (handle, log) = (drain.clone(), Rc::clone(&seen));
    env.spawn("server", async move {
        let env = own.clone();
        let make = move |_connected| {
            count.connections.set(count.connections.get() + 1);
            let (env, seen) = (env.clone(), Rc::clone(&count));
            move |request| answer(env.clone(), Rc::clone(&seen), request)
        };
        let ended = move |_connected, result| log.ended.borrow_mut().push(result);
        accept_auto_until(&own, listener, &options, "connection", &handle, make, ended).await;
    });
    (addr, seen, drain)
}

pub(crate) async fn answer(
    env: Env,
    seen: Rc<ServerLog>,
    request: Request<impl Into<Body>>,
) -> Response<Body> {
    let request = request.map(Into::into);
    seen.requests.set(seen.requests.get() + 1);
    let mut cancel = Cancel(&seen, true);
    let length = request
        .headers()
        .get("content-length")
        .map(|length| length.to_str().unwrap());
    let line = format!("{} {}", request.uri().path(), length.unwrap_or("-"));
    seen.log.borrow_mut().push(line);
    let path = request.uri().path().to_owned();
    let (what, argument) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
    let number: u64 = argument.parse().unwrap();
    let mut response = Response::new(Body::empty());
    match what {
        "echo" => {
            let body = request.into_body().collect(10_000_000).await;
            *response.body_mut() = Body::full(body.unwrap_or_default());
        }
        "stream" => *response.body_mut() = request.into_body(),
        "size" => *response.body_mut() = Body::full(vec![b'x'; usize::try_from(number).unwrap()]),
        "none" => *response.status_mut() = http::StatusCode::NO_CONTENT,
        "close" => {
            response
                .headers_mut()
                .insert("connection", "close".parse().unwrap());
        }
        "slow" => env.sleep(ms(number)).await,
        "never" => std::future::pending::<()>().await,
        _ => *response.status_mut() = http::StatusCode::NOT_FOUND,
    }
    cancel.1 = false;
    response
}

/// Starts a listener that passes each connection to `handle`, in a task of its own.
pub(crate) fn serve_raw<F: Future<Output = ()> + 'static>(
    env: &Env,
    handle: impl Fn(BoxStream) -> F + 'static,
) -> SocketAddr {
    serve_raw_at(env, ANY, handle)
}

/// Starts the same listener at an address.
pub(crate) fn serve_raw_at<F: Future<Output = ()> + 'static>(
    env: &Env,
    at: SocketAddr,
    handle: impl Fn(BoxStream) -> F + 'static,
) -> SocketAddr {
    let mut listener = env.listen(at).unwrap();
    let addr = listener.local_addr();
    let own = env.clone();
    env.spawn("server", async move {
        loop {
            let stream = listener.accept().await.unwrap();
            own.spawn("connection", handle(stream));
        }
    });
    addr
}

pub(crate) fn pool(env: &Env, to: SocketAddr, options: PoolOptions) -> Pool {
    Pool::new(env.clone(), to, None, options)
}

pub(crate) fn pool_http2(env: &Env, to: SocketAddr) -> Pool {
    pool(env, to, http2())
}

pub(crate) fn http2() -> PoolOptions {
    PoolOptions {
        protocol: PoolProtocol::Http2,
        ..PoolOptions::default()
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::builder()
        .uri(path)
        .header("host", "here")
        .body(Body::empty())
        .unwrap()
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("host", "here");
    request.body(Body::full(body)).unwrap()
}

/// Sends a request and returns the whole body of the response.
pub(crate) async fn fetch(pool: &Pool, request: Request<Body>) -> Bytes {
    let response = pool.send(request).await.unwrap();
    response.into_body().collect(10_000_000).await.unwrap()
}

pub(crate) async fn write(stream: &mut BoxStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// Reads the next bytes. Empty at the end of the stream.
pub(crate) async fn read(stream: &mut BoxStream) -> io::Result<Vec<u8>> {
    let mut space = [0; 4096];
    poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut space);
        let done = Pin::new(&mut *stream).poll_read(cx, buf.unfilled());
        done.map(|done| done.map(|()| buf.filled().to_vec()))
    })
    .await
}

/// Reads until `stop` has arrived or the stream ends.
pub(crate) async fn read_until(stream: &mut BoxStream, stop: &str) -> String {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if text.contains(stop) {
            return text;
        }
        match read(stream).await {
            Ok(bytes) if !bytes.is_empty() => all.extend(bytes),
            Ok(_) | Err(_) => return text,
        }
    }
}

/// Returns the error codes of the GOAWAY frames (type 7) among these bytes.
pub(crate) fn farewells(mut bytes: &[u8]) -> Vec<u8> {
    let mut reasons = Vec::new();
    while bytes.len() >= 9 {
        let length = usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        if bytes[3] == 7 {
            reasons.push(bytes[9 + 7]);
        }
        bytes = &bytes[9 + length..];
    }
    reasons
}
