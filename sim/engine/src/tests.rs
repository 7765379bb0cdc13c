//! Tests of the whole engine, through the same interface that the mesh uses.

mod chaos;
mod determinism;
mod executor;
mod http;
mod model;
mod network;
mod recovery;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::rt::{Read as _, ReadBuf, Write as _};
use shakedown_env::{BoxStream, Env, Time, UnixTime};

use crate::{HostId, HostSpec, LinkLatency, Sim, SimLink, SimOptions};

const PORT: u16 = 80;
const MS: Duration = Duration::from_millis(1);

fn sim() -> Sim {
    seeded(1, None)
}

fn seeded(seed: u64, noise: Option<u64>) -> Sim {
    Sim::new(SimOptions {
        seed,
        epoch: UnixTime::from_nanos(1_000_000_000_000),
        noise,
    })
}

/// A simulation of hosts `h0`, `h1`, ... with the same latency between all of them.
fn hosts(count: u32, latency: Duration) -> (Sim, Vec<Env>) {
    let sim = sim();
    let envs = (0..count).map(|n| add(&sim, n)).collect();
    set_latency(&sim, latency);
    (sim, envs)
}

fn add(sim: &Sim, n: u32) -> Env {
    sim.add_host(spec(n))
}

fn spec(n: u32) -> HostSpec {
    HostSpec::new(format!("h{n}"), ip(n))
}

fn set_latency(sim: &Sim, latency: Duration) {
    set_link(
        sim,
        SimLink {
            latency: LinkLatency::Constant(latency),
            ..SimLink::default()
        },
    );
}

fn set_link(sim: &Sim, link: SimLink) {
    sim.net().set_link(Box::new(move |_, _| link.clone()));
}

fn id(sim: &Sim, n: u32) -> HostId {
    sim.host_id(&format!("h{n}")).unwrap()
}

fn ip(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + n))
}

fn addr(n: u32) -> SocketAddr {
    SocketAddr::new(ip(n), PORT)
}

fn at(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

/// Observations of tasks, with their times.
#[derive(Clone)]
struct Log(Rc<RefCell<Vec<(Time, String)>>>);

impl Log {
    fn new() -> Log {
        Log(Rc::default())
    }

    fn add(&self, env: &Env, what: impl std::fmt::Display) {
        self.0.borrow_mut().push((env.now(), what.to_string()));
    }

    fn take(&self) -> Vec<(Time, String)> {
        self.0.take()
    }

    fn words(&self) -> Vec<String> {
        self.take().into_iter().map(|(_, what)| what).collect()
    }
}

/// Formats a result without its value: `Ok(())`, `Err(TimedOut)`.
fn format_result<T>(result: io::Result<T>) -> String {
    format!("{:?}", result.map(|_| ()).map_err(|error| error.kind()))
}

async fn write(stream: &mut BoxStream, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await
}

async fn write_all(stream: &mut BoxStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = write(stream, bytes).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

async fn shutdown(stream: &mut BoxStream) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
}

/// Reads up to `most` bytes; empty at the end of the stream.
async fn read(stream: &mut BoxStream, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut buf = ReadBuf::new(&mut bytes);
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buf.unfilled())).await?;
    Ok(buf.filled().to_vec())
}

async fn read_text(stream: &mut BoxStream) -> String {
    match read(stream, 100).await {
        Ok(bytes) if bytes.is_empty() => "end".to_owned(),
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Listens on a host and runs a task for each connection.
fn serve<F: Future<Output = ()> + 'static>(
    env: &Env,
    n: u32,
    each: impl Fn(Env, BoxStream) -> F + 'static,
) {
    let mut listener = env.listen(addr(n)).unwrap();
    let env = env.clone();
    env.clone().spawn("accept", async move {
        loop {
            let stream = listener.accept().await.unwrap();
            env.spawn("serve", each(env.clone(), stream));
        }
    });
}
