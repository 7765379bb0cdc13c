//! The control plane on its host: the push loop, and a delta ADS stream for every proxy that connects.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shakedown_env::{BoxListener, Env};
use shakedown_wire::{H2Options, MessageBody, Messages, serve_h2};
use tonic::Status as GrpcStatus;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::metadata::GRPC_CONTENT_TYPE;

use crate::ads::DeltaStream;
use crate::canary::Controller;
use crate::cluster::ManagedMesh;
use crate::push::{Hub, push_loop};
use crate::status::ConnectedProxies;

/// The only method that is served.
const DELTA_PATH: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// The maximum size of a request, in bytes. Source: tonic, `DEFAULT_MAX_RECV_MESSAGE_SIZE`.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The pause of the listener after a failed accept, for example when file descriptors are exhausted.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The configuration of a control plane.
#[derive(Clone, Debug)]
pub struct ControlOptions {
    /// The address on which ADS is served.
    pub listen: SocketAddr,
    /// The quiet period after a change before it is pushed. A change is delayed by at most a hundred times as long.
    pub debounce: Duration,
    /// The time within which a proxy must acknowledge a response before its stream is closed. Must exceed 15 s, the
    /// longest time that Envoy may delay an acknowledgement.
    pub ack_timeout: Duration,
    /// The maximum number of connections. Further ones are closed immediately.
    pub connections_max: usize,
    /// The status of every proxy. Keep a clone to read it.
    pub status: ConnectedProxies,
    /// True if `Canary` documents are acted on. Otherwise they are accepted and have no effect.
    pub canaries: bool,
    /// The interval between two scrapes of a canary's metrics.
    pub telemetry: Duration,
}

impl ControlOptions {
    /// Istio's defaults, listening on `listen`.
    pub fn new(listen: SocketAddr) -> ControlOptions {
        ControlOptions {
            listen,
            debounce: Duration::from_millis(100),
            ack_timeout: Duration::from_secs(30),
            connections_max: 16_384,
            status: ConnectedProxies::default(),
            canaries: true,
            telemetry: Duration::from_secs(15),
        }
    }
}

/// Error of a control plane that could not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The address cannot be listened on.
    #[error("listen on {addr}")]
    Listen {
        addr: SocketAddr,
        /// The error of the environment.
        source: io::Error,
    },
}

/// Runs the control plane: pushes the configuration of `cluster` to every proxy that connects. Returns only with an
/// error. Dropping the future stops the pushes. Connections stay open until their host or their peers close them.
///
/// # Errors
/// The address cannot be listened on.
pub async fn run(
    env: Env,
    cluster: ManagedMesh,
    options: ControlOptions,
) -> Result<(), ControlError> {
    let addr = options.listen;
    // The first push precedes the listener, so that a proxy never receives an empty configuration.
    let (hub, pusher) = Hub::new(&env, &cluster, options.status.clone(), options.canaries);
    let listener = env
        .listen(addr)
        .map_err(|source| ControlError::Listen { addr, source })?;
    let debounce = options.debounce;
    let _pushes = env.spawn_owned(
        "control-push",
        push_loop(env.clone(), cluster.clone(), pusher, debounce),
    );
    let _canaries = options.canaries.then(|| {
        let controller = Controller::new(env.clone(), cluster, Arc::clone(&hub), options.telemetry);
        env.spawn_owned("control-canaries", controller.run())
    });
    accept(&env, listener, hub, &options).await;
    Ok(())
}

/// Accepts connections of proxies. Never returns.
async fn accept(env: &Env, mut listener: BoxListener, hub: Arc<Hub>, options: &ControlOptions) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(stream) => stream,
            Err(_) => {
                env.sleep(ACCEPT_REST).await;
                continue;
            }
        };
        if open.load(Ordering::Relaxed) >= options.connections_max {
            continue;
        }
        let slot = ConnectionSlot::take(&open);
        let service = Ads {
            env: env.clone(),
            hub: Arc::clone(&hub),
            patience: options.ack_timeout,
        };
        let own = env.clone();
        env.spawn("control-connection", async move {
            // The proxy reconnects, so the error of a connection is not reported.
            let _ = serve_h2(&own, stream, &H2Options::default(), service).await;
            drop(slot);
        });
    }
}

/// A slot in the limit on connections.
struct ConnectionSlot(Arc<AtomicUsize>);

impl ConnectionSlot {
    fn take(open: &Arc<AtomicUsize>) -> ConnectionSlot {
        open.fetch_add(1, Ordering::Relaxed);
        ConnectionSlot(Arc::clone(open))
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The aggregated discovery service. It is not tonic's generated server, because messages there own their bytes, while
/// ours are shared among all proxies, and its streams buffer a whole configuration.
#[derive(Clone)]
struct Ads {
    env: Env,
    hub: Arc<Hub>,
    patience: Duration,
}

impl Service<http::Request<tonic::body::Body>> for Ads {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if request.uri().path() != DELTA_PATH {
                let what = "only DeltaAggregatedResources is supported";
                return Ok(GrpcStatus::unimplemented(what).into_http());
            }
            let requests = Messages::new(request.into_body(), REQUEST_BYTES_MAX);
            let stream = DeltaStream::new(service.env, service.hub, requests, service.patience);
            let body = tonic::body::Body::new(MessageBody::response(stream));
            let mut response = http::Response::new(body);
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
            Ok(response)
        })
    }
}
