//! Tests that a run is a function of scenario, seed and version.

use serde_json::Value;

use crate::command::{file, folder, shakedown};

/// A scenario with random arrivals, work, latency and mesh decisions.
const DRAWING: &str = "
scenario: drawing
story: Everything that can be drawn is drawn.
duration: 4s
topology:
  zones: {a: {}, b: {}}
  latency: {same-zone: uniform(100us..400us), cross-zone: exp(1ms)}
  services:
    front:
      versions: {v1: 2}
      workers: 8
      endpoints: {GET /: [work: exp(1ms), call: {to: back GET /, probability: 80%}]}
    back: {versions: {v1: 3}, workers: 4, endpoints: {GET /: [work: exp(2ms), fail: 1%]}}
load: {users: {to: front GET /, rate: 200/s, arrivals: poisson, timeout: 1s}}
chaos: [{name: stuck, at: uniform(1s..2s), for: 500ms, do: pause, target: 1 of back}]
expect: [success(users) >= 50%]
";

fn document(args: &[&str]) -> String {
    let mut all = vec!["run"];
    all.extend_from_slice(args);
    all.extend_from_slice(&["--json", "-"]);
    shakedown(&all).exits(0).stdout
}

fn digest(document: &str) -> String {
    let value: Value = serde_json::from_str(document).expect("the document is JSON");
    value["digest"]
        .as_str()
        .expect("a document has a digest")
        .to_owned()
}

#[test]
fn two_processes_give_the_same_document_byte_for_byte() {
    let folder = folder("two-processes");
    let drawing = file(&folder, "drawing.yaml", DRAWING);
    for scenario in ["header-routing", "canary-in-a-minute", drawing.as_str()] {
        let first = document(&[scenario, "--seed", "7"]);
        assert_eq!(
            first,
            document(&[scenario, "--seed", "7"]),
            "{scenario}: the same run, other bytes"
        );
    }
}

#[test]
fn noise_between_polls_changes_nothing() {
    let folder = folder("noise");
    let drawing = file(&folder, "drawing.yaml", DRAWING);
    for scenario in [drawing.as_str(), "canary-in-a-minute"] {
        let without_noise = document(&[scenario]);
        for noise in ["1", "2"] {
            assert_eq!(
                without_noise,
                document(&[scenario, "--noise", noise]),
                "{scenario}: real time leaks in"
            );
        }
    }
}

#[test]
fn another_seed_gives_another_digest_and_other_events_where_the_story_draws() {
    let folder = folder("another-seed");
    let drawing = file(&folder, "drawing.yaml", DRAWING);
    let (one, two) = (
        document(&[&drawing, "--seed", "1"]),
        document(&[&drawing, "--seed", "2"]),
    );
    assert_ne!(digest(&one), digest(&two));
    let loads = |text: &str| {
        serde_json::from_str::<Value>(text).expect("the document is JSON")["loads"].clone()
    };
    assert_ne!(
        loads(&one),
        loads(&two),
        "another seed draws the same requests"
    );
    // The seed is part of the run's identity, so a scenario without randomness also has another digest.
    let constant = |seed| digest(&document(&["header-routing", "--seed", seed]));
    assert_ne!(constant("1"), constant("2"));
}

#[test]
fn a_journal_replays_and_a_changed_one_shows_the_first_differing_event() {
    let folder = folder("journal");
    let journal = folder.join("run.jsonl");
    let path = journal.to_str().expect("test paths are UTF-8");
    shakedown(&["run", "header-routing", "--journal", path]).exits(0);
    for edit in [
        ["--scale", "2"].as_slice(),
        &["--strict"],
        &["--set", "seed=2"],
    ] {
        let refused = shakedown(&[&["run", "--replay", path], edit].concat()).exits(2);
        assert!(
            refused.stderr.contains("cannot be used with"),
            "{}",
            refused.stderr
        );
    }
    let replayed = shakedown(&["run", "--replay", path]).exits(0);
    let again = format!("shakedown run --replay {path}");
    for words in ["all equal", again.as_str()] {
        assert!(replayed.stdout.contains(words), "{}", replayed.stdout);
    }

    let text = std::fs::read_to_string(&journal).expect("the journal is there");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let changed = (1..lines.len())
        .filter(|at| lines[*at].contains("\"served\"") && lines[*at].contains("\"status\":200"))
        .nth(100)
        .expect("the run serves more than a hundred requests");
    lines[changed] = lines[changed].replace("\"status\":200", "\"status\":201");
    let path = file(&folder, "changed.jsonl", lines.join("\n") + "\n");
    let diverged = shakedown(&["run", "--replay", &path]).exits(3);
    assert!(
        diverged
            .stdout
            .contains(&format!("at record {}", changed - 1)),
        "{}",
        diverged.stdout
    );
    assert!(
        diverged.stdout.contains("\"status\":201"),
        "{}",
        diverged.stdout
    );
}

/// Records a short run, and returns the folder and the journal's bytes.
fn short_journal(test: &str, name: &str) -> (std::path::PathBuf, Vec<u8>) {
    let folder = folder(test);
    let path = folder.join(name);
    let text = path.to_str().expect("test paths are UTF-8");
    shakedown(&[
        "run",
        "header-routing",
        "--journal",
        text,
        "--set",
        "duration=1s",
    ]);
    let bytes = std::fs::read(&path).expect("the journal is there");
    (folder, bytes)
}

#[test]
fn a_compressed_journal_replays_and_is_a_tenth_of_a_plain_one() {
    let (_, plain) = short_journal("journal-plain", "run.jsonl");
    let (folder, small) = short_journal("journal-zstd", "run.jsonl.zst");
    assert!(
        small.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        "no zstd frame"
    );
    assert!(
        small.len() * 10 < plain.len(),
        "{} of {}",
        small.len(),
        plain.len()
    );
    let path = folder.join("run.jsonl.zst");
    let path = path.to_str().expect("test paths are UTF-8");
    let replayed = shakedown(&["run", "--replay", path]);
    assert!(replayed.stdout.contains("all equal"), "{}", replayed.stdout);
    // The format is detected by the first bytes rather than by the name.
    let renamed = file(&folder, "renamed", &small);
    let replayed = shakedown(&["run", "--replay", &renamed]);
    assert!(replayed.stdout.contains("all equal"), "{}", replayed.stdout);
}

/// `src/journal/tests.rs` covers the kinds of change. Only the run can detect participants that differ from the
/// scenario's.
#[test]
fn a_journal_that_was_tampered_with_is_refused_with_the_line() {
    let (folder, bytes) = short_journal("journal-tampered", "run.jsonl");
    let text = String::from_utf8(bytes).expect("a plain journal is text");
    let participants = "\"pods\":[{\"participant\":0";
    assert!(text.contains(participants));
    let changed = text.replacen(participants, "\"pods\":[{\"participant\":1", 1);
    let path = file(&folder, "changed.jsonl", changed);
    let ran = shakedown(&["run", "--replay", &path]);
    assert!([2, 3].contains(&ran.code), "exit code {}", ran.code);
    let words = "line 1: the participants do not match";
    assert!(ran.stderr.contains(words), "no `{words}`:\n{}", ran.stderr);
    assert!(!ran.stdout.contains("all equal"), "{}", ran.stdout);
    let zeros = shakedown(&["run", "--replay", "/dev/zero"]).exits(2);
    let words = "/dev/zero: invalid journal, line 1: longer than";
    assert!(zeros.stderr.contains(words), "{}", zeros.stderr);
}
