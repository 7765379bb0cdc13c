//! Tests the proxy with a scripted control plane: initial configuration, NACK, reconnect, and a start without it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_core::Stream;
use futures_util::StreamExt;
use http::Request;
use shakedown_istio::registry::{Endpoint, Locality, Mesh, Port, Registry, Service};
use shakedown_types::MeshEvent;
use shakedown_wire::{Body, H2Options, serve_h2};
use shakedown_xds::proto::discovery::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use shakedown_xds::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use shakedown_xds::proto::{self, ResourceKind, cluster};
use tonic::{Response, Status, Streaming};

use super::scene::*;
use crate::{ResourceCache, Secrets, run};

type Answers = Pin<Box<dyn Stream<Item = Result<DeltaDiscoveryResponse, Status>> + Send>>;
type Script = Arc<dyn Fn(&DeltaDiscoveryRequest) -> Vec<DeltaDiscoveryResponse> + Send + Sync>;

/// A control plane that answers each request by a script, and records the requests.
#[derive(Clone)]
struct Scripted {
    seen: Arc<Mutex<Vec<DeltaDiscoveryRequest>>>,
    script: Script,
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Scripted {
    type StreamAggregatedResourcesStream =
        Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, Status>> + Send>>;
    type DeltaAggregatedResourcesStream = Answers;

    async fn stream_aggregated_resources(
        &self,
        _: tonic::Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("delta only"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: tonic::Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let Scripted { seen, script } = self.clone();
        let answers = request.into_inner().flat_map(move |request| {
            let answers = match request {
                Ok(request) => {
                    let answers = script(&request);
                    seen.lock().unwrap().push(request);
                    answers
                }
                Err(_) => Vec::new(),
            };
            futures_util::stream::iter(answers.into_iter().map(Ok))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Scripted {
    fn new(
        script: impl Fn(&DeltaDiscoveryRequest) -> Vec<DeltaDiscoveryResponse> + Send + Sync + 'static,
    ) -> Scripted {
        Scripted {
            seen: Arc::default(),
            script: Arc::new(script),
        }
    }

    fn start(&self, scene: &Scene) {
        let env = scene.env(CONTROL);
        let mut listener = env.listen(at(CONTROL, 15010)).unwrap();
        let service = AggregatedDiscoveryServiceServer::new(self.clone());
        scene.env(CONTROL).spawn("control", async move {
            while let Ok(stream) = listener.accept().await {
                let (own, service) = (env.clone(), service.clone());
                env.spawn("ads", async move {
                    let _ = serve_h2(&own, stream, &H2Options::default(), service).await;
                });
            }
        });
    }

    fn nacks(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let message =
            |r: &DeltaDiscoveryRequest| r.error_detail.as_ref().map(|e| e.message.clone());
        seen.iter().filter_map(message).collect()
    }
}

fn mesh() -> Mesh {
    let mut reviews = Service::new("reviews", "default", vec![Port::http(9080)]);
    reviews.endpoints.push(Endpoint {
        address: at(UP1, 9080),
        labels: [("version".to_owned(), "v1".to_owned())].into(),
        locality: Locality::default(),
        ready: true,
        workload: "reviews-v1".into(),
    });
    let mut registry = Registry::new();
    registry.insert(reviews);
    Mesh {
        registry,
        ..Mesh::default()
    }
}

/// All of the pod's resources of one kind.
fn resources(kind: ResourceKind) -> Vec<Resource> {
    let mesh = mesh();
    let outbound = shakedown_translate::outbound(&mesh);
    let own = shakedown_translate::own(
        &mesh.registry.pod(POD.parse().unwrap()),
        &shakedown_translate::InboundPolicy::default(),
    );
    let all = match kind {
        ResourceKind::Cluster => [outbound.clusters, own.clusters].concat(),
        ResourceKind::Endpoints => outbound.endpoints,
        ResourceKind::Listener => own.listeners,
        ResourceKind::Routes => outbound.routes,
    };
    let sent = |resource: proto::Resource| Resource {
        name: resource.name,
        version: resource.version,
        resource: Some(resource.body),
        ..Default::default()
    };
    all.into_iter().map(sent).collect()
}

fn response(kind: ResourceKind, nonce: &str, push: Option<u64>) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: kind.url().into(),
        nonce: nonce.into(),
        system_version_info: push.map(|push| push.to_string()).unwrap_or_default(),
        resources: resources(kind),
        ..Default::default()
    }
}

/// Answers each first request with all resources. Routes complete push 1.
fn all_of_it(request: &DeltaDiscoveryRequest) -> Vec<DeltaDiscoveryResponse> {
    if !request.response_nonce.is_empty() || !request.resource_names_unsubscribe.is_empty() {
        return Vec::new();
    }
    let Some(kind) = ResourceKind::of_url(&request.type_url) else {
        return Vec::new();
    };
    let push = (kind == ResourceKind::Routes).then_some(1);
    vec![response(kind, kind.name(), push)]
}

fn start_proxy(scene: &Scene) {
    let env = scene.env(POD);
    let own = env.clone();
    env.spawn("proxy", async move {
        run(
            own.clone(),
            bootstrap(),
            ResourceCache::default(),
            Secrets::new(own),
        )
        .await
        .unwrap()
    });
}

async fn readiness(scene: &Scene) -> u16 {
    let pool = scene.caller_of(at(POD, 15020));
    let request = Request::get("/healthz/ready")
        .header("host", "a")
        .body(Body::empty())
        .unwrap();
    pool.send(request)
        .await
        .map_or(0, |response| response.status().as_u16())
}

/// Waits until the proxy is ready, for at most 30 s.
async fn until_ready(scene: &Scene) {
    let env = scene.env(CALLER);
    for _ in 0..3000 {
        if readiness(scene).await == 200 {
            return;
        }
        env.sleep(ms(10)).await;
    }
    panic!("never ready: {:?}", scene.events());
}

fn in_force(scene: &Scene) -> Vec<u64> {
    let version = |event: MeshEvent| match event {
        MeshEvent::ConfigInForce { version } => Some(version),
        _ => None,
    };
    scene.events().into_iter().filter_map(version).collect()
}

#[test]
fn a_proxy_is_ready_and_routes_once_its_first_configuration_is_applied() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let control = Scripted::new(all_of_it);
        start_proxy(&scene);
        scene.env(CALLER).sleep(ms(1000)).await;
        assert_eq!(readiness(&scene).await, 503);
        control.start(&scene);
        until_ready(&scene).await;
        assert_eq!(in_force(&scene), [1]);
        assert_eq!(scene.get("/").await.body, "ok");
        assert_eq!(&*scene.requests()[0].cluster, REVIEWS);
        assert!(control.nacks().is_empty(), "{:?}", control.nacks());
        let seen = control.seen.lock().unwrap();
        assert_eq!(
            seen.iter().filter(|request| request.node.is_some()).count(),
            1
        );
    });
}

#[test]
fn a_bad_resource_is_rejected_and_the_last_good_one_keeps_serving() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let control = Scripted::new(|request| {
            let mut answers = all_of_it(request);
            if request.type_url == ResourceKind::Routes.url()
                && request.response_nonce == "RouteConfiguration"
            {
                // After all acknowledgements, sends a push with one bad cluster and one good one.
                let broken = cluster::Cluster {
                    name: REVIEWS.into(),
                    lb_policy: cluster::cluster::LbPolicy::ClusterProvided.into(),
                    ..Default::default()
                };
                let fresh = cluster::Cluster {
                    name: "fresh".into(),
                    ..Default::default()
                };
                answers.push(DeltaDiscoveryResponse {
                    type_url: ResourceKind::Cluster.url().into(),
                    nonce: "bad".into(),
                    system_version_info: "2".into(),
                    resources: [broken, fresh]
                        .map(|cluster| Resource {
                            name: cluster.name.clone(),
                            version: "2".into(),
                            resource: Some(proto::pack(&cluster)),
                            ..Default::default()
                        })
                        .into(),
                    ..Default::default()
                });
            }
            answers
        });
        control.start(&scene);
        start_proxy(&scene);
        until_ready(&scene).await;
        scene.env(CALLER).sleep(ms(100)).await;
        let nacks = control.nacks();
        assert_eq!(nacks.len(), 1);
        assert!(
            nacks[0].contains(REVIEWS) && nacks[0].contains("lb_policy"),
            "{nacks:?}"
        );
        let refused = |event: &MeshEvent| matches!(event, MeshEvent::ConfigRefused { kind: "Cluster", resource, .. } if &**resource == REVIEWS);
        assert_eq!(
            scene.events().iter().filter(|event| refused(event)).count(),
            1
        );
        assert_eq!(in_force(&scene), [1], "push 2 is not wholly in force");
        assert_eq!(scene.get("/").await.body, "ok");
        let pool = scene.caller_of(at(POD, 15020));
        let request = Request::get("/config_dump")
            .header("host", "a")
            .body(Body::empty())
            .unwrap();
        let dump = Answer::from_response(pool.send(request).await.unwrap())
            .await
            .body;
        assert!(
            dump.contains("\"fresh\""),
            "the good one of the same response: {dump}"
        );
    });
}

