//! Cases of load balancing.

use shakedown_xds::proto::cluster::cluster::{
    CommonLbConfig, LbConfig, LbPolicy, MaglevLbConfig, RingHashLbConfig,
};
use shakedown_xds::proto::protobuf::UInt64Value;
use shakedown_xds::proto::route::route_action::HashPolicy;
use shakedown_xds::proto::route::route_action::hash_policy::{
    Cookie, Header, PolicySpecifier, QueryParameter,
};

use crate::case::{Case, Xds, get, host, mesh, xds};
use crate::messages::{ms, wrapped};
use crate::upstream::{Act, OK};

pub(super) fn cases() -> Vec<Case> {
    let mut all = shares();
    all.extend(hashes());
    all.extend(priorities());
    all
}

/// The percentage of healthy hosts below which all hosts are used.
pub(super) fn panic_at(percent: f64) -> Option<CommonLbConfig> {
    Some(CommonLbConfig {
        healthy_panic_threshold: Some(envoy_types::pb::envoy::r#type::v3::Percent {
            value: percent,
        }),
        ..Default::default()
    })
}

fn three(case: Case) -> Case {
    case.host(host("a")).host(host("b")).host(host("c"))
}

fn simple(name: &'static str, policy: &str) -> Case {
    three(mesh(name).rule(&format!(
        "trafficPolicy: {{loadBalancer: {{simple: {policy}}}}}"
    )))
}

fn by(x: &mut Xds, policy: LbPolicy) {
    x.cluster("app").lb_policy = policy.into();
}

fn shares() -> Vec<Case> {
    let weighted = |name: &'static str, policy: LbPolicy| {
        xds(name, move |x| by(x, policy))
            .host(host("a").weight(1))
            .host(host("b").weight(3))
            .host(host("c").weight(6))
            .get("/")
            .shares(300)
    };
    vec![
        simple("round robin: a third each", "ROUND_ROBIN")
            .get("/")
            .get("/")
            .get("/")
            .shares(40),
        simple("random: a third each", "RANDOM")
            .get("/")
            .shares(300),
        simple(
            "least request: a third each, when all is quiet",
            "LEAST_REQUEST",
        )
        .get("/")
        .shares(300),
        simple("least request: a slow host gets less", "LEAST_REQUEST")
            .host(host("slow").does(&[Act::Late(60, &OK)]))
            .together((0..40).map(|nth| get("/").after(nth * 4)).collect())
            .shares(3),
        weighted("round robin: by weight", LbPolicy::RoundRobin),
        weighted("random: by weight", LbPolicy::Random),
        weighted("least request: by weight", LbPolicy::LeastRequest),
    ]
}

fn hash_by(x: &mut Xds, specifier: PolicySpecifier) {
    x.action().hash_policy.push(HashPolicy {
        policy_specifier: Some(specifier),
        ..Default::default()
    });
}

fn by_header() -> PolicySpecifier {
    PolicySpecifier::Header(Header {
        header_name: "x-user".into(),
        ..Default::default()
    })
}

fn ring(x: &mut Xds, least: u64) {
    by(x, LbPolicy::RingHash);
    x.cluster("app").lb_config = Some(LbConfig::RingHashLbConfig(RingHashLbConfig {
        minimum_ring_size: Some(UInt64Value { value: least }),
        ..Default::default()
    }));
}

/// Sends requests of twelve users, each of whom both proxies must send to the same host.
fn users(mut case: Case) -> Case {
    for user in [
        "jason", "ann", "bob", "carl", "dora", "emil", "fay", "gus", "hal", "ida", "jo", "kim",
    ] {
        case = case.send(
            get(&format!("/?user={user}"))
                .header("x-user", user)
                .header("cookie", &format!("x=1; user={user}")),
        );
    }
    case.wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -")
}

