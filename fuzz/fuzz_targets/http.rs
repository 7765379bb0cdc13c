//! Fuzzes a whole proxy in the simulator, between a caller and an upstream. One of them sends the input: HTTP/1.1 or
//! HTTP/2 from the caller, or HTTP/1.1 from the upstream.
//!
//! The first byte selects the sender (highest bit) and the size of the pieces in which the input is sent. No task may
//! panic, and the size of the pieces must not change the bytes that caller and upstream receive.
#![no_main]

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, Write};
use libfuzzer_sys::fuzz_target;
use shakedown_engine::{HostSpec, Sim, SimOptions};
use shakedown_env::{BoxStream, Env, Time, UnixTime};
use shakedown_proxy::run_with_table;
use shakedown_xds::table::Table;

#[allow(dead_code, reason = "the benchmarks use the rest")]
#[path = "../../mesh/proxy/tests/allocations/shop.rs"]
mod shop;

const CALLER: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);
/// The outbound listener of the pod's sidecar.
const OUTBOUND: SocketAddr = SocketAddr::new(IpAddr::V4(shop::POD), 15_001);
const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nhost: plain:9080\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// The pause between pieces, short enough that no timeout expires and the wall clock's second does not change.
const PAUSE: Duration = Duration::from_micros(10);
/// The pause of an upstream before its response, longer than all pieces of a request take.
const REST: Duration = Duration::from_millis(100);
/// The read and write timeout of a peer, longer than every timeout of the configuration.
const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    static TABLE: Table = shop::table();
}

fuzz_target!(|input: &[u8]| {
    let Some((control, bytes)) = input.split_first() else {
        return;
    };
    let by_caller = control & 0x80 == 0;
    let whole = exchange(by_caller, bytes, bytes.len());
    let size = usize::from(control & 0x7f);
    // HTTP/2 frames read together are answered together, so their responses depend on the pieces.
    if size > 0 && size < bytes.len() && !bytes.starts_with(b"PRI ") {
        let pieces = exchange(by_caller, bytes, size);
        assert!(
            pieces.agrees(&whole),
            "in pieces of {size}: {pieces:#?}\nwhole: {whole:#?}"
        );
    }
});

/// The bytes that each side has read, without the boundaries of chunks and without values that depend on timing.
#[derive(Clone, Debug, Default)]
struct Seen {
    caller: String,
    upstream: String,
}

impl Seen {
    /// True if two runs differ only in the part of a malformed message that was forwarded before the error was
    /// detected, and in the text of an error.
    fn agrees(&self, other: &Seen) -> bool {
        let agree = |one: &str, two: &str| one.starts_with(two) || two.starts_with(one);
        let status = |seen: &Seen| seen.caller.lines().next().unwrap_or_default().to_owned();
        let callers = if status(self).starts_with("HTTP/1.1 2") {
            agree(&self.caller, &other.caller)
        } else {
            status(self) == status(other)
        };
        callers && agree(&self.upstream, &other.upstream)
    }
}

/// Sends the bytes through a proxy, as its caller or as its upstream.
fn exchange(by_caller: bool, bytes: &[u8], size: usize) -> Seen {
    let sim = Sim::new(SimOptions {
        seed: 7,
        epoch: UnixTime::from_nanos(1_700_000_000_000_000_000),
        noise: None,
    });
    let pod = sim.add_host(HostSpec::new("pod", shop::POD.into()));
    let caller = sim.add_host(HostSpec::new("caller", CALLER.into()));
    let upstream = sim.add_host(HostSpec::new("upstream", shop::plain().ip()));
    let table = TABLE.with(Clone::clone);
    pod.clone().spawn("proxy", async move {
        run_with_table(pod, shop::bootstrap(), table)
            .await
            .expect("its port is free");
    });
    let pieces: Vec<Vec<u8>> = bytes.chunks(size.max(1)).map(<[u8]>::to_vec).collect();
    let (request, response) = if by_caller {
        (pieces, vec![RESPONSE.to_vec()])
    } else {
        (vec![REQUEST.to_vec()], pieces)
    };
    let seen = Rc::new(RefCell::new(Seen::default()));
    serve(upstream, response, Rc::clone(&seen));
    call(caller, request, Rc::clone(&seen));
    let end = Time::ZERO + Duration::from_secs(600);
    if let Err(error) = sim.run_until(end) {
        panic!("{error}");
    }
    drop(sim);
    seen.take()
}

