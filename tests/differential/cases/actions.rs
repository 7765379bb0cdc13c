//! Cases of route actions besides forwarding: rewrites, redirects, direct responses, headers, mirrors, CORS.

use shakedown_xds::proto::route::WeightedCluster;
use shakedown_xds::proto::route::route_action::ClusterSpecifier;
use shakedown_xds::proto::route::weighted_cluster::{ClusterWeight, RandomValueSpecifier};

use crate::case::{Case, get, grpc, host, mesh, request, xds};
use crate::messages::wrapped;
use crate::upstream::{Act, OK};

pub(super) fn cases() -> Vec<Case> {
    let mut all = rewrites();
    all.extend(redirects());
    all.extend(header_operations());
    all.extend(mirrors());
    all.extend(cors());
    all.extend(weights());
    all
}

fn rewrites() -> Vec<Case> {
    vec![
        mesh("rewrite: a prefix")
            .routes("[{match: [{uri: {prefix: /old}}], rewrite: {uri: /new}, TO_APP}, {TO_APP}]")
            .get("/old/a?q=1")
            .get("/older")
            .get("/x")
            .wants("200 -, 200 -, 200 -"),
        mesh("rewrite: a prefix to the root")
            .routes("[{match: [{uri: {prefix: /old/}}], rewrite: {uri: /}, TO_APP}]")
            .get("/old/a")
            .get("/old/")
            .wants("200 -, 200 -"),
        mesh("rewrite: an exact path")
            .routes("[{match: [{uri: {exact: /old}}], rewrite: {uri: /new}, TO_APP}]")
            .get("/old?q=1")
            .wants("200 -"),
        mesh("rewrite: the authority")
            .routes("[{rewrite: {authority: other.example.com}, TO_APP}]")
            .get("/a")
            .wants("200 -"),
        mesh("rewrite: path and authority")
            .routes("[{match: [{uri: {prefix: /a}}], rewrite: {uri: /b, authority: other}, TO_APP}]")
            .get("/a/c")
            .wants("200 -"),
        mesh("rewrite: by regular expression")
            .routes(
                "[{match: [{uri: {regex: '/v1/.*'}}], rewrite: {uriRegexRewrite: {match: '/v1/(.*)/x', rewrite: '/v2/\\1'}}, TO_APP}]",
            )
            .get("/v1/abc/x?q=1")
            .get("/v1/abc")
            .wants("200 -, 200 -"),
        mesh("rewrite: what was before stays in a header")
            .routes("[{match: [{uri: {prefix: /old}}], rewrite: {uri: /new}, TO_APP}]")
            .send(get("/old").header("x-envoy-original-path", "/mine"))
            .wants("200 -"),
    ]
}

fn redirects() -> Vec<Case> {
    let to = |name: &'static str, fields: &str| {
        mesh(name).routes(&format!("[{{redirect: {{{fields}}}}}]"))
    };
    vec![
        to("redirect: a path, 301", "uri: /new").get("/old?q=1").wants("301 -"),
        to("redirect: an authority", "authority: other.example.com").get("/a?q=1").wants("301 -"),
        to("redirect: both and a code", "uri: /new, authority: other, redirectCode: 302").get("/a").wants("302 -"),
        to("redirect: 307", "uri: /new, redirectCode: 307").get("/a").wants("307 -"),
        to("redirect: 303", "uri: /new, redirectCode: 303").get("/a").wants("303 -"),
        to("redirect: a scheme", "scheme: https").get("/a").wants("301 -"),
        to("redirect: a port", "port: 8443").get("/a").wants("301 -"),
        to("redirect: a scheme of an authority with a port", "scheme: https")
            .send(get("/a").to("app:8080"))
            .wants("301 -"),
        mesh("redirect: a prefix")
            .routes("[{match: [{uri: {prefix: /old}}], redirect: {uri: '%PREFIX()%/x'}}, {TO_APP}]")
            .get("/old/a")
            .wants("301 -"),
        mesh("direct response: a body")
            .routes("[{directResponse: {status: 503, body: {string: 'closed'}}}]")
            .get("/")
            .wants("503 -"),
        mesh("direct response: no body").routes("[{directResponse: {status: 404}}]").get("/").wants("404 -"),
        mesh("direct response: headers")
            .routes("[{directResponse: {status: 200, body: {string: 'hi'}}, headers: {response: {set: {x-a: '1'}}}}]")
            .get("/")
            .wants("200 -"),
        mesh("direct response: to gRPC")
            .routes("[{directResponse: {status: 503, body: {string: 'closed'}}}]")
            .send(grpc("/service/method"))
            .wants("200 -"),
    ]
}

