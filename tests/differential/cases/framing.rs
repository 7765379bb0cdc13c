//! HTTP message framing (RFC 9112, sections 2 to 7) and request targets, of requests and of responses.

use crate::case::{Case, asked, get, host, mesh, post, raw, xds};
use crate::client::Asked;
use crate::messages::ms;
use crate::upstream::{Act, Manner, OK, status};

/// The table.
pub(super) fn cases() -> Vec<Case> {
    let mut all = bodies();
    all.extend(request_lengths());
    all.extend(request_codings());
    all.extend(request_chunks());
    all.extend(request_heads());
    all.extend(targets());
    all.extend(authorities());
    all.extend(response_lengths());
    all.extend(response_codings());
    all.extend(response_heads());
    all.extend(http2());
    all
}

/// Retries would hide what a single attempt does.
const ONCE: &str = "[{TO_APP, retries: {attempts: 0}}]";

/// A request given by its bytes; the case compares whether its connection is closed.
fn line(text: &str) -> Asked {
    raw(text).watch_close()
}

/// A POST with these header lines and this body.
fn framed(lines: &str, body: &str) -> Asked {
    line(&format!(
        "POST / HTTP/1.1\r\nhost: app\r\n{lines}\r\n\r\n{body}"
    ))
}

/// A GET of a target, as it stands.
fn target(text: &str) -> Asked {
    line(&format!("GET {text} HTTP/1.1\r\nhost: app\r\n\r\n"))
}

/// A GET with these header lines.
fn headed(lines: &str) -> Asked {
    line(&format!("GET / HTTP/1.1\r\nhost: app\r\n{lines}\r\n\r\n"))
}

fn sends(case: Case, all: impl IntoIterator<Item = Asked>) -> Case {
    all.into_iter().fold(case, Case::send)
}

/// Bodies of methods that seldom have one.
fn bodies() -> Vec<Case> {
    let chunked = |method: &str| {
        line(&format!(
            "{method} / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ))
        .of_method(method)
    };
    let sized = |method: &str| {
        let mut sized = asked(method, "/");
        sized.body = b"abc".to_vec();
        sized
    };
    let methods = ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "PUT", "PURGE"];
    vec![
        sends(mesh("framing: a chunked body of any method"), methods.map(chunked)).wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(mesh("framing: a body with its length of any method"), methods.map(sized)).wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: a body of any method over HTTP/2"),
            methods.map(|method| sized(method).h2()),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: an empty chunked body"),
            ["GET", "POST"].map(|method| {
                line(&format!(
                    "{method} / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
                ))
            }),
        )
        .wants("200 -, 200 -"),
    ]
}

