//! Compares whole requests through client, proxy and server in the simulator with the same through a forwarder of hyper
//! alone.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use shakedown_engine::{HostSpec, LinkLatency, Sim, SimLink, SimOptions};
use shakedown_env::{BoxStream, Env, UnixTime};
use shakedown_proxy::run_with_table;
use shakedown_wire::Body;

use super::shop;

const CALLER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const OUTBOUND: SocketAddr = SocketAddr::new(IpAddr::V4(shop::POD), 15_001);
/// The number of requests before the measurement, enough for every buffer to have grown.
const WARM_UP: usize = 512;
/// The number of measured requests.
const COUNTED: usize = 256;
const RUNS: usize = 3;

/// A name and a value.
type Header = (&'static str, &'static str);
type Headers = &'static [Header];

/// The intermediary between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    Proxy,
    /// hyper's server and client without policies. Adds these headers to requests as the proxy does, because their
    /// reader allocates for each non-standard name.
    Forwarder(Headers),
}

const ID: Header = ("x-request-id", "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e");
const JASON: Header = ("end-user", "jason");
const PROTO: Header = ("x-forwarded-proto", "http");
const ATTEMPT: Header = ("x-envoy-attempt-count", "1");
const TIMEOUT: Header = ("x-envoy-expected-rq-timeout-ms", "2000");
/// The response header that the proxy adds.
const TOOK: Header = ("x-envoy-upstream-service-time", "0");

/// The allocations of each request in all participants, as the minimum of several runs. hyper reads the system's clock
/// and allocates a new `date` in the first poll of each second, even if configured to send none.
fn counts(middle: Middle, host: &'static str, headers: Headers) -> Vec<u64> {
    let runs = (0..RUNS).map(|_| run(middle, host, headers));
    let least = |one: Vec<u64>, other: Vec<u64>| {
        let pairs = one.into_iter().zip(other);
        pairs.map(|(one, other)| one.min(other)).collect()
    };
    runs.reduce(least).unwrap()
}

fn run(middle: Middle, host: &'static str, headers: Headers) -> Vec<u64> {
    let sim = Sim::new(SimOptions {
        seed: 7,
        epoch: UnixTime::from_nanos(1_700_000_000_000_000_000),
        noise: None,
    });
    let add = |address: IpAddr| sim.add_host(HostSpec::new(address.to_string(), address));
    let (caller, pod) = (add(CALLER.into()), add(shop::POD.into()));
    sim.net().set_link(Box::new(|_, _| SimLink {
        latency: LinkLatency::Constant(Duration::from_micros(100)),
        loss_ppm: 0,
        bandwidth: None,
    }));
    for address in shop::endpoints() {
        serve(add(address.ip()), address);
    }
    match middle {
        Middle::Forwarder(added) => forward(pod, added),
        Middle::Proxy => {
            let own = pod.clone();
            pod.spawn("proxy", async move {
                let run = run_with_table(own, shop::bootstrap(), shop::table());
                run.await.unwrap();
            });
        }
    }
    let done = Rc::new(Cell::new(0));
    call(caller, host, headers, Rc::clone(&done));
    let step = |turn: usize| {
        let info = allocation_counter::measure(|| sim.run(|| done.get() > turn).unwrap());
        info.count_total
    };
    let all: Vec<u64> = (0..WARM_UP + COUNTED).map(step).collect();
    all[WARM_UP..].to_vec()
}

/// Serves `ok` at an address.
fn serve(env: Env, address: SocketAddr) {
    let mut listener = env.listen(address).unwrap();
    env.clone().spawn("server", async move {
        while let Ok(stream) = listener.accept().await {
            env.spawn("server-connection", async move {
                let service = service_fn(|_: Request<Incoming>| async {
                    let mut response = Response::new(Body::full("ok"));
                    let text = HeaderValue::from_static("text/plain");
                    response.headers_mut().insert(CONTENT_TYPE, text);
                    Ok::<_, Infallible>(response)
                });
                builder().serve_connection(stream, service).await.unwrap();
            });
        }
    });
}

fn builder() -> server::Builder {
    let mut builder = server::Builder::new();
    builder.auto_date_header(false);
    builder
}

/// Forwards the requests of each connection on a dedicated connection.
fn forward(env: Env, added: Headers) {
    let mut listener = env.listen(OUTBOUND).unwrap();
    env.clone().spawn("forwarder", async move {
        while let Ok(stream) = listener.accept().await {
            let own = env.clone();
            env.spawn("forwarder-connection", async move {
                let sender = RefCell::new(connect::<Incoming>(&own, shop::plain()).await);
                let service = service_fn(|mut request: Request<Incoming>| {
                    added
                        .iter()
                        .for_each(|header| insert(request.headers_mut(), header));
                    let answer = sender.borrow_mut().send_request(request);
                    async move {
                        let mut response = answer.await?;
                        insert(response.headers_mut(), &TOOK);
                        Ok::<_, hyper::Error>(response)
                    }
                });
                builder().serve_connection(stream, service).await.unwrap();
            });
        }
    });
}

fn insert(headers: &mut HeaderMap, (name, value): &Header) {
    let name = HeaderName::from_static(name);
    headers.insert(name, HeaderValue::from_static(value));
}

/// Opens a connection with hyper's client.
async fn connect<B>(env: &Env, to: SocketAddr) -> SendRequest<B>
where
    B: HttpBody + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream: BoxStream = env.connect(to, None).await.unwrap();
    let (sender, connection) = client::handshake(stream).await.unwrap();
    env.spawn("client-connection", async move {
        let _ = connection.await;
    });
    sender
}

/// Sends requests one after another, and counts the answered ones.
fn call(env: Env, host: &'static str, headers: Headers, done: Rc<Cell<usize>>) {
    env.clone().spawn("caller", async move {
        let mut sender = connect::<Body>(&env, OUTBOUND).await;
        loop {
            sender.ready().await.unwrap();
            let mut request = Request::get("/reviews/1?full=yes")
                .header("host", host)
                .header("user-agent", "curl/8.5.0")
                .header("accept", "*/*");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            while let Some(frame) =
                std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
            {
                frame.unwrap();
            }
            done.set(done.get() + 1);
        }
    });
}

#[test]
fn a_plain_request_costs_no_more_than_hyper_does() {
    let proxy = counts(Middle::Proxy, shop::PLAIN, &[ID]);
    let alone = counts(Middle::Forwarder(&[PROTO, ATTEMPT]), shop::PLAIN, &[ID]);
    assert_eq!(proxy, alone);
}

#[test]
fn a_request_without_an_id_costs_no_more_either() {
    let proxy = counts(Middle::Proxy, shop::PLAIN, &[]);
    let alone = counts(Middle::Forwarder(&[ID, PROTO, ATTEMPT]), shop::PLAIN, &[]);
    assert_eq!(proxy, alone);
}

#[test]
fn a_request_that_meets_every_policy_costs_no_more_either() {
    let proxy = counts(Middle::Proxy, shop::REVIEWS, &[ID, JASON]);
    let added = &[PROTO, ATTEMPT, TIMEOUT];
    let alone = counts(Middle::Forwarder(added), shop::REVIEWS, &[ID, JASON]);
    assert_eq!(proxy, alone);
}
