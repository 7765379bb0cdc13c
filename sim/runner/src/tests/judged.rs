//! Runs the catalogue's scenarios and judges them: each variant must have the outcome that its file declares.

use shakedown_scenarios::scenario::ResolvedScenario;
use shakedown_scenarios::{Edits, Judge, VariantOutcome, catalogue, load, load_all};

use crate::{RunnerOptions, plan_run, run};
use shakedown_results::Engine;

/// Scenarios with so large a number of requests that a short form is run here.
const LARGE: [&str; 1] = ["fan-out-hedged"];

fn ends_as_told(scenario: &ResolvedScenario) {
    let (_, participants) = plan_run(scenario, scenario.seed);
    let mut judge = Judge::new(scenario, &participants);
    let options = RunnerOptions {
        seed: scenario.seed,
        ..RunnerOptions::default()
    };
    let record = &mut |_: &_, record: &_| judge.record(record);
    let ended = run(scenario, options, Engine::Native, record).unwrap();
    let judgement = judge.conclude();
    let who = format!("{}, {}", scenario.name, scenario.variant);
    let outcome = VariantOutcome::new(scenario, &judgement.checks);
    assert_eq!(
        outcome,
        VariantOutcome::As,
        "{who}: {:#?}",
        judgement.checks
    );
    assert_eq!(judgement.invariants, [""; 0], "{who}");
    assert_eq!(ended.invalid, [""; 0], "{who}");
}

#[test]
fn every_story_of_the_catalogue_that_is_short_ends_as_told() {
    // The theory scenarios need many seeds and long runs. The storm is long, and a short one is in `retries`.
    let names = catalogue().map(|(name, _)| name).filter(|name| {
        !name.starts_with("theory-") && *name != "retry-storm" && !LARGE.contains(name)
    });
    for name in names {
        load_all(name).unwrap().iter().for_each(ends_as_told);
    }
}

#[test]
fn a_hedged_fan_out_ends_as_told_in_a_few_seconds_too() {
    for variant in ["base", "fragile", "correlated"] {
        let edits = Edits {
            variant: Some(variant.to_owned()),
            set: vec!["duration=12s".to_owned()],
        };
        ends_as_told(&load("fan-out-hedged", &edits).unwrap());
    }
}