fn request_lengths() -> Vec<Case> {
    let of = |value: &str| framed(&format!("content-length: {value}"), "abc");
    let huge = |value: &str| {
        raw(format!(
            "POST / HTTP/1.1\r\nhost: app\r\ncontent-length: {value}\r\n\r\nabc"
        ))
        .leaves_after(700)
    };
    vec![
        sends(
            mesh("framing: lengths of requests that pass"),
            ["3", " 3 ", "003"].map(of),
        )
        .wants("200 -, 200 -, 200 -"),
        sends(
            mesh("framing: lengths of requests that are none"),
            ["+3", "-3", "0x3", "3a", "3 3", "", "3.0", "\"3\""].map(of),
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: lengths of requests that are huge"),
            ["9223372036854775808", "18446744073709551613"].map(huge),
        )
        .wants("0 DC, 0 DC"),
        sends(
            mesh("framing: lengths of requests that no number holds"),
            ["18446744073709551616", "99999999999999999999999999"].map(huge),
        )
        .wants("400 DPE, 400 DPE"),
        sends(
            mesh("framing: the two greatest lengths of a request"),
            ["18446744073709551615", "18446744073709551614"].map(huge),
        )
        .wants("0 DC, 0 DC"),
        sends(
            mesh("framing: several lengths of a request"),
            [
                framed("content-length: 3\r\ncontent-length: 3", "abc"),
                framed("content-length: 3\r\ncontent-length: 4", "abcd"),
                of("3, 3"),
                of("3, 4"),
            ],
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE"),
    ]
}

fn request_codings() -> Vec<Case> {
    const BODY: &str = "3\r\nabc\r\n0\r\n\r\n";
    let of = |value: &str| framed(&format!("transfer-encoding: {value}"), BODY);
    vec![
        sends(
            mesh("framing: a request's length together with chunks"),
            [
                framed("content-length: 3\r\ntransfer-encoding: chunked", BODY),
                framed("transfer-encoding: chunked\r\ncontent-length: 3", BODY),
                framed("transfer-encoding: chunked\r\ncontent-length: x", BODY),
                framed("transfer-encoding: identity\r\ncontent-length: 3", "abc"),
            ],
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: transfer codings of requests"),
            [
                "chunked",
                "Chunked",
                " chunked ",
                "gzip, chunked",
                "chunked, chunked",
                "chunked, gzip",
                "identity, chunked",
                "identity",
                "gzip",
                "chunked;q=1",
                "xchunked",
                "chunked,",
                "",
            ]
            .map(of),
        )
        .wants("200 -, 200 -, 200 -, 501 DPE, 501 DPE, 501 DPE, 501 DPE, 501 DPE, 501 DPE, 501 DPE, 501 DPE, 501 DPE, 501 DPE"),
        sends(
            mesh("framing: several transfer codings of a request"),
            [
                framed(
                    "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
                    BODY,
                ),
                framed(
                    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                    BODY,
                ),
                framed(
                    "transfer-encoding: chunked\r\ntransfer-encoding: identity",
                    BODY,
                ),
            ],
        )
        .wants("501 DPE, 501 DPE, 501 DPE"),
        sends(
            mesh("framing: a request's chunks in HTTP/1.0"),
            [line(&format!(
                "POST / HTTP/1.0\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n{BODY}"
            ))],
        )
        .wants("426 DPE"),
    ]
}

fn request_chunks() -> Vec<Case> {
    let of = |body: &str| framed("transfer-encoding: chunked", body);
    vec![
        sends(
            mesh("framing: chunks of requests that pass"),
            [
                "3;name=value\r\nabc\r\n0\r\n\r\n",
                "A\r\n0123456789\r\n0\r\n\r\n",
                "a\r\n0123456789\r\n0\r\n\r\n",
                "0003\r\nabc\r\n000\r\n\r\n",
                "3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n",
                "3 \r\nabc\r\n0\r\n\r\n",
                "3;a=\"b c\"\r\nabc\r\n0\r\n\r\n",
            ]
            .map(of),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: chunks of requests that are none"),
            [
                "x\r\nabc\r\n0\r\n\r\n",
                "-3\r\nabc\r\n0\r\n\r\n",
                "0x3\r\nabc\r\n0\r\n\r\n",
                "\r\nabc\r\n0\r\n\r\n",
                "10000000000000003\r\nabc\r\n0\r\n\r\n",
                "3\r\nabcd\r\n0\r\n\r\n",
                "3\r\nabc0\r\n\r\n",
            ]
            .map(of),
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 200 -, 400 DPE"),
        sends(
            mesh("framing: chunks of requests with bare line feeds"),
            [
                "3\nabc\r\n0\r\n\r\n",
                "3\r\nabc\n0\r\n\r\n",
                "3\r\nabc\r\n0\n\n",
            ]
            .map(of),
        )
        .wants("400 DPE, 200 -, 400 DPE"),
        sends(
            mesh("framing: trailers of requests that are none"),
            [
                "3\r\nabc\r\n0\r\nno colon\r\n\r\n",
                "3\r\nabc\r\n0\r\nx y: 1\r\n\r\n",
                "3\r\nabc\r\n0\r\ncontent-length: 3\r\n\r\n",
                "3\r\nabc\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
                "3\r\nabc\r\n0\r\nhost: other\r\n\r\n",
            ]
            .map(of),
        )
        .wants("400 DPE, 400 DPE, 200 -, 200 -, 200 -"),
    ]
}

fn request_heads() -> Vec<Case> {
    vec![
        sends(
            mesh("framing: request lines"),
            [
                "GET / HTTP/1.2",
                "GET / HTTP/1.9",
                "GET / HTTP/2.0",
                "GET / HTTP/0.9",
                "GET / HTTP/3.0",
                "GET / HTTP/1",
                "GET / HTTP/1.10",
                "GET / http/1.1",
                "GET / HTTQ/1.1",
                "GET /",
                "GET  / HTTP/1.1",
                "GET /  HTTP/1.1",
                "GET / HTTP/1.1 ",
                "GET\t/\tHTTP/1.1",
                " GET / HTTP/1.1",
                "get / HTTP/1.1",
                "PURGE / HTTP/1.1",
                "G@T / HTTP/1.1",
                "G\u{e9}T / HTTP/1.1",
            ]
            .map(|text| line(&format!("{text}\r\nhost: app\r\n\r\n"))),
        )
        .wants("426 DPE, 426 DPE, 426 DPE, 426 DPE, 426 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 426 DPE, 200 -, 200 -, 200 -, 200 -, 400 DPE, 400 DPE, 200 -, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: methods of requests"),
            ["M-SEARCH", "MSEARCH", "PROPFIND", "SUBSCRIBE", "QUERY", "BREW", "SOURCE", "UNLINK", "PRI"]
                .map(|method| line(&format!("{method} / HTTP/1.1\r\nhost: app\r\n\r\n"))),
        )
        .wants("400 DPE, 200 -, 200 -, 200 -, 400 -, 400 DPE, 200 -, 200 -, 400 DPE"),
        sends(
            mesh("framing: a second request on one connection that is none"),
            [
                line("GET / HTTP/1.1\r\nhost: app\r\n\r\nGET / HTTP/1.1\r\nhost: a b\r\n\r\n"),
                line("POST / HTTP/1.1\r\nhost: app\r\ncontent-length: 3\r\n\r\nabcno http\r\n\r\n"),
                line("POST / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET x HTTP/1.1\r\n\r\n"),
            ],
        )
        .wants("200 -, 200 DPE, 200 -"),
        xds("framing: an unfinished head is bounded by the stream's idle timeout", |x| {
            x.manager.stream_idle_timeout = ms(300);
        })
        .send(line("GET / HTTP/1.1\r\nhost: app\r\nx"))
        .wants("408 SI"),
        sends(
            mesh("framing: line ends of requests"),
            [
                "\r\nGET / HTTP/1.1\r\nhost: app\r\n\r\n",
                "\nGET / HTTP/1.1\r\nhost: app\r\n\r\n",
                "GET / HTTP/1.1\nhost: app\n\n",
                "GET / HTTP/1.1\nhost: app\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: app\nx: 1\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: app\r\n\n",
                "GET / HTTP/1.1\r\r\nhost: app\r\n\r\n",
            ]
            .map(line),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: header lines of requests"),
            [
                "x: a\r\n b",
                "x: a\r\n\tb",
                "x : a",
                "x\t: a",
                ": a",
                "x",
                "x:",
                "x: a\u{0}b",
                "x: a\rb",
                "x: \u{e9}",
                "x: a\u{1}b",
                "x: a\u{7f}b",
                "x@: a",
                "x(: a",
                "x\u{e9}: a",
                "x_y: a",
                "x.y: a",
                "x:\ta\t",
            ]
            .map(headed),
        )
        .wants("200 -, 200 -, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 200 -, 400 DPE, 200 -, 200 -, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: white space before the first header line"),
            [
                line("GET / HTTP/1.1\r\n host: app\r\n\r\n"),
                line("GET / HTTP/1.1\r\n\thost: app\r\n\r\n"),
            ],
        )
        .wants("400 DPE, 400 DPE"),
        sends(
            mesh("framing: how long a request's head may be"),
            [
                target(&format!("/{}", "a".repeat(50_000))),
                target(&format!("/{}", "a".repeat(61_000))),
                target(&format!("/{}", "a".repeat(62_000))),
                line(&format!(
                    "GET /{} HTTP/1.1\r\nhost: app\r\nx: {}\r\n\r\n",
                    "a".repeat(31_000),
                    "b".repeat(31_000)
                )),
                headed(&format!("x: {}", "a".repeat(300_000))),
                target(&format!("/{}", "a".repeat(300_000))),
            ],
        )
        .wants("200 -, 200 -, 431 DPE, 431 DPE, 431 DPE, 431 DPE"),
        sends(
            mesh("framing: an unfinished head beyond the limit"),
            [raw(format!(
                "GET / HTTP/1.1\r\nhost: app\r\nx: {}",
                "a".repeat(70_000)
            ))
            .watch_close()],
        )
        .wants("431 DPE"),
        sends(
            mesh("framing: what connection headers say"),
            [
                "connection: close",
                "connection: keep-alive",
                "connection: close, x-none",
                "connection: keep-alive\r\nconnection: close",
                "proxy-connection: close",
                "connection: CLOSE",
            ]
            .map(headed),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
    ]
}

fn targets() -> Vec<Case> {
    vec![
        sends(
            mesh("framing: odd characters in a path"),
            ["/a<b", "/a>b", "/a`b", "/a\"b", "/a\\b", "/a^b", "/a|b", "/a{b}", "/a%zz", "/a[b]", "/a'b", "/a~b"].map(target),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: odd characters in a query"),
            ["/?q=<b>", "/?q=\"b\"", "/?q=`b`", "/?q={\"a\":[1,\"<b>\"]}", "/?q=a?b", "/?q=\\", "/?q=|^"].map(target),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: characters that no target has"),
            ["/\u{e9}", "/?q=\u{e9}", "/a\u{7f}", "/a\u{1}", "/a b", "/a\tb"].map(target),
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: fragments"),
            ["/a#b", "/a?b#c", "/#", "#", "http://app/a#b"].map(target),
        )
        .wants("400 -, 400 -, 400 -, 400 DPE, 400 -"),
        sends(
            mesh("framing: odd characters match routes as they are")
                .routes("[{match: [{uri: {exact: '/a<b'}}], headers: {response: {set: {x-matched: exact}}}, TO_APP}, {match: [{uri: {regex: '/r`.*'}}], headers: {response: {set: {x-matched: regex}}}, TO_APP}, {match: [{uri: {prefix: '/p>'}}], rewrite: {uri: '/new\"'}, TO_APP}, {match: [{uri: {prefix: '/go'}}], redirect: {uri: '/x<y'}}, {match: [{queryParams: {q: {exact: '<'}}}], headers: {request: {set: {x-path: '%REQ(:path)%'}}}, TO_APP}]"),
            ["/a<b", "/r`x", "/p>q?s=<t>", "/go?<", "/?q=<", "/none<"].map(target),
        )
        .wants("404 NR, 404 NR, 404 NR, 301 -, 200 -, 404 NR"),
        sends(
            mesh("framing: odd characters when a request is tried again")
                .routes("[{TO_APP, retries: {attempts: 2, retryOn: '5xx'}}]")
                .app(&[status(503), status(503), OK]),
            ["/a<b?c=\"d\""].map(target),
        )
        .wants("200 -"),
    ]
}

fn authorities() -> Vec<Case> {
    let of = |value: &str| line(&format!("GET / HTTP/1.1\r\nhost: {value}\r\n\r\n"));
    let all = "[{TO_APP}]";
    vec![
        sends(
            mesh("framing: targets that are no path"),
            ["evil.bench", "app:8080", "*", "app/x", "", "?x", "a:b@c"].map(target),
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: hosts that are none").routes(all),
            [
                "app/admin?x",
                "app evil",
                "app#x",
                "app?x",
                "user@app",
                "user:pass@app",
                "app\\x",
                "app,app",
                "app<",
                "app\"",
                "app%41",
                "[::1",
                "app:",
                "app:x",
                "app:99999",
                "a_b",
                "\u{e9}",
                "app\tx",
            ]
            .map(of),
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE, 503 UH, 503 UH, 400 DPE, 503 UH, 400 DPE, 400 DPE, 503 UH, 503 UH, 503 UH, 503 UH, 503 UH, 503 UH, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: absolute targets"),
            [
                "http://app",
                "http://app?q",
                "HTTP://app/x",
                "https://app/x",
                "ftp://app/x",
                "ws://app/x",
                "http:///x",
                "http://",
                "http:app",
                "//app/x",
                "http://user@app/x",
                "http://user:pass@app/x",
                "http://@app/x",
                "http://app:8080/x",
                "http://app:/x",
                "http://app evil/x",
                "http://app\\x",
                "http://app/a<b",
            ]
            .map(target),
        )
        .wants("200 -, 404 -, 200 -, 200 -, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 200 -, 200 -, 200 -, 200 -, 200 -, 400 DPE, 400 DPE, 400 DPE, 200 -"),
        sends(
            mesh("framing: OPTIONS and CONNECT targets"),
            [
                "OPTIONS *",
                "OPTIONS http://app",
                "OPTIONS app",
                "CONNECT /",
                "CONNECT app",
                "CONNECT http://app/",
                "CONNECT user@app:80",
                "GET *",
            ]
            .map(|text| line(&format!("{text} HTTP/1.1\r\nhost: app\r\n\r\n"))),
        )
        .wants("404 -, 200 -, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE"),
        mesh("framing: authorities over HTTP/2")
            .send(get("/").to("user@app").h2())
            .send(get("/").to("user:pass@app").h2())
            .send(get("/").to("app:8080").h2())
            .wants("0 DPE, 0 DPE, 200 -"),
    ]
}

/// The answer, to callers of HTTP/1.1 and of HTTP/2.
fn answers(name: &'static str, bytes: &'static [&'static str]) -> Case {
    let acts: Vec<Act> = bytes
        .iter()
        .flat_map(|text| {
            let act = Act::Raw(std::slice::from_ref(text));
            [act, act]
        })
        .collect();
    let mut case = mesh(name).routes(ONCE).app(&acts);
    for _ in bytes {
        case = case.send(get("/").watch_close()).send(get("/").h2());
    }
    case
}

fn response_lengths() -> Vec<Case> {
    vec![
        answers(
            "framing: lengths of answers that pass",
            &[
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: 003\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length:  3 \r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\nuntil the end",
                "HTTP/1.1 200 OK\r\n\r\n",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        answers(
            "framing: lengths of answers that are none",
            &[
                "HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: 3x\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\nabc",
            ],
        )
        .wants("502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE"),
        answers(
            "framing: the greatest length of an answer",
            &["HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nabc"],
        )
        .wants("200 UPE, 0 UPE"),
        answers(
            "framing: several lengths of an answer",
            &[
                "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 4\r\n\r\nhello",
            ],
        )
        .wants("502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE"),
        answers(
            "framing: an answer's length together with chunks",
            &[
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            ],
        )
        .wants("502 UPE, 502 UPE, 502 UPE, 502 UPE"),
        answers(
            "framing: more bytes than an answer's length",
            &["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef"],
        )
        .wants("200 -, 200 -"),
        answers(
            "framing: answers without a body",
            &[
                "HTTP/1.1 204 No Content\r\n\r\n",
                "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\n",
                "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
                "HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n",
            ],
        )
        .wants("204 -, 204 -, 204 -, 204 -, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 304 -, 304 -, 304 -, 304 -, 205 -, 205 -"),
        sends(
            mesh("framing: answers to HEAD").routes(ONCE).app(&[
                Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"]),
                Act::Raw(&["HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"]),
            ]),
            (0..5).flat_map(|_| [asked("HEAD", "/").watch_close(), asked("HEAD", "/").h2()]),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 502 UPE, 502 UPE, 502 UPE, 502 UPE"),
    ]
}

fn response_codings() -> Vec<Case> {
    vec![
        answers(
            "framing: transfer codings of answers",
            &[
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: \r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE"),
        answers(
            "framing: chunks of answers that pass",
            &[
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0005\r\nhello\r\n00\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        answers(
            "framing: chunks of answers that are none",
            &[
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
            ],
        )
        .wants("200 UPE, 200 UPE, 200 -, 200 -, 200 UPE, 200 UPE, 200 UPE, 200 UPE, 200 UPE, 200 UPE"),
    ]
}

fn response_heads() -> Vec<Case> {
    vec![
        answers(
            "framing: versions of answers",
            &[
                "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.0 200 OK\r\n\r\nhello",
                "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.2 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/2.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/0.9 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "http/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 502 UPE, 502 UPE"),
        answers(
            "framing: status lines",
            &[
                "HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1  200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 99 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 600 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 999 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 2x0 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 O\u{e9}K\r\ncontent-length: 5\r\n\r\nhello",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 502 UPE, 502 UPE, 600 -, 600 -, 999 -, 999 -, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 200 -, 200 -"),
        answers(
            "framing: a status of four digits",
            &["HTTP/1.1 1000 OK\r\ncontent-length: 5\r\n\r\nhello"],
        )
        .wants("1000 -, 0 -"),
        answers(
            "framing: header lines of answers",
            &[
                "HTTP/1.1 200 OK\nx: 1\ncontent-length: 5\n\nhello",
                "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nx: a\u{0}b\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nx: \u{e9}\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nx: a\u{1}b\r\ncontent-length: 5\r\n\r\nhello",
                "\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 502 UPE, 200 -, 200 -, 502 UPE, 502 UPE, 502 UPE, 502 UPE"),
        answers(
            "framing: interim answers",
            &[
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 100 Continue\r\ncontent-length: 3\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 502 UPE, 502 UPE"),
        long_answers(),
    ]
}

/// Heads of answers about the limit, which is 60 KiB.
fn long_answers() -> Case {
    fn head(bytes: usize) -> Act {
        let text = format!(
            "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 5\r\n\r\nhello",
            "a".repeat(bytes)
        );
        let text: &'static str = text.leak();
        let all: &'static [&'static str] = vec![text].leak();
        Act::Raw(all)
    }
    fn many(count: usize) -> Act {
        let lines: String = (0..count).map(|n| format!("x{n}: 1\r\n")).collect();
        let text: &'static str =
            format!("HTTP/1.1 200 OK\r\n{lines}content-length: 5\r\n\r\nhello").leak();
        let all: &'static [&'static str] = vec![text].leak();
        Act::Raw(all)
    }
    let acts = [
        head(50_000),
        head(62_000),
        head(81_000),
        head(82_500),
        head(100_000),
        many(99),
        many(100),
        many(150),
    ];
    sends(
        mesh("framing: how long an answer's head may be")
            .routes(ONCE)
            .app(&acts),
        acts.map(|_| get("/").watch_close()),
    )
    .wants("200 -, 200 -, 200 -, 502 UPE, 502 UPE, 200 -, 502 UPE, 502 UPE")
}

fn http2() -> Vec<Case> {
    let length = |value: &str| {
        let mut asked = post("/", "hello").h2();
        asked.headers.push(("content-length".into(), value.into()));
        asked
    };
    let framed = |headers, pieces| Act::Framed(200, headers, pieces);
    let acts = [
        framed(&[("content-length", "5")], &["hello"]),
        framed(&[("content-length", "3")], &["hello"]),
        framed(&[("content-length", "9")], &["hello"]),
        framed(&[("content-length", "5, 5")], &["hello"]),
        framed(
            &[("content-length", "5"), ("content-length", "5")],
            &["hello"],
        ),
        framed(&[("content-length", "x")], &["hello"]),
        framed(&[], &["he", "llo"]),
        framed(&[], &[]),
    ];
    vec![
        sends(
            mesh("framing: lengths of requests over HTTP/2"),
            ["5", "3", "9", "5, 5", "x", "005"].map(length),
        )
        .wants("200 -, 0 DPE, 0 DPE, 0 DPE, 0 DPE, 200 -"),
        sends(
            mesh("framing: lengths of answers over HTTP/2")
                .routes(ONCE)
                .host(host("a").is(Manner::Http2).does(&acts)),
            acts.map(|_| get("/").watch_close()),
        )
        .wants("200 -, 200 UPE, 200 UPE, 502 UPE, 502 UPE, 502 UPE, 200 -, 200 -"),
        sends(
            mesh("framing: lengths of answers from HTTP/2 to HTTP/2")
                .routes(ONCE)
                .host(host("a").is(Manner::Http2).does(&acts)),
            acts.map(|_| get("/").h2()),
        )
        .wants("200 -, 200 UPE, 200 UPE, 502 UPE, 502 UPE, 502 UPE, 200 -, 200 -"),
    ]
}
