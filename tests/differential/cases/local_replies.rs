//! Cases of local replies to plain callers and to gRPC callers.

use shakedown_xds::proto::core::DataSource;
use shakedown_xds::proto::core::data_source::Specifier;
use shakedown_xds::proto::route::route::Action;
use shakedown_xds::proto::route::{DirectResponseAction, RedirectAction};

use crate::case::{Case, Xds, get, grpc, host, mesh, post, raw, request, xds};
use crate::client::ClientRequest;
use crate::upstream::{Act, Manner, OK, status};

const NO_RETRY: &str = "[{TO_APP, retries: {attempts: 0}}]";
const ONE_RETRY: &str = "[{TO_APP, retries: {attempts: 1, retryOn: '5xx'}}]";

pub(super) fn cases() -> Vec<Case> {
    let mut all = plain();
    all.extend(bodies());
    all.extend(to_grpc());
    all.extend(requests());
    all
}

fn plain() -> Vec<Case> {
    vec![
        mesh("a plain request is answered").get("/").wants("200 -"),
        mesh("no endpoint: UH")
            .empty("app")
            .get("/")
            .wants("503 UH"),
        mesh("connection refused: UF")
            .routes(NO_RETRY)
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .wants("503 UF"),
        mesh("connection refused, Istio's default of two retries: URX UF")
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .wants("503 URX,UF"),
        mesh("closed before headers: UC")
            .routes(NO_RETRY)
            .app(&[Act::Close])
            .get("/")
            .wants("503 UC"),
        mesh("reset before headers: UC")
            .routes(NO_RETRY)
            .app(&[Act::Reset(0)])
            .get("/")
            .wants("503 UC"),
        mesh("closed before headers, retries spent: URX UC")
            .routes(ONE_RETRY)
            .app(&[Act::Close])
            .get("/")
            .wants("503 URX,UC"),
        mesh("an upstream response that is not HTTP: UPE")
            .routes(NO_RETRY)
            .app(&[Act::Raw(&["this is no http\r\n\r\n"])])
            .get("/")
            .wants("502 UPE"),
        mesh("a route's timeout: UT")
            .routes("[{TO_APP, timeout: 0.2s, retries: {attempts: 0}}]")
            .app(&[Act::Hang])
            .get("/")
            .wants("504 UT"),
        mesh("per-try timeouts, retries exhausted: URX UT")
            .routes("[{TO_APP, retries: {attempts: 1, perTryTimeout: 0.1s, retryOn: '5xx'}}]")
            .app(&[Act::Hang])
            .get("/")
            .wants("504 URX,UT"),
        mesh("a try's own timeout that nothing retries: UT")
            .routes(
                "[{TO_APP, retries: {attempts: 1, perTryTimeout: 0.1s, retryOn: connect-failure}}]",
            )
            .app(&[Act::Hang])
            .get("/")
            .wants("504 UT"),
        mesh("the app's 503, retries spent: URX")
            .routes(ONE_RETRY)
            .app(&[status(503)])
            .get("/")
            .wants("503 URX"),
        mesh("the app's 503 without retries is the app's")
            .app(&[status(503)])
            .get("/")
            .wants("503 -"),
        mesh("no route: NR")
            .routes("[{match: [{uri: {prefix: /x}}], TO_APP}]")
            .get("/y")
            .get("/x")
            .wants("404 NR, 200 -"),
        xds("no virtual host: NR", |x| {
            x.host().domains = vec!["other".into()]
        })
        .get("/")
        .wants("404 NR"),
        xds("unknown cluster: NC", |x| to_cluster(x, "gone"))
            .get("/")
            .wants("503 NC"),
        xds("unknown cluster with a status of its own", |x| {
            to_cluster(x, "gone");
            x.action().cluster_not_found_response_code = 1;
        })
        .get("/")
        .wants("404 NC"),
        xds("a host that is not healthy is no endpoint: UH", |x| {
            no_panic(x)
        })
        .host(host("a").unhealthy())
        .get("/")
        .wants("503 UH"),
        mesh("connect timeout: UF")
            .routes(NO_RETRY)
            .rule("trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0.2s}}}")
            .host(host("a").is(Manner::Stuck))
            .get("/")
            .wants("503 UF"),
        mesh("connect timeout, retries exhausted: URX UF")
            .routes("[{TO_APP, retries: {attempts: 1, retryOn: connect-failure}}]")
            .rule("trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0.2s}}}")
            .host(host("a").is(Manner::Stuck))
            .get("/")
            .wants("503 URX,UF"),
        xds("an answer of the route's own", |x| {
            respond(x, 418, "teapot")
        })
        .get("/")
        .wants("418 -"),
        xds("an answer of the route's own, without a body", |x| {
            respond(x, 204, "")
        })
        .get("/")
        .wants("204 -"),
        xds("an answer of the route's own to HEAD", |x| {
            respond(x, 200, "body")
        })
        .send(request("HEAD", "/"))
        .wants("200 -"),
        xds("a redirect", redirect).get("/old?q=1").wants("301 -"),
        mesh("the caller goes away before the answer: DC")
            .app(&[Act::Hang])
            .send(get("/").leaves_after(150))
            .wants("0 DC"),
        mesh("a HEAD request's local reply has no body")
            .routes(NO_RETRY)
            .host(host("a").is(Manner::Refuses))
            .send(request("HEAD", "/"))
            .wants("503 UF"),
    ]
}

