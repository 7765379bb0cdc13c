//! Tests a load's outputs: destinations are checked before the first request, and commands are shown without secrets.

use super::load;
use super::server::{Habit, Server};
use crate::command::{file, folder, shakedown};

const SHORT: [&str; 4] = ["--rate", "100/s", "--duration", "200ms"];

#[test]
fn an_output_that_cannot_be_written_is_refused_before_any_request() {
    let server = Server::start(Habit::Quick);
    let folder = folder("load-outputs");
    let same = folder.join("same").display().to_string();
    let inside = folder.display().to_string();
    for (args, wanted) in [
        (
            &["--json", "/nowhere/x.json"][..],
            "write --json /nowhere/x.json",
        ),
        (
            &["--html", "/nowhere/x.html"][..],
            "write --html /nowhere/x.html",
        ),
        (&["--html", &inside][..], "write --html"),
        (
            &["--json", &same, "--html", &same][..],
            "--json and --html both write",
        ),
        (
            &["--json", "-", "--html", "-"][..],
            "--json and --html both write `-`",
        ),
    ] {
        let ran = load(&server.url(), &[&SHORT[..], args].concat()).exits(2);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    assert!(server.seen().is_empty(), "no request was sent");
    let left = std::fs::read_dir(&folder).expect("the folder is there");
    assert_eq!(left.count(), 0, "nothing is left behind");
}

#[test]
fn outputs_of_a_run_are_checked_before_it_begins() {
    let folder = folder("run-outputs");
    let same = folder.join("same").display().to_string();
    for (args, wanted) in [
        (
            &["--journal", "/nowhere/j.jsonl"][..],
            "write --journal /nowhere/j.jsonl",
        ),
        (&["--journal", "-"][..], "invalid --journal `-`"),
        (
            &["--json", &same, "--journal", &same][..],
            "--json and --journal both write",
        ),
        (
            &["--variant", "all", "--html", "/nowhere/x.html"][..],
            "write --html /nowhere/x.html",
        ),
    ] {
        // A run of this length would exceed the test's time.
        let all = [
            &["run", "header-routing", "--set", "duration=20d"][..],
            args,
        ]
        .concat();
        let ran = shakedown(&all).exits(2);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
}

#[test]
fn an_existing_output_file_is_kept_until_the_load_has_ended() {
    let path = file(&folder("load-keeps"), "old.json", "old");
    // The load is refused after its outputs were opened.
    let args = ["--rate", "0/s", "--json", &path];
    load("http://localhost:1/", &args).exits(2);
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "old");
}

#[test]
fn a_page_goes_to_standard_output_alone() {
    let server = Server::start(Habit::Quick);
    let ran = load(&server.url(), &[&SHORT[..], &["--html", "-"]].concat());
    assert!(ran.stdout.starts_with("<!DOCTYPE html>"), "{}", ran.stdout);
    assert!(ran.stdout.trim_end().ends_with("</html>"));
}

#[test]
fn secrets_are_sent_and_shown_nowhere() {
    let server = Server::start(Habit::Quick);
    let folder = folder("load-secrets");
    let header_file = file(
        &folder,
        "headers",
        "# who asks\nX-Api-Key: s3cr3t-1\n\nx-cart: 1\n",
    );
    let page = folder.join("page.html").display().to_string();
    let json = folder.join("load.json").display().to_string();
    let url = format!("{}?token=s3cr3t-2", server.url());
    let args = [
        "-H",
        "Authorization: Bearer s3cr3t-3",
        "-HCookie: a=s3cr3t-4",
        "--header-file",
        &header_file,
        "--html",
        &page,
        "--json",
        &json,
    ];
    let ran = load(&url, &[&SHORT[..], &args].concat());
    let written = [&page, &json].map(|path| std::fs::read_to_string(path).expect("it is written"));
    let shown = [ran.stdout, ran.stderr].into_iter().chain(written);
    for text in shown {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    let sent = server.headers();
    for (name, value) in [
        ("x-api-key", "s3cr3t-1"),
        ("authorization", "Bearer s3cr3t-3"),
        ("cookie", "a=s3cr3t-4"),
        ("x-cart", "1"),
    ] {
        assert_eq!(sent.get(name).and_then(|v| v.to_str().ok()), Some(value));
    }
    assert!(server.requests_to("GET /?token=s3cr3t-2") > 0);
}

#[test]
fn an_invalid_header_file_is_reported_by_line_without_its_content() {
    let folder = folder("load-header-file");
    let bad = file(&folder, "headers", "x-a: 1\nhidden\n");
    let args = [&SHORT[..], &["--header-file", &bad]].concat();
    let ran = load("http://localhost:1/", &args).exits(2);
    assert!(
        ran.stderr.contains("headers:2: invalid header"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("hidden"), "{}", ran.stderr);
    let args = [&SHORT[..], &["--header-file", "/nowhere"]].concat();
    let ran = load("http://localhost:1/", &args).exits(2);
    assert!(ran.stderr.contains("read --header-file"), "{}", ran.stderr);
}

#[test]
fn what_no_load_can_do_is_bad_input_in_a_line() {
    let url = "http://localhost:1/";
    for (args, wanted) in [
        (
            &["--rate", "0/s"][..],
            "invalid rate: no request is sent at 0/s",
        ),
        (
            &["--stage", "1s 0/s", "--stage", "1s to 0/s"][..],
            "invalid rate: no request is sent at 0/s",
        ),
        (
            &["--rate", "1/s", "--warm-up", "10s"][..],
            "the load lasts only 10s",
        ),
        (
            &["--rate", "1/s", "--expect", "success >= 200%"][..],
            "can never be true: a share is between",
        ),
        (
            &["--rate", "1/s", "--expect", "errors < 0%"][..],
            "can never be true",
        ),
        (
            &["--rate", "1/s", "--target", "a=http://b"][..],
            "invalid --target: it applies to",
        ),
        (
            &["--rate", "1/s", "--set", "a=b"][..],
            "invalid --set: it applies to",
        ),
        (
            &["--rate", "1/s", "--variant", "a"][..],
            "invalid --variant: it applies to",
        ),
    ] {
        let ran = load(url, args).exits(2);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    let ran = load("http://localhost:0/", &["--rate", "1/s"]).exits(2);
    assert!(ran.stderr.contains("port 0"), "{}", ran.stderr);
}
