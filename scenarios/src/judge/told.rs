//! Verdicts: of a run, and of a variant compared with its file.

use shakedown_results::{CheckResult, Verdict};

use crate::story::Story;

/// The outcome of a variant, compared with its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Exactly the checks that it breaks are false.
    As,
    /// Another outcome; a line for each check that differs.
    Otherwise(Vec<String>),
    /// Some check could not be judged: neither.
    NotJudged(Vec<String>),
}

/// Compares a story's checks with its file: `base` and variants without `breaks` must pass, others must turn exactly
/// the named checks false. Checks over seeds that were not judged are left aside.
pub fn as_told(story: &Story, checks: &[CheckResult]) -> Told {
    let breaks: &[String] = story.breaks.as_deref().unwrap_or_default();
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
        Told::NotJudged(unknown)
    } else if otherwise.is_empty() {
        Told::As
    } else {
        Told::Otherwise(otherwise)
    }
}

/// Why checks alone make a run invalid: one that could not be judged, or none at all.
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

/// The verdict of a run: invalid for any reason given or found in the checks, else fail if a check is false, else pass; not
/// judged if all checks are over seeds.
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
