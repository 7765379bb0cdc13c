//! Tests HTTP/2 callers that open many streams and end none, on real sockets: the proxy's memory, the service of other
//! callers meanwhile, and the resources left afterwards. The proxy runs in its own thread, whose heap is counted. Its
//! callers and its upstream share another thread.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_env::{BoxStream, Env};
use shakedown_proxy::{Bootstrap, run_with_table};
use shakedown_wire::{Body, Drain, Pool, PoolOptions, ServerOptions, accept_auto_until};
use shakedown_xds::table::Table;

use super::frames::{half_open, hello};
use super::memory::{http2_table, read, write};
use super::shop;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const MIB: u64 = 1024 * 1024;
const KIB: u64 = 1024;
const PATH: &str = "/never";

/// The size of a burst.
#[derive(Clone, Copy)]
struct Burst {
    connections: u32,
    /// The number of streams per connection.
    streams: u32,
    /// True if the proxy connects to the upstream over HTTP/2.
    http2: bool,
}

impl Burst {
    fn all(self) -> usize {
        (self.connections * self.streams) as usize
    }
}

/// The outcome of a burst.
#[derive(Debug)]
struct Found {
    /// The maximum growth of the proxy's heap over its size before the burst, in bytes.
    peak: u64,
    /// The growth of the proxy's heap that remains after the burst, in bytes.
    left: i64,
    /// The number of the process's descriptors before and after the burst.
    descriptors: [usize; 2],
    /// The maximum number of the burst's requests that reached the upstream during a single request of another caller.
    before_another: usize,
}

/// The steps of a test, at which the two threads wait for each other.
const WARM: u8 = 1;
const MEASURED: u8 = 2;
const OVER: u8 = 3;
const ENDED: u8 = 4;

fn runtime(name: &str) -> (Runtime, Env) {
    let runtime = Runtime::new().unwrap();
    let options = HostOptions {
        seed: Some(1),
        address: HERE,
        ..HostOptions::new(name)
    };
    let env = runtime.host(options).unwrap();
    (runtime, env)
}

/// An unused address.
fn free(env: &Env) -> SocketAddr {
    env.listen(SocketAddr::new(HERE, 0)).unwrap().local_addr()
}

async fn until(env: &Env, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        env.sleep(Duration::from_millis(1)).await;
    }
}

/// Waits for a condition, and fails after a minute.
async fn soon(env: &Env, what: &str, is_so: impl FnMut() -> bool) {
    let waiting = until(env, is_so);
    let ended = env.timeout(Duration::from_secs(60), waiting).await;
    assert!(ended.is_ok(), "{what} within a minute");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn table(upstream: SocketAddr, http2: bool) -> Table {
    let mut table = if http2 { http2_table() } else { shop::table() };
    let mut assignment = table
        .endpoints
        .values()
        .find(|known| known.name.contains("|plain."))
        .unwrap()
        .as_ref()
        .clone();
    assignment.hosts[0].address = upstream;
    table.endpoints.put(Arc::new(assignment));
    table
}

/// The requests of the burst at the upstream.
#[derive(Default)]
struct Seen {
    begun: Cell<usize>,
    /// Number of requests that were dropped before they had a response.
    dropped: Cell<usize>,
}

struct Begun(Rc<Seen>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.dropped.set(self.0.dropped.get() + 1);
    }
}

/// Answers every request at once, except those to [`PATH`], whose endless body it reads.
fn serve(env: &Env) -> (SocketAddr, Rc<Seen>) {
    let listener = env.listen(SocketAddr::new(HERE, 0)).unwrap();
    let (address, seen) = (listener.local_addr(), Rc::new(Seen::default()));
    let (own, log) = (env.clone(), Rc::clone(&seen));
    env.spawn("upstream", async move {
        let make = move |_connected| {
            let log = Rc::clone(&log);
            move |request: Request<Body>| {
                let log = Rc::clone(&log);
                async move {
                    if request.uri().path() == PATH {
                        log.begun.set(log.begun.get() + 1);
                        let _begun = Begun(log);
                        // hyper notices a closed stream only while the body is read.
                        assert!(request.into_body().collect(100).await.is_err());
                    }
                    Response::new(Body::full("ok"))
                }
            }
        };
        let options = ServerOptions::default();
        let drain = Drain::new();
        accept_auto_until(
            &own,
            listener,
            &options,
            "upstream",
            &drain,
            make,
            |_, _| (),
        )
        .await;
    });
    (address, seen)
}

/// Sends a request of another caller.
async fn ask(pool: &Pool) {
    let request = Request::get("/").header("host", shop::PLAIN);
    let answer = pool
        .send(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect(100).await.unwrap(), "ok");
}

async fn attack(env: Env, proxy: SocketAddr, burst: Burst) -> BoxStream {
    let mut stream = env.connect(proxy, None).await.unwrap();
    let mut bytes = hello();
    for number in 0..burst.streams {
        bytes.extend(half_open(2 * number + 1, shop::PLAIN, PATH));
    }
    write(&mut stream, &bytes).await;
    // The proxy's SETTINGS frame.
    assert!(read(&mut stream).await > 0);
    stream
}

