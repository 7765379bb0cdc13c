//! Tests of the delta protocol's client against hand-made responses.

use prost::Message as _;
use shakedown_env::StoreValue as _;
use shakedown_xds::proto::protobuf::Any;
use shakedown_xds::proto::{self, cluster, core, endpoint};

use super::*;

/// Applies a response. Every address can be bound.
fn receive(session: &mut AdsSession, response: DeltaDiscoveryResponse) -> ResponseOutcome {
    session.receive(response, &|_| Ok(()))
}

fn eds_cluster(name: &str, lb_policy: i32) -> Resource {
    let eds = cluster::cluster::EdsClusterConfig {
        eds_config: Some(core::ConfigSource {
            resource_api_version: core::ApiVersion::V3.into(),
            config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
                core::AggregatedConfigSource::default(),
            )),
            ..Default::default()
        }),
        ..Default::default()
    };
    let kind = cluster::cluster::DiscoveryType::Eds;
    let message = cluster::Cluster {
        name: name.into(),
        lb_policy,
        eds_cluster_config: Some(eds),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(kind.into())),
        ..Default::default()
    };
    resource(name, &format!("lb{lb_policy}"), proto::pack(&message))
}

fn assignment(name: &str) -> Resource {
    let message = endpoint::ClusterLoadAssignment {
        cluster_name: name.into(),
        ..Default::default()
    };
    resource(name, "1", proto::pack(&message))
}

fn resource(name: &str, version: &str, body: Any) -> Resource {
    let (name, version) = (name.into(), version.into());
    Resource {
        name,
        version,
        resource: Some(body),
        ..Default::default()
    }
}

fn response(kind: ResourceKind, nonce: &str, resources: Vec<Resource>) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: kind.url().into(),
        nonce: nonce.into(),
        resources,
        ..Default::default()
    }
}

fn whole(push: u64, mut response: DeltaDiscoveryResponse) -> DeltaDiscoveryResponse {
    response.system_version_info = push.to_string();
    response
}

/// A policy that the compiler refuses, because `CLUSTER_PROVIDED` is invalid for a cluster with endpoints.
const PROVIDED: i32 = cluster::cluster::LbPolicy::ClusterProvided as i32;

#[test]
fn streams_open_with_wildcard_requests_and_only_the_first_has_the_node() {
    let requests = AdsSession::default().open(Node {
        id: "me".into(),
        ..Default::default()
    });
    let urls: Vec<_> = requests.iter().map(|request| &*request.type_url).collect();
    assert_eq!(
        urls,
        [ResourceKind::Cluster.url(), ResourceKind::Listener.url()]
    );
    let nodes: Vec<_> = requests
        .iter()
        .map(|request| request.node.is_some())
        .collect();
    assert_eq!(nodes, [true, false]);
    assert!(
        requests
            .iter()
            .all(|request| request.resource_names_subscribe.is_empty())
    );
}

#[test]
fn endpoints_are_asked_for_before_clusters_are_acknowledged() {
    let mut session = AdsSession::default();
    let reply = receive(
        &mut session,
        response(ResourceKind::Cluster, "n1", vec![eds_cluster("a", 0)]),
    );
    assert_eq!(reply.requests.len(), 2);
    assert_eq!(reply.requests[0].type_url, ResourceKind::Endpoints.url());
    assert_eq!(reply.requests[0].resource_names_subscribe, ["a"]);
    assert_eq!(reply.requests[1].type_url, ResourceKind::Cluster.url());
    assert_eq!(reply.requests[1].response_nonce, "n1");
    assert_eq!(reply.requests[1].error_detail, None);
}

#[test]
fn a_bad_resource_is_rejected_and_valid_ones_of_its_response_applied() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(ResourceKind::Cluster, "n1", vec![eds_cluster("a", 0)]),
    );
    let mixed = vec![eds_cluster("a", PROVIDED), eds_cluster("b", 0)];
    let reply = receive(&mut session, response(ResourceKind::Cluster, "n2", mixed));
    assert_eq!(reply.refused.len(), 1);
    assert_eq!(
        (reply.refused[0].kind, &*reply.refused[0].name),
        (ResourceKind::Cluster, "a")
    );
    let nack = reply.requests.last().unwrap();
    assert_eq!(nack.response_nonce, "n2");
    let message = &nack.error_detail.as_ref().unwrap().message;
    assert!(message.starts_with("Cluster a: lb_policy: "), "{message}");
    let table = session.table();
    let names: Vec<_> = table
        .clusters
        .values()
        .map(|cluster| &*cluster.name)
        .collect();
    assert_eq!(names, ["a", "b"], "the last good a stays, b is in");
}

