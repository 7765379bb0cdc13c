//! The ADS servers of the two proxies: a relay between Envoy and our control plane, which only adds an access log to
//! the listeners, and a fixture that serves a case's messages.
//!
//! Both use the delta protocol, and record the resources that Envoy rejects.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use envoy_types::pb::envoy::config::accesslog::v3::{AccessLog, access_log};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{
    FileAccessLog, file_access_log::AccessLogFormat,
};
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt as _, stream};
use prost::Message as _;
use shakedown_env::{Env, Owned};
use shakedown_wire::{H2Options, connect_h2, serve_h2};
use shakedown_xds::proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use shakedown_xds::proto::discovery::{
    DeltaDiscoveryRequest as Request, DeltaDiscoveryResponse as Response, Resource as Sent,
};
use shakedown_xds::proto::listener::Listener;
use shakedown_xds::proto::listener::filter::ConfigType;
use shakedown_xds::proto::manager::HttpConnectionManager;
use shakedown_xds::proto::protobuf::Any;
use shakedown_xds::proto::{LISTENER, Resource, ResourceKind, pack, unpack};
use tokio::sync::mpsc;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, StreamingService};
use tonic::{Response as GrpcResponse, Status, Streaming};
use tonic_prost::ProstCodec;

/// Descriptions of the rejected resources.
pub(crate) type Refusals = Arc<Mutex<Vec<String>>>;

/// The format of Envoy's access log, one tab-separated line per request.
const LOG_FORMAT: &str = "%REQ(X-REQUEST-ID)%\t%RESPONSE_CODE%\t%RESPONSE_FLAGS%\t%RESPONSE_CODE_DETAILS%\t%UPSTREAM_CLUSTER_RAW%\t%UPSTREAM_REQUEST_ATTEMPT_COUNT%\n";

/// The source of resources.
#[derive(Clone)]
pub(crate) enum Source {
    /// A control plane at this address.
    Relay(SocketAddr),
    /// The messages of a case.
    Fixture(Arc<Fixture>),
}

/// The messages of a case, which it may replace.
#[derive(Default)]
pub(crate) struct Fixture {
    state: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    resources: Vec<Resource>,
    /// Notified of a change, one per stream.
    streams: Vec<mpsc::UnboundedSender<()>>,
    /// Responses that were sent but not acknowledged or rejected yet, by stream and nonce.
    unanswered: BTreeSet<(usize, String)>,
}

impl Fixture {
    pub(crate) fn new(resources: Vec<Resource>) -> Arc<Fixture> {
        let fixture = Fixture::default();
        fixture.written().resources = resources;
        Arc::new(fixture)
    }

    /// Replaces the messages and notifies the streams.
    pub(crate) fn change(&self, resources: Vec<Resource>) {
        let mut written = self.written();
        written.resources = resources;
        written.streams.retain(|stream| stream.send(()).is_ok());
    }

    /// Returns true if every response was acknowledged or rejected.
    pub(crate) fn is_settled(&self) -> bool {
        self.written().unanswered.is_empty()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscriptions and sent resources of a fixture's stream.
struct StreamState {
    stream: usize,
    /// The subscribed names by type; `None` is a wildcard subscription.
    subscribed: BTreeMap<String, Option<BTreeSet<String>>>,
    /// The versions that were sent, by type and name.
    sent: BTreeMap<(String, String), String>,
    nonce: u64,
}

/// The ADS service of one proxy.
#[derive(Clone)]
struct Ads {
    env: Env,
    source: Source,
    /// The path of the access log; `None` adds no log.
    log: Option<String>,
    refusals: Refusals,
}

/// Serves ADS at an address.
pub(crate) fn serve(
    env: &Env,
    at: SocketAddr,
    source: Source,
    log: Option<String>,
    refusals: &Refusals,
) -> std::io::Result<Owned> {
    let mut listener = env.listen(at)?;
    let ads = Ads {
        env: env.clone(),
        source,
        log,
        refusals: Arc::clone(refusals),
    };
    let own = env.clone();
    Ok(env.spawn_owned("ads", async move {
        while let Ok(stream) = listener.accept().await {
            let (env, ads) = (own.clone(), ads.clone());
            own.spawn("ads-connection", async move {
                // The peer closes the connection.
                let _ = serve_h2(&env, stream, &H2Options::default(), ads).await;
            });
        }
    }))
}

impl Service<http::Request<tonic::body::Body>> for Ads {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<Response, Request>::default();
            Ok(Grpc::new(codec).streaming(service, request).await)
        })
    }
}

impl StreamingService<Request> for Ads {
    type Response = Response;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Response, Status>> + Send>>;
    type Future = Ready<Result<GrpcResponse<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Request>>) -> Self::Future {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (ads, requests) = (self.clone(), request.into_inner());
        self.env.spawn("ads-stream", async move {
            match ads.source.clone() {
                Source::Relay(control) => ads.relay(control, requests, sender).await,
                Source::Fixture(fixture) => ads.answer(&fixture, requests, sender).await,
            }
        });
        let responses = stream::poll_fn(move |cx| receiver.poll_recv(cx));
        ready(Ok(GrpcResponse::new(Box::pin(responses))))
    }
}

impl StreamState {
    /// Records the subscriptions of a request. Returns true if a response is due.
    fn subscribe(&mut self, request: &Request) -> bool {
        let names = &request.resource_names_subscribe;
        let first = !self.subscribed.contains_key(&request.type_url);
        if names.is_empty() {
            if first {
                self.subscribed.insert(request.type_url.clone(), None);
            }
            return first;
        }
        // A resource that is subscribed again is sent again.
        for name in names {
            let key = (request.type_url.clone(), name.clone());
            self.sent.remove(&key);
        }
        let subscribed = self.subscribed.entry(request.type_url.clone());
        let subscribed = subscribed.or_insert_with(|| Some(BTreeSet::new()));
        if let Some(subscribed) = subscribed {
            subscribed.extend(names.iter().cloned());
        }
        true
    }
}

