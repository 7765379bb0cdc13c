//! The connections over which a host sends requests: to its sidecar, or directly to a replica.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::{HeaderMap, HeaderValue, Request};
use rand::seq::IndexedRandom as _;
use shakedown_env::{Env, Rng};
use shakedown_results::{Answer, Outcome};
use shakedown_scenarios::scenario::Protocol;
use shakedown_types::{GrpcStatus, ResponseFlags, grpc};
use shakedown_wire::{Body, Pool, PoolOptions, ResponseBody, SendError};

/// The port on which a sidecar accepts the requests of its app.
pub const OUTBOUND_PORT: u16 = 15001;

/// A service as the target of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTarget {
    /// The DNS name.
    pub name: Rc<str>,
    pub port: u16,
    /// `name:port`.
    pub authority: HeaderValue,
    pub protocol: Protocol,
}

impl CallTarget {
    /// A service by name and port; `None` if the name is not valid in a header.
    pub fn new(name: &str, port: u16, protocol: Protocol) -> Option<CallTarget> {
        let authority = HeaderValue::try_from(format!("{name}:{port}")).ok()?;
        Some(CallTarget {
            name: name.into(),
            port,
            authority,
            protocol,
        })
    }
}

/// The result of a request on the wire. `Ok` is any status in 200..399, and gRPC's OK. A caller with another definition
/// of success applies it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub outcome: Outcome,
    /// Envoy's response flags. Set only without a sidecar, which reports its own.
    pub flags: ResponseFlags,
}

/// The client transport of one host, created per incarnation. Its connections are closed with it.
#[derive(Debug)]
pub struct ClientTransport(Transport);

#[derive(Debug)]
enum Transport {
    Sidecar(Box<Sidecar>),
    Direct(Box<Direct>),
}

/// The pools to a host's sidecar, which accepts HTTP/1.1 and HTTP/2 on the same port.
#[derive(Debug)]
struct Sidecar {
    http1: Pool,
    http2: Pool,
}

/// The transport of a host without a sidecar.
#[derive(Debug)]
struct Direct {
    env: Env,
    /// True if connections are kept.
    reuse: bool,
    services: RefCell<BTreeMap<Rc<str>, DirectService>>,
    /// The random stream that selects replicas.
    rng: RefCell<Rng>,
}

/// The state of a service that is called without a sidecar.
#[derive(Debug, Default)]
struct DirectService {
    replicas: BTreeMap<SocketAddr, Rc<Replica>>,
    /// Replicas of connections that became free, the latest at the end. A new connection is opened to a random replica.
    /// A request uses the connection that became free last.
    free: Vec<SocketAddr>,
}

/// The connections to one replica.
#[derive(Debug)]
struct Replica {
    pool: Pool,
    /// True if a connection serves more than one request at a time.
    shares: bool,
    /// The number of this host's requests in progress to the replica.
    busy: Cell<usize>,
}

impl ClientTransport {
    /// A transport through the sidecar of the pod at `address`. `reuse`: keep connections.
    pub fn through_sidecar(env: Env, address: IpAddr, reuse: bool) -> ClientTransport {
        let to = SocketAddr::new(address, OUTBOUND_PORT);
        let pool = |protocol| Pool::new(env.clone(), to, None, options(reuse, protocol));
        ClientTransport(Transport::Sidecar(Box::new(Sidecar {
            http1: pool(Protocol::Http),
            http2: pool(Protocol::Http2),
        })))
    }

    /// A transport directly to a random replica of those that DNS returns. `reuse`: keep connections.
    pub fn direct(env: Env, reuse: bool, rng: Rng) -> ClientTransport {
        let (services, rng) = (RefCell::default(), RefCell::new(rng));
        ClientTransport(Transport::Direct(Box::new(Direct {
            env,
            reuse,
            services,
            rng,
        })))
    }

    /// Returns true if requests pass a sidecar.
    pub fn meshed(&self) -> bool {
        matches!(self.0, Transport::Sidecar(_))
    }

    /// Sends one request and reads its response to the end. Has no timeout of its own. Dropping the future cancels the
    /// request.
    ///
    /// The replica is stored in `upstream` as soon as it is known. A sidecar does not report it.
    pub async fn exchange(
        &self,
        target: &CallTarget,
        request: Request<Body>,
        upstream: &Cell<Option<SocketAddr>>,
    ) -> Exchange {
        match &self.0 {
            Transport::Sidecar(sidecar) => {
                let pool = if target.protocol.is_http2() {
                    &sidecar.http2
                } else {
                    &sidecar.http1
                };
                exchange_on(pool, target.protocol, request).await
            }
            Transport::Direct(direct) => direct.exchange(target, request, upstream).await,
        }
    }
}

impl Direct {
    async fn exchange(
        &self,
        target: &CallTarget,
        request: Request<Body>,
        upstream: &Cell<Option<SocketAddr>>,
    ) -> Exchange {
        let address = match self.choose(target).await {
            Ok(Some(address)) => address,
            Ok(None) | Err(_) => return Exchange::failed(ResponseFlags::UH),
        };
        upstream.set(Some(address));
        let replica = self.replica(target, address);
        if self.reuse && replica.shares {
            // Requests that arrive while it connects wait for this connection, as on a gRPC channel.
            self.offer(target, address);
        }
        let busy = InFlightGuard::count(&replica.busy);
        let exchange = exchange_on(&replica.pool, target.protocol, request).await;
        drop(busy);
        if self.reuse && !replica.shares && replica.has_free() {
            self.offer(target, address);
        }
        exchange
    }