#[test]
fn a_restarted_proxy_serves_its_last_good_configuration_without_a_control_plane() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        Scripted::new(all_of_it).start(&scene);
        start_proxy(&scene);
        until_ready(&scene).await;
        scene.net().crash(scene.id(CONTROL));
        scene.net().crash(scene.id(POD));
        scene.net().restart(scene.id(POD));
        start_proxy(&scene);
        until_ready(&scene).await;
        assert_eq!(scene.get("/").await.body, "ok");
    });
}

#[test]
fn a_lost_control_plane_is_reconnected_and_sent_the_current_versions() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        Scripted::new(all_of_it).start(&scene);
        start_proxy(&scene);
        until_ready(&scene).await;
        scene.net().crash(scene.id(CONTROL));
        scene.env(CALLER).sleep(ms(5_000)).await;
        assert_eq!(
            scene.get("/").await.body,
            "ok",
            "the last configuration stays in force"
        );
        scene.net().restart(scene.id(CONTROL));
        let again = Scripted::new(|_| Vec::new());
        again.start(&scene);
        scene.env(CALLER).sleep(ms(120_000)).await;
        let seen = again.seen.lock().unwrap();
        let clusters = seen
            .iter()
            .find(|r| r.type_url == ResourceKind::Cluster.url())
            .unwrap();
        assert!(clusters.initial_resource_versions.contains_key(REVIEWS));
        assert!(clusters.node.is_some());
    });
}