fn header_operations() -> Vec<Case> {
    let of = |name: &'static str, headers: &str| {
        mesh(name).routes(&format!("[{{headers: {{{headers}}}, TO_APP}}]"))
    };
    let sent = || get("/").header("x-a", "old").header("x-b", "old");
    vec![
        of("headers: set on the request", "request: {set: {x-a: new, x-c: new}}").send(sent()).wants("200 -"),
        of("headers: add to the request", "request: {add: {x-a: new, x-c: new}}").send(sent()).wants("200 -"),
        of("headers: remove from the request", "request: {remove: [x-a, x-z]}").send(sent()).wants("200 -"),
        of("headers: add, set and remove at once", "request: {add: {x-a: one}, set: {x-b: two}, remove: [x-a]}")
            .send(sent())
            .wants("200 -"),
        of("headers: set on the response", "response: {set: {x-r: new, x-s: new}}")
            .app(&[Act::Reply(200, &[("x-r", "old")], "ok")])
            .get("/")
            .wants("200 -"),
        of("headers: add to the response", "response: {add: {x-r: new}}")
            .app(&[Act::Reply(200, &[("x-r", "old")], "ok")])
            .get("/")
            .wants("200 -"),
        of("headers: remove from the response", "response: {remove: [x-r]}")
            .app(&[Act::Reply(200, &[("x-r", "old")], "ok")])
            .get("/")
            .wants("200 -"),
        of("headers: on a local reply", "response: {set: {x-r: new}}").empty("app").get("/").wants("503 UH"),
        of("headers: the authority by a header", "request: {set: {Host: other.example.com}}").get("/").wants("200 -"),
        mesh("headers: of a destination")
            .routes(
                "[{route: [{destination: {host: app}, headers: {request: {set: {x-a: dest}}, response: {add: {x-r: dest}}}}]}]",
            )
            .send(sent())
            .wants("200 -"),
        mesh("headers: of the route and of a destination")
            .routes(
                "[{headers: {request: {add: {x-n: route}}}, route: [{destination: {host: app}, headers: {request: {add: {x-n: dest}}}}]}]",
            )
            .get("/")
            .wants("200 -"),
    ]
}

fn mirrors() -> Vec<Case> {
    vec![
        mesh("mirror: a copy to the mirror cluster")
            .routes("[{mirror: {host: two}, TO_APP}]")
            .host(host("a"))
            .host(host("two").of("two"))
            .send(crate::case::post("/a?q=1", "body"))
            .pause(150)
            .wants("200 -"),
        mesh("mirror: none of them")
            .routes("[{mirror: {host: two}, mirrorPercentage: {value: 0}, TO_APP}]")
            .host(host("a"))
            .host(host("two").of("two"))
            .get("/")
            .pause(150)
            .wants("200 -"),
        mesh("mirror: its failure harms nobody")
            .routes("[{mirror: {host: two}, TO_APP}]")
            .host(host("a"))
            .host(host("two").of("two").does(&[Act::Close]))
            .get("/")
            .pause(150)
            .wants("200 -"),
        mesh("mirror: two of them")
            .routes(
                "[{mirrors: [{destination: {host: two}}, {destination: {host: three}}], TO_APP}]",
            )
            .host(host("a"))
            .host(host("two").of("two"))
            .host(host("three").of("three"))
            .get("/")
            .pause(150)
            .wants("200 -"),
    ]
}

fn cors() -> Vec<Case> {
    let policy = "corsPolicy: {allowOrigins: [{exact: 'http://a.example'}], allowMethods: [GET, POST], allowHeaders: [x-a], exposeHeaders: [x-r], maxAge: 24h, allowCredentials: true}";
    let of = |name: &'static str| mesh(name).routes(&format!("[{{{policy}, TO_APP}}]"));
    let preflight = |origin: &str| {
        request("OPTIONS", "/")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
    };
    vec![
        of("cors: a preflight is answered").send(preflight("http://a.example")).wants("200 -"),
        of("cors: a preflight of another origin").send(preflight("http://b.example")).wants("200 -"),
        of("cors: an actual request").send(get("/").header("origin", "http://a.example")).wants("200 -"),
        of("cors: an actual request of another origin")
            .send(get("/").header("origin", "http://b.example"))
            .wants("200 -"),
        of("cors: no origin").get("/").wants("200 -"),
        of("cors: OPTIONS that is no preflight")
            .send(request("OPTIONS", "/").header("origin", "http://a.example"))
            .wants("200 -"),
        of("cors: what the app says of itself")
            .app(&[Act::Reply(200, &[("access-control-allow-origin", "*")], "ok")])
            .send(get("/").header("origin", "http://a.example"))
            .wants("200 -"),
        mesh("cors: an origin by regular expression")
            .routes("[{corsPolicy: {allowOrigins: [{regex: 'http://.*\\.example'}], allowMethods: [GET]}, TO_APP}]")
            .send(preflight("http://x.example"))
            .send(preflight("http://x.example.org"))
            .wants("200 -, 200 -"),
        mesh("cors: what matches no origin, forwarded or not")
            .routes(
                "[{corsPolicy: {allowOrigins: [{exact: 'http://a.example'}], unmatchedPreflights: IGNORE}, TO_APP}]",
            )
            .send(preflight("http://b.example"))
            .wants("200 -"),
    ]
}

/// Takes the random number from a header, so that the split can be tested exactly.
fn weights() -> Vec<Case> {
    let mut by_header = xds("weights: the number picks the cluster", |x| {
        let weight = |name: &str, weight: u32| ClusterWeight {
            name: name.into(),
            weight: wrapped(weight),
            ..Default::default()
        };
        x.action().cluster_specifier = Some(ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: vec![
                weight("app", 10),
                weight("none", 0),
                weight("two", 30),
                weight("three", 60),
            ],
            random_value_specifier: Some(RandomValueSpecifier::HeaderName("x-random".into())),
            ..Default::default()
        }));
    })
    .host(host("a"))
    .host(host("none").of("none"))
    .host(host("two").of("two"))
    .host(host("three").of("three"));
    for number in ["0", "9", "10", "39", "40", "99", "100", "1234567"] {
        by_header = by_header.send(get("/").header("x-random", number));
    }
    vec![
        by_header.wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        mesh("weights: one destination without a weight").app(&[OK]).get("/").wants("200 -"),
        mesh("weights: headers of the chosen destination")
            .routes(
                "[{route: [{destination: {host: app}, weight: 100, headers: {request: {set: {x-to: app}}}}, {destination: {host: two}, weight: 0}]}]",
            )
            .host(host("a"))
            .host(host("two").of("two"))
            .get("/")
            .wants("200 -"),
    ]
}
