//! Memory of a mesh of many pods, counted in the allocator.

use std::fmt::Write as _;

use shakedown_scenarios::{Edits, load_text};

use crate::RunnerOptions;
use crate::run::native::on_this_thread;

/// Maximum cost of one more pod: an app, a sidecar and their connections.
const POD_BYTES_MAX: u64 = 600_000;

/// Peak of the bytes in use during a run of chains of five services, each with a sidecar.
fn peak(services: u64) -> u64 {
    let mut text = String::from(
        "scenario: chains\nstory: Chains of five.\nduration: 2s\ntopology:\n  services:\n",
    );
    for at in 0..services {
        let call = match (at + 1) % 5 {
            0 => String::new(),
            _ => format!(", call: s{} GET /", at + 1),
        };
        writeln!(
            text,
            "    s{at}: {{endpoints: {{GET /: [work: 100us{call}]}}}}"
        )
        .unwrap();
    }
    text.push_str("load:\n");
    for at in (0..services).step_by(5) {
        writeln!(
            text,
            "  l{at}: {{to: s{at} GET /, rate: 3/s, sidecar: none}}"
        )
        .unwrap();
    }
    text.push_str("expect: [success(l0) == 100%]\n");
    let scenario = load_text("chains.yaml", &text, &Edits::default()).unwrap();
    let run = || {
        on_this_thread(
            &scenario,
            RunnerOptions::default(),
            &mut |_, _| {},
            &mut |_| {},
        )
        .unwrap();
    };
    allocation_counter::measure(run).bytes_max
}

#[test]
fn a_pod_more_costs_the_same_however_many_there_are() {
    let [few, more, most] = [40, 120, 200].map(peak);
    let (first, second) = ((more - few) / 80, (most - more) / 80);
    assert!(first <= POD_BYTES_MAX, "{first} bytes a pod");
    // Half as much again is allowed for a proxy's lists of pointers to 160 services.
    assert!(
        second * 2 <= first * 3,
        "{first} bytes a pod, then {second}"
    );
}