/// Accepts connections, and answers the first request of each with the response.
fn serve(env: Env, response: Vec<Vec<u8>>, seen: Rc<RefCell<Seen>>) {
    let mut listener = env.listen(shop::plain()).expect("its port is free");
    env.clone().spawn("upstream", async move {
        while let Ok(mut stream) = listener.accept().await {
            let (own, response, seen) = (env.clone(), response.clone(), Rc::clone(&seen));
            env.spawn("upstream-connection", async move {
                let mut bytes = Vec::new();
                if read(&own, &mut stream, &mut bytes).await {
                    own.sleep(REST).await;
                    send(&own, &mut stream, &response).await;
                    while read(&own, &mut stream, &mut bytes).await {}
                }
                seen.borrow_mut().upstream.push_str(&plain(&bytes));
            });
        }
    });
}

/// Sends the request and reads the whole response.
fn call(env: Env, request: Vec<Vec<u8>>, seen: Rc<RefCell<Seen>>) {
    env.clone().spawn("caller", async move {
        // The proxy listens by then.
        env.sleep(PAUSE).await;
        let mut stream = env
            .connect(OUTBOUND, None)
            .await
            .expect("the proxy listens");
        send(&env, &mut stream, &request).await;
        let mut bytes = Vec::new();
        while read(&env, &mut stream, &mut bytes).await {}
        seen.borrow_mut().caller = plain(&bytes);
    });
}

/// Writes pieces until the peer has closed.
async fn send(env: &Env, stream: &mut BoxStream, pieces: &[Vec<u8>]) {
    for piece in pieces {
        let mut left = &piece[..];
        while !left.is_empty() {
            let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, left));
            match env.timeout(PATIENCE, written).await {
                Ok(Ok(count)) if count > 0 => left = &left[count..],
                _ => return,
            }
        }
        env.sleep(PAUSE).await;
    }
}

/// Reads available data. Returns false at the end.
async fn read(env: &Env, stream: &mut BoxStream, into: &mut Vec<u8>) -> bool {
    let mut bytes = [0; 4096];
    let mut buffer = ReadBuf::new(&mut bytes);
    let filled = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled()));
    let went_well = matches!(env.timeout(PATIENCE, filled).await, Ok(Ok(())));
    into.extend_from_slice(buffer.filled());
    went_well && !buffer.filled().is_empty()
}

/// Normalises messages: joins the data of their chunks, and removes the upstream's service time.
fn plain(mut bytes: &[u8]) -> String {
    let mut plain = Vec::new();
    while let Some(end) = find(bytes, b"\r\n\r\n") {
        let (head, rest) = bytes.split_at(end + 4);
        for line in head.split_inclusive(|byte| *byte == b'\n') {
            if !line.starts_with(b"x-envoy-upstream-service-time:") {
                plain.extend_from_slice(line);
            }
        }
        bytes = rest;
        if find(head, b"transfer-encoding: chunked\r\n").is_some() {
            while let Some((data, rest)) = chunk(bytes) {
                plain.extend_from_slice(data);
                bytes = rest;
            }
        }
    }
    plain.extend_from_slice(bytes);
    String::from_utf8_lossy(&plain).into_owned()
}

/// The data of a chunk and the bytes after it. A truncated chunk yields the available data.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = find(bytes, b"\r\n")?;
    let size = std::str::from_utf8(&bytes[..line]).ok()?;
    let size = usize::from_str_radix(size, 16)
        .ok()
        .filter(|size| *size > 0)?;
    let data = &bytes[line + 2..];
    let most = size.min(data.len());
    let rest = &data[most..];
    Some((&data[..most], rest.strip_prefix(b"\r\n").unwrap_or(rest)))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}
