use std::net::SocketAddr;
use std::task::Waker;

use hyper::rt::{Read, Write};
use proptest::prelude::*;

use super::response::check as response;
use super::*;

fn request(head: &[u8]) -> Result<Checked, BadHead> {
    super::request::check_with_path(head).map(|(checked, _)| checked)
}

fn framed(lines: &str) -> Result<Checked, BadHead> {
    request(format!("POST / HTTP/1.1\r\nhost: h\r\n{lines}\r\n\r\n").as_bytes())
}

fn payload(lines: &str) -> Result<Payload, BadHead> {
    framed(lines).map(|checked| checked.payload)
}

#[test]
fn a_requests_body_is_as_long_as_its_one_length_says() {
    assert_eq!(payload("content-length: 3"), Ok(Payload::Sized(3)));
    assert_eq!(payload("Content-Length: \t003 "), Ok(Payload::Sized(3)));
    assert_eq!(payload("x: 1"), Ok(Payload::Sized(0)));
    for bad in ["+3", "-3", "", "3, 3", "0x3", "18446744073709551616"] {
        assert_eq!(
            payload(&format!("content-length: {bad}")),
            Err(BadHead::Syntax),
            "{bad}"
        );
    }
    assert_eq!(
        payload("content-length: 3\r\ncontent-length: 3"),
        Err(BadHead::Syntax)
    );
}

#[test]
fn a_request_has_no_coding_but_chunked_and_no_length_beside_it() {
    assert_eq!(payload("transfer-encoding: Chunked"), Ok(Payload::Chunked));
    for bad in [
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "",
        "chunked;q=1",
    ] {
        assert_eq!(
            payload(&format!("transfer-encoding: {bad}")),
            Err(BadHead::Coding),
            "{bad}"
        );
    }
    let twice = "transfer-encoding: chunked\r\ntransfer-encoding: chunked";
    assert_eq!(payload(twice), Err(BadHead::Coding));
    let both = "transfer-encoding: chunked\r\ncontent-length: 3";
    assert_eq!(payload(both), Err(BadHead::LengthAndCoding));
}

fn target(method: &str, target: &str) -> Result<(), BadHead> {
    let head = format!("{method} {target} HTTP/1.1\r\nhost: h\r\n\r\n");
    request(head.as_bytes()).map(|_| ())
}

#[test]
fn a_target_is_a_path_or_names_a_scheme_and_a_host() {
    for good in [
        "/",
        "//h/x",
        "/a?b",
        "http://h",
        "HTTPS://h:1/x",
        "http://u:p@h/x",
        "http://[::1]/",
    ] {
        assert_eq!(target("GET", good), Ok(()), "{good}");
    }
    for bad in [
        "evil.bench",
        "h:80",
        "h/x",
        "?x",
        "http:h",
        "/\u{e9}",
        "http://a b/",
    ] {
        assert_eq!(target("GET", bad), Err(BadHead::Syntax), "{bad}");
    }
    for bad in [
        "*",
        "http://",
        "http:///x",
        "http://h:/x",
        "http://h:70000/x",
    ] {
        assert_eq!(target("GET", bad), Err(BadHead::Url), "{bad}");
    }
    assert_eq!(target("GET", "ftp://h/x"), Err(BadHead::Scheme));
    assert_eq!(target("GET", "/a#b"), Err(BadHead::Fragment));
    assert_eq!(target("OPTIONS", "*"), Ok(()));
    assert_eq!(target("CONNECT", "h:80"), Ok(()));
    for bad in ["/", "h", "u@h:80", "http://h/"] {
        assert_eq!(target("CONNECT", bad), Err(BadHead::Url), "{bad}");
    }
}

#[test]
fn user_information_is_dropped_and_odd_lines_are_written_plainly() {
    let instead = |head: &str| {
        let instead = request(head.as_bytes()).unwrap().instead.unwrap();
        String::from_utf8(instead).unwrap()
    };
    assert_eq!(
        instead("GET http://u:p@h/x HTTP/1.1\r\nhost: o\r\n\r\n"),
        "GET http://h/x HTTP/1.1\r\nhost: o\r\n\r\n"
    );
    assert_eq!(
        instead("GET\t/  HTTP/1.1 \r\nhost: h\r\nx: a\r\n b\r\ny: a\rb\n\r\n"),
        "GET / HTTP/1.1\r\nhost: h\r\nx: a b\r\ny: ab\r\n\r\n"
    );
}

#[test]
fn hosts_have_the_characters_of_an_authority() {
    for good in ["h", "h:80", "u@h", "[::1]", "a_b", ""] {
        assert!(
            request(format!("GET / HTTP/1.1\r\nhost: {good}\r\n\r\n").as_bytes()).is_ok(),
            "{good}"
        );
    }
    for bad in ["a b", "h/x", "h?x", "h#x", "h<", "\u{e9}"] {
        let head = format!("GET / HTTP/1.1\r\nhost: {bad}\r\n\r\n");
        assert_eq!(request(head.as_bytes()), Err(BadHead::Authority), "{bad}");
    }
}

