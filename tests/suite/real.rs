//! Tests scenarios on loopback sockets in real time.

use crate::command::{folder, shakedown};

#[test]
fn header_routing_passes_on_real_sockets() {
    let ran = shakedown(&["run", "header-routing", "--real", "--set", "duration=5s"]).exits(0);
    assert!(ran.stdout.contains("real"), "{}", ran.stdout);
}

#[test]
fn the_journal_of_a_real_run_is_not_replayed() {
    let journal = folder("real-journal").join("run.jsonl");
    let path = journal.to_str().expect("test paths are UTF-8");
    let short = "duration=2s";
    shakedown(&[
        "run",
        "header-routing",
        "--real",
        "--set",
        short,
        "--journal",
        path,
    ]);
    let refused = shakedown(&["run", "--replay", path]).exits(2);
    assert!(
        refused
            .stderr
            .contains("engine `real`, which is not deterministic"),
        "{}",
        refused.stderr
    );
}

/// Takes 45 s per variant, most of them waiting.
#[expect(
    clippy::disallowed_methods,
    reason = "two commands at once: their real time is most of this test"
)]
#[test]
fn on_real_sockets_good_canaries_are_promoted_and_bad_ones_rolled_back() {
    let endings = [
        ("base", 0, "canary(shop) == promoted"),
        ("bad", 1, "canary(shop) == rolled-back"),
    ];
    let runs = endings.map(|(variant, code, check)| {
        let run = std::thread::spawn(move || {
            shakedown(&["run", "canary-in-a-minute", "--real", "--variant", variant])
        });
        (run, code, check)
    });
    for (run, code, check) in runs {
        let ran = run.join().expect("the command was started").exits(code);
        let holds = |line: &str| line.trim_start().starts_with("ok ") && line.contains(check);
        assert!(ran.stdout.lines().any(holds), "{}", ran.stdout);
    }
}
