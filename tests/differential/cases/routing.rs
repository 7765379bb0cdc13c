//! Cases of route selection: virtual hosts, then the first matching route. Routes are distinguished by their response
//! bodies.

use shakedown_xds::proto::matcher::StringMatcher;
use shakedown_xds::proto::matcher::string_matcher::MatchPattern;
use shakedown_xds::proto::route::header_matcher::HeaderMatchSpecifier;
use shakedown_xds::proto::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use shakedown_xds::proto::route::{HeaderMatcher, QueryParameterMatcher};

use crate::case::{Case, get, host, mesh, raw, request, xds};
use crate::messages::{all_to, to};

pub(super) fn cases() -> Vec<Case> {
    let mut all = paths();
    all.extend(others());
    all.extend(hosts());
    all.extend(envoy());
    all
}

/// Routes matching requests to `yes` and all others to `app`.
fn when(name: &'static str, conditions: &str) -> Case {
    let routes = format!(
        "[{{match: [{conditions}], route: [{{destination: {{host: yes-svc}}}}]}}, {{TO_APP}}]"
    );
    mesh(name)
        .routes(&routes)
        .host(host("a"))
        .host(host("yes").of("yes-svc"))
}

fn paths() -> Vec<Case> {
    vec![
        when("an exact path", "{uri: {exact: /a}}").get("/a").get("/a/").get("/a?q=1").get("/A").wants("200 -, 200 -, 200 -, 200 -"),
        when("a prefix is of the text, not of segments", "{uri: {prefix: /od10}}")
            .get("/od10")
            .get("/od100")
            .get("/od10/x")
            .get("/od1")
            .wants("200 -, 200 -, 200 -, 200 -"),
        when("a regular expression is of the whole path", "{uri: {regex: '/b.*z'}}")
            .get("/bz")
            .get("/baz?q=1")
            .get("/bazq")
            .get("/xbz")
            .wants("200 -, 200 -, 200 -, 200 -"),
        when("a path in any case", "{uri: {exact: /Abc}, ignoreUriCase: true}")
            .get("/abc")
            .get("/ABC")
            .get("/abd")
            .wants("200 -, 200 -, 200 -"),
        when("a prefix in any case", "{uri: {prefix: /Abc}, ignoreUriCase: true}")
            .get("/abcd")
            .get("/ABCD")
            .get("/abd")
            .wants("200 -, 200 -, 200 -"),
        mesh("the first route that matches, in the order written")
            .routes(
                "[{match: [{uri: {prefix: /a}}], route: [{destination: {host: one}}]}, {match: [{uri: {exact: /ab}}], route: [{destination: {host: two}}]}, {TO_APP}]",
            )
            .host(host("a"))
            .host(host("one").of("one"))
            .host(host("two").of("two"))
            .get("/ab")
            .get("/b")
            .wants("200 -, 200 -"),
        when("several matches are or", "{uri: {prefix: /a}}, {uri: {prefix: /b}}")
            .get("/a")
            .get("/b")
            .get("/c")
            .wants("200 -, 200 -, 200 -"),
        when("conditions of one match are and", "{uri: {prefix: /a}, headers: {x-t: {exact: v}}}")
            .get("/a")
            .send(get("/a").header("x-t", "v"))
            .send(get("/b").header("x-t", "v"))
            .wants("200 -, 200 -, 200 -"),
    ]
}

fn with(value: &str) -> crate::client::ClientRequest {
    get("/").header("x-t", value)
}

