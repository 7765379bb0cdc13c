//! Tests loads over TLS: certificate verification and consistent counts.

use super::server::{Habit, Server};
use super::{count, load, results};
use crate::command::{file, folder};

const SHORT: [&str; 4] = ["--rate", "200/s", "--duration", "500ms"];

fn url(server: &Server) -> String {
    format!("https://localhost:{}/shop?x=1", server.address.port())
}

#[test]
fn counts_add_up_over_tls_and_are_the_servers_own() {
    let server = Server::start(Habit::Tls);
    let authority = file(&folder("https-counts"), "ca.pem", &server.authority);
    let document = results(
        &url(&server),
        &[&SHORT[..], &["--cacert", &authority]].concat(),
    );
    assert_eq!(count(&document, "scheduled"), 100);
    assert_eq!(count(&document, "ok"), 100);
    assert_eq!(server.requests_to("GET /shop?x=1"), 100);
}

#[test]
fn http2_is_agreed_on_by_tls() {
    let server = Server::start(Habit::Tls);
    let authority = file(&folder("https-http2"), "ca.pem", &server.authority);
    let args = [&SHORT[..], &["--http2", "--cacert", &authority]].concat();
    let document = results(&url(&server), &args);
    assert_eq!(count(&document, "ok"), 100);
    assert_eq!(server.requests_to("GET /shop?x=1"), 100);
}

#[test]
fn an_untrusted_certificate_is_bad_input_and_no_request_is_sent() {
    let server = Server::start(Habit::Tls);
    let other = Server::start(Habit::Tls);
    let authority = file(&folder("https-stranger"), "ca.pem", &other.authority);
    let ran = load(
        &url(&server),
        &[&SHORT[..], &["--cacert", &authority]].concat(),
    )
    .exits(2);
    for wanted in [
        "the certificate of `localhost`",
        "--cacert FILE",
        "--insecure",
    ] {
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    let ran = load(&url(&server), &SHORT).exits(2);
    assert!(ran.stderr.contains("--cacert FILE"), "{}", ran.stderr);
    assert!(server.seen().is_empty(), "no request was sent");
}

#[test]
fn an_ordinary_self_signed_certificate_is_its_own_authority() {
    let server = Server::start(Habit::SelfSigned);
    let own = file(&folder("https-self"), "own.pem", &server.authority);
    let args = [&SHORT[..], &["--cacert", &own]].concat();
    let document = results(&url(&server), &args);
    assert_eq!(count(&document, "ok"), 100);
    // A certificate that was not named is refused with a readable message.
    let other = Server::start(Habit::SelfSigned);
    let ran = load(&url(&other), &args).exits(2);
    assert!(ran.stderr.contains("self-signed"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("CaUsed"), "{}", ran.stderr);
}

#[test]
fn http2_that_tls_does_not_agree_on_is_bad_input() {
    let server = Server::start(Habit::TlsHttp1);
    let authority = file(&folder("https-no-http2"), "ca.pem", &server.authority);
    let args = [&SHORT[..], &["--http2", "--cacert", &authority]].concat();
    let ran = load(&url(&server), &args).exits(2);
    for wanted in ["does not support HTTP/2", "ALPN"] {
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    assert!(server.seen().is_empty(), "no request was sent");
}

#[test]
fn an_insecure_load_takes_any_certificate() {
    let server = Server::start(Habit::Tls);
    // The certificate is valid for `localhost`, not for this address.
    let url = format!("https://{}/", server.address);
    let document = results(&url, &[&SHORT[..], &["-k"]].concat());
    assert_eq!(count(&document, "ok"), 100);
}

#[test]
fn a_server_without_tls_makes_an_https_load_invalid() {
    let server = Server::start(Habit::Quick);
    let ran = load(&url(&server), &[&SHORT[..], &["--insecure"]].concat()).exits(3);
    assert!(ran.stdout.contains("no request reached"), "{}", ran.stdout);
}

#[test]
fn authorities_that_cannot_be_read_are_bad_input() {
    let folder = folder("https-bad");
    let empty = file(&folder, "empty.pem", "hello");
    for (path, wanted) in [
        (empty.as_str(), "found no certificate"),
        ("/nowhere/ca.pem", "No such file"),
    ] {
        let args = [&SHORT[..], &["--cacert", path]].concat();
        let ran = load("https://localhost:1/", &args).exits(2);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
}
