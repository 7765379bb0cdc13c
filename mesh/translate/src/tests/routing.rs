//! Tests of the translation of VirtualServices, and that its results can be compiled.

use shakedown_xds::proto::route::route_action::HostRewriteSpecifier;
use shakedown_xds::table::{
    Abort, AppendAction, Filter, HeaderOps, PathRewrite, RequestShare, Route, RouteActionKind,
    Template,
};

use super::*;
use crate::{Caller, depends_on_caller, routes_for};

/// The routes of `my-service:9080` for this `http` section, as sent and as compiled.
fn both(http: &str) -> (Vec<route::Route>, Vec<Route>) {
    let mesh = mesh(&service(&format!("{{hosts: [my-service], http: {http}}}")));
    let sent: route::RouteConfiguration = message(&outbound(&mesh).routes, OUTBOUND_ROUTES);
    let executed = table(&mesh).hosts()[0].routes.clone();
    (sent.virtual_hosts[0].routes.clone(), executed)
}

fn forwarded(http: &str) -> (route::RouteAction, Route) {
    let (sent, executed) = both(http);
    let Some(route::route::Action::Route(action)) = sent[0].action.clone() else {
        panic!("no way on")
    };
    (action, executed[0].clone())
}

const TO: &str = "route: [{destination: {host: my-service}}]";

#[test]
fn a_rewrite_becomes_envoys() {
    let (sent, executed) = forwarded(&format!(
        "[{{match: [{{uri: {{prefix: /a}}}}], rewrite: {{uri: /b, authority: other}}, {TO}}}]"
    ));
    assert_eq!(sent.prefix_rewrite, "/b");
    let host = HostRewriteSpecifier::HostRewriteLiteral("other".into());
    assert_eq!(sent.host_rewrite_specifier, Some(host));
    let rewrite = executed.forward().unwrap().rewrite.clone().unwrap();
    assert_eq!(rewrite.host.unwrap(), "other");
    assert_eq!(rewrite.path.unwrap().apply("/a/x?q"), b"/b/x?q");
    let (_, executed) = forwarded(&format!(
        "[{{rewrite: {{uriRegexRewrite: {{match: '/v(.)/', rewrite: '/\\1'}}}}, {TO}}}]"
    ));
    let rewrite = executed.forward().unwrap().rewrite.clone().unwrap();
    let Some(path @ PathRewrite::Regex(_)) = rewrite.path else {
        panic!("no expression")
    };
    assert_eq!(path.apply("/v1/x"), b"/1x");
}

#[test]
fn a_host_header_is_a_host_rewrite_and_explicit_rewrites_take_precedence() {
    let host = |http: &str| match forwarded(http).0.host_rewrite_specifier {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => host,
        other => panic!("{other:?}"),
    };
    let set = "headers: {request: {set: {Host: h}}}";
    assert_eq!(host(&format!("[{{{set}, {TO}}}]")), "h");
    let rewrite = "rewrite: {authority: r}";
    assert_eq!(host(&format!("[{{{set}, {rewrite}, {TO}}}]")), "r");
    let of_one =
        "route: [{destination: {host: my-service}, headers: {request: {set: {':authority': d}}}}]";
    assert_eq!(host(&format!("[{{{of_one}}}]")), "d");
}

fn fixed(ops: &HeaderOps) -> Vec<(String, String, AppendAction)> {
    let one = |op: &shakedown_xds::table::HeaderOp| {
        let Template::Fixed(value) = &op.value else {
            panic!("not fixed")
        };
        (
            op.name.to_string(),
            value.to_str().unwrap().to_owned(),
            op.action,
        )
    };
    ops.add.iter().map(one).collect()
}

#[test]
fn what_is_set_overwrites_what_is_added_appends_in_order_of_name() {
    let (sent, executed) = both(&format!(
        "[{{headers: {{request: {{add: {{b: '2'}}, set: {{z: '1', a: '1'}}, remove: [x]}}, response: {{add: {{r: '3'}}}}}}, {TO}}}]"
    ));
    let keys: Vec<_> = sent[0]
        .request_headers_to_add
        .iter()
        .map(|option| option.header.as_ref().unwrap().key.as_str())
        .collect();
    assert_eq!(keys, ["a", "z", "b"]);
    let expected = [
        ("a".into(), "1".into(), AppendAction::Overwrite),
        ("z".into(), "1".into(), AppendAction::Overwrite),
        ("b".into(), "2".into(), AppendAction::Append),
    ];
    assert_eq!(fixed(&executed[0].request_headers[0]), expected);
    assert_eq!(executed[0].request_headers[0].remove, ["x"]);
    assert_eq!(executed[0].response_headers.len(), 1);
}