fn others() -> Vec<Case> {
    vec![
        when("a header's value", "{headers: {x-t: {exact: v}}}")
            .get("/")
            .send(with("v"))
            .send(with("V"))
            .send(with("w"))
            .wants("200 -, 200 -, 200 -, 200 -"),
        when("a header's prefix", "{headers: {x-t: {prefix: ab}}}")
            .send(with("abc"))
            .send(with("xab"))
            .wants("200 -, 200 -"),
        when(
            "a header's regular expression is of the whole value",
            "{headers: {x-t: {regex: 'a+'}}}",
        )
        .send(with("aaa"))
        .send(with("aab"))
        .wants("200 -, 200 -"),
        when("a header that is there", "{headers: {x-t: {}}}")
            .get("/")
            .send(with("anything"))
            .send(with(""))
            .wants("200 -, 200 -, 200 -"),
        when(
            "a header's name in any case",
            "{headers: {x-t: {exact: v}}}",
        )
        .send(get("/").header("X-T", "v"))
        .wants("200 -"),
        when(
            "two headers of one name",
            "{headers: {x-t: {exact: 'a,b'}}}",
        )
        .send(with("a").header("x-t", "b"))
        .send(with("a,b"))
        .wants("200 -, 200 -"),
        when(
            "the first of two headers with the same name",
            "{headers: {x-t: {exact: a}}}",
        )
        .send(with("a").header("x-t", "b"))
        .send(with("b").header("x-t", "a"))
        .wants("200 -, 200 -"),
        when("without a header", "{withoutHeaders: {x-t: {}}}")
            .get("/")
            .send(with("v"))
            .wants("200 -, 200 -"),
        when(
            "without a header of a value",
            "{withoutHeaders: {x-t: {exact: v}}}",
        )
        .get("/")
        .send(with("v"))
        .send(with("w"))
        .wants("200 -, 200 -, 200 -"),
        when("a method", "{method: {exact: POST}}")
            .get("/")
            .send(request("POST", "/"))
            .wants("200 -, 200 -"),
        when(
            "a method by regular expression",
            "{method: {regex: 'PUT|POST'}}",
        )
        .send(request("PUT", "/"))
        .send(request("DELETE", "/"))
        .wants("200 -, 200 -"),
        when("a scheme", "{scheme: {exact: http}}")
            .get("/")
            .wants("200 -"),
        when("a scheme that it is not", "{scheme: {exact: https}}")
            .get("/")
            .wants("200 -"),
        when("an authority", "{authority: {exact: app}}")
            .get("/")
            .send(get("/").to("app:8080"))
            .wants("200 -, 200 -"),
        when("an authority's prefix", "{authority: {prefix: 'app.'}}")
            .get("/")
            .send(get("/").to("app.default.svc.cluster.local"))
            .wants("200 -, 200 -"),
        when("a port", "{port: 8080}").get("/").wants("200 -"),
        when("another port", "{port: 9999}").get("/").wants("200 -"),
        when(
            "a query parameter's value",
            "{queryParams: {a: {exact: v}}}",
        )
        .get("/?a=v")
        .get("/?a=w")
        .get("/?b=v")
        .get("/?b=1&a=v")
        .get("/")
        .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        when(
            "the first of two query parameters of one name",
            "{queryParams: {a: {exact: v}}}",
        )
        .get("/?a=v&a=w")
        .get("/?a=w&a=v")
        .wants("200 -, 200 -"),
        when(
            "a query parameter is matched without decoding",
            "{queryParams: {a: {exact: 'b c'}}}",
        )
        .get("/?a=b%20c")
        .get("/?a=b+c")
        .wants("200 -, 200 -"),
        when(
            "a query parameter that is written with a percent sign",
            "{queryParams: {a: {exact: 'b%20c'}}}",
        )
        .get("/?a=b%20c")
        .wants("200 -"),
        when(
            "a query parameter's name is matched without decoding",
            "{queryParams: {a: {exact: v}}}",
        )
        .get("/?%61=v")
        .get("/?A=v")
        .wants("200 -, 200 -"),
        when("a query parameter that is there", "{queryParams: {a: {}}}")
            .get("/?a")
            .get("/?a=")
            .get("/?ab=1")
            .get("/")
            .wants("200 -, 200 -, 200 -, 200 -"),
        when(
            "a query parameter's regular expression",
            "{queryParams: {a: {regex: '[0-9]+'}}}",
        )
        .get("/?a=12")
        .get("/?a=12x")
        .wants("200 -, 200 -"),
        when(
            "a query parameter's prefix",
            "{queryParams: {a: {prefix: v}}}",
        )
        .get("/?a=vw")
        .get("/?a=wv")
        .wants("200 -, 200 -"),
    ]
}

