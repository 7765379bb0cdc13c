//! The resources of a single sidecar: its listeners, and the clusters of its application.

use std::net::IpAddr;
use std::time::Duration;

use shakedown_istio::ConnectionPool;
use shakedown_istio::registry::{InboundPort, OUTBOUND_PORT, PortProtocol};
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

use super::messages::{ads, socket};
use super::names::{OUTBOUND_ROUTES, inbound_cluster};
use super::routes::{any_path, to};
use super::{connection_pool, retries};

/// The name of the HTTP connection manager filter.
pub(crate) const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// Returns the listener for the application's outbound requests, routed by authority.
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

/// Returns the listener for inbound requests to an application port.
pub(super) fn inbound_listener(
    address: IpAddr,
    port: InboundPort,
    filters: &[HttpFilter],
) -> listener::Listener {
    let cluster = inbound_cluster(port.service);
    let mut action = to(ClusterSpecifier::Cluster(cluster.clone()));
    // Without retries for gRPC, because a stream of messages may be long. Source: Istio,
    // `buildSidecarInboundHTTPRouteConfig`.
    action.retry_policy = (port.protocol != PortProtocol::Grpc).then(retries::inbound);
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

/// Returns the cluster of an application port. Only the connection pool settings of its service's DestinationRule
/// apply here as well, because each caller enforces them only for itself. Source: Istio, `buildInboundCluster`.
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
        // Istio sets no limit. Envoy's default would be 5 minutes.
        stream_idle_timeout: Some(proto::duration(Duration::ZERO)),
        // Sidecars and gateways allow WebSocket upgrades. Source: Istio, `buildHTTPConnectionManager`.
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".into(),
            ..Default::default()
        }],
        route_specifier: Some(routes),
        // The default normalisation, `BASE`. Source: Istio, `ProxyPathNormalization`.
        normalize_path: Some(proto::protobuf::BoolValue { value: true }),
        path_with_escaped_slashes_action: EscapedSlashes::KeepUnchanged.into(),
        ..Default::default()
    }
}

/// Returns the HTTP filters in Istio's order. The fault and CORS filters only act on per-route settings.
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

/// Returns the name of a listener for an address, as in Istio.
fn scope(address: IpAddr, port: u16) -> String {
    format!("{address}_{port}")
}
