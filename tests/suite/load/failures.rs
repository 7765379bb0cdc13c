//! Tests loads that fail in part or completely: verdicts and kinds of failures.

use super::*;

#[test]
fn a_load_without_checks_is_judged_by_its_successes() {
    let args = words("--rate 100/s --duration 300ms");
    let server = Server::start(Habit::Slow);
    let ran = load(&server.url(), &args).judged(0);
    assert!(
        ran.stdout.contains("success(load) >= 99%"),
        "{}",
        ran.stdout
    );
    let server = Server::start(Habit::Half);
    let ran = load(&server.url(), &args).judged(1);
    assert!(ran.stdout.contains("FAIL"), "{}", ran.stdout);
}

#[test]
fn a_load_without_one_success_is_invalid() {
    let server = Server::start(Habit::Refusing);
    let args = words("--rate 100/s --duration 300ms");
    for extra in [&[][..], &["--expect", "p99 < 10s"][..]] {
        let ran = load(&server.url(), &[&args[..], extra].concat()).exits(3);
        assert!(
            ran.stdout.contains("no request succeeded")
                || ran.stdout.contains("no response counts as a success"),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.contains("status 503"), "{}", ran.stdout);
    }
}

#[test]
fn latency_of_successes_and_of_failures_is_told_apart() {
    let server = Server::start(Habit::Half);
    let document = results(&server.url(), &words("--rate 100/s --duration 300ms"));
    let of = |latency| nanos(&document, latency, "count");
    assert_eq!(
        of("ok_latency_ns") + of("failed_latency_ns"),
        of("latency_ns")
    );
    assert_eq!((of("ok_latency_ns"), of("failed_latency_ns")), (15, 15));
    // Failures arrive after 150 ms, successes after 300 ms.
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
    let args = words("--rate 100/s --duration 500ms");
    let with = |check| load(&server.url(), &[&args[..], &["--expect", check]].concat());
    with("success >= 100%").judged(0);
    let ran = with("p50 < 1ns").judged(1);
    assert!(ran.stdout.contains("p50(load) < 1ns"), "{}", ran.stdout);
    assert!(ran.stdout.contains("uncorrected"), "{}", ran.stdout);
}

#[test]
fn a_server_that_is_not_there_makes_the_load_invalid() {
    let url = Server::start(Habit::Quick).url();
    let args = words("--rate 50/s --duration 200ms");
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
    let args = words("--rate 100/s --duration 500ms --timeout 400ms --connections 3");
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