fn hosts() -> Vec<Case> {
    let service = |name: &str, hosts: &str, to: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec: {{hosts: [{hosts}], http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}"
        )
    };
    let aged = |name: &str, age: &str, to: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, creationTimestamp: '{age}'}}\nspec: {{hosts: [app], http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}"
        )
    };
    vec![
        mesh("a service's names")
            .get("/")
            .send(get("/").to("app:8080"))
            .send(get("/").to("app.default"))
            .send(get("/").to("app.default.svc"))
            .send(get("/").to("app.default.svc.cluster.local"))
            .send(get("/").to("app.default.svc.cluster.local:8080"))
            .send(get("/").to("APP"))
            .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        mesh("a host that only a VirtualService names")
            .yaml(&service("other", "shop.example.com", "app"))
            .host(host("a"))
            .send(get("/").to("shop.example.com"))
            .send(get("/").to("Shop.Example.COM"))
            .wants("200 -, 200 -"),
        mesh("of two VirtualServices for one host the older counts")
            .yaml(&aged("young", "2024-02-02T00:00:00Z", "two"))
            .yaml(&aged("old", "2024-01-01T00:00:00Z", "one"))
            .host(host("a"))
            .host(host("one").of("one"))
            .host(host("two").of("two"))
            .get("/")
            .wants("200 -"),
        mesh("a catch-all before others takes all")
            .routes(
                "[{route: [{destination: {host: one}}]}, {match: [{uri: {prefix: /a}}], route: [{destination: {host: two}}]}]",
            )
            .host(host("a"))
            .host(host("one").of("one"))
            .host(host("two").of("two"))
            .get("/a")
            .wants("200 -"),
        mesh("subsets by label")
            .rule("subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]")
            .routes(
                "[{match: [{headers: {end-user: {exact: jason}}}], route: [{destination: {host: app, subset: v2}}]}, {route: [{destination: {host: app, subset: v1}}]}]",
            )
            .host(host("one").label("version", "v1"))
            .host(host("two").label("version", "v2"))
            .get("/")
            .send(get("/").header("end-user", "jason"))
            .wants("200 -, 200 -"),
        mesh("a subset without endpoints: UH")
            .rule("subsets: [{name: v3, labels: {version: v3}}]")
            .routes("[{route: [{destination: {host: app, subset: v3}}]}]")
            .host(host("one").label("version", "v1"))
            .get("/")
            .wants("503 UH"),
        mesh("all of the weight on one")
            .routes("[{route: [{destination: {host: app}, weight: 100}, {destination: {host: two}, weight: 0}]}]")
            .host(host("a"))
            .host(host("two").of("two"))
            .get("/")
            .get("/")
            .get("/")
            .wants("200 -, 200 -, 200 -"),
        mesh("weights 80 to 20")
            .routes("[{route: [{destination: {host: app}, weight: 80}, {destination: {host: two}, weight: 20}]}]")
            .host(host("a"))
            .host(host("two").of("two"))
            .get("/")
            .shares(400),
    ]
}

fn text(
    name: &str,
    pattern: MatchPattern,
    inverted: bool,
    missing_is_empty: bool,
) -> HeaderMatcher {
    HeaderMatcher {
        name: name.into(),
        invert_match: inverted,
        treat_missing_header_as_empty: missing_is_empty,
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(StringMatcher {
            match_pattern: Some(pattern),
            ignore_case: false,
        })),
    }
}

fn headed(matcher: HeaderMatcher) -> impl Fn(&mut crate::case::Xds) {
    move |x| {
        let mut first = to("/", "yes-svc");
        first.r#match.as_mut().expect("set").headers = vec![matcher.clone()];
        x.host().routes.insert(0, first);
    }
}

