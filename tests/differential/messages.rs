//! Minimal Envoy messages for features without an Istio resource: one listener, one route configuration, and a cluster
//! per service with its endpoints.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use shakedown_istio::registry::{Port, PortProtocol};
use shakedown_xds::proto::cluster::{Cluster, cluster as inner};
use shakedown_xds::proto::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use shakedown_xds::proto::listener::{Filter, FilterChain, Listener, filter};
use shakedown_xds::proto::manager::http_connection_manager::RouteSpecifier;
use shakedown_xds::proto::manager::{HttpConnectionManager, HttpFilter, Rds, http_filter};
use shakedown_xds::proto::protobuf::value::Kind;
use shakedown_xds::proto::protobuf::{Any, Struct, UInt32Value, Value};
use shakedown_xds::proto::route::route::Action;
use shakedown_xds::proto::route::route_action::ClusterSpecifier;
use shakedown_xds::proto::route::route_match::PathSpecifier;
use shakedown_xds::proto::route::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use shakedown_xds::proto::{self, Resource, core, pack};

use crate::case::{Host, Xds};
use crate::world::OUTBOUND_PORT;

/// The resources of a case for a proxy at `address`, with the hosts that are `there`.
pub(crate) fn resources(
    hosts: &[Host],
    there: &dyn Fn(&Host) -> bool,
    empty: &[&'static str],
    at: &dyn Fn(usize) -> SocketAddr,
    address: IpAddr,
    edit: &dyn Fn(&mut Xds),
) -> Vec<Resource> {
    let mut by_service: BTreeMap<&str, Vec<(usize, &Host)>> = BTreeMap::new();
    for name in empty {
        by_service.entry(name).or_default();
    }
    for (index, host) in hosts.iter().enumerate() {
        let service = by_service.entry(host.service).or_default();
        if there(host) {
            service.push((index, host));
        }
    }
    let mut messages = Xds {
        manager: manager(),
        routes: RouteConfiguration {
            name: "routes".into(),
            virtual_hosts: vec![all_to("app")],
            ..Default::default()
        },
        clusters: by_service.keys().map(|name| cluster(name)).collect(),
        endpoints: by_service
            .iter()
            .map(|(name, hosts)| assignment(name, hosts, at))
            .collect(),
    };
    edit(&mut messages);
    let mut all = Vec::new();
    for message in &messages.clusters {
        all.push(Resource::new(message.name.clone(), message));
    }
    for message in &messages.endpoints {
        all.push(Resource::new(message.cluster_name.clone(), message));
    }
    let listener = listener(address, &messages.manager);
    all.push(Resource::new(listener.name.clone(), &listener));
    all.push(Resource::new(
        messages.routes.name.clone(),
        &messages.routes,
    ));
    all
}

fn manager() -> HttpConnectionManager {
    HttpConnectionManager {
        stat_prefix: "case".into(),
        http_filters: vec![filter(
            "envoy.filters.http.router",
            pack(&proto::router::Router::default()),
        )],
        stream_idle_timeout: Some(proto::duration(std::time::Duration::ZERO)),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: "routes".into(),
        })),
        ..Default::default()
    }
}

pub(crate) fn filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter {
        name: name.into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

/// A virtual host for all names that routes everything to a cluster.
pub(crate) fn all_to(cluster: &str) -> VirtualHost {
    VirtualHost {
        name: "all".into(),
        domains: vec!["*".into()],
        routes: vec![to("/", cluster)],
        ..Default::default()
    }
}

/// A route for a prefix to a cluster.
pub(crate) fn to(prefix: &str, cluster: &str) -> Route {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.into())),
        ..Default::default()
    };
    Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(prefix.into())),
            ..Default::default()
        }),
        action: Some(Action::Route(action)),
        ..Default::default()
    }
}

impl Xds {
    /// The first route's action.
    pub(crate) fn action(&mut self) -> &mut RouteAction {
        match &mut self.routes.virtual_hosts[0].routes[0].action {
            Some(Action::Route(action)) => action,
            _ => panic!("the first route is no forward"),
        }
    }

    /// The first virtual host.
    pub(crate) fn host(&mut self) -> &mut VirtualHost {
        &mut self.routes.virtual_hosts[0]
    }