#[test]
fn other_versions_have_an_answer_of_their_own() {
    for line in ["GET / HTTP/1.2", "GET / HTTP/2.0", "GET /"] {
        let head = format!("{line}\r\nhost: h\r\n\r\n");
        assert_eq!(request(head.as_bytes()), Err(BadHead::Version), "{line}");
    }
    for line in [
        "GET / HTTP/1",
        "GET / http/1.1",
        " GET / HTTP/1.1",
        "get / HTTP/1.1",
        "hello",
    ] {
        let head = format!("{line}\r\nhost: h\r\n\r\n");
        assert_eq!(request(head.as_bytes()), Err(BadHead::Syntax), "{line}");
    }
}

#[test]
fn header_lines_are_tokens_and_visible_text() {
    for bad in ["x : a", ": a", "x", "x@: a", "x(: a", "\u{e9}: a"] {
        assert_eq!(payload(bad), Err(BadHead::Syntax), "{bad}");
    }
    for bad in ["x: a\u{0}b", "x: \u{7f}", "x: \u{1}"] {
        assert_eq!(payload(bad), Err(BadHead::Characters), "{bad}");
    }
    assert!(payload("x: \u{e9}\r\nx:\r\nx_y.z: \ta\t").is_ok());
    let many = |count: usize| "x: 1\r\n".repeat(count) + "y: 1";
    assert!(payload(&many(98)).is_ok());
    assert_eq!(payload(&many(99)), Err(BadHead::TooMany));
}

fn answer(head: &str) -> Result<Payload, BadHead> {
    response(head.as_bytes(), false).map(|(checked, _)| checked.payload)
}