#[test]
fn headers_of_one_of_several_destinations_are_its_own() {
    let (_, executed) = forwarded(
        "[{route: [{destination: {host: other}, weight: 1, headers: {response: {set: {x-from: a}}, request: {set: {host: h}}}},
          {destination: {host: twin}, weight: 2}]}]",
    );
    let action = executed.forward().unwrap();
    let own = action.targets()[0].headers.as_ref().unwrap();
    assert_eq!(own.host.as_ref().unwrap(), "h");
    assert_eq!(fixed(&own.response)[0].0, "x-from");
    assert!(action.targets()[1].headers.is_none());
    assert!(executed.response_headers.is_empty());
}

#[test]
fn faults_are_shares_in_millionths() {
    let (_, executed) = both(&format!(
        "[{{fault: {{delay: {{fixedDelay: 5s, percentage: {{value: 0.1}}}}, abort: {{httpStatus: 555, percentage: {{value: 50}}}}}}, {TO}}}]"
    ));
    let fault = executed[0].filters.fault.as_ref().unwrap();
    let share = |numerator| RequestShare {
        numerator,
        denominator: 1_000_000,
    };
    assert_eq!(fault.delay, Some((Duration::from_secs(5), share(1_000))));
    assert_eq!(fault.abort, Some((Abort::Http(555), share(500_000))));
    let (_, executed) = both(&format!(
        "[{{fault: {{delay: {{fixedDelay: 1s, percent: 7}}, abort: {{grpcStatus: UNAVAILABLE, percentage: {{value: 100}}}}}}, {TO}}}]"
    ));
    let fault = executed[0].filters.fault.as_ref().unwrap();
    assert_eq!(fault.delay.unwrap().1.numerator, 7);
    assert_eq!(fault.abort.unwrap().0, Abort::Grpc(14));
}

#[test]
fn a_fault_without_a_share_does_nothing() {
    let (_, executed) = both(&format!(
        "[{{fault: {{abort: {{httpStatus: 500}}}}, {TO}}}]"
    ));
    assert!(executed[0].filters.fault.as_ref().unwrap().abort.is_none());
}

#[test]
fn a_cors_policy_is_envoys() {
    let (_, executed) = both(&format!(
        "[{{corsPolicy: {{allowOrigins: [{{prefix: 'http://a'}}], allowMethods: [GET, POST], allowHeaders: [x-a], exposeHeaders: [x-e],
            maxAge: 1m30s, allowCredentials: true, unmatchedPreflights: IGNORE}}, {TO}}}]"
    ));
    let cors = executed[0].filters.cors.as_ref().unwrap();
    assert!(cors.allow_origins[0].matches(b"http://a.b"));
    assert_eq!(cors.allow_methods.as_ref().unwrap(), "GET,POST");
    assert_eq!(cors.max_age.as_ref().unwrap(), "90");
    assert!(cors.allow_credentials && !cors.forward_not_matching_preflights);
}

#[test]
fn mirrors_have_their_shares_and_one_of_nothing_is_left_out() {
    let mirrors = |http: &str| {
        let (sent, executed) = forwarded(http);
        assert_eq!(
            sent.request_mirror_policies.len(),
            executed.forward().unwrap().mirrors.len()
        );
        let mirrors = executed.forward().unwrap().mirrors.clone();
        let one = |mirror: &std::sync::Arc<shakedown_xds::table::Mirror>| {
            let share = mirror.share;
            (
                mirror.action.targets()[0].cluster.to_string(),
                u64::from(share.numerator) * 1_000_000 / u64::from(share.denominator),
                mirror.action.timeout,
            )
        };
        mirrors.iter().map(one).collect::<Vec<_>>()
    };
    let other = "outbound|9080|v1|other.default.svc.cluster.local".to_owned();
    let twin = "outbound|80||twin.default.svc.cluster.local".to_owned();
    let second = Some(Duration::from_secs(1));
    assert_eq!(
        mirrors(&format!(
            "[{{mirror: {{host: other, subset: v1}}, mirrorPercentage: {{value: 2.5}}, timeout: 1s, {TO}}}]"
        )),
        [(other, 25_000, second)]
    );
    assert_eq!(
        mirrors(&format!(
            "[{{mirrors: [{{destination: {{host: twin}}}}, {{destination: {{host: other}}, percentage: {{value: 0}}}}], {TO}}}]"
        )),
        [(twin, 1_000_000, None)]
    );
}

