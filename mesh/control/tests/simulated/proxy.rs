//! A hand-written delta client that subscribes as a sidecar does, checks that all resources can be decoded, and
//! reconnects when its stream ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use futures_util::stream;
use shakedown_env::{Env, Time};
use shakedown_wire::{H2Options, connect_h2};
use shakedown_xds::proto::{self, ResourceKind, cluster, endpoint, listener, manager, route};

pub(crate) struct Script {
    pub(crate) node: String,
    pub(crate) acknowledges: bool,
}

/// The observations of a proxy. Clones are handles of the same proxy.
#[derive(Clone, Default)]
pub(crate) struct Proxy(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    held: BTreeMap<ResourceKind, BTreeMap<String, String>>,
    wanted: BTreeMap<ResourceKind, BTreeSet<String>>,
    /// For each cluster or listener, the name that it refers to.
    refers: BTreeMap<ResourceKind, BTreeMap<String, String>>,
    log: Vec<(Time, String)>,
    complete: Option<u64>,
    ends: Vec<String>,
}

#[derive(Default)]
struct Outbox {
    requests: VecDeque<DeltaDiscoveryRequest>,
    waker: Option<Waker>,
    closed: bool,
}

impl Proxy {
    pub(crate) fn version_of(&self, kind: &str, name: &str) -> String {
        let seen = self.0.lock().unwrap();
        let held = seen
            .held
            .iter()
            .find(|(k, _)| k.name() == kind)
            .map(|(_, held)| held);
        held.and_then(|held| held.get(name))
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        let held = seen.held.iter().filter(|(k, _)| k.name() == kind);
        held.flat_map(|(_, held)| held.keys().cloned()).collect()
    }

    pub(crate) fn complete(&self) -> Option<u64> {
        self.0.lock().unwrap().complete
    }

    pub(crate) fn ends(&self) -> Vec<String> {
        self.0.lock().unwrap().ends.clone()
    }

    pub(crate) fn times(&self) -> Vec<(Time, String)> {
        self.0.lock().unwrap().log.clone()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.times().into_iter().map(|(_, line)| line).collect()
    }

    pub(crate) fn clear_log(&self) {
        self.0.lock().unwrap().log.clear();
    }

    pub(crate) async fn run(self, env: Env, control: SocketAddr, script: Script) {
        loop {
            if let Err(end) = self.stream(&env, control, &script).await {
                self.0.lock().unwrap().ends.push(end);
            }
            env.sleep(Duration::from_secs(1)).await;
        }
    }

