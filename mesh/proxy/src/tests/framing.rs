//! Tests HTTP/1.1 message framing byte by byte, on both sides of the proxy. `tests/differential/cases/framing.rs` has a
//! real Envoy's behaviour for each case.

use std::cell::RefCell;
use std::rc::Rc;

use super::http2::{exchange, receive};
use super::scene::*;

/// Sends this text on a connection. Returns the bytes that the caller reads, then status, flags, number of attempts and
/// details of the last request.
fn refused(text: &'static str) -> (String, (u16, String, usize), String) {
    play(move |scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        scene.proxy(simple(&[at(UP1, 9080)]));
        let answer = exchange(&scene, text).await;
        scene.env(CALLER).sleep(ms(2)).await;
        let last = scene.requests().pop().unwrap();
        let outcome = (last.status, last.flags.to_string(), scene.attempts().len());
        (answer, outcome, last.details.to_string())
    })
}

#[test]
fn heads_that_envoy_refuses_have_its_answer() {
    for (lines, status, body, details) in [
        (
            "content-length: 3\r\ntransfer-encoding: chunked",
            400,
            "Bad Request",
            "http1.content_length_and_chunked_not_allowed",
        ),
        (
            "content-length: 3\r\ncontent-length: 3",
            400,
            "Bad Request",
            "http1.codec_error",
        ),
        (
            "content-length: 18446744073709551616",
            400,
            "Bad Request",
            "http1.codec_error",
        ),
        (
            "transfer-encoding: gzip, chunked",
            501,
            "Not Implemented",
            "http1.invalid_transfer_encoding",
        ),
        (
            "transfer-encoding: chunked, chunked",
            501,
            "Not Implemented",
            "http1.invalid_transfer_encoding",
        ),
        ("x: \u{1}", 400, "Bad Request", "http1.invalid_characters"),
    ] {
        let head =
            format!("POST / HTTP/1.1\r\nhost: reviews\r\n{lines}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let (answer, outcome, found_details) = refused(head.leak());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{lines}: {answer}"
        );
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{lines}: {answer}"
        );
        assert!(
            answer.ends_with(&format!("\r\n\r\n{body}")),
            "{lines}: {answer}"
        );
        assert_eq!(outcome, (status, "DPE".to_owned(), 0), "{lines}");
        assert_eq!(found_details, details, "{lines}");
    }
}

#[test]
fn targets_and_hosts_that_envoy_refuses_reach_nobody() {
    for (line, host, status, flags, details) in [
        (
            "GET evil.bench HTTP/1.1",
            "reviews",
            400,
            "DPE",
            "http1.codec_error",
        ),
        (
            "GET ftp://reviews/ HTTP/1.1",
            "reviews",
            400,
            "DPE",
            "http1.invalid_scheme",
        ),
        (
            "GET http:///x HTTP/1.1",
            "reviews",
            400,
            "DPE",
            "http1.invalid_url",
        ),
        (
            "GET /a#b HTTP/1.1",
            "reviews",
            400,
            "-",
            "path_normalization_failed",
        ),
        (
            "GET / HTTP/1.1",
            "reviews/admin?x",
            400,
            "DPE",
            "http.invalid_authority",
        ),
        (
            "GET / HTTP/1.1",
            "reviews evil",
            400,
            "DPE",
            "http.invalid_authority",
        ),
        ("GET / HTTP/1.2", "reviews", 426, "DPE", "low_version"),
        ("GET /", "reviews", 426, "DPE", "low_version"),
    ] {
        let head = format!("{line}\r\nhost: {host}\r\n\r\n");
        let (_, outcome, found_details) = refused(head.leak());
        assert_eq!(outcome, (status, flags.to_owned(), 0), "{line} {host}");
        assert_eq!(found_details, details, "{line} {host}");
    }
}