    /// Marks the connection to a replica as available for a request.
    fn offer(&self, target: &CallTarget, address: SocketAddr) {
        let mut services = self.services.borrow_mut();
        let free = &mut services.entry(Rc::clone(&target.name)).or_default().free;
        free.push(address);
    }

    /// The replica of the connection that became free last, or else a random one.
    async fn choose(&self, target: &CallTarget) -> io::Result<Option<SocketAddr>> {
        if let Some(service) = self.services.borrow_mut().get_mut(&target.name)
            && let Some(address) = service.last_free()
        {
            return Ok(Some(address));
        }
        let addresses = self.env.resolve(&target.name).await?;
        let address = addresses.choose(&mut *self.rng.borrow_mut());
        Ok(address.map(|address| SocketAddr::new(*address, target.port)))
    }

    fn replica(&self, target: &CallTarget, address: SocketAddr) -> Rc<Replica> {
        let mut services = self.services.borrow_mut();
        let service = services.entry(Rc::clone(&target.name)).or_default();
        let replica = service.replicas.entry(address).or_insert_with(|| {
            let options = options(self.reuse, target.protocol);
            let pool = Pool::new(self.env.clone(), address, None, options);
            Rc::new(Replica {
                pool,
                shares: target.protocol.is_http2(),
                busy: Cell::new(0),
            })
        });
        Rc::clone(replica)
    }
}

impl DirectService {
    /// The replica of the connection that became free last, if it is still free.
    fn last_free(&mut self) -> Option<SocketAddr> {
        while let Some(address) = self.free.pop() {
            let replica = self.replicas.get(&address);
            if replica.is_some_and(|replica| replica.has_free()) {
                return Some(address);
            }
        }
        None
    }
}

impl Replica {
    /// Returns true if a connection is available: one without a request (idle, or about to be), or a shared one that is
    /// open or being opened.
    fn has_free(&self) -> bool {
        if self.shares {
            return self.pool.connections() + self.pool.connecting() > 0;
        }
        self.pool.connections() > self.busy.get()
    }
}

/// Counts a request as in progress until it is dropped.
struct InFlightGuard<'a>(&'a Cell<usize>);

impl InFlightGuard<'_> {
    fn count(cell: &Cell<usize>) -> InFlightGuard<'_> {
        cell.set(cell.get() + 1);
        InFlightGuard(cell)
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Exchange {
    const fn failed(flags: ResponseFlags) -> Exchange {
        Exchange {
            outcome: Outcome::none(Answer::Error),
            flags,
        }
    }

    /// The result of a request whose timeout expired.
    pub const TIMEOUT: Exchange = Exchange {
        outcome: Outcome::none(Answer::Timeout),
        flags: ResponseFlags::UT,
    };
}

fn options(reuse: bool, protocol: Protocol) -> PoolOptions {
    PoolOptions {
        reuse,
        protocol: if protocol.is_http2() {
            shakedown_wire::PoolProtocol::Http2
        } else {
            shakedown_wire::PoolProtocol::Http1
        },
        ..PoolOptions::default()
    }
}

async fn exchange_on(pool: &Pool, protocol: Protocol, request: Request<Body>) -> Exchange {
    let response = match pool.send(request).await {
        Ok(response) => response,
        Err(error) => return Exchange::failed(flags_of(&error)),
    };
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    match drain(body).await {
        Ok(trailers) => {
            let grpc = (protocol == Protocol::Grpc)
                .then(|| grpc_status(status, &head.headers, trailers.as_ref()));
            Exchange {
                outcome: Outcome::of_status(status, grpc),
                flags: ResponseFlags::empty(),
            }
        }
        // The head of the response was received, but its body failed.
        Err(_) => Exchange {
            outcome: Outcome::new(status, Answer::Error),
            flags: ResponseFlags::UC,
        },
    }
}

/// The gRPC status of a response: in its trailers, or in the headers of a trailers-only response. A plain HTTP response
/// is mapped by its HTTP status. Source: gRPC over HTTP/2, "Responses".
fn grpc_status(status: u16, headers: &HeaderMap, trailers: Option<&HeaderMap>) -> GrpcStatus {
    let value = trailers
        .and_then(|trailers| trailers.get(grpc::STATUS))
        .or_else(|| headers.get(grpc::STATUS));
    match value {
        Some(value) => {
            let code = value.to_str().ok().and_then(|text| text.parse().ok());
            code.map_or(GrpcStatus::Unknown, GrpcStatus::from_code)
        }
        None => GrpcStatus::from_http(status),
    }
}

/// Reads a body to its end, and returns only its trailers.
async fn drain(mut body: ResponseBody) -> Result<Option<HeaderMap>, shakedown_wire::BodyError> {
    use http_body_util::BodyExt as _;
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        if let Ok(last) = frame?.into_trailers() {
            trailers = Some(last);
        }
    }
    Ok(trailers)
}

fn flags_of(error: &SendError) -> ResponseFlags {
    if error.is_connect_failure() {
        ResponseFlags::UF
    } else {
        ResponseFlags::UC
    }
}
