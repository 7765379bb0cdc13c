//! Cases of configurations that change during requests: added and removed hosts, slow start, weights, routes.

use shakedown_xds::proto::cluster::cluster::{
    LbConfig, LbPolicy, LeastRequestLbConfig, RoundRobinLbConfig, SlowStartConfig,
};
use shakedown_xds::proto::core::{HealthStatus, RuntimeDouble};
use shakedown_xds::proto::route::route_action::hash_policy::{Header, PolicySpecifier};
use shakedown_xds::proto::route::route_action::{ClusterSpecifier, HashPolicy};
use shakedown_xds::proto::route::weighted_cluster::ClusterWeight;
use shakedown_xds::proto::route::{RetryPolicy, WeightedCluster};

use crate::case::{Case, Xds, change, get, host, xds};
use crate::client::ClientRequest;
use crate::messages::{ms, wrapped};
use crate::upstream::{Act, OK, status};

pub(super) fn cases() -> Vec<Case> {
    let mut all = endpoints();
    all.extend(health());
    all.extend(slow_starts());
    all.extend(routes());
    all
}

const LATE: Act = Act::Late(300, &OK);
const FAILS_LATE: Act = Act::Late(200, &FAILS);
const FAILS: Act = status(503);

/// The given number of requests, one every `every` milliseconds.
fn steady(count: u64, every: u64) -> Vec<ClientRequest> {
    (0..count).map(|nth| get("/").after(nth * every)).collect()
}

fn endpoints() -> Vec<Case> {
    vec![
        xds(
            "a removed host's requests end, and it gets no new ones",
            |_| {},
        )
        .host(host("a").does(&[LATE]))
        .host(host("b").later())
        .amid(
            vec![get("/early"), get("/late").after(200)],
            100,
            change(&["b"], |_| {}),
        )
        .get("/after")
        .get("/again")
        .wants("200 -, 200 -, 200 -, 200 -"),
        xds("a host that comes back is as good as a new one", |_| {})
            .host(host("a"))
            .host(host("b").later())
            .get("/")
            .now(&["b"])
            .get("/")
            .now(&["a"])
            .get("/")
            .wants("200 -, 200 -, 200 -"),
        xds("all hosts leave, and come back", |_| {})
            .host(host("a").does(&[LATE, OK]))
            .amid(
                vec![get("/early"), get("/late").after(200)],
                100,
                change(&[], |_| {}),
            )
            .get("/")
            .now(&["a"])
            .get("/")
            .wants("200 -, 503 UH, 503 UH, 200 -"),
        xds("a host that leaves before a request is tried again", |x| {
            x.action().retry_policy = Some(RetryPolicy {
                retry_on: "5xx".into(),
                ..Default::default()
            });
        })
        .host(host("a").does(&[FAILS_LATE]))
        .host(host("b").later())
        .amid(vec![get("/")], 100, change(&["b"], |_| {}))
        .wants("200 -"),
        xds("a host that comes takes its share at once", |_| {})
            .host(host("a"))
            .host(host("b").later())
            .together(steady(20, 2))
            .now(&["a", "b"])
            .together(steady(60, 2))
            .now(&["b"])
            .together(steady(20, 2))
            .counts_within(5),
        xds("a host's weight changes", |_| {})
            .host(host("a").weight(9))
            .host(host("b").weight(1))
            .together(steady(100, 2))
            .change(&["a", "b"], |x| {
                let hosts = &mut x.endpoints[0].endpoints[0].lb_endpoints;
                hosts[0].load_balancing_weight = wrapped(1);
                hosts[1].load_balancing_weight = wrapped(9);
            })
            .together(steady(100, 2))
            .counts_within(5),
    ]
}

/// Sends requests of twelve users, each of whom both proxies must send to the same host: before a host is added, with
/// it, and after another was removed.
fn hashed(name: &'static str, policy: LbPolicy) -> Case {
    let users = |mut case: Case| {
        for user in [
            "jason", "ann", "bob", "carl", "dora", "emil", "fay", "gus", "hal", "ida", "jo", "kim",
        ] {
            case = case.send(get("/").header("x-user", user));
        }
        case
    };
    let case = xds(name, move |x| {
        x.cluster("app").lb_policy = policy.into();
        x.action().hash_policy.push(HashPolicy {
            policy_specifier: Some(PolicySpecifier::Header(Header {
                header_name: "x-user".into(),
                ..Default::default()
            })),
            ..Default::default()
        });
    })
    .host(host("a"))
    .host(host("b"))
    .host(host("c"))
    .host(host("d").later());
    let case = users(users(users(case).now(&["a", "b", "c", "d"])).now(&["b", "c", "d"]));
    case.wants(Box::leak(["200 -"; 36].join(", ").into_boxed_str()))
}

