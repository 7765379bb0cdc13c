//! `shakedown load` on a server of the test's own, on loopback: what it counts, how punctual it is, and what it refuses.
//!
//! Figures of time are bounded as a busy machine allows; verdicts are asserted only where they do not lean on its speed.

mod canned;
mod https;
mod outputs;
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

/// The results of a load, whatever its verdict.
fn results(url: &str, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["--json", "-"]);
    let ran = load(url, &all);
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", ran.stdout, ran.stderr))
}

/// The results of a load that had answers, failures and timeouts.
pub(crate) fn document_of_a_load() -> Value {
    let server = Server::start(Habit::Half);
    let args = [
        "--rate",
        "100/s",
        "--duration",
        "300ms",
        "--timeout",
        "200ms",
    ];
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
        &[
            "--rate",
            "500/s",
            "--duration",
            "1s",
            "--arrivals",
            "poisson",
        ],
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
    let args = [
        "--rate",
        "500/s",
        "--duration",
        "1s",
        "--http2",
        "--connections",
        "1",
    ];
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "ok"), 500);
    assert_eq!(server.seen().len(), 500);
}

#[test]
fn a_thousand_a_second_arrive_within_half_a_percent() {
    let server = Server::start(Habit::Quick);
    let document = results(&server.url(), &["--rate", "1k/s", "--duration", "3s"]);
    assert_eq!(count(&document, "scheduled"), 3000);
    let mut seen = server.seen();
    assert_eq!(seen.len(), 3000);
    // The medians of the first and the last half second: a hiccup at either end says nothing of the rate.
    seen.sort_unstable();
    let span = seen[2750].since(seen[250]).as_secs_f64();
    let rate = 2500.0 / span;
    assert!((995.0..=1005.0).contains(&rate), "{rate}/s");
}

#[test]
fn a_frozen_server_shows_in_the_corrected_latency_alone() {
    let (span, every) = (Duration::from_millis(500), Duration::from_secs(4));
    let server = Server::start(Habit::Frozen(span, every));
    let args = ["--rate", "200/s", "--duration", "4s", "--connections", "4"];
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "ok"), 800);
    // p_q = S - (1 - q) T, for a server that does nothing else.
    let p99 = nanos(&document, "latency_ns", "p99") / 1_000_000;
    assert!((p99 - 460).abs() <= 23, "{p99} ms");
    let uncorrected = nanos(&document, "uncorrected_ns", "p99") / 1_000_000;
    assert!(uncorrected < 60, "{uncorrected} ms");
}

/// The anchor as it is published, a minute long.
#[test]
#[ignore = "a minute of real time, on a machine without other work"]
fn one_second_of_ten_frozen_gives_a_p99_of_900_ms() {
    let (span, every) = (Duration::from_secs(1), Duration::from_secs(10));
    let server = Server::start(Habit::Frozen(span, every));
    let args = [
        "--rate",
        "200/s",
        "--duration",
        "60s",
        "--connections",
        "10",
    ];
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
    let args = [
        "--rate",
        "100/s",
        "--duration",
        "500ms",
        "--timeout",
        "300ms",
    ];
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "timeouts"), 50);
    assert_eq!(server.seen().len(), 50);
    let min = nanos(&document, "latency_ns", "min");
    assert!((300_000_000..400_000_000).contains(&min), "{min} ns");
}

#[test]
fn over_the_in_flight_cap_requests_are_dropped_and_never_sent() {
    let server = Server::start(Habit::Silent);
    let args = [
        "--rate",
        "100/s",
        "--duration",
        "500ms",
        "--timeout",
        "2s",
        "--in-flight",
        "20",
    ];
    let document = results(&server.url(), &args);
    assert_eq!(count(&document, "dropped"), 30);
    assert_eq!(count(&document, "sent"), 20);
    assert_eq!(server.seen().len(), 20);
}

#[test]
fn a_load_without_checks_is_judged_by_its_successes() {
    let args = ["--rate", "100/s", "--duration", "300ms"];
    let server = Server::start(Habit::Slow);
    let ran = load(&server.url(), &args).exits(0);
    assert!(
        ran.stdout.contains("success(load) >= 99%"),
        "{}",
        ran.stdout
    );
    let server = Server::start(Habit::Half);
    let ran = load(&server.url(), &args).exits(1);
    assert!(ran.stdout.contains("FAIL"), "{}", ran.stdout);
}

