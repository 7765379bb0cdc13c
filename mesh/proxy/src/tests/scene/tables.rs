//! Tables of listeners, routes and clusters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shakedown_xds::table::{
    Assignment, Cluster, ClusterKind, Direction, Filter, Host, Identity, LbOptions, LbPolicy,
    Limits, Listener, PathMatcher, PriorityLimits, RetryOn, RetryPolicy, Route, RouteAction,
    RouteActionKind, RouteMatcher, RouteTable, Routes, Table, VirtualHost, WeightedCluster,
};

use super::{POD, REVIEWS, at};

pub(crate) fn cluster(name: &str, hosts: &[SocketAddr]) -> Cluster {
    let host = |address: &SocketAddr| Host {
        workload: Identity::new("reviews-v1;default;reviews;v1;"),
        ..Host::new(*address)
    };
    let hosts = hosts.iter().map(host).collect();
    Cluster {
        name: name.into(),
        kind: ClusterKind::Static(Arc::new(Assignment::new(name, hosts))),
        connect_timeout: Duration::from_secs(10),
        lb: LbPolicy::ROUND_ROBIN,
        lb_options: LbOptions::default(),
        limits: PriorityLimits::both(Limits::UNLIMITED),
        protocol: shakedown_xds::table::UpstreamProtocol::Http1,
        transport: Default::default(),
        policy: Default::default(),
        outlier: None,
        update_merge_window: Cluster::UPDATE_MERGE_WINDOW,
        idle_timeout: None,
        max_requests_per_connection: None,
        max_connection_duration: None,
    }
}

pub(crate) fn to(cluster: &str) -> RouteAction {
    RouteAction::new(vec![WeightedCluster::new(cluster, 1)]).unwrap()
}

/// A policy with two retries on `on`, and Istio's defaults otherwise.
pub(crate) fn retry(on: RetryOn) -> RetryPolicy {
    RetryPolicy {
        on,
        times: 2,
        avoid_previous_hosts: true,
        host_selection_attempts: 5,
        ..RetryPolicy::default()
    }
}

fn route_table(name: &str, domain: &str, action: RouteActionKind) -> Arc<RouteTable> {
    let matcher = RouteMatcher {
        path: PathMatcher::Any,
        headers: Vec::new(),
        query: Vec::new(),
    };
    table_of(name, domain, vec![Route::new("", matcher, action)], false)
}

fn table_of(
    name: &str,
    domain: &str,
    routes: Vec<Route>,
    count_in_response: bool,
) -> Arc<RouteTable> {
    let host = VirtualHost {
        name: domain.into(),
        routes,
        include_attempt_count: true,
        include_attempt_count_in_response: count_in_response,
    };
    Arc::new(RouteTable::new(name, vec![(host, vec![domain.into()])], false).unwrap())
}

/// A route table that matches no request.
pub(crate) fn empty_routes() -> Arc<RouteTable> {
    table_of("15001", "*", Vec::new(), false)
}

/// An outbound listener with these filters and a single route that matches everything.
pub(crate) fn routed(route: Route, filters: Vec<Filter>, clusters: Vec<Cluster>) -> Table {
    let mut table = outbound(route.action.clone(), clusters);
    let routes = table_of("15001", "*", vec![route], false);
    table.routes.insert("15001".into(), routes);
    for listener in table.listeners.values_mut() {
        Arc::make_mut(listener).filters.clone_from(&filters);
    }
    table
}

/// Adds the attempt count to responses of the outbound routes.
pub(crate) fn include_attempt_count(table: &mut Table) {
    let routes = table.routes["15001"].hosts()[0].routes.clone();
    let routes = table_of("15001", "*", routes, true);
    table.routes.insert("15001".into(), routes);
}

/// An outbound listener whose only virtual host matches every authority.
pub(crate) fn outbound(action: RouteActionKind, clusters: Vec<Cluster>) -> Table {
    outbound_for("*", action, clusters)
}

/// An outbound listener with one virtual host.
pub(crate) fn outbound_for(domain: &str, action: RouteActionKind, clusters: Vec<Cluster>) -> Table {
    let mut table = Table::default();
    let listener = Listener {
        name: "virtualOutbound".into(),
        address: "0.0.0.0:15001".parse().unwrap(),
        direction: Direction::Outbound,
        tls: Default::default(),
        routes: Routes::Named("15001".into()),
        filters: Vec::new(),
        stream_idle_timeout: None,
        manager: Default::default(),
    };
    table
        .listeners
        .insert(listener.name.clone(), Arc::new(listener));
    table
        .routes
        .insert("15001".into(), route_table("15001", domain, action));
    for cluster in clusters {
        table.clusters.put(Arc::new(cluster));
    }
    table
}

/// Adds an inbound listener to a table.
pub(crate) fn with_inbound(
    mut table: Table,
    port: u16,
    action: RouteAction,
    app: Cluster,
) -> Table {
    let name: Arc<str> = format!("inbound_{port}").into();
    let listener = Listener {
        name: name.clone(),
        address: at(POD, port),
        direction: Direction::Inbound,
        tls: Default::default(),
        routes: Routes::Inline(route_table(&name, "*", RouteActionKind::Forward(action))),
        filters: Vec::new(),
        stream_idle_timeout: None,
        manager: Default::default(),
    };
    table.listeners.insert(name, Arc::new(listener));
    table.clusters.put(Arc::new(app));
    table
}

/// A single route to a cluster with these hosts.
pub(crate) fn simple(hosts: &[SocketAddr]) -> Table {
    outbound(
        RouteActionKind::Forward(to(REVIEWS)),
        vec![cluster(REVIEWS, hosts)],
    )
}

/// A single route to a cluster with these hosts and a retry policy.
pub(crate) fn retried(policy: RetryPolicy, hosts: &[SocketAddr]) -> Table {
    let mut action = to(REVIEWS);
    action.retry = Some(policy.into());
    outbound(
        RouteActionKind::Forward(action),
        vec![cluster(REVIEWS, hosts)],
    )
}
