//! Tests a load as a process that is stopped, interrupted or delayed.

use super::*;

#[test]
fn a_generator_that_is_kept_from_its_core_makes_the_load_invalid() {
    let server = Server::start(Habit::Quick);
    let child = Child::load(&server, &words("--rate 200/s --duration 2s"));
    // Stops the process for a quarter of its time, as if another process took the core.
    server.wait_for(100);
    child.signal("-STOP");
    pause(Duration::from_millis(500));
    child.signal("-CONT");
    let (code, text, _) = child.end();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("the generator's own delay is"), "{text}");
}

/// The rate is more than one core can send, to a server of negligible cost.
#[test]
fn a_generator_that_is_its_own_bottleneck_makes_the_load_invalid() {
    let server = Canned::start(ANSWER, Then::GoOn);
    let args = words("--rate 300k/s --duration 500ms --connections 16 --timeout 1s");
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

/// Requests that fall due during a pause of the generator use the existing connections.
#[test]
fn a_generator_that_was_held_up_opens_no_burst_of_connections() {
    let server = Server::start(Habit::Quick);
    let child = Child::load(&server, &words("--rate 1k/s --duration 2s --json -"));
    server.wait_for(200);
    child.signal("-STOP");
    pause(Duration::from_millis(500));
    child.signal("-CONT");
    let (_, text, _) = child.end();
    let document: Value = serde_json::from_str(&text).expect("the document is JSON");
    let opened = &document["loads"][0]["real"]["connections"]["opened"];
    // About 500 requests fell due during the pause.
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
    let mut child = Child::load(&server, &words("--rate 100/s --duration 10m --timeout 10m"));
    server.wait_for(10);
    child.signal("-INT");
    // The requests in flight would take ten minutes.
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

/// A load in a child process.
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

    /// Waits for the end, and returns exit code, standard output and standard error.
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
