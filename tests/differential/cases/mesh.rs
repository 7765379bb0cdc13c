//! Cases that need a mesh: callers of several localities and kinds, delegates, external hosts, policies of our own.

use crate::case::{Case, get, grpc, host, inbound, mesh};
use crate::upstream::{Act, Manner, OK, status};

pub(super) fn cases() -> Vec<Case> {
    let mut all = localities();
    all.extend(callers());
    all.extend(outside());
    all.extend(protocols());
    all.extend(policies());
    all
}

const OUTLIERS: &str = "outlierDetection: {consecutive5xxErrors: 5, interval: 10s}";

fn zones(name: &'static str, policy: &str) -> Case {
    mesh(name)
        .caller("r1/z1/s1", &[])
        .rule(&format!("trafficPolicy: {{{policy}}}"))
        .routes("[{TO_APP, retries: {attempts: 0}}]")
}

fn localities() -> Vec<Case> {
    let everywhere = |case: Case| {
        case.host(host("subzone").at("r1/z1/s1"))
            .host(host("zone").at("r1/z1/s2"))
            .host(host("region").at("r1/z2/s1"))
            .host(host("elsewhere").at("r2/z1/s1"))
    };
    vec![
        everywhere(zones("localities: without outlier detection all hosts alike", "loadBalancer: {simple: ROUND_ROBIN}"))
            .get("/")
            .shares(200),
        everywhere(zones("localities: the own subzone first", OUTLIERS))
            .get("/")
            .get("/")
            .get("/")
            .wants("200 -, 200 -, 200 -"),
        zones("localities: the own zone next", OUTLIERS)
            .host(host("zone").at("r1/z1/s2"))
            .host(host("region").at("r1/z2/s1"))
            .host(host("elsewhere").at("r2/z1/s1"))
            .get("/")
            .get("/")
            .wants("200 -, 200 -"),
        zones("localities: the own region next", OUTLIERS)
            .host(host("region").at("r1/z2/s1"))
            .host(host("elsewhere").at("r2/z1/s1"))
            .get("/")
            .get("/")
            .wants("200 -, 200 -"),
        zones("localities: elsewhere when all else is ejected", "outlierDetection: {consecutive5xxErrors: 1, interval: 10s, maxEjectionPercent: 100}")
            .host(host("near").at("r1/z1/s1").does(&[status(503), OK]))
            .host(host("far").at("r2/z1/s1"))
            .get("/")
            .pause(1_150)
            .get("/")
            .get("/")
            .wants("503 -, 200 -, 200 -"),
        everywhere(zones(
            "localities: distributed by shares",
            "loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {distribute: [{from: 'r1/z1/*', to: {'r1/z1/*': 80, 'r2/z1/*': 20}}]}}, outlierDetection: {consecutive5xxErrors: 5}",
        ))
        .get("/")
        .shares(300),
        everywhere(zones(
            "localities: not looked at",
            "loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {enabled: false}}, outlierDetection: {consecutive5xxErrors: 5}",
        ))
        .get("/")
        .shares(200),
        zones(
            "localities: the region that a region fails over to",
            "loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r3}]}}, outlierDetection: {consecutive5xxErrors: 5}",
        )
        .host(host("two").at("r2/z1/s1"))
        .host(host("three").at("r3/z1/s1"))
        .get("/")
        .get("/")
        .get("/")
        .wants("200 -, 200 -, 200 -"),
    ]
}