fn health() -> Vec<Case> {
    let sick = |x: &mut Xds| {
        let hosts = &mut x.endpoints[0].endpoints[0].lb_endpoints;
        hosts[0].health_status = HealthStatus::Unhealthy.into();
    };
    vec![
        hashed("ring hash: hosts come and go", LbPolicy::RingHash),
        hashed("maglev: hosts come and go", LbPolicy::Maglev),
        xds("a host becomes unhealthy, and is well again", |x| {
            x.cluster("app").common_lb_config = super::balancing::panic_at(0.0);
        })
        .host(host("a").does(&[LATE, OK]))
        .host(host("b").later())
        .amid(
            vec![get("/early"), get("/late").after(200)],
            100,
            change(&["a", "b"], sick),
        )
        .get("/")
        .wants("200 -, 200 -, 200 -"),
        xds("the only host becomes unhealthy", |x| {
            x.cluster("app").common_lb_config = super::balancing::panic_at(0.0);
        })
        .host(host("a"))
        .get("/")
        .change(&["a"], sick)
        .get("/")
        .pause(1_100)
        .now(&["a"])
        .get("/")
        .wants("200 -, 503 UH, 200 -"),
        xds("a priority comes before the others", |_| {})
            .host(host("a").priority(1))
            .host(host("b").later())
            .get("/")
            .now(&["a", "b"])
            .get("/")
            .get("/")
            .now(&["a"])
            .get("/")
            .wants("200 -, 200 -, 200 -, 200 -"),
        xds(
            "a listener's idle timeout changes for the next requests",
            |_| {},
        )
        .app(&[LATE])
        .amid(
            vec![get("/early"), get("/late").after(200)],
            100,
            change(&["a"], |x| x.manager.stream_idle_timeout = ms(100)),
        )
        .wants("200 -, 504 SI"),
    ]
}

/// A slow start window of one second.
fn slow(aggression: Option<f64>) -> Option<SlowStartConfig> {
    let aggression = aggression.map(|value| RuntimeDouble {
        default_value: value,
        runtime_key: "case".into(),
    });
    Some(SlowStartConfig {
        slow_start_window: ms(1_000),
        aggression,
        ..Default::default()
    })
}

fn round_robin(x: &mut Xds, config: Option<SlowStartConfig>) {
    let config = RoundRobinLbConfig {
        slow_start_config: config,
    };
    x.cluster("app").lb_config = Some(LbConfig::RoundRobinLbConfig(config));
}

/// Two hosts that have passed their slow start window are joined by a third, whose share is counted in each half of its
/// window and after it.
fn joined(name: &'static str, edit: impl Fn(&mut Xds) + Send + Sync + 'static) -> Case {
    xds(name, edit)
        .host(host("a"))
        .host(host("b"))
        .host(host("c").later())
        .pause(1_100)
        .now(&["a", "b", "c"])
        .together(steady(160, 3))
        .together(steady(160, 3))
        .pause(200)
        .together(steady(60, 2))
        .counts_within(16)
}

fn slow_starts() -> Vec<Case> {
    vec![
        joined("slow start: round robin", |x| round_robin(x, slow(None))),
        joined("slow start: round robin, more aggressive", |x| {
            round_robin(x, slow(Some(3.0)))
        }),
        joined(
            "slow start: round robin, with half its weight at least",
            |x| {
                let mut config = slow(None);
                if let Some(config) = &mut config {
                    config.min_weight_percent =
                        Some(envoy_types::pb::envoy::r#type::v3::Percent { value: 50.0 });
                }
                round_robin(x, config);
            },
        ),
        joined("slow start: least request", |x| {
            let config = LeastRequestLbConfig {
                slow_start_config: slow(None),
                ..Default::default()
            };
            let cluster = x.cluster("app");
            cluster.lb_policy = LbPolicy::LeastRequest.into();
            cluster.lb_config = Some(LbConfig::LeastRequestLbConfig(config));
        }),
        joined("no slow start: the share is there at once", |_| {}),
    ]
}

fn split(x: &mut Xds, app: u32, other: u32) {
    let weight = |name: &str, weight| ClusterWeight {
        name: name.into(),
        weight: wrapped(weight),
        ..Default::default()
    };
    x.action().cluster_specifier = Some(ClusterSpecifier::WeightedClusters(WeightedCluster {
        clusters: vec![weight("app", app), weight("other", other)],
        ..Default::default()
    }));
}

fn routes() -> Vec<Case> {
    vec![
        xds("weights change: all of it", |x| split(x, 1, 0))
            .host(host("a").does(&[LATE]))
            .host(host("o").of("other"))
            .amid(
                vec![get("/early"), get("/late").after(200)],
                100,
                change(&["a", "o"], |x| split(x, 0, 1)),
            )
            .get("/")
            .wants("200 -, 200 -, 200 -"),
        xds("weights change: a tenth, a half, nine tenths", |x| {
            split(x, 90, 10)
        })
        .host(host("a"))
        .host(host("o").of("other"))
        .together(steady(150, 2))
        .change(&["a", "o"], |x| split(x, 50, 50))
        .together(steady(150, 2))
        .change(&["a", "o"], |x| split(x, 10, 90))
        .together(steady(150, 2))
        .shares(1),
        xds("a request keeps its route when routes change", |x| {
            x.action().timeout = ms(5_000)
        })
        .app(&[LATE])
        .amid(
            vec![get("/early"), get("/late").after(150)],
            50,
            change(&["a"], |x| x.action().timeout = ms(100)),
        )
        .wants("200 -, 504 UT"),
        xds("a route that comes, and goes", |_| {})
            .host(host("a"))
            .host(host("o").of("other"))
            .get("/new/x")
            .change(&["a", "o"], |x| {
                x.host()
                    .routes
                    .insert(0, crate::messages::to("/new", "other"));
            })
            .get("/new/x")
            .get("/")
            .change(&["a", "o"], |x| x.host().routes.clear())
            .get("/new/x")
            .wants("200 -, 200 -, 200 -, 404 NR"),
    ]
}
