//! The control plane on its host: the push loop, and delta ADS for every proxy that connects.

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
use crate::cluster::Cluster;
use crate::push::{Hub, push_loop};
use crate::status::Status;

/// The method that is served.
const DELTA_PATH: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// The longest request that is read, in bytes. Source: tonic, `DEFAULT_MAX_RECV_MESSAGE_SIZE`.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the listener rests after an accept that failed (out of descriptors, say).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How a control plane runs.
#[derive(Clone, Debug)]
pub struct ControlOptions {
    /// Where it serves ADS.
    pub listen: SocketAddr,
    /// A change is pushed when this long has passed without another; after a hundred times as long in any case.
    pub debounce: Duration,
    /// How long a proxy may take to acknowledge a response before its stream is closed. Longer than the 15 s for which Envoy
    /// may hold an acknowledgement back.
    pub ack_timeout: Duration,
    /// How many connections there may be; more are closed as they come.
    pub connections_max: usize,
    /// Shows where every proxy is. Keep a clone to look at it.
    pub status: Status,
    /// Whether `Canary` documents are acted on. Where not, they are taken and do nothing.
    pub canaries: bool,
    /// How often a canary's metrics are read.
    pub telemetry: Duration,
}

impl ControlOptions {
    /// Istio's figures, listening at `listen`.
    pub fn new(listen: SocketAddr) -> ControlOptions {
        ControlOptions {
            listen,
            debounce: Duration::from_millis(100),
            ack_timeout: Duration::from_secs(30),
            connections_max: 16_384,
            status: Status::default(),
            canaries: true,
            telemetry: Duration::from_secs(15),
        }
    }
}

/// A control plane that could not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Its address cannot be listened on.
    #[error("listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Runs the control plane: pushes what `cluster` says to every proxy that connects. It ends only with an error; dropping it
/// stops the pushes, and the connections stay as they are until their host or their peers end them.
///
/// # Errors
/// The address cannot be listened on.
pub async fn run(env: Env, cluster: Cluster, options: ControlOptions) -> Result<(), ControlError> {
    let addr = options.listen;
    // The first configuration is made before anybody can ask for it: a proxy is never told that there is nothing.
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

/// Accepts proxies for ever.
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
        let slot = Slot::take(&open);
        let service = Ads {
            env: env.clone(),
            hub: Arc::clone(&hub),
            patience: options.ack_timeout,
        };
        let own = env.clone();
        env.spawn("control-connection", async move {
            // How a connection ended matters to its proxy alone, which comes back.
            let _ = serve_h2(&own, stream, &H2Options::default(), service).await;
            drop(slot);
        });
    }
}

/// One of the connections that there may be.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Slot {
        open.fetch_add(1, Ordering::Relaxed);
        Slot(Arc::clone(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The aggregated discovery service. Not tonic's generated server: its messages own their bytes, ours share them among all
/// proxies, and its streams hold a buffer as large as a configuration.
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
                let what = "only DeltaAggregatedResources is served";
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
