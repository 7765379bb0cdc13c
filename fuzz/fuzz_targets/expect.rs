//! Fuzzes the grammar of checks: a line of a scenario's `expect`, whose names are resolved against a small scenario.
//!
//! A refused line must have a non-empty message at its own location, and an accepted line is kept as written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown_scenarios::{Edits, LoadError, load_text};

/// A scenario with everything that checks can name: services, versions, zones, loads with entries, faults, a canary.
const SCENARIO: &str = "
scenario: fuzzed
story: The names that checks may use.
duration: 10m
topology:
  zones: {a: {}, b: {}}
  services:
    shop: {versions: {v1: 2}, workers: 8, endpoints: {GET /: [work: 1ms, call: stock GET /], POST /order: [work: 1ms]}}
    stock: {versions: {v1: {replicas: 2, zones: [a, b]}}, workers: 8, endpoints: {GET /: [work: exp(1ms)]}}
mesh:
  - apiVersion: flagger.app/v1beta1
    kind: Canary
    metadata: {name: shop}
    spec:
      targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
      service: {port: 80}
      analysis: {interval: 10s, threshold: 2, maxWeight: 50, stepWeight: 10}
load:
  users: {to: shop GET /, rate: 20/s}
  tests: {to: shop POST /order, rate: 5/s}
chaos:
  - {name: sick, at: 2m, for: 1m, do: fail, target: stock, rate: 50%}
  - {name: rollout, at: 4m, do: deploy, target: shop/v2, replicas: 2}
";

fuzz_target!(|line: &str| {
    // JSON strings are valid YAML strings.
    let quoted = serde_json::to_string(line).expect("strings serialize to JSON");
    let text = format!("{SCENARIO}expect:\n  - {quoted}\n");
    match load_text("fuzzed.yaml", &text, &Edits::default()) {
        Ok(scenario) => assert_eq!(scenario.checks.len(), 1),
        Err(LoadError::Wrong(errors)) => {
            let line = u32::try_from(text.lines().count()).expect("a short text has few lines");
            for error in errors.iter() {
                assert!(!error.message.is_empty());
                assert!(
                    error.place.line >= line - 1,
                    "an error outside of the line: {error}"
                );
            }
        }
        Err(error) => panic!("{error}"),
    }
});
