//! Cases of request bodies: lengths, codings and chunks.

use super::{framed, line, sends};
use crate::case::{Case, mesh, raw, request};

pub(super) fn cases() -> Vec<Case> {
    let mut all = bodies();
    all.extend(request_lengths());
    all.extend(request_codings());
    all.extend(request_chunks());
    all
}

/// Cases of bodies with methods that rarely have one.
fn bodies() -> Vec<Case> {
    let chunked = |method: &str| {
        line(&format!(
            "{method} / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ))
        .of_method(method)
    };
    let sized = |method: &str| {
        let mut sized = request(method, "/");
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
            mesh("framing: content-length overflow of requests"),
            ["18446744073709551616", "99999999999999999999999999"].map(huge),
        )
        .wants("400 DPE, 400 DPE"),
        sends(
            mesh("framing: the two greatest lengths of a request"),
            ["18446744073709551615", "18446744073709551614"].map(huge),
        )
        .wants("0 DC, 0 DC"),
        sends(
            mesh("framing: several content-length headers of a request"),
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
            mesh("framing: content-length with chunked requests"),
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
            mesh("framing: malformed chunks of requests"),
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
            mesh("framing: malformed trailers of requests"),
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
