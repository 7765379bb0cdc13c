//! Benchmarks of one simulated second: of a thousand idle hosts, and of 333 chains of client, two proxies and
//! server with real hyper, at 1,000 requests per second in total.
//!
//! The second result divided by 1,000 is the cost of one request through four hosts, in the engine and hyper.
//! The proxies only forward.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use shakedown_engine::{HostSpec, LinkLatency, Sim, SimLink, SimOptions};
use shakedown_env::{BoxStream, Env, Time, UnixTime};

const SECOND: Duration = Duration::from_secs(1);
const PORT: u16 = 8080;
const CHAINS: u32 = 333;

fn world() -> Sim {
    let sim = Sim::new(SimOptions {
        seed: 1,
        epoch: UnixTime::default(),
        noise: None,
    });
    sim.net().set_link(Box::new(|_, _| SimLink {
        latency: LinkLatency::Constant(Duration::from_micros(250)),
        ..SimLink::default()
    }));
    sim
}

fn host(sim: &Sim, number: u32) -> Env {
    sim.add_host(HostSpec::new(format!("host-{number}"), address(number)))
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + number))
}

fn second_of(sim: &Sim) {
    sim.run_until(sim.now() + SECOND)
        .expect("the simulation runs");
}

fn idle(criterion: &mut Criterion) {
    let sim = world();
    for number in 0..1000u32 {
        let env = host(&sim, number);
        let inner = env.clone();
        env.spawn("tick", async move {
            inner
                .sleep_until(Time::ZERO + Duration::from_millis(number.into()))
                .await;
            loop {
                inner.sleep(SECOND).await;
            }
        });
    }
    second_of(&sim);
    criterion.bench_function("idle: 1,000 hosts, one simulated second", |bench| {
        bench.iter(|| second_of(&sim))
    });
}

fn chains(criterion: &mut Criterion) {
    let sim = world();
    let answered = Rc::new(Cell::new(0u64));
    for chain in 0..CHAINS {
        let [client, outbound, inbound, server] =
            [0, 1, 2, 3].map(|place| host(&sim, chain * 4 + place));
        let at = move |place| SocketAddr::new(address(chain * 4 + place), PORT);
        accept(
            &server,
            at(3),
            |_, stream| async move { respond(stream).await },
        );
        accept(&inbound, at(2), move |env, stream| {
            forward(env, stream, at(3))
        });
        accept(&outbound, at(1), move |env, stream| {
            forward(env, stream, at(2))
        });
        let (env, answered) = (client.clone(), Rc::clone(&answered));
        client.spawn("load", async move {
            let mut next = env.now() + SECOND * chain / 1000;
            let mut sender = dial(&env, at(1)).await;
            loop {
                env.sleep_until(next).await;
                next += SECOND * CHAINS / 1000;
                let request = Request::get("/")
                    .header("host", "server")
                    .body(Full::default());
                let response = sender
                    .send_request(request.expect("the request is valid"))
                    .await
                    .expect("the server responds");
                black_box(
                    response
                        .into_body()
                        .collect()
                        .await
                        .expect("the body is complete"),
                );
                answered.set(answered.get() + 1);
            }
        });
    }
    second_of(&sim);
    second_of(&sim);
    let before = answered.get();
    let stats = sim.stats();
    second_of(&sim);
    let after = sim.stats();
    assert!(
        (990..=1010).contains(&(answered.get() - before)),
        "{} requests",
        answered.get() - before
    );
    eprintln!(
        "a second of chains: {} requests, {} polls, {} events, {} packets",
        answered.get() - before,
        after.polls - stats.polls,
        after.events - stats.events,
        after.packets - stats.packets
    );
    let mut group = criterion.benchmark_group("chains");
    group.throughput(Throughput::Elements(1000));
    group.bench_function(
        "333 of client, proxy, proxy, server, 1,000 requests",
        |bench| bench.iter(|| second_of(&sim)),
    );
    group.finish();
}

fn accept<F: Future<Output = ()> + 'static>(
    env: &Env,
    at: SocketAddr,
    each: impl Fn(Env, BoxStream) -> F + 'static,
) {
    let mut listener = env.listen(at).expect("a free port");
    let inner = env.clone();
    env.spawn("accept", async move {
        while let Ok(stream) = listener.accept().await {
            inner.spawn("serve", each(inner.clone(), stream));
        }
    });
}

async fn dial(env: &Env, to: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = env.connect(to, None).await.expect("the server listens");
    let (sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .expect("a connection");
    env.spawn("connection", async move {
        connection
            .await
            .expect("the connection ends without an error")
    });
    sender
}

async fn respond(stream: BoxStream) {
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.auto_date_header(false)
        .serve_connection(stream, service)
        .await
        .expect("the connection ends without an error");
}

/// A minimal proxy, with one upstream connection per downstream connection.
async fn forward(env: Env, stream: BoxStream, to: SocketAddr) {
    let upstream = dial(&env, to).await;
    let upstream = RefCell::new(Some(upstream));
    let service = service_fn(|request: Request<Incoming>| async {
        let mut sender = upstream.take().expect("one request at a time");
        let (head, _body) = request.into_parts();
        let response = sender
            .send_request(Request::from_parts(head, Full::default()))
            .await;
        upstream.replace(Some(sender));
        response
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.auto_date_header(false)
        .serve_connection(stream, service)
        .await
        .expect("the connection ends without an error");
}

criterion_group! {
    name = engine;
    config = Criterion::default().sample_size(20);
    targets = idle, chains
}
criterion_main!(engine);