#[test]
fn a_reconnect_tells_the_last_good_versions() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(ResourceKind::Cluster, "n1", vec![eds_cluster("a", 0)]),
    );
    receive(
        &mut session,
        response(
            ResourceKind::Cluster,
            "n2",
            vec![eds_cluster("a", PROVIDED)],
        ),
    );
    let requests = session.open(Node::default());
    assert_eq!(requests[0].initial_resource_versions["a"], "lb0");
    assert_eq!(requests[1].type_url, ResourceKind::Endpoints.url());
    assert_eq!(requests[1].resource_names_subscribe, ["a"]);
}

#[test]
fn nothing_is_published_until_all_that_was_asked_for_is_answered() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(
            ResourceKind::Cluster,
            "1",
            vec![eds_cluster("a", 0), eds_cluster("b", 0)],
        ),
    );
    receive(
        &mut session,
        whole(7, response(ResourceKind::Listener, "2", vec![])),
    );
    receive(
        &mut session,
        response(ResourceKind::Endpoints, "3", vec![assignment("a")]),
    );
    assert!(session.publish().is_none(), "b's endpoints are missing");
    let mut absent = response(ResourceKind::Endpoints, "4", vec![]);
    absent.removed_resources = vec!["b".into()];
    receive(&mut session, absent);
    let published = session.publish().unwrap();
    assert_eq!(published.push, Some(7));
    assert_eq!(published.table.endpoints.len(), 1);
    assert!(session.publish().is_none(), "nothing new");
}

#[test]
fn who_waits_too_long_goes_on_without() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(ResourceKind::Cluster, "1", vec![eds_cluster("a", 0)]),
    );
    assert!(session.publish().is_none());
    session.stop_waiting();
    assert_eq!(session.publish().unwrap().table.clusters.len(), 1);
}

#[test]
fn a_push_with_a_rejected_resource_takes_effect_without_being_reported_applied() {
    let mut session = AdsSession::default();
    receive(&mut session, response(ResourceKind::Listener, "1", vec![]));
    receive(
        &mut session,
        whole(
            1,
            response(ResourceKind::Cluster, "2", vec![eds_cluster("a", PROVIDED)]),
        ),
    );
    assert_eq!(session.publish().unwrap().push, None);
    receive(
        &mut session,
        whole(2, response(ResourceKind::Listener, "3", vec![])),
    );
    assert_eq!(session.publish().unwrap().push, Some(2));
}

#[test]
fn a_cluster_that_goes_takes_its_endpoints_along() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(ResourceKind::Cluster, "1", vec![eds_cluster("a", 0)]),
    );
    receive(
        &mut session,
        response(ResourceKind::Endpoints, "2", vec![assignment("a")]),
    );
    let mut gone = response(ResourceKind::Cluster, "3", vec![]);
    gone.removed_resources = vec!["a".into()];
    let reply = receive(&mut session, gone);
    assert_eq!(reply.requests[0].resource_names_unsubscribe, ["a"]);
    assert!(session.table().endpoints.is_empty());
}

#[test]
fn what_was_saved_is_restored_and_its_versions_told() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(ResourceKind::Cluster, "1", vec![eds_cluster("a", 0)]),
    );
    receive(
        &mut session,
        response(ResourceKind::Endpoints, "2", vec![assignment("a")]),
    );
    let saved = session.unsaved();
    assert_eq!(
        saved.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [ResourceKind::Cluster, ResourceKind::Endpoints]
    );
    assert!(session.unsaved().is_empty(), "saved once");
    let mut again = AdsSession::default();
    for (_, parts) in saved {
        let saved = DeltaDiscoveryResponse::decode(&*parts.to_vec()).unwrap();
        again.restore(saved);
    }
    let table = again.restored().unwrap();
    assert_eq!((table.clusters.len(), table.endpoints.len()), (1, 1));
    assert_eq!(
        again.open(Node::default())[0].initial_resource_versions["a"],
        "lb0"
    );
    assert!(!again.is_warm(), "the control plane has not spoken yet");
}

#[test]
fn a_resource_named_otherwise_inside_is_refused() {
    let mut session = AdsSession::default();
    let mut cluster = eds_cluster("a", 0);
    cluster.name = "b".into();
    let reply = receive(
        &mut session,
        response(ResourceKind::Cluster, "1", vec![cluster]),
    );
    assert_eq!(
        reply.refused[0].reason,
        "name mismatch: the body is named a"
    );
}

