//! Tests `shakedown load` against local servers: its counts, its punctuality, and the input that it refuses.
//!
//! Time figures are bounded loosely enough for a busy machine. Verdicts are asserted only if they do not depend on its
//! speed.

mod canned;
mod failures;
mod https;
mod outputs;
mod process;
mod scenario;
mod server;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::command::{Ran, folder, shakedown};
use canned::{ANSWER, Canned, Then};
use server::{Habit, Server};

fn load(url: &str, args: &[&str]) -> Ran {
    let mut all = vec!["load", url];
    all.extend(args);
    shakedown(&all)
}

/// Splits options as a shell would.
fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

/// The results document of a load with any verdict.
fn results(url: &str, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["--json", "-"]);
    let ran = load(url, &all);
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", ran.stdout, ran.stderr))
}

/// The results document of a load with successes, failures and timeouts.
pub(crate) fn document_of_a_load() -> Value {
    let server = Server::start(Habit::Half);
    let args = words("--rate 100/s --duration 300ms --timeout 200ms");
    results(&server.url(), &args)
}

fn count(document: &Value, key: &str) -> u64 {
    document["loads"][0][key].as_u64().expect("a count")
}

fn nanos(document: &Value, latency: &str, figure: &str) -> i64 {
    document["loads"][0][latency][figure]
        .as_i64()
        .expect("a latency")
}

#[test]
fn counts_add_up_and_are_the_servers_own() {
    let server = Server::start(Habit::Quick);
    let document = results(
        &server.url(),
        &words("--rate 500/s --duration 1s --arrivals poisson"),
    );
    let of = |key| count(&document, key);
    assert_eq!(of("scheduled"), of("sent") + of("dropped"));
    assert_eq!(of("sent"), of("ok") + of("errors") + of("timeouts"));
    assert_eq!(of("sent"), server.seen().len() as u64);
    assert!((400..600).contains(&of("scheduled")), "{}", of("scheduled"));
    assert_eq!(document["mode"], "real");
}

#[test]
fn counts_add_up_over_http2_on_one_connection() {
    let server = Server::start(Habit::Quick);
    let args = words("--rate 500/s --duration 1s --http2 --connections 1");
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "ok"), 500);
    assert_eq!(server.seen().len(), 500);
}

#[test]
fn a_thousand_a_second_arrive_within_half_a_percent() {
    let server = Server::start(Habit::Quick);
    let document = results(&server.url(), &words("--rate 1k/s --duration 3s"));
    assert_eq!(count(&document, "scheduled"), 3000);
    let mut seen = server.seen();
    assert_eq!(seen.len(), 3000);
    // A hiccup at either end would distort the rate, so the medians of the first and the last half second are used.
    seen.sort_unstable();
    let span = seen[2750].since(seen[250]).as_secs_f64();
    let rate = 2500.0 / span;
    assert!((995.0..=1005.0).contains(&rate), "{rate}/s");
}

#[test]
fn a_frozen_server_shows_in_the_corrected_latency_alone() {
    let (span, every) = (Duration::from_millis(500), Duration::from_secs(4));
    let server = Server::start(Habit::Frozen(span, every));
    let args = words("--rate 200/s --duration 4s --connections 4");
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "ok"), 800);
    // p_q = S - (1 - q) T, for a server without other delays.
    let p99 = nanos(&document, "latency_ns", "p99") / 1_000_000;
    assert!((p99 - 460).abs() <= 23, "{p99} ms");
    let uncorrected = nanos(&document, "uncorrected_ns", "p99") / 1_000_000;
    assert!(uncorrected < 60, "{uncorrected} ms");
}

/// The published anchor in full length, one minute.
#[test]
#[ignore = "a minute of real time, on a machine without other work"]
fn one_second_of_ten_frozen_gives_a_p99_of_900_ms() {
    let (span, every) = (Duration::from_secs(1), Duration::from_secs(10));
    let server = Server::start(Habit::Frozen(span, every));
    let args = words("--rate 200/s --duration 60s --connections 10");
    let document = results(&server.url(), &args);
    for (figure, wanted) in [("p99", 900.0), ("p999", 990.0)] {
        let ms = nanos(&document, "latency_ns", figure) as f64 / 1e6;
        assert!((ms - wanted).abs() <= 0.03 * wanted, "{figure}: {ms} ms");
    }
    assert!(nanos(&document, "uncorrected_ns", "p99") < 20_000_000);
    assert_eq!(count(&document, "sent"), server.seen().len() as u64);
}

#[test]
fn a_server_that_never_answers_gives_timeouts_at_their_value() {
    let server = Server::start(Habit::Silent);
    let args = words("--rate 100/s --duration 500ms --timeout 300ms");
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "timeouts"), 50);
    assert_eq!(server.seen().len(), 50);
    let min = nanos(&document, "latency_ns", "min");
    assert!((300_000_000..400_000_000).contains(&min), "{min} ns");
}

#[test]
fn over_the_in_flight_cap_requests_are_dropped_and_never_sent() {
    let server = Server::start(Habit::Silent);
    let args = words("--rate 100/s --duration 500ms --timeout 2s --in-flight 20");
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "dropped"), 30);
    assert_eq!(count(&document, "sent"), 20);
    assert_eq!(server.seen().len(), 20);
}

#[test]
fn what_cannot_be_loaded_is_refused_with_its_reason() {
    let args = words("--rate 10/s --duration 1s");
    for (url, extra, wanted) in [
        ("ftp://localhost/", &[][..], "not supported"),
        ("localhost:80", &[][..], "http://localhost:8080/path"),
        (
            "http://localhost/",
            &["--expect", "p99 < 1s", "--expect", "p99 < 250"][..],
            "check 2: `p99(load)` is a duration",
        ),
        ("http://localhost/", &["--warm-up", "2s"][..], "warm-up"),
    ] {
        let ran = load(url, &[&args[..], extra].concat()).exits(2);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    let ran = load("http://localhost/", &["--rate", "10"]).exits(2);
    assert!(ran.stderr.contains("has no unit"), "{}", ran.stderr);
}

#[test]
fn its_help_shows_how_it_is_used() {
    let ran = shakedown(&["load", "--help"]).exits(0);
    for wanted in [
        "Examples:",
        "--expect 'p99 < 250ms'",
        "--cacert ca.pem",
        "--scenario shop.yaml --target users=",
        "Exit codes",
    ] {
        assert!(ran.stdout.contains(wanted), "{}", ran.stdout);
    }
}