#[test]
fn a_head_that_is_refused_follows_the_answers_to_those_before_it() {
    let (answer, outcome, _) = refused(
        "POST / HTTP/1.1\r\nhost: reviews\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: a b\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    );
    let (first, second) = answer.split_at(answer.rfind("HTTP/1.1 ").unwrap());
    assert!(
        first.starts_with("HTTP/1.1 200 ") && first.ends_with("ok"),
        "{answer}"
    );
    assert!(second.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(outcome, (400, "DPE".to_owned(), 1));
}

#[test]
fn a_body_whose_chunks_are_none_is_answered_400() {
    for chunks in [
        "3\nabc\r\n0\r\n\r\n",
        "x\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\r\n0\r\nno colon\r\n\r\n",
    ] {
        let text = format!(
            "POST / HTTP/1.1\r\nhost: reviews\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
        );
        let (answer, outcome, details) = refused(text.leak());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{chunks:?}: {answer}"
        );
        assert!(
            answer.ends_with("\r\n\r\nBad Request"),
            "{chunks:?}: {answer}"
        );
        assert_eq!(
            (outcome.0, &*outcome.1, &*details),
            (400, "DPE", "http1.codec_error"),
            "{chunks:?}"
        );
    }
}

/// Returns the bytes that a caller reads if its upstream answers each of two requests with this text, and status and
/// flags of the last.
fn answered(text: &'static str) -> (String, (u16, String)) {
    play(move |scene| async move {
        scene.accept(UP1, 9080, move |mut stream| async move {
            receive(&mut stream).await;
            for piece in text.as_bytes().chunks(4096) {
                write(&mut stream, std::str::from_utf8(piece).unwrap()).await;
            }
        });
        scene.proxy(simple(&[at(UP1, 9080)]));
        let get = "GET / HTTP/1.1\r\nhost: reviews\r\n\r\n";
        let last = "GET / HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\n\r\n";
        let answer = exchange(&scene, &format!("{get}{last}")).await;
        let last = scene.requests().pop().unwrap();
        (answer, (last.status, last.flags.to_string()))
    })
}

#[test]
fn answers_with_two_framings_are_502() {
    for lines in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "content-length: 5, 5",
        "content-length: 5\r\ncontent-length: 5",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let (answer, outcome) = answered(text.leak());
        assert!(answer.starts_with("HTTP/1.1 502 "), "{lines}: {answer}");
        assert_eq!((outcome.0, &*outcome.1), (502, "UPE"), "{lines}");
    }
    let long = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n",
        "x".repeat(100_000)
    );
    assert!(answered(long.leak()).0.starts_with("HTTP/1.1 502 "));
}

#[test]
fn an_answer_of_another_version_becomes_chunks_of_http_1_1() {
    for version in ["HTTP/1.0", "HTTP/1.2"] {
        let text = format!("{version} 200 OK\r\n\r\nhello");
        let (answer, outcome) = answered(text.leak());
        let chunked = "transfer-encoding: chunked\r\n";
        assert_eq!(
            answer.matches("HTTP/1.1 200 OK\r\n").count(),
            2,
            "the connection stays: {answer}"
        );
        assert_eq!(answer.matches(chunked).count(), 2, "{answer}");
        assert_eq!((outcome.0, &*outcome.1), (200, "-"));
    }
}

/// Returns the bytes that reach the upstream for this request, up to `end`.
fn reached(text: &'static str, end: &'static str) -> String {
    play(move |scene| async move {
        let came = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&came);
        scene.accept(UP1, 9080, move |mut stream| {
            let came = Rc::clone(&seen);
            async move {
                while !came.borrow().ends_with(end.as_bytes()) {
                    let bytes = receive(&mut stream).await;
                    if bytes.is_empty() {
                        break;
                    }
                    came.borrow_mut().extend(bytes);
                }
                write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        scene.proxy(simple(&[at(UP1, 9080)]));
        exchange(&scene, text).await;
        String::from_utf8(came.take()).unwrap()
    })
}

#[test]
fn a_chunked_body_reaches_the_app_whatever_the_method() {
    for method in ["GET", "HEAD", "DELETE", "POST"] {
        let text = format!(
            "{method} / HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        let came = reached(text.leak(), "0\r\n\r\n");
        assert!(came.contains("transfer-encoding: chunked\r\n"), "{came}");
        assert!(came.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{came}");
    }
    let empty = "GET / HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(reached(empty, "0\r\n\r\n").contains("transfer-encoding: chunked\r\n"));
}

#[test]
fn a_path_reaches_the_app_as_it_was_written() {
    for path in ["/a<b>`c?q={\"a\":\"<b>\"}", "/a\"b^|?x=`y`"] {
        let text = format!("GET {path} HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\n\r\n");
        let came = reached(text.leak(), "\r\n\r\n");
        assert!(
            came.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "{came}"
        );
    }
    let absolute =
        "GET http://u:p@reviews/a<b HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n";
    let came = reached(absolute, "\r\n\r\n");
    assert!(came.starts_with("GET /a<b HTTP/1.1\r\n"), "{came}");
    assert!(
        came.contains("host: reviews\r\n") && !came.contains("u:p"),
        "{came}"
    );
}