    /// The cluster with this name.
    pub(crate) fn cluster(&mut self, name: &str) -> &mut Cluster {
        let found = self
            .clusters
            .iter_mut()
            .find(|cluster| cluster.name == name);
        found.expect("the case has that service")
    }

    /// Inserts a filter before the router.
    pub(crate) fn add_filter(&mut self, name: &str, config: Any) {
        let before = self.manager.http_filters.len() - 1;
        self.manager
            .http_filters
            .insert(before, filter(name, config));
    }
}

pub(crate) fn wrapped(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

/// A duration in milliseconds.
pub(crate) fn ms(value: u64) -> Option<proto::protobuf::Duration> {
    Some(proto::duration(std::time::Duration::from_millis(value)))
}

fn cluster(name: &str) -> Cluster {
    Cluster {
        name: name.into(),
        cluster_discovery_type: Some(inner::ClusterDiscoveryType::Type(
            inner::DiscoveryType::Eds.into(),
        )),
        eds_cluster_config: Some(inner::EdsClusterConfig {
            eds_config: Some(ads()),
            ..Default::default()
        }),
        connect_timeout: ms(1000),
        ..Default::default()
    }
}

fn assignment(
    name: &str,
    hosts: &[(usize, &Host)],
    at: &dyn Fn(usize) -> SocketAddr,
) -> ClusterLoadAssignment {
    let mut groups: BTreeMap<(u32, &str), Vec<LbEndpoint>> = BTreeMap::new();
    for (index, host) in hosts {
        let group = groups.entry((host.priority, host.locality)).or_default();
        group.push(endpoint(host, at(*index)));
    }
    let endpoints = groups
        .into_iter()
        .map(|((priority, locality), lb_endpoints)| {
            let mut parts = locality.split('/').map(str::to_owned);
            let mut part = || parts.next().unwrap_or_default();
            LocalityLbEndpoints {
                locality: Some(core::Locality {
                    region: part(),
                    zone: part(),
                    sub_zone: part(),
                }),
                lb_endpoints,
                priority,
                ..Default::default()
            }
        });
    ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: endpoints.collect(),
        ..Default::default()
    }
}

fn endpoint(host: &Host, at: SocketAddr) -> LbEndpoint {
    let health = if host.healthy {
        core::HealthStatus::Unknown
    } else {
        core::HealthStatus::Unhealthy
    };
    LbEndpoint {
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(Endpoint {
            address: Some(address(at)),
            ..Default::default()
        })),
        health_status: health.into(),
        metadata: (!host.labels.is_empty()).then(|| labels(&host.labels)),
        load_balancing_weight: wrapped(host.weight).filter(|weight| weight.value > 0),
    }
}

/// Labels as endpoint metadata for subset balancers.
pub(crate) fn labels(labels: &[(&str, &str)]) -> core::Metadata {
    core::Metadata {
        filter_metadata: [("envoy.lb".to_owned(), fields(labels))]
            .into_iter()
            .collect(),
        typed_filter_metadata: Default::default(),
    }
}

/// Labels as a protobuf struct.
pub(crate) fn fields(labels: &[(&str, &str)]) -> Struct {
    let text = |value: &str| Value {
        kind: Some(Kind::StringValue(value.to_owned())),
    };
    let fields = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), text(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn listener(ip: IpAddr, manager: &HttpConnectionManager) -> Listener {
    Listener {
        name: "outbound".into(),
        address: Some(address((ip, OUTBOUND_PORT).into())),
        traffic_direction: core::TrafficDirection::Outbound.into(),
        filter_chains: vec![FilterChain {
            filters: vec![Filter {
                name: "envoy.filters.network.http_connection_manager".into(),
                config_type: Some(filter::ConfigType::TypedConfig(pack(manager))),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn address(at: SocketAddr) -> core::Address {
    let socket = core::SocketAddress {
        address: at.ip().to_string(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(
            at.port().into(),
        )),
        ..Default::default()
    };
    core::Address {
        address: Some(core::address::Address::SocketAddress(socket)),
    }
}

fn ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        initial_fetch_timeout: ms(0),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            Default::default(),
        )),
        ..Default::default()
    }
}

/// Makes a service's port an HTTP/2 port.
pub(crate) fn speak_http2(port: &mut Port) {
    port.name = "http2".into();
    port.protocol = PortProtocol::Http2;
}