#[test]
fn a_load_without_one_success_is_invalid() {
    let server = Server::start(Habit::Refusing);
    let args = ["--rate", "100/s", "--duration", "300ms"];
    for extra in [&[][..], &["--expect", "p99 < 10s"][..]] {
        let ran = load(&server.url(), &[&args[..], extra].concat()).exits(3);
        assert!(
            ran.stdout.contains("not one request succeeded")
                || ran.stdout.contains("no answer is one that counts"),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.contains("status 503"), "{}", ran.stdout);
    }
}

#[test]
fn latency_of_successes_and_of_failures_is_told_apart() {
    let server = Server::start(Habit::Half);
    let document = results(&server.url(), &["--rate", "100/s", "--duration", "300ms"]);
    let of = |latency| nanos(&document, latency, "count");
    assert_eq!(
        of("ok_latency_ns") + of("failed_latency_ns"),
        of("latency_ns")
    );
    assert_eq!((of("ok_latency_ns"), of("failed_latency_ns")), (15, 15));
    // Failures come after 150 ms, successes after 300 ms.
    let p50 = |latency| nanos(&document, latency, "p50");
    assert!(p50("ok_latency_ns") >= 300_000_000);
    assert!(p50("failed_latency_ns") < p50("ok_latency_ns"));
    let statuses = document["loads"][0]["statuses"].to_string();
    assert!(
        statuses.contains("503") && statuses.contains("200"),
        "{statuses}"
    );
}

#[test]
fn a_check_that_is_false_fails_the_load() {
    let server = Server::start(Habit::Slow);
    let args = ["--rate", "100/s", "--duration", "500ms"];
    let with = |check| load(&server.url(), &[&args[..], &["--expect", check]].concat());
    with("success >= 100%").exits(0);
    let ran = with("p50 < 1ns").exits(1);
    assert!(ran.stdout.contains("p50(load) < 1ns"), "{}", ran.stdout);
    assert!(ran.stdout.contains("uncorrected"), "{}", ran.stdout);
}

#[test]
fn a_server_that_is_not_there_makes_the_load_invalid() {
    let url = Server::start(Habit::Quick).url();
    let args = ["--rate", "50/s", "--duration", "200ms"];
    let ran = load(&url, &args).exits(3);
    assert!(ran.stdout.contains("no request reached"), "{}", ran.stdout);
    let document = results(&url, &args);
    let of = |key| count(&document, key);
    assert_eq!((of("sent"), of("unsent"), of("errors")), (0, 10, 10));
    let failure = &document["loads"][0]["real"]["failures"][0];
    assert_eq!(
        (&failure["phase"], &failure["cause"]),
        (&"connect".into(), &"refused".into())
    );
    assert_eq!(failure["count"], 10);
}

#[test]
fn failures_are_told_apart_by_phase_and_cause() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello";
    for (answer, then, phase, cause) in [
        (&b""[..], Then::Close, "head", "closed"),
        (b"", Then::Reset, "head", "reset"),
        (
            b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
            Then::Close,
            "head",
            "malformed",
        ),
        (short, Then::Close, "body", "closed"),
        (short, Then::Reset, "body", "reset"),
        (chunk, Then::Close, "body", "malformed"),
    ] {
        let server = Canned::start(answer, then);
        let url = format!("http://{}/", server.address);
        let document = results(&url, &["--rate", "50/s", "--duration", "200ms"]);
        let failures = &document["loads"][0]["real"]["failures"];
        let seen: Vec<(&str, &str, u64)> = failures
            .as_array()
            .expect("failures are a list")
            .iter()
            .map(|failure| {
                let text = |key: &str| failure[key].as_str().expect("a word");
                let count = failure["count"].as_u64().expect("a count");
                (text("phase"), text("cause"), count)
            })
            .collect();
        assert_eq!(seen, [(phase, cause, 10)]);
    }
}

#[test]
fn requests_that_never_left_are_counted_apart() {
    let server = Server::start(Habit::Silent);
    let args = [
        "--rate",
        "100/s",
        "--duration",
        "500ms",
        "--timeout",
        "400ms",
        "--connections",
        "3",
    ];
    let document = results(&server.url(), &args);
    let of = |key| count(&document, key);
    assert_eq!(of("sent"), server.seen().len() as u64);
    assert_eq!(of("scheduled"), of("sent") + of("unsent") + of("dropped"));
    assert_eq!(of("timeouts"), 50);
    assert_eq!(
        document["loads"][0]["real"]["timed_out_unsent"],
        of("unsent")
    );
    assert_eq!(
        nanos(&document, "uncorrected_ns", "count"),
        of("sent") as i64
    );
}

