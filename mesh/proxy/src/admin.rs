//! The admin port, 15020: metrics, readiness, and a summary of the configuration in force.
//!
//! Every path is read-only.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use shakedown_env::Owned;
use shakedown_types::Side;
use shakedown_wire::{Body, ServerOptions, accept_loop};
use shakedown_xds::table::{Cluster, ClusterKind, RouteActionKind, RouteTable, Table};

use crate::listener::ActiveListener;
use crate::proxy::Proxy;
use crate::shared::Shared;
use crate::state::{ProxyState, UpstreamHost};

/// The content type of the text that prometheus-client writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Listens on the admin port. Dropping the task closes it.
pub(crate) fn listen(proxy: &Rc<Proxy>, address: SocketAddr) -> io::Result<Owned> {
    let env = &proxy.shared.env;
    let listener = env.listen(address)?;
    let (own, proxy_of_task) = (env.clone(), Rc::clone(proxy));
    Ok(env.spawn_owned("proxy-admin", async move {
        let options = ServerOptions::default();
        accept_loop(
            &own,
            listener,
            &options,
            "proxy-admin-connection",
            |_connected| {
                let proxy = Rc::clone(&proxy_of_task);
                move |request: Request<Incoming>| std::future::ready(answer(&proxy, &request))
            },
        )
        .await;
    }))
}

fn answer(proxy: &Proxy, request: &Request<Incoming>) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are supported\n",
        );
    }
    match request.uri().path() {
        "/stats/prometheus" => match proxy.shared.metrics.scrape() {
            Ok(metrics) => typed(StatusCode::OK, OPEN_METRICS, metrics),
            Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "metrics cannot be encoded\n",
            ),
        },
        "/healthz/ready" => match proxy.unready() {
            None => text(StatusCode::OK, "ready\n"),
            Some(why) => typed(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        "/config_dump" => typed(StatusCode::OK, JSON, format!("{:#}\n", config_dump(proxy))),
        _ => text(
            StatusCode::NOT_FOUND,
            "not found; expected /stats/prometheus, /healthz/ready or /config_dump\n",
        ),
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    typed(status, TEXT, body.to_owned())
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A summary of the configuration in force, sorted by name.
fn config_dump(proxy: &Proxy) -> Value {
    let shared = &*proxy.shared;
    let table = shared.state.table();
    let (connected, since) = proxy.control_plane.stream();
    let clusters = table.clusters.values();
    json!({
        "node": shared.bootstrap.node_id,
        "ready": proxy.is_ready(),
        "control_plane": {
            "address": shared.bootstrap.control.to_string(),
            "connected": connected,
            "since_ns": since.as_nanos(),
            "push": proxy.control_plane.push(),
            "trouble": proxy.control_plane.trouble(),
        },
        "listeners": listeners(shared),
        "routes": routes(&table),
        "clusters": clusters.map(|entry| cluster(&shared.state, &table, entry)).collect::<Vec<_>>(),
    })
}

fn listeners(shared: &Shared) -> Vec<Value> {
    let active = shared.listeners.list();
    let listener = |active: &Rc<ActiveListener>| {
        json!({
            "name": &*active.config().name,
            "address": active.address().to_string(),
            "side": match active.side() {
                Side::Inbound => "inbound",
                Side::Outbound => "outbound",
            },
            "connections": active.connections(),
        })
    };
    active.iter().map(listener).collect()
}

fn routes(table: &Table) -> Vec<Value> {
    table.routes.values().map(route_table).collect()
}

fn route_table(routes: &Arc<RouteTable>) -> Value {
    let target = |action: &RouteActionKind| match action {
        RouteActionKind::Forward(action) => {
            let targets = action.targets().iter();
            let share = |t: &shakedown_xds::table::WeightedCluster| json!({ "cluster": &*t.cluster, "weight": t.weight });
            json!(targets.map(share).collect::<Vec<_>>())
        }
        RouteActionKind::Respond(direct) => json!({ "status": direct.status }),
        RouteActionKind::Redirect(redirect) => json!({ "status": redirect.status }),
    };
    let hosts = routes.hosts().iter().map(|host| {
        let routes = host.routes.iter();
        let route =
            |r: &shakedown_xds::table::Route| json!({ "name": &*r.name, "to": target(&r.action) });
        json!({ "name": &*host.name, "routes": routes.map(route).collect::<Vec<_>>() })
    });
    json!({ "name": &*routes.name, "virtual_hosts": hosts.collect::<Vec<_>>() })
}

/// A cluster and the load of its hosts. A cluster that no request has used yet shows its configured hosts with zeros.
fn cluster(state: &ProxyState, table: &Table, cluster: &Cluster) -> Value {
    let host = |host: &Rc<UpstreamHost>| {
        let pool = host.pool();
        json!({
            "address": host.address().to_string(),
            "healthy": host.is_healthy(),
            "active_requests": host.active(),
            "connections": pool.connections(),
            "idle_connections": pool.idle(),
        })
    };
    let unused = |host: &shakedown_xds::table::Host| {
        json!({
            "address": host.address.to_string(),
            "healthy": host.healthy,
            "active_requests": 0,
            "connections": 0,
            "idle_connections": 0,
        })
    };
    let hosts: Vec<Value> = match state.upstream_in_use(&cluster.name) {
        Some(upstream) => upstream.hosts().iter().map(host).collect(),
        None => table
            .assignment(cluster)
            .iter()
            .flat_map(|assignment| assignment.hosts.iter().map(unused))
            .collect(),
    };
    json!({
        "name": &*cluster.name,
        "kind": match cluster.kind {
            ClusterKind::Eds(_) => "EDS",
            ClusterKind::Static(_) => "STATIC",
            ClusterKind::OriginalDst => "ORIGINAL_DST",
        },
        "lb_policy": cluster.lb.name(),
        "hosts": hosts,
    })
}
