//! Tests the metric labels that name both workloads of a request, on either side, with the simulated and the real
//! environment.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use shakedown_env::Env;
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_wire::{Body, Pool, PoolOptions, ServerOptions, accept_loop};
use shakedown_xds::table::{Assignment, Cluster, Host, Identity, RouteActionKind, Table};

use super::scene::*;
use crate::{Bootstrap, run_with_table};

const APP: &str = "inbound|9080||";

async fn ask(env: &Env, to: SocketAddr, path: &str) -> Answer {
    let request = Request::get(path).header("host", "reviews:9080");
    let pool = Pool::new(env.clone(), to, None, PoolOptions::default());
    let answer = pool.send(request.body(Body::empty()).unwrap()).await;
    Answer::from_response(answer.unwrap()).await
}

/// The request counters with this label.
async fn counted(env: &Env, admin: SocketAddr, label: &str) -> Vec<String> {
    let text = ask(env, admin, "/stats/prometheus").await.body;
    let lines = text
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{") && line.contains(label));
    lines.map(str::to_owned).collect()
}

fn holds(lines: &[String], labels: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:?}");
    for label in labels {
        assert!(lines[0].contains(label), "{label} in {}", lines[0]);
    }
}

/// Adds an endpoint of the service `pages` at the callers' address.
fn with_pages(mut table: Table, at: SocketAddr, identity: &str) -> Table {
    let mut host = Host::new(at);
    host.workload = Identity::new(identity);
    let name = "outbound|80||pages.shop.svc.cluster.local";
    table
        .endpoints
        .put(Arc::new(Assignment::new(name, vec![host])));
    table
}

const PAGES: &str = "pages-v3;shop;pages;v3;";

/// A proxy whose inbound port forwards to an app.
fn inbound(app: SocketAddr, port: u16) -> Table {
    let table = outbound(
        RouteActionKind::Forward(to(REVIEWS)),
        vec![cluster(REVIEWS, &[app])],
    );
    let app: Cluster = cluster(APP, &[app]);
    with_inbound(table, port, to(APP), app)
}

#[test]
fn each_side_of_a_request_names_both_workloads() {
    play(|scene| async move {
        scene.answer(POD, 20000, 200, "ok");
        let table = inbound(at(POD, 20000), 9080);
        scene.proxy(with_pages(table, at(CALLER, 80), PAGES));
        let env = scene.env(CALLER);
        ask(&env, at(POD, 9080), "/").await;
        ask(&env, at(POD, 15001), "/").await;
        let admin = at(POD, 15020);
        holds(
            &counted(&env, admin, "reporter=\"destination\"").await,
            &[
                "source_workload=\"pages-v3\"",
                "source_workload_namespace=\"shop\"",
                "source_app=\"pages\"",
                "source_version=\"v3\"",
                "source_canonical_service=\"pages\"",
                "destination_workload=\"pages-1\"",
            ],
        );
        holds(
            &counted(&env, admin, "reporter=\"source\"").await,
            &[
                "source_workload=\"pages-1\"",
                "destination_workload=\"reviews-v1\"",
                "destination_workload_namespace=\"default\"",
                "destination_app=\"reviews\"",
                "destination_version=\"v1\"",
            ],
        );
    });
}

#[test]
fn a_connection_is_named_anew_when_the_configuration_has_changed() {
    play(|scene| async move {
        scene.answer(POD, 20000, 200, "ok");
        let table = || inbound(at(POD, 20000), 9080);
        let proxy = scene.open_proxy(table());
        let (env, caller) = (scene.env(CALLER), scene.caller_of(at(POD, 9080)));
        let send = async || {
            let request = Request::get("/")
                .header("host", "reviews")
                .body(Body::empty());
            Answer::from_response(caller.send(request.unwrap()).await.unwrap()).await
        };
        send().await;
        proxy.put_in_force(with_pages(table(), at(CALLER, 80), PAGES), None);
        send().await;
        send().await;
        assert_eq!(caller.connections(), 1);
        let lines = counted(&env, at(POD, 15020), "reporter=\"destination\"").await;
        let count = |workload: &str| {
            let label = format!("source_workload=\"{workload}\"");
            let line = lines.iter().find(|line| line.contains(&label)).unwrap();
            line.rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!(
            (count("unknown"), count("pages-v3")),
            ("1".into(), "2".into())
        );
    });
}

#[test]
fn a_caller_on_real_sockets_is_identified_at_the_destination() {
    let runtime = Runtime::new().unwrap();
    let address = "127.0.0.1".parse().unwrap();
    let options = HostOptions {
        seed: Some(1),
        address,
        ..HostOptions::new("here")
    };
    let env = runtime.host(options).unwrap();
    runtime.block_on(async {
        let any = SocketAddr::new(address, 0);
        let listener = env.listen(any).unwrap();
        let app = listener.local_addr();
        let own = env.clone();
        env.spawn("app", async move {
            let answer = |_| async { reply(200, "ok") };
            accept_loop(&own, listener, &ServerOptions::default(), "app", |_| answer).await;
        });
        let free = || env.listen(any).unwrap().local_addr();
        let (port, admin) = (free(), free());
        let mut table = inbound(app, port.port());
        for listener in table.listeners.values_mut() {
            Arc::make_mut(listener).address.set_ip(address);
        }
        let mut bootstrap = Bootstrap::sidecar("reviews-1", "default", address, any);
        (bootstrap.admin_port, bootstrap.outbound_port) = (admin.port(), free().port());
        let (own, table) = (env.clone(), with_pages(table, any, PAGES));
        env.spawn("proxy", async move {
            run_with_table(own, bootstrap, table).await.unwrap();
        });
        // The proxy listens from its first poll.
        env.sleep(ms(1)).await;
        assert_eq!(ask(&env, port, "/").await.status, 200);
        let lines = counted(&env, admin, "reporter=\"destination\"").await;
        holds(
            &lines,
            &[
                "source_workload=\"pages-v3\"",
                "destination_workload=\"reviews-1\"",
            ],
        );
    });
}
