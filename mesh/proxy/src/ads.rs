//! The client of the control plane: delta ADS over one HTTP/2 connection, reopened for as long as the proxy lives.
//!
//! A configuration is put in force once everything it refers to has been answered, so that a route never refers to a
//! cluster whose endpoints are missing. While the control plane is unreachable the last configuration stays in force.
//! On start it is read from the store.
//!
//! Resources are validated by the compiler of `shakedown_xds`, not here.

mod backoff;
mod outbox;
mod session;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_immediate;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use prost::Message;
use shakedown_env::Time;
use shakedown_types::MeshEvent;
use shakedown_wire::{Channel, ChannelBody, H2Options, MessageBody, Messages, connect_h2};
use shakedown_xds::proto::ResourceKind;
use shakedown_xds::proto::core::Node;
use shakedown_xds::proto::discovery::DeltaDiscoveryResponse;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::{Code, Status};

use self::backoff::ReconnectBackoff;
use self::outbox::Outbox;
pub(crate) use self::session::AdsSession;
use self::session::{Published, RefusedResource};
use crate::accept;
use crate::proxy::Proxy;
use crate::resources::ResourceCache;
use crate::shared::Shared;

/// The path of the gRPC method.
const DELTA_PATH: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// The time that the control plane has to accept a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a configuration waits for the resources it refers to. Source: Envoy, `initial_fetch_timeout`, default
/// 15 s.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest response accepted, in bytes.
const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The reason why an ADS stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdsError {
    #[error("connect to the control plane")]
    Connect(#[source] io::Error),
    #[error("open the ADS stream in time")]
    OpenTimeout,
    #[error("open the ADS stream")]
    Open(#[source] Box<tonic::Status>),
    #[error("read the ADS stream")]
    Read(#[source] Box<tonic::Status>),
    #[error("read a response of the ADS stream")]
    Decode(#[source] prost::DecodeError),
    #[error("read the ADS stream: the control plane closed it")]
    Ended,
}

/// Follows the control plane forever. Resources that other proxies have accepted are taken from the cache.
pub(crate) async fn follow(proxy: Rc<Proxy>, cache: ResourceCache) -> Infallible {
    let env = proxy.shared.env.clone();
    let mut random = env.rng("proxy/ads");
    let mut session = restore(&proxy, cache);
    let mut backoff = ReconnectBackoff::new();
    loop {
        let Err(error) = converse(&proxy, &mut session, &mut backoff).await;
        proxy.control_plane.lost(env.now(), &error);
        env.sleep(backoff.next(&mut random)).await;
    }
}

/// Restores the last good configuration from the store, and puts it in force.
fn restore(proxy: &Rc<Proxy>, cache: ResourceCache) -> AdsSession {
    let mut session = AdsSession::new(cache);
    let store = proxy.shared.env.store();
    for kind in ResourceKind::ALL {
        // A value that does not decode was truncated or written by another version. The control plane sends the
        // resources again.
        let saved = store.read(store_key(kind));
        if let Some(Ok(saved)) = saved.map(|bytes| DeltaDiscoveryResponse::decode(&bytes[..])) {
            session.restore(saved);
        }
    }
    if let Some(table) = session.restored() {
        proxy.put_in_force(table, None);
    }
    session
}

/// Runs one stream, from connecting to its end.
async fn converse(
    proxy: &Rc<Proxy>,
    session: &mut AdsSession,
    backoff: &mut ReconnectBackoff,
) -> Result<Infallible, AdsError> {
    let Shared { env, bootstrap, .. } = &*proxy.shared;
    let channel = connect_h2(
        env,
        bootstrap.control,
        Some(bootstrap.address),
        &H2Options::default(),
    )
    .await
    .map_err(AdsError::Connect)?;
    let outbox = Outbox::default();
    outbox.extend(session.open(node(&bootstrap.node_id)));
    let mut responses = open(proxy, channel, &outbox).await?;
    proxy.control_plane.connected(env.now());
    let deadline = env.now() + FETCH_TIMEOUT;
    let mut patience = Patience { until: deadline };
    loop {
        let response = {
            let mut message = pin!(responses.next());
            match poll_immediate(&mut message).await {
                Some(response) => response,
                None => {
                    // Nothing more has arrived, so the push may be complete.
                    patience.renew(env.now(), session);
                    put_in_force(proxy, session);
                    patience.wait(proxy, session, message).await
                }
            }
        };
        let response = response
            .map_err(|s| AdsError::Read(Box::new(s)))?
            .ok_or(AdsError::Ended)?;
        let response = DeltaDiscoveryResponse::decode(&response[..]).map_err(AdsError::Decode)?;
        backoff.reset();
        let reply = session.receive(response, &|listener| {
            accept::check_address(&proxy.shared, listener)
        });
        outbox.extend(reply.requests);
        report(proxy, reply.refused);
    }
}

async fn open(
    proxy: &Rc<Proxy>,
    mut channel: Channel,
    outbox: &Outbox,
) -> Result<Messages<ChannelBody>, AdsError> {
    let mut request = Request::new(Body::new(MessageBody::request(outbox.requests())));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static(DELTA_PATH);
    let headers = request.headers_mut();
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    let opening = async {
        poll_fn(|cx| channel.poll_ready(cx)).await?;
        channel.call(request).await
    };
    let response = match proxy.shared.env.timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let status = Status::from_error(error.into());
            return Err(AdsError::Open(Box::new(status)));
        }
        Err(_elapsed) => return Err(AdsError::OpenTimeout),
    };
    if let Some(status) = refusal(&response) {
        return Err(AdsError::Open(Box::new(status)));
    }
    Ok(Messages::new(response.into_body(), RESPONSE_BYTES_MAX))
}

/// The gRPC status of a response that opens no stream.
fn refusal<B>(response: &Response<B>) -> Option<Status> {
    let grpc = Status::from_header_map(response.headers());
    let status = response.status();
    if grpc.is_none() && status != StatusCode::OK {
        return Some(Status::unavailable(format!(
            "received HTTP status {status}"
        )));
    }
    grpc.filter(|status| status.code() != Code::Ok)
}

/// The time that the control plane has to answer the subscriptions.
struct Patience {
    /// [`Time::FAR`] while no answer is missing.
    until: Time,
}

impl Patience {
    /// Starts the timeout if answers are missing and it is not running, and stops it if none are missing.
    fn renew(&mut self, now: Time, session: &AdsSession) {
        if session.is_warm() {
            self.until = Time::FAR;
        } else if self.until == Time::FAR {
            self.until = now + FETCH_TIMEOUT;
        }
    }

    /// Waits for a response. After the timeout, publishes the configuration without the missing answers, and waits on.
    async fn wait<T>(
        &mut self,
        proxy: &Rc<Proxy>,
        session: &mut AdsSession,
        mut message: impl Future<Output = T> + Unpin,
    ) -> T {
        if self.until == Time::FAR {
            // The connection's keep-alive pings bound this wait.
            return message.await;
        }
        if let Ok(response) = proxy.shared.env.deadline(self.until, &mut message).await {
            return response;
        }
        self.until = Time::FAR;
        session.stop_waiting();
        put_in_force(proxy, session);
        message.await
    }
}

/// Puts the configuration in force if it is complete, and saves it for a start without a control plane.
fn put_in_force(proxy: &Rc<Proxy>, session: &mut AdsSession) {
    let Some(published) = session.publish() else {
        return;
    };
    let Published {
        table,
        push,
        missing,
    } = published;
    proxy.put_in_force(table, missing);
    for (kind, saved) in session.unsaved() {
        let store = proxy.shared.env.store();
        if let Err(error) = store.write_shared(store_key(kind), Arc::new(saved)) {
            // The configuration stays in force. A start without a control plane would find an older one.
            proxy.control_plane.not_saved(&error);
        }
    }
    if let Some(version) = push {
        proxy.control_plane.in_force(version);
        proxy.shared.env.emit(MeshEvent::ConfigInForce { version });
    }
}

fn report(proxy: &Rc<Proxy>, refused: Vec<RefusedResource>) {
    for RefusedResource { kind, name, reason } in refused {
        proxy.shared.env.emit(MeshEvent::ConfigRefused {
            kind: kind.name(),
            resource: name.into(),
            reason: reason.into(),
        });
    }
}

/// The store's key of the last good resources of a kind.
fn store_key(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Cluster => "xds/clusters",
        ResourceKind::Endpoints => "xds/endpoints",
        ResourceKind::Listener => "xds/listeners",
        ResourceKind::Routes => "xds/routes",
    }
}

fn node(id: &str) -> Node {
    Node {
        id: id.into(),
        user_agent_name: "shakedown".into(),
        ..Default::default()
    }
}