    async fn stream(&self, env: &Env, control: SocketAddr, script: &Script) -> Result<(), String> {
        let channel = connect_h2(env, control, None, &H2Options::default())
            .await
            .map_err(|error| format!("connect: {error}"))?;
        let outbox = Arc::new(Mutex::new(Outbox::default()));
        outbox.lock().unwrap().requests = self.open(&script.node).into();
        let _close = Close(Arc::clone(&outbox));
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let mut responses = client
            .delta_aggregated_resources(requests(Arc::clone(&outbox)))
            .await
            .map_err(|status| status.message().to_owned())?
            .into_inner();
        loop {
            let next = responses
                .message()
                .await
                .map_err(|status| status.message().to_owned())?;
            let Some(response) = next else { return Ok(()) };
            let answer = self.receive(env.now(), response);
            if script.acknowledges {
                let mut outbox = outbox.lock().unwrap();
                outbox.requests.extend(answer);
                if let Some(waker) = outbox.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    fn open(&self, node: &str) -> Vec<DeltaDiscoveryRequest> {
        let seen = self.0.lock().unwrap();
        let mut node = Some(Node {
            id: node.to_owned(),
            ..Node::default()
        });
        let mut requests = Vec::new();
        for kind in ResourceKind::ALL {
            let wanted = seen.wanted.get(&kind).cloned().unwrap_or_default();
            if wanted.is_empty() && matches!(kind, ResourceKind::Endpoints | ResourceKind::Routes) {
                continue;
            }
            requests.push(DeltaDiscoveryRequest {
                node: node.take(),
                type_url: kind.url().to_owned(),
                resource_names_subscribe: wanted.into_iter().collect(),
                initial_resource_versions: seen
                    .held
                    .get(&kind)
                    .cloned()
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
                ..DeltaDiscoveryRequest::default()
            });
        }
        requests
    }

    fn receive(&self, now: Time, response: DeltaDiscoveryResponse) -> Vec<DeltaDiscoveryRequest> {
        let mut seen = self.0.lock().unwrap();
        let kind = ResourceKind::of_url(&response.type_url).unwrap();
        let mut line = kind.name().to_owned();
        for resource in &response.resources {
            line += &format!(" +{}", resource.name);
            let refers = referred(kind, resource.resource.as_ref().unwrap());
            if let Some(name) = refers {
                seen.refers
                    .entry(kind)
                    .or_default()
                    .insert(resource.name.clone(), name);
            }
            seen.held
                .entry(kind)
                .or_default()
                .insert(resource.name.clone(), resource.version.clone());
        }
        for name in &response.removed_resources {
            line += &format!(" -{name}");
            seen.held.entry(kind).or_default().remove(name);
            seen.refers.entry(kind).or_default().remove(name);
        }
        if let Ok(version) = response.system_version_info.parse() {
            line += &format!(" @{version}");
            seen.complete = Some(version);
        }
        seen.log.push((now, line));
        let mut requests: Vec<DeltaDiscoveryRequest> = seen.follow(kind).into_iter().collect();
        requests.push(DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            ..DeltaDiscoveryRequest::default()
        });
        requests
    }
}

impl Seen {
    fn follow(&mut self, kind: ResourceKind) -> Option<DeltaDiscoveryRequest> {
        let followed = match kind {
            ResourceKind::Cluster => ResourceKind::Endpoints,
            ResourceKind::Listener => ResourceKind::Routes,
            ResourceKind::Endpoints | ResourceKind::Routes => return None,
        };
        let wanted: BTreeSet<String> = self
            .refers
            .get(&kind)
            .into_iter()
            .flatten()
            .map(|(_, n)| n.clone())
            .collect();
        let before = self
            .wanted
            .insert(followed, wanted.clone())
            .unwrap_or_default();
        (wanted != before).then(|| DeltaDiscoveryRequest {
            type_url: followed.url().to_owned(),
            resource_names_subscribe: wanted.difference(&before).cloned().collect(),
            resource_names_unsubscribe: before.difference(&wanted).cloned().collect(),
            ..DeltaDiscoveryRequest::default()
        })
    }
}

/// The endpoints of a cluster, or the routes of a listener. Panics if the resource cannot be decoded.
fn referred(kind: ResourceKind, body: &proto::protobuf::Any) -> Option<String> {
    match kind {
        ResourceKind::Cluster => {
            let cluster: cluster::Cluster = proto::unpack(body).unwrap();
            let service = cluster.eds_cluster_config?.service_name;
            Some(if service.is_empty() {
                cluster.name
            } else {
                service
            })
        }
        ResourceKind::Endpoints => {
            proto::unpack::<endpoint::ClusterLoadAssignment>(body).unwrap();
            None
        }
        ResourceKind::Routes => {
            proto::unpack::<route::RouteConfiguration>(body).unwrap();
            None
        }
        ResourceKind::Listener => {
            let listener: listener::Listener = proto::unpack(body).unwrap();
            let chains = listener
                .filter_chains
                .into_iter()
                .chain(listener.default_filter_chain);
            let mut filters = chains.flat_map(|chain| chain.filters);
            filters.find_map(|filter| match filter.config_type? {
                listener::filter::ConfigType::TypedConfig(any) => {
                    let manager: manager::HttpConnectionManager = proto::unpack(&any).ok()?;
                    match manager.route_specifier? {
                        manager::http_connection_manager::RouteSpecifier::Rds(rds) => {
                            Some(rds.route_config_name)
                        }
                        _ => None,
                    }
                }
                listener::filter::ConfigType::ConfigDiscovery(_) => None,
            })
        }
    }
}

struct Close(Arc<Mutex<Outbox>>);

impl Drop for Close {
    fn drop(&mut self) {
        let mut outbox = self.0.lock().unwrap();
        outbox.closed = true;
        if let Some(waker) = outbox.waker.take() {
            waker.wake();
        }
    }
}

fn requests(
    outbox: Arc<Mutex<Outbox>>,
) -> impl futures_util::Stream<Item = DeltaDiscoveryRequest> + Send {
    stream::poll_fn(move |cx| {
        let mut outbox = outbox.lock().unwrap();
        if let Some(request) = outbox.requests.pop_front() {
            return Poll::Ready(Some(request));
        }
        if outbox.closed {
            return Poll::Ready(None);
        }
        outbox.waker = Some(cx.waker().clone());
        Poll::Pending
    })
}