fn hashes() -> Vec<Case> {
    let five = |case: Case| three(case).host(host("d")).host(host("e"));
    vec![
        users(five(xds("ring hash: by a header", |x| {
            ring(x, 1024);
            hash_by(x, by_header());
        }))),
        users(five(xds("ring hash: a small ring", |x| {
            ring(x, 7);
            hash_by(x, by_header());
        }))),
        users(
            xds("ring hash: by a header, hosts of different weight", |x| {
                ring(x, 1024);
                hash_by(x, by_header());
            })
            .host(host("a").weight(1))
            .host(host("b").weight(5))
            .host(host("c").weight(2)),
        ),
        users(five(xds("ring hash: by a query parameter", |x| {
            ring(x, 1024);
            hash_by(
                x,
                PolicySpecifier::QueryParameter(QueryParameter {
                    name: "user".into(),
                }),
            );
        }))),
        users(five(xds("ring hash: by a cookie that is there", |x| {
            ring(x, 1024);
            hash_by(
                x,
                PolicySpecifier::Cookie(Cookie {
                    name: "user".into(),
                    ..Default::default()
                }),
            );
        }))),
        users(five(xds("ring hash: by two policies", |x| {
            ring(x, 1024);
            hash_by(x, by_header());
            hash_by(
                x,
                PolicySpecifier::QueryParameter(QueryParameter {
                    name: "user".into(),
                }),
            );
        }))),
        users(five(xds("maglev: by a header", |x| {
            by(x, LbPolicy::Maglev);
            hash_by(x, by_header());
        }))),
        users(five(xds("maglev: a small table", |x| {
            by(x, LbPolicy::Maglev);
            x.cluster("app").lb_config = Some(LbConfig::MaglevLbConfig(MaglevLbConfig {
                table_size: Some(UInt64Value { value: 103 }),
            }));
            hash_by(x, by_header());
        }))),
        users(
            xds("maglev: by a header, hosts of different weight", |x| {
                by(x, LbPolicy::Maglev);
                hash_by(x, by_header());
            })
            .host(host("a").weight(1))
            .host(host("b").weight(5))
            .host(host("c").weight(2)),
        ),
        three(xds(
            "ring hash: a cookie is made where there is none",
            |x| {
                ring(x, 1024);
                hash_by(
                    x,
                    PolicySpecifier::Cookie(Cookie {
                        name: "user".into(),
                        ttl: ms(60_000),
                        path: "/p".into(),
                        ..Default::default()
                    }),
                );
            },
        ))
        .any_host()
        .get("/")
        .wants("200 -"),
        users(five(mesh("consistent hash by a header").rule(
            "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}",
        ))),
        users(five(mesh("consistent hash by a header, maglev").rule(
            "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 65537}}}}",
        ))),
        users(five(mesh("consistent hash by a query parameter").rule(
            "trafficPolicy: {loadBalancer: {consistentHash: {httpQueryParameterName: user}}}",
        ))),
        users(five(mesh("consistent hash by the caller's address").rule(
            "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}",
        ))),
        users(five(mesh("consistent hash by a cookie").rule(
            "trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 60s}}}}",
        ))),
    ]
}

fn priorities() -> Vec<Case> {
    let levels = |name: &'static str, healthy: usize| {
        let mut case = xds(name, |_| {});
        for (nth, host_name) in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
            .into_iter()
            .enumerate()
        {
            let one = host(host_name);
            case = case.host(if nth < healthy { one } else { one.unhealthy() });
        }
        case.host(host("second").priority(1))
            .host(host("third").priority(1))
            .get("/")
            .shares(300)
    };
    vec![
        levels("priorities: all of the first level are healthy", 10),
        levels("priorities: eight of ten are enough", 8),
        levels("priorities: seven of ten spill over", 7),
        levels("priorities: half of them spill over", 5),
        levels("priorities: none is left", 0),
        xds("localities: by their weights", |x| {
            use shakedown_xds::proto::cluster::cluster::common_lb_config::{
                LocalityConfigSpecifier, LocalityWeightedLbConfig,
            };
            x.cluster("app").common_lb_config = Some(CommonLbConfig {
                locality_config_specifier: Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(
                    LocalityWeightedLbConfig::default(),
                )),
                ..Default::default()
            });
            let weights = [1, 3].into_iter();
            for (locality, weight) in x.endpoints[0].endpoints.iter_mut().zip(weights) {
                locality.load_balancing_weight = wrapped(weight);
            }
        })
        .host(host("a").at("r/a"))
        .host(host("b").at("r/b"))
        .host(host("c").at("r/b"))
        .get("/")
        .shares(300),
        xds(
            "panic: less than half are healthy, and all are used",
            |_| {},
        )
        .host(host("a"))
        .host(host("b").unhealthy())
        .host(host("c").unhealthy())
        .get("/")
        .shares(300),
        xds("no panic below 50 percent when the threshold is 0", |x| {
            x.cluster("app").common_lb_config = panic_at(0.0)
        })
        .host(host("a"))
        .host(host("b").unhealthy())
        .host(host("c").unhealthy())
        .get("/")
        .get("/")
        .get("/")
        .wants("200 -, 200 -, 200 -"),
    ]
}