/// Sends the burst. Returns the maximum number of its requests that overtook one of another caller, and the
/// descriptors.
async fn call(
    env: Env,
    proxy: SocketAddr,
    seen: &Seen,
    burst: Burst,
    part: &AtomicU8,
) -> (usize, [usize; 2]) {
    while env.connect(proxy, None).await.is_err() {
        env.sleep(Duration::from_millis(1)).await;
    }
    let other = Pool::new(env.clone(), proxy, None, PoolOptions::default());
    ask(&other).await;
    part.store(WARM, SeqCst);
    until(&env, || part.load(SeqCst) == MEASURED).await;
    let before = descriptors();
    let attacks: Vec<_> = (0..burst.connections)
        .map(|_| attack(env.clone(), proxy, burst))
        .collect();
    let attacks = futures_util::future::join_all(attacks);
    let mut most = 0;
    let asking = async {
        while seen.begun.get() < burst.all() {
            let begun = seen.begun.get();
            ask(&other).await;
            most = most.max(seen.begun.get() - begun);
        }
    };
    let both = futures_util::future::join(attacks, asking);
    let (streams, ()) = env.timeout(Duration::from_secs(60), both).await.unwrap();
    ask(&other).await;
    drop(streams);
    soon(&env, "every request of the burst is given up", || {
        seen.dropped.get() == burst.all()
    })
    .await;
    soon(&env, "every descriptor is closed", || {
        descriptors() <= before
    })
    .await;
    ask(&other).await;
    let after = descriptors();
    part.store(OVER, SeqCst);
    until(&env, || part.load(SeqCst) == ENDED).await;
    (most, [before, after])
}

fn meet(burst: Burst) -> Found {
    let part = Arc::new(AtomicU8::new(0));
    let (send, receive) = std::sync::mpsc::channel();
    let callers_part = Arc::clone(&part);
    #[expect(
        clippy::disallowed_methods,
        reason = "the heap of a proxy is counted apart from that of its callers, by thread"
    )]
    let callers = std::thread::spawn(move || {
        let (runtime, env) = runtime("callers");
        runtime.block_on(async {
            let proxy = SocketAddr::new(shop::POD.into(), free(&env).port());
            let (upstream, seen) = serve(&env);
            send.send((proxy, upstream)).unwrap();
            call(env, proxy, &seen, burst, &callers_part).await
        })
    });
    let (proxy, upstream) = receive.recv().unwrap();
    let (runtime, env) = runtime("proxy");
    runtime.block_on(async {
        let control = SocketAddr::new(HERE, 1);
        let mut bootstrap = Bootstrap::sidecar("pages-1", "default", proxy.ip(), control);
        (bootstrap.outbound_port, bootstrap.admin_port) = (proxy.port(), free(&env).port());
        let (own, table) = (env.clone(), table(upstream, burst.http2));
        env.spawn("proxy", async move {
            run_with_table(own, bootstrap, table).await.unwrap();
        });
    });
    let wait = |wanted: u8| {
        let is_over = || part.load(SeqCst) == wanted || callers.is_finished();
        runtime.block_on(until(&env, is_over));
        assert!(!callers.is_finished(), "the callers have failed");
    };
    wait(WARM);
    let heap = allocation_counter::measure(|| {
        part.store(MEASURED, SeqCst);
        wait(OVER);
    });
    part.store(ENDED, SeqCst);
    let (before_another, descriptors) = callers.join().unwrap();
    Found {
        peak: heap.bytes_max,
        left: heap.bytes_current,
        descriptors,
        before_another,
    }
}

/// Serialises the tests, which count the descriptors of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn hold(burst: Burst, bytes_per_stream: u64) -> Found {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = meet(burst);
    drop(alone);
    println!(
        "{found:?}, {} KiB a connection",
        found.peak / KIB / u64::from(burst.connections)
    );
    let most = u64::from(burst.connections * burst.streams) * bytes_per_stream;
    assert!(found.peak < most, "{found:?}");
    assert!(found.left.unsigned_abs() < MIB, "{found:?}");
    assert_eq!(found.descriptors[0], found.descriptors[1], "{found:?}");
    found
}

#[test]
fn many_half_open_streams_cost_little_memory_and_starve_no_other_caller() {
    let burst = Burst {
        connections: 20,
        streams: 1_000,
        http2: true,
    };
    let found = hold(burst, 16 * KIB);
    let fair = burst.all() / 2;
    assert!(found.before_another < fair, "{found:?}");
}

/// Uses fewer streams: each has its own upstream connection and a process may be limited to few descriptors.
#[test]
fn half_open_streams_toward_http1_are_given_up_with_their_connections() {
    let burst = Burst {
        connections: 2,
        streams: 150,
        http2: false,
    };
    hold(burst, 64 * KIB);
}