#[test]
fn a_type_that_was_not_asked_for_is_ignored() {
    let mut odd = response(ResourceKind::Cluster, "1", vec![]);
    odd.type_url = "type.googleapis.com/x.Y".into();
    assert!(receive(&mut AdsSession::default(), odd).requests.is_empty());
}

#[test]
fn a_resource_that_arrives_after_it_was_given_up_is_dropped() {
    let mut session = AdsSession::default();
    receive(
        &mut session,
        response(ResourceKind::Endpoints, "1", vec![assignment("a")]),
    );
    assert!(session.table().endpoints.is_empty());
}

fn listener(name: &str, port: u32) -> Resource {
    use shakedown_xds::proto::{listener, manager};

    let router = manager::HttpFilter {
        name: proto::ROUTER.into(),
        config_type: Some(manager::http_filter::ConfigType::TypedConfig(proto::pack(
            &proto::router::Router::default(),
        ))),
        ..Default::default()
    };
    let manager = manager::HttpConnectionManager {
        http_filters: vec![router],
        route_specifier: Some(
            manager::http_connection_manager::RouteSpecifier::RouteConfig(
                proto::route::RouteConfiguration {
                    name: name.into(),
                    ..Default::default()
                },
            ),
        ),
        ..Default::default()
    };
    let filter = listener::Filter {
        name: "manager".into(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(proto::pack(
            &manager,
        ))),
    };
    let socket = core::SocketAddress {
        address: "127.0.0.1".into(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
        ..Default::default()
    };
    let message = listener::Listener {
        name: name.into(),
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(socket)),
        }),
        filter_chains: vec![listener::FilterChain {
            filters: vec![filter],
            ..Default::default()
        }],
        traffic_direction: core::TrafficDirection::Outbound.into(),
        ..Default::default()
    };
    resource(name, "1", proto::pack(&message))
}

fn nack_message(reply: &ResponseOutcome) -> String {
    let nack = reply.requests.last().unwrap();
    let detail = nack.error_detail.as_ref();
    detail.map_or_else(String::new, |status| status.message.clone())
}

#[test]
fn a_response_that_names_a_resource_twice_is_refused_as_a_whole() {
    let mut session = AdsSession::default();
    let twice = vec![
        eds_cluster("a", 0),
        eds_cluster("b", 0),
        eds_cluster("a", 0),
    ];
    let reply = receive(&mut session, response(ResourceKind::Cluster, "1", twice));
    assert_eq!(
        nack_message(&reply),
        "Cluster a: duplicate name a found among added/updated resources"
    );
    assert!(session.table().clusters.is_empty());
    let mut both = response(ResourceKind::Cluster, "2", vec![eds_cluster("a", 0)]);
    both.removed_resources.push("a".into());
    let reply = receive(&mut session, both);
    assert_eq!(
        nack_message(&reply),
        "Cluster a: duplicate name a found in the union of added+removed resources"
    );
}

#[test]
fn a_listener_whose_address_cannot_be_bound_is_refused_with_the_reason() {
    let mut session = AdsSession::default();
    let taken: Bind<'_> = &|_: &Listener| Err(io::Error::from(io::ErrorKind::AddrInUse));
    let reply = session.receive(
        response(ResourceKind::Listener, "1", vec![listener("l", 80)]),
        taken,
    );
    assert_eq!(
        nack_message(&reply),
        "Listener l: cannot bind 127.0.0.1:80: address in use"
    );
    let clusters = whole(1, response(ResourceKind::Cluster, "2", vec![]));
    receive(&mut session, clusters);
    let missing = session.publish().unwrap().missing.unwrap();
    assert!(
        missing.starts_with("listener l was refused: cannot bind"),
        "{missing}"
    );
    // A listener with an earlier version keeps that version.
    receive(
        &mut session,
        response(ResourceKind::Listener, "3", vec![listener("l", 80)]),
    );
    session.receive(
        response(ResourceKind::Listener, "4", vec![listener("l", 81)]),
        taken,
    );
    assert_eq!(session.publish().unwrap().missing, None);
}

#[test]
fn two_listeners_cannot_have_one_address() {
    let mut session = AdsSession::default();
    let both = vec![listener("a", 80), listener("b", 80)];
    let reply = receive(&mut session, response(ResourceKind::Listener, "1", both));
    assert_eq!(
        nack_message(&reply),
        "Listener b: duplicate address 127.0.0.1:80: listener a uses it"
    );
    // A removed listener frees its address for an added one.
    let mut next = response(ResourceKind::Listener, "2", vec![listener("b", 80)]);
    next.removed_resources.push("a".into());
    assert_eq!(nack_message(&receive(&mut session, next)), "");
}
