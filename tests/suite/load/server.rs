//! A server for loads, in a thread of its own, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_env::{Env, Time};
use shakedown_wire::{Body, Drain, ServerOptions, TlsServer, accept_auto_until, serve_auto_until};

/// What a server does with requests.
#[derive(Clone, Copy)]
pub(super) enum Habit {
    /// Answers at once.
    Quick,
    /// Answers after 300 ms: long beside whatever a busy machine adds.
    Slow,
    /// Answers each second request after 150 ms with 503, the others as [`Slow`](Habit::Slow) does.
    Half,
    /// Answers at once, with 503.
    Refusing,
    /// Never answers.
    Silent,
    /// Stands still for this long at the end of each of those spans, from its first request on.
    Frozen(Duration, Duration),
    /// As quick, over TLS, with a certificate of `localhost`.
    Tls,
    /// The same, with a certificate as `openssl req -x509` makes it: an authority's own, self-signed.
    SelfSigned,
    /// As [`Tls`](Habit::Tls), without a word of HTTP/2.
    TlsHttp1,
}

/// When each request came, and for what.
type Log = Arc<Mutex<Vec<(Time, String)>>>;

/// The headers of the request that came last.
type Last = Arc<Mutex<HeaderMap>>;

/// A server in a thread of its own. Dropping it ends it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// When each request came.
    seen: Log,
    last: Last,
    stop: Arc<AtomicBool>,
    /// Who vouches for its certificate, as a PEM file, where it speaks TLS.
    pub(super) authority: String,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server shares no thread with its test"
    )]
    pub(super) fn start(habit: Habit) -> Server {
        let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let last = Last::default();
        let headers = Arc::clone(&last);
        let (tell, told) = mpsc::channel();
        let (log, end) = (Arc::clone(&seen), Arc::clone(&stop));
        let (certificate, key) = certificate(matches!(habit, Habit::SelfSigned));
        let authority = certificate.clone();
        let thread = std::thread::spawn(move || {
            let runtime = Runtime::new().expect("a runtime");
            let env = runtime.host(HostOptions::new("server")).expect("a host");
            runtime.block_on(async {
                let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let listener = env.listen(any).expect("a port");
                tell.send(listener.local_addr()).expect("the test waits");
                let own = env.clone();
                let _server = env.spawn_owned("server", async move {
                    match habit {
                        Habit::Tls | Habit::SelfSigned => {
                            let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
                            serve_tls(&own, listener, (certificate, key), alpn, log).await;
                        }
                        Habit::TlsHttp1 => {
                            let alpn: &[&[u8]] = &[b"http/1.1"];
                            serve_tls(&own, listener, (certificate, key), alpn, log).await;
                        }
                        _ => serve(&own, listener, habit, log, headers).await,
                    }
                });
                while !end.load(Ordering::Relaxed) {
                    env.sleep(Duration::from_millis(20)).await;
                }
            });
        });
        let address = told.recv().expect("the server listens");
        Server {
            address,
            seen,
            last,
            stop,
            authority,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// When each request came.
    pub(super) fn seen(&self) -> Vec<Time> {
        let seen = self.seen.lock().expect("no server panics");
        seen.iter().map(|(time, _)| *time).collect()
    }

    /// The headers of the request that came last.
    pub(super) fn headers(&self) -> HeaderMap {
        self.last.lock().expect("no server panics").clone()
    }

    /// Waits until so many requests have come.
    pub(super) fn wait_for(&self, count: usize) {
        while self.seen().len() < count {
            std::thread::yield_now();
        }
    }

    /// How many requests came for this, as in `GET /path`.
    pub(super) fn asked(&self, wanted: &str) -> u64 {
        let seen = self.seen.lock().expect("no server panics");
        seen.iter().filter(|(_, what)| what == wanted).count() as u64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()), "the server failed");
    }
}

/// A certificate of `localhost` and its key, as PEM; `authority`: marked as an authority's.
fn certificate(authority: bool) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let made = params.self_signed(&key).expect("a certificate");
    (made.pem(), key.serialize_pem())
}

async fn serve(
    env: &Env,
    listener: shakedown_env::BoxListener,
    habit: Habit,
    log: Log,
    last: Last,
) {
    let options = ServerOptions::default();
    let own = env.clone();
    let make = move |_| {
        let (env, log, last) = (own.clone(), Arc::clone(&log), Arc::clone(&last));
        move |request: Request<Body>| {
            last.lock()
                .expect("nobody panics")
                .clone_from(request.headers());
            let number = note(&log, env.now(), &request);
            let clock = env.clone();
            if let (Habit::Frozen(span, every), 1) = (habit, number) {
                env.spawn("freezer", freeze(env.clone(), span, every));
            }
            async move {
                let refused = match habit {
                    Habit::Silent => std::future::pending().await,
                    Habit::Half => number % 2 == 0,
                    habit => matches!(habit, Habit::Refusing),
                };
                if matches!(habit, Habit::Slow | Habit::Half) {
                    let span = if refused { 150 } else { 300 };
                    clock.sleep(Duration::from_millis(span)).await;
                }
                let mut response = Response::new(Body::full("hello"));
                if refused {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                response
            }
        }
    };
    let drain = Drain::new();
    accept_auto_until(
        env,
        listener,
        &options,
        "connection",
        &drain,
        make,
        |_, _| (),
    )
    .await;
}

/// The same, quick, inside of TLS.
async fn serve_tls(
    env: &Env,
    mut listener: shakedown_env::BoxListener,
    (certificate, key): (String, String),
    alpn: &[&[u8]],
    log: Log,
) {
    let tls = TlsServer::new(env, certificate.as_bytes(), key.as_bytes(), alpn);
    let tls = tls.expect("the certificate is good");
    loop {
        let Ok(stream) = listener.accept().await else {
            continue;
        };
        let (own, tls, log) = (env.clone(), tls.clone(), Arc::clone(&log));
        env.spawn("connection", async move {
            // A client that refuses the certificate ends the handshake.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let clock = own.clone();
            let service = move |request: Request<Body>| {
                note(&log, clock.now(), &request);
                async { Response::new(Body::full("hello")) }
            };
            // How a connection ends is the client's affair.
            let (options, drain) = (ServerOptions::default(), Drain::new());
            let _ended = serve_auto_until(&own, stream, &options, &drain, service).await;
        });
    }
}

/// Takes note of a request, and says how many there were.
fn note<B>(log: &Log, now: Time, request: &Request<B>) -> usize {
    let mut log = log.lock().expect("nobody panics");
    log.push((now, format!("{} {}", request.method(), request.uri())));
    log.len()
}

/// Stops the whole thread, as a pause of a garbage collector would.
#[expect(
    clippy::disallowed_methods,
    reason = "a server that stands still is what is tested"
)]
async fn freeze(env: Env, span: Duration, every: Duration) {
    loop {
        env.sleep(every - span).await;
        std::thread::sleep(span);
    }
}