#[test]
fn a_redirect_leaves_out_its_schemes_own_port() {
    let port = |redirect: &str| {
        let (sent, _) = both(&format!("[{{redirect: {{{redirect}}}}}]"));
        match &sent[0].action {
            Some(route::route::Action::Redirect(redirect)) => redirect.port_redirect,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(port("port: 80"), 0);
    assert_eq!(port("port: 443, scheme: https"), 0);
    assert_eq!(port("port: 443"), 443);
    assert_eq!(port("derivePort: FROM_REQUEST_PORT"), 9080);
    assert_eq!(port("derivePort: FROM_PROTOCOL_DEFAULT, uri: /x"), 0);
}

#[test]
fn redirects_and_direct_responses_are_answers() {
    let (_, executed) = both(
        "[{match: [{uri: {exact: /r}}], redirect: {uri: /n, authority: o, redirectCode: 308}},
          {directResponse: {status: 418, body: {bytes: aGk=}}}]",
    );
    let RouteActionKind::Redirect(redirect) = &executed[0].action else {
        panic!("no redirect")
    };
    assert_eq!(redirect.status, 308);
    assert_eq!(redirect.location("http", "a", "/r?q"), b"http://o/n?q");
    let RouteActionKind::Respond(direct) = &executed[1].action else {
        panic!("no answer")
    };
    assert_eq!((direct.status, &*direct.body), (418, &b"hi"[..]));
}

#[test]
fn a_direct_response_may_be_a_mebibyte_long() {
    let body = "x".repeat(1024 * 1024);
    let (_, executed) = both(&format!(
        "[{{directResponse: {{status: 200, body: {{string: {body}}}}}}}]"
    ));
    assert!(
        matches!(&executed[0].action, RouteActionKind::Respond(direct) if direct.body.len() == 1 << 20)
    );
}

#[test]
fn a_route_with_fault_and_cors_is_the_same_bytes_each_time() {
    let text = service(&format!(
        "{{hosts: [other], http: [{{fault: {{abort: {{httpStatus: 500}}}}, corsPolicy: {{allowOrigins: [{{exact: a}}]}}, {TO}}}]}}"
    ));
    let first = outbound(&mesh(&text));
    assert!((0..20).all(|_| outbound(&mesh(&text)) == first));
}

#[test]
fn sidecars_pass_fault_and_cors_before_the_router() {
    let pod = mesh(MY_SERVICE).registry.pod("127.1.0.1".parse().unwrap());
    for resource in &own(&pod, &Default::default()).listeners {
        let listener = compile_listener(&resource.message().unwrap()).unwrap();
        let fine = matches!(
            listener.filters.as_slice(),
            [Filter::Fault(None), Filter::Cors]
        );
        assert!(fine, "{:?}", listener.filters);
    }
}

#[test]
fn what_is_for_gateways_is_not_for_sidecars() {
    let whole =
        "{hosts: [other], gateways: [edge], http: [{route: [{destination: {host: twin}}]}]}";
    let cluster = cluster_of(&table(&mesh(&service(whole))), "other", "/", &[]);
    assert!(
        cluster.unwrap().contains("other"),
        "as if it were not there"
    );
    let part = "{hosts: [other], gateways: [edge, mesh], http: [
        {match: [{gateways: [edge]}], route: [{destination: {host: twin}}]},
        {match: [{gateways: [mesh]}], route: [{destination: {host: my-service}}]}]}";
    let cluster = cluster_of(&table(&mesh(&service(part))), "other", "/", &[]);
    assert!(cluster.unwrap().contains("my-service"));
}

fn caller(namespace: &str, labels: &[(&str, &str)]) -> Caller {
    let label = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Caller {
        namespace: namespace.into(),
        labels: labels.iter().map(label).collect(),
    }
}

fn seen_by(mesh: &Mesh, caller: &Caller) -> RouteTable {
    compile_routes(&routes_for(mesh, caller).message().unwrap()).unwrap()
}

#[test]
fn callers_see_the_routes_that_are_for_them() {
    let mesh = mesh(&service(
        "{hosts: [other], http: [
        {match: [{sourceLabels: {app: web}, sourceNamespace: shop}], route: [{destination: {host: twin}}]},
        {route: [{destination: {host: my-service}}]}]}",
    ));
    assert!(depends_on_caller(&mesh));
    assert!(outbound(&mesh).routes.is_empty(), "each caller has its own");
    let goes = |caller: &Caller| {
        let cluster = cluster_of(&seen_by(&mesh, caller), "other", "/", &[]).unwrap();
        cluster.contains("twin")
    };
    assert!(goes(&caller("shop", &[("app", "web"), ("version", "v1")])));
    assert!(!goes(&caller("default", &[("app", "web")])));
    assert!(!goes(&caller("shop", &[("app", "api")])));
}

#[test]
fn a_document_is_seen_only_where_it_is_exported_to() {
    let mesh = mesh(&service(
        "{hosts: [other], exportTo: ['.', shop], http: [{route: [{destination: {host: twin}}]}]}",
    ));
    let goes = |namespace: &str| {
        let cluster = cluster_of(&seen_by(&mesh, &caller(namespace, &[])), "other", "/", &[]);
        cluster.unwrap().contains("twin")
    };
    assert!(depends_on_caller(&mesh) && goes("default") && goes("shop"));
    assert!(!goes("elsewhere"));
}

