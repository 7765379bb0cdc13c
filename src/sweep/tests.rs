use shakedown_scenarios::{Edits, load_text};

use super::*;

fn scenario() -> ResolvedScenario {
    let text = "
scenario: s
story: s
duration: 60s
topology: {services: {shop: {workers: 4, sidecar: none, endpoints: {GET /: [work: exp(5ms)]}}}}
load: {users: {to: shop GET /, rate: 100/s, arrivals: poisson, sidecar: none}}
expect:
  - fast: p99(users) < 1s
  - mean: mean(users) < 1s over seeds
";
    load_text("s.yaml", text, &Edits::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn swept(jobs: usize) -> Swept {
    let jobs = NonZeroUsize::new(jobs).unwrap();
    sweep(&scenario(), 1..=4, jobs, RunOptions::default, |_| {}).unwrap()
}

#[test]
fn what_is_kept_of_a_seed_is_small_beside_its_document() {
    let whole = run(&scenario(), RunOptions::default()).unwrap();
    let document = serde_json::to_string(&whole.document).unwrap().len();
    let swept = swept(2);
    assert_eq!((swept.runs.len(), swept.verdict), (4, Verdict::Pass));
    for run in swept.runs.values() {
        let kept = format!("{run:?}").len();
        assert!(
            kept < 1_500 && kept * 10 < document,
            "{kept} of {document} bytes"
        );
    }
}

#[test]
fn the_number_of_jobs_changes_nothing_that_is_said() {
    let results = |swept: Swept| (swept.verdict, swept.checks);
    assert_eq!(results(swept(1)), results(swept(3)));
}
