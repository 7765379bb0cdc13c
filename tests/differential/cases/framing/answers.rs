//! Cases of the framing and heads of responses.

use super::{ONCE, sends};
use crate::case::{Case, get, mesh, request};
use crate::upstream::Act;

pub(super) fn cases() -> Vec<Case> {
    let mut all = response_lengths();
    all.extend(response_codings());
    all.extend(response_heads());
    all
}

/// Tests the response with callers of HTTP/1.1 and of HTTP/2.
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
            "framing: several content-length headers of a response",
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
            "framing: responses without a body",
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
            mesh("framing: responses to HEAD").routes(ONCE).app(&[
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
            (0..5).flat_map(|_| [request("HEAD", "/").watch_close(), request("HEAD", "/").h2()]),
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
            "framing: malformed chunks of responses",
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
            "framing: versions of responses",
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

/// Cases of response heads near the limit of 60 KiB.
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
        mesh("framing: maximum size of a response head")
            .routes(ONCE)
            .app(&acts),
        acts.map(|_| get("/").watch_close()),
    )
    .wants("200 -, 200 -, 200 -, 502 UPE, 502 UPE, 200 -, 502 UPE, 502 UPE")
}