fn callers() -> Vec<Case> {
    let yes = "route: [{destination: {host: yes-svc}}]";
    let with = |name: &'static str, condition: &str| {
        mesh(name)
            .routes(&format!("[{{match: [{condition}], {yes}}}, {{TO_APP}}]"))
            .host(host("a"))
            .host(host("yes").of("yes-svc"))
            .get("/")
            .wants("200 -")
    };
    let delegating = |name: &'static str, delegated: &str| {
        mesh(name)
            .routes("[{match: [{uri: {prefix: /api}}], delegate: {name: part}}, {TO_APP}]")
            .yaml(&format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: part}}\nspec: {{http: {delegated}}}"
            ))
            .host(host("a"))
            .host(host("yes").of("yes-svc"))
            .get("/api/x")
            .get("/api/y")
            .get("/")
            .wants("200 -, 200 -, 200 -")
    };
    vec![
        with("callers: by a label", "{sourceLabels: {app: shop}}").caller("", &[("app", "shop")]),
        with("callers: of another label", "{sourceLabels: {app: shop}}")
            .caller("", &[("app", "bank")]),
        with("callers: by namespace", "{sourceNamespace: default}").caller("", &[]),
        with("callers: of another namespace", "{sourceNamespace: other}").caller("", &[]),
        with("callers: sidecars, of all gateways", "{gateways: [mesh]}"),
        with("callers: a gateway is no sidecar", "{gateways: [ingress]}"),
        delegating(
            "delegate: its routes",
            &format!("[{{match: [{{uri: {{prefix: /api/x}}}}], {yes}}}]"),
        ),
        delegating("delegate: all of it", &format!("[{{{yes}}}]")),
    ]
}

fn outside() -> Vec<Case> {
    vec![
        mesh("outside: not allowed, 502")
            .registry_only()
            .send(get("/").to("nobody.example"))
            .wants("502 -"),
        mesh("outside: not allowed, to gRPC")
            .registry_only()
            .send(grpc("/service/method").to("nobody.example"))
            .wants("200 -"),
    ]
}

fn protocols() -> Vec<Case> {
    vec![
        mesh("a service of HTTP/2")
            .host(host("a").is(Manner::Http2))
            .get("/a?b=c")
            .send(get("/").h2())
            .wants("200 -, 200 -"),
        mesh("a service of HTTP/2: a refused stream is tried again by default")
            .host(host("a").is(Manner::Http2).does(&[Act::Reset(7), OK]))
            .get("/")
            .wants("200 -"),
        mesh("a service of HTTP/2: unavailable is tried again by default")
            .host(host("a").is(Manner::Http2).does(&[
                Act::Grpc("", &[("grpc-status", "14")]),
                Act::Grpc("", &[("grpc-status", "0")]),
            ]))
            .send(grpc("/service/method").h2())
            .wants("200 -"),
        mesh("a service of HTTP/2: unavailable after a message is not tried again")
            .host(host("a").is(Manner::Http2).does(&[
                Act::Grpc("part", &[("grpc-status", "14")]),
                Act::Grpc("", &[("grpc-status", "0")]),
            ]))
            .send(grpc("/service/method").h2())
            .wants("200 -"),
        mesh("upgraded to HTTP/2 by its rule")
            .rule("trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}")
            .host(host("a"))
            .get("/")
            .wants("502 UPE"),
    ]
}

fn policies() -> Vec<Case> {
    let policy = |fields: &str| {
        format!(
            "apiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: app}}\nspec: {{{fields}}}"
        )
    };
    let limited = |name: &'static str, local: &str| {
        inbound(name)
            .yaml(&policy(&format!(
                "selector: {{matchLabels: {{app: app}}}}, rateLimit: {{local: {{{local}}}}}"
            )))
            .host(host("a").label("app", "app"))
    };
    vec![
        limited("inbound: a rate limit", "requests: 2, per: 3600s")
            .get("/")
            .get("/")
            .get("/")
            .wants("200 -, 200 -, 429 RL"),
        limited(
            "inbound: a rate limit's burst",
            "requests: 1, per: 3600s, burst: 3",
        )
        .get("/")
        .get("/")
        .get("/")
        .get("/")
        .wants("200 -, 200 -, 200 -, 429 RL"),
        limited(
            "inbound: a rate limit of each connection",
            "requests: 1, per: 3600s, perConnection: true",
        )
        .get("/")
        .get("/")
        .wants("200 -, 200 -"),
        inbound("inbound: gRPC")
            .send(grpc("/service/method"))
            .wants("200 -"),
        inbound("inbound: the app refuses")
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .wants("503 URX,UF"),
        inbound("inbound: the caller goes away")
            .app(&[Act::Hang])
            .send(get("/").leaves_after(150))
            .wants("0 DC"),
        mesh("a retry budget of a rule: one at a time")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: '5xx'}}]")
            .rule("trafficPolicy: {retryBudget: {percent: 0, minRetryConcurrency: 1}}")
            .app(&[status(503), OK])
            .get("/")
            .wants("200 -"),
    ]
}
