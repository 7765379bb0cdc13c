//! What a sidecar has for itself: its listeners, and the clusters of its app.

use std::net::IpAddr;
use std::time::Duration;

use shakedown_istio::ConnectionPool;
use shakedown_istio::registry::{InboundPort, OUTBOUND_PORT, Protocol};
use shakedown_xds::proto::cluster::{self, cluster as inner};
use shakedown_xds::proto::endpoint::{self, LbEndpoint, LocalityLbEndpoints, lb_endpoint};
use shakedown_xds::proto::listener::{self, FilterChain, filter};
use shakedown_xds::proto::manager::http_connection_manager::{
    CodecType, PathWithEscapedSlashesAction as EscapedSlashes, RouteSpecifier, UpgradeConfig,
};
use shakedown_xds::proto::manager::{self, HttpConnectionManager, HttpFilter, http_filter};
use shakedown_xds::proto::route::route::Action;
use shakedown_xds::proto::route::route_action::ClusterSpecifier;
use shakedown_xds::proto::route::{Route, RouteConfiguration, VirtualHost};
use shakedown_xds::proto::{self, CORS, FAULT, ROUTER, core};
use shakedown_xds::table::Direction;

use super::routes::{any_path, to};
use super::{OUTBOUND_ROUTES, ads, connection_pool, inbound_cluster, retries, socket};

/// The name of the filter that speaks HTTP.
pub(crate) const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// The listener for what the app sends, routed by authority.
pub(super) fn outbound_listener(address: IpAddr) -> listener::Listener {
    let rds = manager::Rds {
        config_source: Some(ads()),
        route_config_name: OUTBOUND_ROUTES.into(),
    };
    let name = format!("outbound_{}", scope(address, OUTBOUND_PORT));
    let direction = core::TrafficDirection::Outbound;
    listener(
        address,
        OUTBOUND_PORT,
        direction,
        manager(name, RouteSpecifier::Rds(rds), &[]),
    )
}

/// The listener for what comes to one of the app's ports.
pub(super) fn inbound_listener(
    address: IpAddr,
    port: InboundPort,
    filters: &[HttpFilter],
) -> listener::Listener {
    let cluster = inbound_cluster(port.service);
    let mut action = to(ClusterSpecifier::Cluster(cluster.clone()));
    // A stream of messages may be under way for long. Source: Istio, `buildSidecarInboundHTTPRouteConfig`.
    action.retry_policy = (port.protocol != Protocol::Grpc).then(retries::inbound);
    let route = Route {
        name: "default".into(),
        r#match: Some(any_path()),
        action: Some(Action::Route(action)),
        ..Default::default()
    };
    let host = VirtualHost {
        name: format!("inbound|http|{}", port.service),
        domains: vec!["*".into()],
        routes: vec![route],
        ..Default::default()
    };
    let routes = RouteConfiguration {
        name: cluster,
        virtual_hosts: vec![host],
        ..Default::default()
    };
    let name = format!("inbound_{}", scope(address, port.service));
    let direction = core::TrafficDirection::Inbound;
    listener(
        address,
        port.service,
        direction,
        manager(name, RouteSpecifier::RouteConfig(routes), filters),
    )
}

/// The cluster of one of the app's ports. Of what its service's DestinationRule says only the bounds on connections and
/// requests hold here, too: callers hold to them each alone. Source: Istio, `buildInboundCluster`.
pub(super) fn cluster(
    address: IpAddr,
    port: InboundPort,
    pool: Option<&ConnectionPool>,
) -> cluster::Cluster {
    let name = inbound_cluster(port.service);
    let endpoint = LbEndpoint {
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint::Endpoint {
            address: Some(socket(address, port.app)),
            ..Default::default()
        })),
        ..Default::default()
    };
    let assignment = endpoint::ClusterLoadAssignment {
        cluster_name: name.clone(),
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: vec![endpoint],
            ..Default::default()
        }],
        ..Default::default()
    };
    cluster::Cluster {
        name,
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::Static.into(),
        )),
        load_assignment: Some(assignment),
        connect_timeout: Some(proto::duration(connection_pool::connect_timeout(pool))),
        lb_policy: inner::LbPolicy::RoundRobin.into(),
        circuit_breakers: Some(connection_pool::breakers(pool, None)),
        typed_extension_protocol_options: connection_pool::http_options(
            pool,
            port.protocol.is_http2(),
            Direction::Inbound,
        )
        .map(|options| (proto::HTTP_OPTIONS.to_owned(), proto::pack(&options)))
        .into_iter()
        .collect(),
        ..Default::default()
    }
}

fn listener(
    address: IpAddr,
    port: u16,
    direction: core::TrafficDirection,
    manager: HttpConnectionManager,
) -> listener::Listener {
    let filter = listener::Filter {
        name: MANAGER.into(),
        config_type: Some(filter::ConfigType::TypedConfig(proto::pack(&manager))),
    };
    listener::Listener {
        name: scope(address, port),
        address: Some(socket(address, port)),
        filter_chains: vec![FilterChain {
            filters: vec![filter],
            ..Default::default()
        }],
        traffic_direction: direction.into(),
        ..Default::default()
    }
}

fn manager(
    stat_prefix: String,
    routes: RouteSpecifier,
    filters: &[HttpFilter],
) -> HttpConnectionManager {
    HttpConnectionManager {
        codec_type: CodecType::Auto.into(),
        stat_prefix,
        http_filters: filters.iter().cloned().chain(http_filters()).collect(),
        // Envoy's default would be 5 m; Istio leaves streams alone.
        stream_idle_timeout: Some(proto::duration(Duration::ZERO)),
        // Source: Istio, `buildHTTPConnectionManager`: sidecars and gateways let web sockets pass.
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".into(),
            ..Default::default()
        }],
        route_specifier: Some(routes),
        // Source: Istio, `ProxyPathNormalization`, of which `BASE` is the default.
        normalize_path: Some(proto::protobuf::BoolValue { value: true }),
        path_with_escaped_slashes_action: EscapedSlashes::KeepUnchanged.into(),
        ..Default::default()
    }
}

/// Istio's order. Faults and cross-origin requests are what routes say; alone these filters do nothing.
fn http_filters() -> [HttpFilter; 3] {
    let filter = |name: &str, config| HttpFilter {
        name: name.into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    };
    [
        filter(FAULT, proto::pack(&proto::fault::HttpFault::default())),
        filter(CORS, proto::pack(&proto::cors::Cors::default())),
        filter(ROUTER, proto::pack(&proto::router::Router::default())),
    ]
}

/// The name of a listener, as Istio names those of an address.
fn scope(address: IpAddr, port: u16) -> String {
    format!("{address}_{port}")
}
