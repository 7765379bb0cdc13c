//! Tests the heap memory that a hostile HTTP/2 client can make a proxy retain. Everything runs in one thread, so client
//! and network buffers are included: 256 KiB per connection and direction.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read as _, ReadBuf, Write as _};
use shakedown_engine::{HostSpec, LinkLatency, Sim, SimLink, SimOptions};
use shakedown_env::{BoxStream, Env, UnixTime};
use shakedown_proxy::run_with_table;
use shakedown_xds::table::{Table, UpstreamProtocol};

use super::frames::{self, DATA, SETTINGS, WINDOW_UPDATE, frame, hello};
use super::shop;

const CALLER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const OUTBOUND: SocketAddr = SocketAddr::new(IpAddr::V4(shop::POD), 15_001);
const MIB: u64 = 1024 * 1024;

/// The behaviour of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upstream {
    /// Accepts connections, but neither reads nor answers.
    Stuck,
    /// Reads, but never answers.
    Silent,
    /// Uses HTTP/2 with the maximum windows, and reads nothing.
    StuckHttp2,
}

/// A `POST /` to the plain service, without its end.
fn half_open(stream: u32) -> Vec<u8> {
    frames::half_open(stream, shop::PLAIN, "/")
}

pub(crate) async fn write(stream: &mut BoxStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await;
        bytes = &bytes[written.unwrap()..];
    }
}

pub(crate) async fn read(stream: &mut BoxStream) -> usize {
    let mut space = [0; 16 * 1024];
    let mut buffer = ReadBuf::new(&mut space);
    let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled()));
    read.await.map_or(0, |()| buffer.filled().len())
}

async fn treat(upstream: Upstream, mut stream: BoxStream) {
    match upstream {
        Upstream::Stuck => {}
        Upstream::Silent => while read(&mut stream).await > 0 {},
        Upstream::StuckHttp2 => {
            const MOST: u32 = (1 << 31) - 1;
            let window = [&[0, 4][..], &MOST.to_be_bytes()].concat();
            let more = MOST - 65_535;
            let hello = [
                frame(SETTINGS, 0, 0, &window),
                frame(WINDOW_UPDATE, 0, 0, &more.to_be_bytes()),
            ]
            .concat();
            write(&mut stream, &hello).await;
        }
    }
    std::future::pending::<()>().await;
}

/// The measured configuration with HTTP/2 upstreams.
pub(super) fn http2_table() -> Table {
    let mut table = shop::table();
    let clusters: Vec<_> = table.clusters.values().cloned().collect();
    for mut cluster in clusters {
        Arc::make_mut(&mut cluster).protocol = UpstreamProtocol::Http2 {
            max_concurrent_streams: 1024,
        };
        table.clusters.put(cluster);
    }
    table
}

fn table(upstream: Upstream) -> Table {
    match upstream {
        Upstream::StuckHttp2 => http2_table(),
        _ => shop::table(),
    }
}

/// Returns the peak growth of the heap while a client sends these pieces, and true if its connection was still open
/// afterwards.
fn peak(upstream: Upstream, pieces: impl IntoIterator<Item = Vec<u8>> + 'static) -> (u64, bool) {
    let sim = Sim::new(SimOptions {
        seed: 7,
        epoch: UnixTime::from_nanos(1_700_000_000_000_000_000),
        noise: None,
    });
    let add = |address: IpAddr| sim.add_host(HostSpec::new(address.to_string(), address));
    let (caller, pod) = (add(CALLER.into()), add(shop::POD.into()));
    let server = add(shop::plain().ip());
    sim.net().set_link(Box::new(|_, _| SimLink {
        latency: LinkLatency::Constant(Duration::from_micros(100)),
        loss_ppm: 0,
        bandwidth: None,
    }));
    let mut listener = server.listen(shop::plain()).unwrap();
    server.clone().spawn("server", async move {
        while let Ok(stream) = listener.accept().await {
            server.spawn("server-connection", treat(upstream, stream));
        }
    });
    let own = pod.clone();
    pod.spawn("proxy", async move {
        let run = run_with_table(own, shop::bootstrap(), table(upstream));
        run.await.unwrap();
    });
    let (begun, done) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
    let (start, end) = (Rc::clone(&begun), Rc::clone(&done));
    caller.clone().spawn("caller", async move {
        end.set(Some(attack(&caller, &start, pieces).await));
    });
    sim.run(|| begun.get()).unwrap();
    let info = allocation_counter::measure(|| sim.run(|| done.get().is_some()).unwrap());
    (info.bytes_max, done.get().unwrap())
}

/// Sends all pieces, and returns true if the connection was still open afterwards.
async fn attack(env: &Env, begun: &Cell<bool>, pieces: impl IntoIterator<Item = Vec<u8>>) -> bool {
    let mut stream = env.connect(OUTBOUND, None).await.unwrap();
    write(&mut stream, &hello()).await;
    env.sleep(Duration::from_millis(10)).await;
    begun.set(true);
    for piece in pieces {
        write(&mut stream, &piece).await;
    }
    env.sleep(Duration::from_millis(100)).await;
    let mut open = true;
    let drain = async {
        while open {
            open = read(&mut stream).await > 0;
        }
    };
    // Everything sent to the client has arrived by now, and so would have the end of the connection.
    let _ = env.timeout(Duration::from_millis(1), drain).await;
    open
}

/// The given number of streams, with one-byte DATA frames on each in turn.
fn one_byte_frames(streams: u32, frames: u32) -> impl Iterator<Item = Vec<u8>> {
    let ids = move || (0..streams).map(|number| 2 * number + 1);
    let heads: Vec<u8> = ids().flat_map(half_open).collect();
    let round: Vec<u8> = ids().flat_map(|id| frame(DATA, 0, id, b"x")).collect();
    let rounds = round.repeat(100);
    std::iter::once(heads).chain((0..frames / 100).map(move |_| rounds.clone()))
}

#[test]
fn data_that_comes_a_byte_a_frame_costs_about_its_length() {
    for upstream in [Upstream::Stuck, Upstream::Silent, Upstream::StuckHttp2] {
        // 960,000 frames: less than a mebibyte of data, 9 MB in transit.
        let (peak, served) = peak(upstream, one_byte_frames(24, 40_000));
        println!("{upstream:?}: {} KiB", peak / 1024);
        assert!(peak < 20 * MIB, "{upstream:?}: {} KiB", peak / 1024);
        assert!(served, "{upstream:?}: slow messages are no attack");
    }
}

#[test]
fn a_stream_that_is_left_half_open_costs_little() {
    let heads = (0..1_000).map(|number| half_open(2 * number + 1));
    let (peak, served) = peak(Upstream::Silent, heads);
    println!("1,000 streams: {} KiB", peak / 1024);
    assert!(served && peak < 64 * MIB, "{} KiB", peak / 1024);
}