/// A VirtualService for `other`, created on this day, that routes to a service of `default`.
fn document(name: &str, namespace: &str, day: u8, more: &str, to: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: 2026-01-0{day}T00:00:00Z}}\n\
         spec: {{hosts: [other.default.svc.cluster.local], {more}http: [{{route: [{{destination: {{host: \
         {to}.default.svc.cluster.local}}}}]}}]}}\n"
    )
}

#[test]
fn the_virtual_service_exported_to_fewer_callers_wins_regardless_of_age() {
    let text = document("all", "default", 1, "", "my-service")
        + &document("named", "bank", 2, "exportTo: [shop, web], ", "twin")
        + &document("own", "shop", 3, "exportTo: ['.'], ", "other");
    let mesh = mesh(&text);
    let goes = |namespace: &str| {
        let cluster = cluster_of(&seen_by(&mesh, &caller(namespace, &[])), "other", "/", &[]);
        cluster
            .unwrap()
            .split(['|', '.'])
            .nth(3)
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        ["shop", "web", "bank", "default"].map(goes),
        ["other", "twin", "my-service", "my-service"]
    );
}

#[test]
fn without_an_export_a_document_is_for_whom_the_mesh_says() {
    let mut mesh = mesh(&document("one", "shop", 1, "", "twin"));
    let goes = |mesh: &Mesh, namespace: &str| {
        let table = seen_by(mesh, &caller(namespace, &[]));
        cluster_of(&table, "other", "/", &[])
            .unwrap()
            .contains("twin")
    };
    assert!(!depends_on_caller(&mesh) && goes(&mesh, "web"));
    mesh.options.virtual_services_for = shakedown_istio::registry::DefaultExport::OwnNamespace;
    assert!(depends_on_caller(&mesh) && goes(&mesh, "shop") && !goes(&mesh, "web"));
}

#[test]
fn of_two_of_one_age_the_first_name_counts_wherever_it_stands() {
    let text =
        document("b", "default", 1, "", "twin") + &document("a", "shop", 1, "", "my-service");
    let cluster = cluster_of(&table(&mesh(&text)), "other", "/", &[]);
    assert!(cluster.unwrap().contains("my-service"));
}

#[test]
fn a_pod_that_serves_nothing_is_known_as_it_says_itself() {
    let mut mesh = mesh(MY_SERVICE);
    let address = "127.9.9.9".parse().unwrap();
    let client = shakedown_istio::registry::Workload {
        namespace: "shop".into(),
        labels: BTreeMap::from([("app".into(), "web".into())]),
        locality: Locality::default(),
    };
    mesh.registry.clients.insert(address, client);
    let known = Caller::at(&mesh.registry, address);
    assert_eq!(known, caller("shop", &[("app", "web")]));
}

#[test]
fn a_caller_is_known_by_the_endpoints_at_its_address() {
    let mesh = mesh(MY_SERVICE);
    let at = |address: &str| Caller::at(&mesh.registry, address.parse().unwrap());
    assert_eq!(at("127.1.0.2"), caller("default", &[("version", "v2")]));
    assert_eq!(at("127.9.9.9"), caller("default", &[]));
}

#[test]
fn a_delegate_takes_what_its_root_leaves_open() {
    let root = service(
        "{hosts: [other], http: [{name: root, match: [{uri: {prefix: /shop}, port: 80}], delegate: {name: shop}, timeout: 3s},
          {route: [{destination: {host: other}}]}]}",
    );
    let delegate = service(
        "{http: [{name: sub, match: [{uri: {exact: /shop/a}}], route: [{destination: {host: twin}}]},
          {match: [{uri: {prefix: /elsewhere}}], route: [{destination: {host: my-service}}]},
          {route: [{destination: {host: my-service}}], timeout: 1s}]}",
    )
    .replace("{name: s}", "{name: shop}");
    let table = table(&mesh(&format!("{root}---\n{delegate}")));
    let goes = |path: &str| cluster_of(&table, "other", path, &[]).unwrap();
    assert!(goes("/shop/a").contains("twin"));
    assert!(goes("/shop/b").contains("my-service"));
    assert!(goes("/elsewhere").contains("other"));
    let routes = &table.find_host("other").unwrap().routes;
    let route_at = |at: usize| {
        let route: &Route = &routes[at];
        (route.name.to_string(), route.forward().unwrap().timeout)
    };
    assert_eq!(
        route_at(0),
        ("root-sub".into(), Some(Duration::from_secs(3)))
    );
    assert_eq!(route_at(1), ("root".into(), Some(Duration::from_secs(1))));
    assert_eq!(routes.len(), 3);
}