type Sender = mpsc::UnboundedSender<Result<Response, Status>>;

impl Ads {
    async fn relay(self, control: SocketAddr, requests: Streaming<Request>, sender: Sender) {
        let channel = connect_h2(&self.env, control, None, &H2Options::default()).await;
        let mut client = AggregatedDiscoveryServiceClient::new(channel.expect("it listens"));
        let refusals = Arc::clone(&self.refusals);
        let requests = requests.filter_map(move |request| {
            let request = request.ok().inspect(|request| note(&refusals, request));
            ready(request)
        });
        let Ok(opened) = client.delta_aggregated_resources(requests).await else {
            return;
        };
        let mut responses = opened.into_inner();
        while let Ok(Some(mut response)) = responses.message().await {
            for resource in &mut response.resources {
                if let Some(body) = &mut resource.resource {
                    self.add_log(body);
                }
            }
            if sender.send(Ok(response)).is_err() {
                return;
            }
        }
    }

    async fn answer(self, fixture: &Fixture, mut requests: Streaming<Request>, sender: Sender) {
        let (changed, mut changes) = mpsc::unbounded_channel();
        let stream = {
            let mut written = fixture.written();
            written.streams.push(changed);
            written.streams.len()
        };
        let mut state = StreamState {
            stream,
            subscribed: BTreeMap::new(),
            sent: BTreeMap::new(),
            nonce: 0,
        };
        loop {
            let change = pin!(changes.recv());
            let types = match select(requests.next(), change).await {
                Either::Left((Some(Ok(request)), _)) => {
                    note(&self.refusals, &request);
                    let answered = (stream, request.response_nonce.clone());
                    fixture.written().unanswered.remove(&answered);
                    if !state.subscribe(&request) {
                        continue;
                    }
                    vec![request.type_url]
                }
                Either::Left(_) => return,
                // Kinds are sent in make-before-break order.
                Either::Right(_) => ResourceKind::ALL.map(|kind| kind.url().to_owned()).to_vec(),
            };
            for type_url in types {
                let Some(response) = self.response(fixture, &mut state, &type_url) else {
                    continue;
                };
                if sender.send(Ok(response)).is_err() {
                    return;
                }
            }
        }
    }

    /// The response due to a stream for a type; `None` if nothing changed.
    fn response(
        &self,
        fixture: &Fixture,
        state: &mut StreamState,
        type_url: &str,
    ) -> Option<Response> {
        let subscribed = state.subscribed.get(type_url)?;
        let mut written = fixture.written();
        let mut response = Response {
            type_url: type_url.to_owned(),
            ..Response::default()
        };
        let wanted = |name: &String| subscribed.as_ref().is_none_or(|names| names.contains(name));
        let of_type = |resource: &&Resource| resource.body.type_url == type_url;
        for resource in written.resources.iter().filter(of_type) {
            let key = (type_url.to_owned(), resource.name.clone());
            if !wanted(&resource.name) || state.sent.get(&key) == Some(&resource.version) {
                continue;
            }
            state.sent.insert(key, resource.version.clone());
            let mut body = resource.body.clone();
            self.add_log(&mut body);
            response.resources.push(Sent {
                name: resource.name.clone(),
                version: resource.version.clone(),
                resource: Some(body),
                ..Sent::default()
            });
        }
        let is_there = |name: &String| {
            let found = |resource: &Resource| of_type(&resource) && resource.name == *name;
            written.resources.iter().any(found)
        };
        let gone = subscribed.iter().flatten().filter(|name| !is_there(name));
        response.removed_resources = gone.cloned().collect();
        if response.resources.is_empty() && response.removed_resources.is_empty() {
            return None;
        }
        state.nonce += 1;
        response.nonce = state.nonce.to_string();
        let unanswered = (state.stream, response.nonce.clone());
        written.unanswered.insert(unanswered);
        Some(response)
    }

    /// Adds an access log to a listener's connection managers.
    fn add_log(&self, body: &mut Any) {
        let Some(path) = self.log.as_ref().filter(|_| body.type_url == LISTENER) else {
            return;
        };
        let mut listener: Listener = unpack(body).expect("its type says so");
        let filters = listener
            .filter_chains
            .iter_mut()
            .flat_map(|chain| &mut chain.filters);
        for config in filters.filter_map(|filter| filter.config_type.as_mut()) {
            let ConfigType::TypedConfig(config) = config else {
                continue;
            };
            if let Ok(mut manager) = unpack::<HttpConnectionManager>(config) {
                manager.access_log.push(access_log_to(path));
                *config = pack(&manager);
            }
        }
        body.value = listener.encode_to_vec();
    }
}

#[expect(deprecated, reason = "the plain format is enough for a table")]
fn access_log_to(path: &str) -> AccessLog {
    let file = FileAccessLog {
        path: path.to_owned(),
        access_log_format: Some(AccessLogFormat::Format(LOG_FORMAT.into())),
    };
    AccessLog {
        name: "envoy.access_loggers.file".into(),
        config_type: Some(access_log::ConfigType::TypedConfig(pack(&file))),
        ..AccessLog::default()
    }
}

fn note(refusals: &Refusals, request: &Request) {
    if let Some(error) = &request.error_detail {
        let text = format!("{}: {}", request.type_url, error.message);
        refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}
