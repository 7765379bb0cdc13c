//! Cases of request targets and authorities.

use super::{line, sends, target};
use crate::case::{Case, get, mesh};
use crate::upstream::{OK, status};

pub(super) fn cases() -> Vec<Case> {
    let mut all = targets();
    all.extend(authorities());
    all
}

fn targets() -> Vec<Case> {
    vec![
        sends(
            mesh("framing: unusual characters in a path"),
            ["/a<b", "/a>b", "/a`b", "/a\"b", "/a\\b", "/a^b", "/a|b", "/a{b}", "/a%zz", "/a[b]", "/a'b", "/a~b"].map(target),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: unusual characters in a query"),
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
            mesh("framing: unusual characters over HTTP/2"),
            ["/a\"b", "/a{b}", "/a|b", "/?q={a:1}", "/a%zz"].map(|path| get(path).h2()),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: path characters that h2 refuses"),
            ["/a<b", "/a>b", "/a`b", "/?q=<b>", "/?q={\"a\":1}"].map(|path| get(path).h2()),
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        sends(
            mesh("framing: fragments over HTTP/2"),
            ["/a#b", "/a?b#c"].map(|path| get(path).h2()),
        )
        .wants("400 -, 400 -"),
        sends(
            mesh("framing: unusual characters are matched unchanged")
                .routes("[{match: [{uri: {exact: '/a<b'}}], headers: {response: {set: {x-matched: exact}}}, TO_APP}, {match: [{uri: {regex: '/r`.*'}}], headers: {response: {set: {x-matched: regex}}}, TO_APP}, {match: [{uri: {prefix: '/p>'}}], rewrite: {uri: '/new\"'}, TO_APP}, {match: [{uri: {prefix: '/go'}}], redirect: {uri: '/x<y'}}, {match: [{queryParams: {q: {exact: '<'}}}], headers: {request: {set: {x-path: '%REQ(:path)%'}}}, TO_APP}]"),
            ["/a<b", "/r`x", "/p>q?s=<t>", "/go?<", "/?q=<", "/none<"].map(target),
        )
        .wants("404 NR, 404 NR, 404 NR, 301 -, 200 -, 404 NR"),
        sends(
            mesh("framing: unusual characters in retried requests")
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
            mesh("framing: targets that are not paths"),
            ["evil.bench", "app:8080", "*", "app/x", "", "?x", "a:b@c"].map(target),
        )
        .wants("400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE, 400 DPE"),
        sends(
            mesh("framing: invalid hosts").routes(all),
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