#[test]
fn a_responses_framing_is_one_length_or_chunks_or_its_end() {
    let of = |lines: &str| answer(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
    assert_eq!(of("content-length: 3"), Ok(Payload::Sized(3)));
    assert_eq!(of("transfer-encoding: chunked"), Ok(Payload::Chunked));
    assert_eq!(of("x: 1"), Ok(Payload::Rest));
    for bad in [
        "content-length: 5, 5",
        "content-length: 5\r\ncontent-length: 5",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
    ] {
        assert!(of(bad).is_err(), "{bad}");
    }
    assert_eq!(answer("HTTP/1.1 204 No\r\n\r\n"), Ok(Payload::Sized(0)));
    assert_eq!(
        answer("HTTP/1.1 304 No\r\ncontent-length: 3\r\n\r\n"),
        Ok(Payload::Sized(0))
    );
    assert!(answer("HTTP/1.1 204 No\r\ncontent-length: 3\r\n\r\n").is_err());
    assert!(answer("HTTP/1.1 99 No\r\n\r\n").is_err());
    let (checked, is_last) = response(b"HTTP/1.1 103 Hints\r\n\r\n", false).unwrap();
    assert_eq!((checked.payload, is_last), (Payload::Sized(0), false));
    let (checked, _) = response(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", true).unwrap();
    assert_eq!(checked.payload, Payload::Sized(0));
}

#[test]
fn a_response_of_another_version_becomes_one_of_http_1_1() {
    let instead = |head: &str| {
        let (checked, _) = response(head.as_bytes(), false).unwrap();
        String::from_utf8(checked.instead.unwrap()).unwrap()
    };
    assert_eq!(
        instead("HTTP/1.0 200 OK\r\nx: 1\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nconnection: close\r\nx: 1\r\n\r\n"
    );
    assert_eq!(
        instead("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n"
    );
    assert_eq!(
        instead("HTTP/1.2 200 OK\r\n\r\n"),
        "HTTP/1.1 200 OK\r\n\r\n"
    );
}

/// A peer that sends `bytes` in pieces of `sizes`, and then closes.
struct Pieces {
    bytes: Vec<u8>,
    sent: usize,
    sizes: Vec<usize>,
    turn: usize,
}

impl Read for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let size = self.sizes[self.turn % self.sizes.len()];
        let left = self.bytes.len() - self.sent;
        let most = size.min(left).min(buf.remaining());
        buf.put_slice(&self.bytes[self.sent..self.sent + most]);
        self.sent += most;
        self.turn += 1;
        Poll::Ready(Ok(()))
    }
}

impl Write for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Pieces {
    fn local_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn peer_addr(&self) -> SocketAddr {
        self.local_addr()
    }

    fn reset_on_drop(&mut self) {}
}

/// Returns the bytes that hyper reads if `bytes` arrive in pieces of these sizes, true if an error follows, and the
/// reason if a head was rejected.
fn read(bytes: &[u8], sizes: &[usize], space: usize) -> (String, bool, Option<BadHead>) {
    let watch = std::sync::Arc::new(RequestWatch::default());
    let mut tap = Framing::new(RequestFraming::new(&watch, 60 * 1024));
    let mut peer = Pieces {
        bytes: bytes.to_vec(),
        sent: 0,
        sizes: sizes.to_vec(),
        turn: 0,
    };
    let mut all = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    let failed = loop {
        let mut store = vec![0; space];
        let mut buf = ReadBuf::new(&mut store);
        match tap.poll_read(&mut peer, &mut cx, buf.unfilled()) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => break false,
            Poll::Ready(Ok(())) => all.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => break true,
            Poll::Pending => break false,
        }
    };
    (
        String::from_utf8_lossy(&all).into_owned(),
        failed,
        watch.refused().and_then(|number| watch.refusal_of(number)),
    )
}

const MANY: &str = "GET /1 HTTP/1.1\r\nhost: h\r\n\r\n\
    POST /2 HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello\
    \r\nPOST /3 HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n\
    5;x=y\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nx-t: 1\r\n\r\n\
    GET /4 HTTP/1.1\r\nhost: h\r\nx: a\r\n b\r\n\r\n";

#[test]
fn requests_on_one_connection_are_forwarded_unchanged_except_for_unusual_syntax() {
    let (all, failed, refused) = read(MANY.as_bytes(), &[usize::MAX], 1 << 16);
    let expected = MANY
        .replace("hello\r\nPOST", "helloPOST")
        .replace("a\r\n b", "a b");
    assert_eq!((all, failed, refused), (expected, false, None));
}

#[test]
fn what_follows_a_body_is_a_head_again() {
    let bad = format!("{MANY}GET x HTTP/1.1\r\n\r\nGET /5 HTTP/1.1\r\nhost: h\r\n\r\n");
    let (all, failed, refused) = read(bad.as_bytes(), &[usize::MAX], 1 << 16);
    assert!(
        all.ends_with("host: refused\r\nconnection: close\r\n\r\n"),
        "{all}"
    );
    assert!(!all.contains("/5"), "nothing behind it passes");
    assert_eq!((failed, refused), (false, Some(BadHead::Syntax)));
}

#[test]
fn chunks_that_are_none_break_the_connection_behind_what_was_good() {
    let begin = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    for bad in [
        "x\r\n",
        "3\nabc",
        "-1\r\n",
        "\r\n",
        "11111111111111111\r\n",
        "3\r\nabc0\r\n\r\n",
        "0\r\nno\r\n",
    ] {
        let (all, failed, _) = read(format!("{begin}{bad}").as_bytes(), &[usize::MAX], 1 << 16);
        assert!(all.starts_with(begin), "{bad}");
        assert!(failed, "{bad}");
    }
    let lenient = format!("{begin}3\r\nabcd\r\n2\r\nef\n0\r\n\r\n");
    let (all, failed, _) = read(lenient.as_bytes(), &[usize::MAX], 1 << 16);
    let plain = format!("{begin}3\r\nabc\r\n2\r\nef\r\n0\r\n\r\n");
    assert_eq!((all, failed), (plain, false));
}

#[test]
fn who_speaks_no_http_is_not_waited_for() {
    for begin in ["hello\r\n", "\u{16}\u{3}\u{1}", "GET x HTTP/9\r\n"] {
        let (all, _, refused) = read(begin.as_bytes(), &[1], 8_192);
        assert!(all.starts_with("GET / HTTP/1.1\r\nhost: refused"), "{all}");
        assert_eq!(refused, Some(BadHead::Syntax), "{begin}");
    }
    let watch = std::sync::Arc::new(ResponseWatch::default());
    let begun = |bytes: &[u8]| ResponseFraming::new(&watch).check_begun(bytes);
    for good in ["H", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nx"] {
        assert_eq!(begun(good.as_bytes()), Ok(()), "{good}");
    }
    for bad in ["S", "SSH-2.0-OpenSSH", "HTTP/1.1 2x0\r\n", "\r\n"] {
        assert_eq!(begun(bad.as_bytes()), Err(BadHead::Syntax), "{bad}");
    }
}

#[test]
fn an_unfinished_head_is_held_to_its_limit() {
    let long = format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(61_500));
    let (all, _, refused) = read(long.as_bytes(), &[1_000], 8_192);
    assert!(all.starts_with("GET / HTTP/1.1\r\nhost: refused"));
    assert_eq!(refused, Some(BadHead::TooLarge));
}

proptest! {
    #[test]
    fn how_bytes_are_cut_into_reads_changes_nothing(
        sizes in prop::collection::vec(1_usize..40, 1..20),
        space in 1_usize..100,
        cut in 0_usize..MANY.len(),
    ) {
        let whole = read(&MANY.as_bytes()[..cut], &[usize::MAX], 1 << 16);
        let pieces = read(&MANY.as_bytes()[..cut], &sizes, space);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn no_bytes_make_the_framing_panic(
        bytes in prop::collection::vec(prop::sample::select(b"GET /:h\r\n\t 1a;HTP.chunked".to_vec()), 0..300),
        sizes in prop::collection::vec(1_usize..40, 1..5),
    ) {
        let _ = read(&bytes, &sizes, 64);
        let mut body = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        body.extend(bytes);
        let _ = read(&body, &sizes, 64);
    }
}