/// Cases of responses that are truncated or have no length.
fn bodies() -> Vec<Case> {
    vec![
        mesh("a response body cut short")
            .app(&[Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", "0123456789"])])
            .get("/")
            .wants("200 UPE"),
        mesh("a chunked response cut short")
            .app(&[Act::Raw(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n"])])
            .get("/")
            .wants("200 UPE"),
        mesh("an answer that ends with its connection")
            .app(&[Act::Raw(&["HTTP/1.1 200 OK\r\n\r\n", "until the end"])])
            .get("/")
            .wants("200 -"),
        mesh("a chunked answer").app(&[Act::Chunks(200, &["one", "two"], &[])]).get("/").wants("200 -"),
        mesh("an answer's trailers")
            .app(&[Act::Chunks(200, &["one"], &[("x-trailer", "1")])])
            .get("/")
            .wants("200 -"),
        mesh("204 has no length").app(&[Act::Reply(204, &[], "")]).get("/").wants("204 -"),
        mesh("304 has no length").app(&[Act::Reply(304, &[("etag", "x")], "")]).get("/").wants("304 -"),
        mesh("HEAD keeps the length").app(&[OK]).send(request("HEAD", "/")).wants("200 -"),
        mesh("an empty answer has length 0").app(&[Act::Reply(200, &[], "")]).get("/").wants("200 -"),
        mesh("a body goes through").send(post("/", "hello")).wants("200 -"),
        mesh("a GET with a body goes through")
            .send(ClientRequest { body: "hello".into(), ..get("/") })
            .wants("200 -"),
        mesh("a chunked body goes through")
            .send(raw("POST / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
            .wants("200 -"),
        mesh("an informational answer before the final one")
            .app(&[Act::Raw(&["HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"])])
            .get("/")
            .wants("200 -"),
        mesh("a status that nobody knows").app(&[status(299)]).get("/").wants("299 -"),
        mesh("header names of an upstream are sent in lower case")
            .app(&[Act::Raw(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-My-Header: Abc\r\n\r\nok"])])
            .get("/")
            .wants("200 -"),
    ]
}

/// Repeats the cases with gRPC callers, which receive status 200 and the error in headers.
fn to_grpc() -> Vec<Case> {
    let call = || grpc("/service/method");
    vec![
        mesh("gRPC: no endpoint")
            .empty("app")
            .send(call())
            .wants("200 UH"),
        mesh("gRPC: connection refused")
            .routes(NO_RETRY)
            .host(host("a").is(Manner::Refuses))
            .send(call())
            .wants("200 UF"),
        mesh("gRPC: closed before headers")
            .routes(NO_RETRY)
            .app(&[Act::Close])
            .send(call())
            .wants("200 UC"),
        mesh("gRPC: an upstream response that is not HTTP")
            .routes(NO_RETRY)
            .app(&[Act::Raw(&["this is no http\r\n\r\n"])])
            .send(call())
            .wants("200 UPE"),
        mesh("gRPC: a route's timeout")
            .routes("[{TO_APP, timeout: 0.2s, retries: {attempts: 0}}]")
            .app(&[Act::Hang])
            .send(call())
            .wants("200 UT"),
        mesh("gRPC: no route")
            .routes("[{match: [{uri: {prefix: /x}}], TO_APP}]")
            .send(call())
            .wants("200 NR"),
        xds("gRPC: unknown cluster", |x| to_cluster(x, "gone"))
            .send(call())
            .wants("200 NC"),
        xds("gRPC: a direct response, 418", |x| {
            respond(x, 418, "teapot")
        })
        .send(call())
        .wants("200 -"),
        xds("gRPC: a direct response, 200", |x| respond(x, 200, "fine"))
            .send(call())
            .wants("200 -"),
        xds("gRPC: a direct response, 400", |x| respond(x, 400, "bad"))
            .send(call())
            .wants("200 -"),
        xds("gRPC: a direct response, 401", |x| respond(x, 401, "who"))
            .send(call())
            .wants("200 -"),
        xds("gRPC: a direct response, 403", |x| respond(x, 403, "no"))
            .send(call())
            .wants("200 -"),
        xds("gRPC: a direct response, 429", |x| respond(x, 429, "slow"))
            .send(call())
            .wants("200 -"),
        xds("gRPC: a direct response, 500", |x| {
            respond(x, 500, "a%b\u{e9}")
        })
        .send(call())
        .wants("200 -"),
        xds("gRPC: a redirect", redirect)
            .send(call())
            .wants("200 -"),
        mesh("gRPC: the app's own 503 passes")
            .app(&[status(503)])
            .send(call())
            .wants("503 -"),
        xds("gRPC: overflow", |x| {
            x.cluster("app").circuit_breakers = super::breakers::requests(0);
        })
        .send(call())
        .wants("200 UO"),
    ]
}

/// Cases of invalid requests.
fn requests() -> Vec<Case> {
    let many = |count: usize| -> String {
        let lines = (0..count)
            .map(|n| format!("x{n}: 1\r\n"))
            .collect::<String>();
        format!("GET / HTTP/1.1\r\nhost: app\r\n{lines}\r\n")
    };
    let line = |text: &str| raw(text).watch_close();
    vec![
        mesh("headers over 60 KiB: 431")
            .send(line(&format!("GET / HTTP/1.1\r\nhost: app\r\nx: {}\r\n\r\n", "a".repeat(62_000))))
            .wants("431 DPE"),
        mesh("more than a hundred headers: 431").send(line(&many(101))).wants("431 DPE"),
        mesh("a hundred headers pass").send(raw(many(99))).wants("200 -"),
        mesh("no host: 400").send(line("GET / HTTP/1.1\r\n\r\n")).wants("400 -"),
        mesh("HTTP/1.0: 426").send(line("GET / HTTP/1.0\r\nhost: app\r\n\r\n")).wants("426 DPE"),
        mesh("no HTTP: 400").send(line("hello\r\n\r\n")).wants("400 DPE"),
        mesh("a space in a header's name: 400")
            .send(line("GET / HTTP/1.1\r\nhost: app\r\nx y: 1\r\n\r\n"))
            .wants("400 DPE"),
        mesh("a length and chunks: 400")
            .send(line(
                "POST / HTTP/1.1\r\nhost: app\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            ))
            .wants("400 DPE"),
        mesh("CONNECT without a matching route: 404")
            .send(line("CONNECT app:8080 HTTP/1.1\r\nhost: app:8080\r\n\r\n"))
            .wants("404 NR"),
        mesh("a target that is not a path: 404").send(line("OPTIONS * HTTP/1.1\r\nhost: app\r\n\r\n")).wants("404 -"),
        mesh("a fragment in the path: 400").send(line("GET /a#b HTTP/1.1\r\nhost: app\r\n\r\n")).wants("400 -"),
        mesh("a whole URL as the target names the authority")
            .send(raw("GET http://app/abs?q=1 HTTP/1.1\r\nhost: other\r\n\r\n"))
            .wants("200 -"),
        mesh("two hosts").send(raw("GET / HTTP/1.1\r\nhost: app\r\nhost: app\r\n\r\n")).wants("503 UH"),
        mesh("an empty host").send(raw("GET / HTTP/1.1\r\nhost: \r\n\r\n")).wants("503 UH"),
        mesh("connection: close is kept to")
            .send(line("GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n"))
            .wants("200 -"),
        mesh("dots and doubled slashes pass as they are").get("/a/../b//c").get("/a%2fb").wants("200 -, 200 -"),
        mesh("expect: 100-continue")
            .send(raw("POST / HTTP/1.1\r\nhost: app\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc"))
            .wants("200 -"),
        xds("a direct response to an unfinished request closes the connection", |x| respond(x, 200, "fine"))
            .send(post("/", "body").watch_close())
            .send(line("POST / HTTP/1.1\r\nhost: app\r\ncontent-length: 10\r\n\r\nabc"))
            .wants("200 -, 200 -"),
        mesh("request trailers")
            .send(raw(
                "POST / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n",
            ))
            .wants("200 -"),
    ]
}

fn to_cluster(x: &mut Xds, name: &str) {
    *x.host() = crate::messages::all_to(name);
}

fn no_panic(x: &mut Xds) {
    x.cluster("app").common_lb_config = super::balancing::panic_at(0.0);
}

/// Makes the route a direct response.
pub(super) fn respond(x: &mut Xds, status: u32, body: &str) {
    let body = (!body.is_empty()).then(|| DataSource {
        specifier: Some(Specifier::InlineString(body.into())),
        ..Default::default()
    });
    let action = DirectResponseAction {
        status,
        body,
        ..Default::default()
    };
    x.host().routes[0].action = Some(Action::DirectResponse(action));
}

fn redirect(x: &mut Xds) {
    use shakedown_xds::proto::route::redirect_action::PathRewriteSpecifier;
    let action = RedirectAction {
        path_rewrite_specifier: Some(PathRewriteSpecifier::PathRedirect("/new".into())),
        ..Default::default()
    };
    x.host().routes[0].action = Some(Action::Redirect(action));
}