fn envoy() -> Vec<Case> {
    let headers = |name: &'static str, matcher: HeaderMatcher| {
        xds(name, headed(matcher))
            .host(host("a"))
            .host(host("yes").of("yes-svc"))
            .get("/")
            .send(with("v"))
            .send(with("w"))
            .send(with(""))
            .wants("200 -, 200 -, 200 -, 200 -")
    };
    let exact = || MatchPattern::Exact("v".into());
    let wild = || {
        xds(
            "wildcards: the longest suffix, then the longest prefix, then any",
            |x| {
                let named = |domains: &[&str], cluster: &str| {
                    let mut host = all_to(cluster);
                    host.name = cluster.into();
                    host.domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
                    host
                };
                x.routes.virtual_hosts = vec![
                    named(&["*"], "any"),
                    named(&["*.com"], "short"),
                    named(&["*.wild.com", "*-x.wild.com"], "long"),
                    named(&["pre.*"], "prefix"),
                    named(&["a.wild.com", "b.wild.com:81"], "exact"),
                ];
            },
        )
    };
    let mut wild = wild();
    for name in ["any", "short", "long", "prefix", "exact"] {
        wild = wild.host(host(name).of(name));
    }
    let to_host = |name: &str| get("/").to(name);
    vec![
        headers("an inverted match of a header value", text("x-t", exact(), true, false)),
        headers("an inverted match where what is missing is empty", text("x-t", exact(), true, true)),
        headers("a match of the empty text where what is missing is empty", text("x-t", MatchPattern::Exact(String::new()), false, true)),
        headers("a suffix of a header", text("x-t", MatchPattern::Suffix("v".into()), false, false)),
        headers("a part of a header", text("x-t", MatchPattern::Contains("v".into()), false, false)),
        headers(
            "presence, inverted",
            HeaderMatcher {
                name: "x-t".into(),
                invert_match: true,
                header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
                ..Default::default()
            },
        ),
        headers(
            "a range of numbers",
            HeaderMatcher {
                name: "x-t".into(),
                header_match_specifier: Some(HeaderMatchSpecifier::RangeMatch(
                    envoy_types::pb::envoy::r#type::v3::Int64Range { start: 1, end: 10 },
                )),
                ..Default::default()
            },
        )
        .send(with("1"))
        .send(with("10"))
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        xds("a query parameter in any case", |x| {
            let mut first = to("/", "yes-svc");
            first.r#match.as_mut().expect("set").query_parameters = vec![QueryParameterMatcher {
                name: "a".into(),
                query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(StringMatcher {
                    match_pattern: Some(MatchPattern::Exact("V".into())),
                    ignore_case: true,
                })),
            }];
            x.host().routes.insert(0, first);
        })
        .host(host("a"))
        .host(host("yes").of("yes-svc"))
        .get("/?a=v")
        .get("/?a=w")
        .wants("200 -, 200 -"),
        xds("a prefix by segments", |x| {
            use shakedown_xds::proto::route::route_match::PathSpecifier;
            let mut first = to("/", "yes-svc");
            first.r#match.as_mut().expect("set").path_specifier =
                Some(PathSpecifier::PathSeparatedPrefix("/ab".into()));
            x.host().routes.insert(0, first);
        })
        .host(host("a"))
        .host(host("yes").of("yes-svc"))
        .get("/ab")
        .get("/ab/c")
        .get("/abc")
        .get("/ab?q")
        .wants("200 -, 200 -, 200 -, 200 -"),
        wild.send(to_host("a.wild.com"))
            .send(to_host("A.Wild.COM"))
            .send(to_host("b.wild.com"))
            .send(to_host("b.wild.com:81"))
            .send(to_host("x-x.wild.com"))
            .send(to_host("wild.com"))
            .send(to_host(".wild.com"))
            .send(to_host("pre.fix"))
            .send(to_host("pre.com"))
            .send(to_host("pre."))
            .send(to_host("else"))
            .send(to_host("a.wild.com:80"))
            .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        xds("a port of the authority, where it is ignored", |x| {
            x.routes.ignore_port_in_host_matching = true;
            x.host().domains = vec!["app".into()];
        })
        .send(to_host("app:81"))
        .send(to_host("app"))
        .send(raw("GET / HTTP/1.1\r\nhost: app:x\r\n\r\n"))
        .wants("200 -, 200 -, 200 -"),
    ]
}