#[test]
fn a_generator_that_is_kept_from_its_core_makes_the_load_invalid() {
    let server = Server::start(Habit::Quick);
    let child = Child::load(&server, &["--rate", "200/s", "--duration", "2s"]);
    // Stopped for a quarter of its time, as by a neighbour that takes the core.
    server.wait_for(100);
    child.signal("-STOP");
    pause(Duration::from_millis(500));
    child.signal("-CONT");
    let (code, text, _) = child.end();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("the generator measured itself"), "{text}");
}

/// More than one core can send, to a server that costs next to nothing.
#[test]
fn a_generator_that_is_its_own_bottleneck_makes_the_load_invalid() {
    let server = Canned::start(ANSWER, Then::GoOn);
    let args = [
        "--rate",
        "300k/s",
        "--duration",
        "500ms",
        "--connections",
        "16",
        "--timeout",
        "1s",
    ];
    let url = format!("http://{}/", server.address);
    let ran = load(&url, &args).exits(3);
    assert!(ran.stdout.contains("the generator"), "{}", ran.stdout);
    let document = results(&url, &args);
    let generator = &document["loads"][0]["real"]["generator"];
    assert!(generator["cpu_ppm"].as_u64() > Some(0), "{generator}");
    assert!(
        generator["handling_ns"]["count"].as_u64() > Some(0),
        "{generator}"
    );
    assert!(
        generator["loop_lag_ns"]["count"].as_u64() > Some(0),
        "{generator}"
    );
}

/// A hiccup of the generator's own: what is due in it finds the connections that are there.
#[test]
fn a_generator_that_was_held_up_opens_no_burst_of_connections() {
    let server = Server::start(Habit::Quick);
    let child = Child::load(
        &server,
        &["--rate", "1k/s", "--duration", "2s", "--json", "-"],
    );
    server.wait_for(200);
    child.signal("-STOP");
    pause(Duration::from_millis(500));
    child.signal("-CONT");
    let (_, text, _) = child.end();
    let document: Value = serde_json::from_str(&text).expect("the document is JSON");
    let opened = &document["loads"][0]["real"]["connections"]["opened"];
    // Some 500 fell due meanwhile.
    assert!(opened.as_u64() < Some(200), "{opened}");
    assert_eq!(count(&document, "sent"), server.seen().len() as u64);
}

#[test]
fn ctrl_c_ends_the_load_early_and_reports_what_was_sent() {
    let server = Server::start(Habit::Quick);
    let path = folder("load-interrupt").join("load.json");
    let json = path.to_str().expect("test paths are UTF-8");
    let child = Child::load(
        &server,
        &["--rate", "100/s", "--duration", "10m", "--json", json],
    );
    server.wait_for(30);
    child.signal("-INT");
    let (code, text, _) = child.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("cut short"), "{text}");
    let text = std::fs::read_to_string(path).expect("the results are written");
    let document: Value = serde_json::from_str(&text).expect("the document is JSON");
    assert!(
        document["cut_ns"].as_i64() > Some(0),
        "{}",
        document["cut_ns"]
    );
    assert_eq!(document["verdict"], "invalid");
    assert_eq!(count(&document, "sent"), server.seen().len() as u64);
    assert_eq!(count(&document, "ok"), count(&document, "sent"));
}

#[test]
fn a_second_ctrl_c_ends_the_load_at_once() {
    let server = Server::start(Habit::Silent);
    let mut child = Child::load(
        &server,
        &["--rate", "100/s", "--duration", "10m", "--timeout", "10m"],
    );
    server.wait_for(10);
    child.signal("-INT");
    // What is in flight would take ten minutes.
    child.wait_for_complaint("interrupted");
    child.signal("-INT");
    let (code, text, _) = child.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(!text.contains("cut short"), "{text}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process is stopped for real time"
)]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// A load in a process of its own.
struct Child(std::process::Child);

impl Child {
    fn load(server: &Server, args: &[&str]) -> Child {
        let child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args([&["load", &server.url()][..], args].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        Child(child)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// Waits for a line on standard error.
    fn wait_for_complaint(&mut self, wanted: &str) {
        let stderr = self.0.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines();
        let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(wanted)));
        assert!(found.is_some(), "`{wanted}` is never said");
    }

    /// Exit code, standard output and standard error.
    fn end(self) -> (Option<i32>, String, String) {
        let output = self.0.wait_with_output().expect("the command ends");
        let text = |bytes| String::from_utf8(bytes).expect("the command prints UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

#[test]
fn what_cannot_be_loaded_is_refused_with_its_reason() {
    let args = ["--rate", "10/s", "--duration", "1s"];
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
