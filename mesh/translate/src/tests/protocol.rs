//! Tests of port protocols, as sent and as compiled.

use shakedown_istio::registry::PortProtocol;
use shakedown_xds::table::UpstreamProtocol;

use super::*;

const HTTP2: UpstreamProtocol = UpstreamProtocol::Http2 {
    max_concurrent_streams: 1024,
};
const HOST: &str = "my-service.default.svc.cluster.local";

fn port(protocol: PortProtocol) -> Port {
    Port {
        protocol,
        ..Port::http(9080)
    }
}

/// The protocols of the clusters of a service port, with these documents.
fn outbound_of(protocol: PortProtocol, text: &str) -> Vec<UpstreamProtocol> {
    let mut mesh = mesh(text);
    let service = Service::new("my-service", "default", vec![port(protocol)]);
    mesh.registry.insert(service);
    let clusters = outbound(&mesh).clusters;
    let own = clusters
        .iter()
        .filter(|resource| resource.name.ends_with(HOST));
    own.map(|resource| {
        compile_cluster(&resource.message().unwrap())
            .unwrap()
            .protocol
    })
    .collect()
}

fn rule(http: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: my-service
spec:
  host: my-service
  trafficPolicy:
    connectionPool:
      http:
        {http}
"
    )
}

#[test]
fn an_http2_or_grpc_port_is_reached_over_http2_in_every_subset() {
    assert_eq!(
        outbound_of(PortProtocol::Http, MY_SERVICE),
        [UpstreamProtocol::Http1; 3]
    );
    assert_eq!(outbound_of(PortProtocol::Http2, MY_SERVICE), [HTTP2; 3]);
    assert_eq!(outbound_of(PortProtocol::Grpc, MY_SERVICE), [HTTP2; 3]);
}

#[test]
fn an_upgrade_policy_makes_http2_of_http_and_never_the_other_way() {
    let upgrade = rule("h2UpgradePolicy: UPGRADE");
    assert_eq!(outbound_of(PortProtocol::Http, &upgrade), [HTTP2]);
    let stay = rule("h2UpgradePolicy: DO_NOT_UPGRADE");
    assert_eq!(
        outbound_of(PortProtocol::Http, &stay),
        [UpstreamProtocol::Http1]
    );
    assert_eq!(outbound_of(PortProtocol::Grpc, &stay), [HTTP2]);
}

#[test]
fn streams_are_bounded_as_written() {
    let bounded = rule("maxConcurrentStreams: 7");
    let seven = UpstreamProtocol::Http2 {
        max_concurrent_streams: 7,
    };
    assert_eq!(outbound_of(PortProtocol::Http2, &bounded), [seven]);
}

/// The protocol of an application port's cluster, and true if its route has retries.
fn inbound_of(protocol: PortProtocol) -> (UpstreamProtocol, bool) {
    let mut registry = Registry::new();
    let mut service = Service::new("my-service", "default", vec![port(protocol)]);
    service
        .endpoints
        .push(endpoint("127.1.0.1:9080", "v1", "b", true));
    registry.insert(service);
    let pod = registry.pod("127.1.0.1".parse().unwrap());
    assert_eq!(pod.ports[0].protocol, protocol);
    let own = own(&pod, &InboundPolicy::default());
    let cluster = compile_cluster(&message(&own.clusters, "inbound|9080||")).unwrap();
    let listener = compile_listener(&message(&own.listeners, "127.1.0.1_9080")).unwrap();
    let shakedown_xds::table::Routes::Inline(routes) = &listener.routes else {
        panic!("routes of its own")
    };
    let RouteActionKind::Forward(action) = &routes.hosts()[0].routes[0].action else {
        panic!("a way on")
    };
    (cluster.protocol, action.retry.is_some())
}

#[test]
fn the_inbound_protocol_follows_the_port_and_grpc_is_not_retried_there() {
    assert_eq!(
        inbound_of(PortProtocol::Http),
        (UpstreamProtocol::Http1, true)
    );
    assert_eq!(inbound_of(PortProtocol::Http2), (HTTP2, true));
    assert_eq!(inbound_of(PortProtocol::Grpc), (HTTP2, false));
}