#[test]
fn a_listener_that_goes_closes_its_port() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let control = Scripted::new(|request| {
            let mut answers = all_of_it(request);
            if request.response_nonce == "RouteConfiguration" {
                let mut gone = response(ResourceKind::Listener, "gone", Some(2));
                let names = gone.resources.drain(..).map(|listener| listener.name);
                gone.removed_resources = names.collect();
                answers.push(gone);
            }
            answers
        });
        control.start(&scene);
        start_proxy(&scene);
        until_ready(&scene).await;
        let get = || {
            Request::get("/")
                .header("host", "r")
                .body(Body::empty())
                .unwrap()
        };
        scene.env(CALLER).sleep(ms(100)).await;
        assert_eq!(in_force(&scene), [1, 2]);
        let refused = scene.caller().send(get()).await.unwrap_err();
        assert!(refused.is_connect_failure(), "{refused:?}");
    });
}

#[test]
fn a_proxy_whose_only_listener_cannot_bind_rejects_it_and_is_unready() {
    play(|scene| async move {
        let taken = scene.env(POD).listen(at(POD, bootstrap().outbound_port));
        let taken = taken.unwrap();
        let control = Scripted::new(all_of_it);
        control.start(&scene);
        start_proxy(&scene);
        scene.env(CALLER).sleep(ms(2_000)).await;
        assert_eq!(readiness(&scene).await, 503);
        let nacks = control.nacks();
        assert_eq!(nacks.len(), 1, "{nacks:?}");
        assert!(nacks[0].contains("cannot bind"), "{nacks:?}");
        assert!(in_force(&scene).is_empty());
        drop(taken);
    });
}
