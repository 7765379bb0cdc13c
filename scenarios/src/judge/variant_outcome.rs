//! Verdicts: of a run, and of a variant compared with its expected failures.

use shakedown_results::{CheckResult, Verdict};

use crate::scenario::ResolvedScenario;

/// The outcome of a variant, compared with its expected failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariantOutcome {
    /// Exactly the checks in `breaks` failed.
    As,
    /// Another outcome, with a line for each check that differs.
    Otherwise(Vec<String>),
    /// At least one check could not be judged.
    NotJudged(Vec<String>),
}

impl VariantOutcome {
    /// Compares the results with the expected failures: `base` and variants without `breaks` must pass, other variants must
    /// fail exactly the named checks. Checks over seeds that were not judged are ignored.
    pub fn new(scenario: &ResolvedScenario, checks: &[CheckResult]) -> VariantOutcome {
        let breaks: &[String] = scenario.breaks.as_deref().unwrap_or_default();
        let (mut otherwise, mut unknown) = (Vec::new(), Vec::new());
        for check in checks {
            let breaks = breaks.contains(&check.name);
            match check.pass {
                None if check.over_seeds => {}
                None => unknown.push(format!("`{}` {}", check.name, check.observed)),
                Some(pass) if pass != breaks => {}
                Some(true) => otherwise.push(format!(
                    "`{}` should be false: {}",
                    check.name, check.observed
                )),
                Some(false) => {
                    otherwise.push(format!(
                        "`{}` should be true: {}, expected {}",
                        check.name, check.observed, check.expected
                    ));
                }
            }
        }
        if !unknown.is_empty() {
            VariantOutcome::NotJudged(unknown)
        } else if otherwise.is_empty() {
            VariantOutcome::As
        } else {
            VariantOutcome::Otherwise(otherwise)
        }
    }
}

/// Returns the reasons why checks make a run invalid: a check that could not be judged, or no check at all.
pub fn not_judged(checks: &[CheckResult]) -> Vec<String> {
    let mut reasons: Vec<String> = checks
        .iter()
        .filter(|check| check.pass.is_none() && !check.over_seeds)
        .map(|check| format!("check `{}` was {}", check.name, check.observed))
        .collect();
    if checks.is_empty() {
        reasons.push("no check was judged".to_owned());
    }
    reasons
}

/// The verdict of a run. Invalid for any reason in `invalid` or found in the checks, else fail if a check failed, else
/// pass. Not judged if all checks are over seeds.
pub fn verdict(checks: &[CheckResult], invalid: &[String]) -> Verdict {
    if !invalid.is_empty() || !not_judged(checks).is_empty() {
        Verdict::Invalid
    } else if checks.iter().any(|check| check.pass == Some(false)) {
        Verdict::Fail
    } else if checks.iter().all(|check| check.pass.is_none()) {
        Verdict::NotJudged
    } else {
        Verdict::Pass
    }
}
