//! The output of several runs on a terminal: the outcomes of all variants of a scenario, and a sweep over
//! seeds.

use std::fmt::Write as _;

use shakedown_results::{CheckResult, Verdict};

use super::screen::{INTO_A_STRING, Screen, one_line, painted};
use super::{verdict_word, write_checks};

/// The outcome of one variant of a scenario.
#[derive(Clone, Debug)]
pub struct ScenarioOutcome {
    /// Name of the variant; `base` for the scenario itself.
    pub variant: String,
    /// Verdict of its run.
    pub verdict: Verdict,
    /// True if the outcome is the one that the scenario declares.
    pub as_expected: bool,
    /// Description of the checks that failed, and of those that were expected to.
    pub remark: String,
}

/// Renders a table with one line per variant, ended by a newline.
pub fn endings(
    scenario: &str,
    seed: u64,
    endings: &[ScenarioOutcome],
    screen: impl Into<Screen>,
) -> String {
    let paint = screen.into().paint;
    let mut out = String::new();
    writeln!(out, "{}, all variants, seed {seed}\n", one_line(scenario)).expect(INTO_A_STRING);
    let width = endings
        .iter()
        .map(|ending| ending.variant.chars().count())
        .max()
        .unwrap_or(0);
    let words = endings
        .iter()
        .map(|ending| verdict_word(ending.verdict).0.len());
    let word_width = words.max().unwrap_or(0).max("INVALID".len());
    for ending in endings {
        let (label, color) = if ending.as_expected {
            ("expected  ", "32")
        } else {
            ("UNEXPECTED", "1;31")
        };
        let (word, _) = verdict_word(ending.verdict);
        writeln!(
            out,
            "  {:width$}  {word:<word_width$}  {}  {}",
            one_line(&ending.variant),
            painted(label, color, paint),
            one_line(&ending.remark),
        )
        .expect(INTO_A_STRING);
    }
    out
}

/// Renders the result of a sweep: the verdict and each check over all seeds.
pub fn sweep(
    scenario: &str,
    variant: &str,
    seeds: usize,
    checks: &[CheckResult],
    verdict: Verdict,
    screen: impl Into<Screen>,
) -> String {
    let screen = screen.into();
    let mut out = String::new();
    let (word, color) = verdict_word(verdict);
    let variant = if variant == "base" {
        String::new()
    } else {
        format!(" ({})", one_line(variant))
    };
    let seeds = if seeds == 1 {
        "1 seed".to_owned()
    } else {
        format!("{seeds} seeds")
    };
    writeln!(
        out,
        "{}  {}{variant}  {seeds}, simulated\n",
        painted(word, color, screen.paint),
        one_line(scenario)
    )
    .expect(INTO_A_STRING);
    write_checks(checks, screen, &mut out);
    out
}
