//! Cases of HTTP message framing (RFC 9112, sections 2 to 7) and request targets, for requests and responses.

mod answers;
mod bodies;
mod targets;

use crate::case::{Case, get, host, mesh, post, raw, xds};
use crate::client::ClientRequest;
use crate::messages::ms;
use crate::upstream::{Act, Manner};

pub(super) fn cases() -> Vec<Case> {
    let mut all = bodies::cases();
    all.extend(request_heads());
    all.extend(targets::cases());
    all.extend(answers::cases());
    all.extend(http2());
    all
}

/// Disables retries, which would hide the effect of a single attempt.
const ONCE: &str = "[{TO_APP, retries: {attempts: 0}}]";

/// A request given as bytes. The case also compares if the connection is closed.
fn line(text: &str) -> ClientRequest {
    raw(text).watch_close()
}

/// A POST with these header lines and this body.
fn framed(lines: &str, body: &str) -> ClientRequest {
    line(&format!(
        "POST / HTTP/1.1\r\nhost: app\r\n{lines}\r\n\r\n{body}"
    ))
}

/// A GET with exactly this target.
fn target(text: &str) -> ClientRequest {
    line(&format!("GET {text} HTTP/1.1\r\nhost: app\r\n\r\n"))
}

/// A GET with these header lines.
fn headed(lines: &str) -> ClientRequest {
    line(&format!("GET / HTTP/1.1\r\nhost: app\r\n{lines}\r\n\r\n"))
}

fn sends(case: Case, all: impl IntoIterator<Item = ClientRequest>) -> Case {
    all.into_iter().fold(case, Case::send)
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
        xds("framing: an unfinished head is limited by the stream idle timeout", |x| {
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
            mesh("framing: maximum size of a request head"),
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

fn http2() -> Vec<Case> {
    let length = |value: &str| {
        let mut request = post("/", "hello").h2();
        request
            .headers
            .push(("content-length".into(), value.into()));
        request
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
