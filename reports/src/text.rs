//! The output of a run on a terminal: the verdict, the checks, the loads, and the command that repeats it.

mod real;
mod refusals;
mod screen;
mod several;

use std::fmt::Write as _;

use shakedown_results::{CheckResult, Document, Load, Mode, NotModelled, Verdict};

use crate::html::sentence;
use crate::{omitted, overflow, units};
use screen::{INTO_A_STRING, one_line, painted, wrapped, write_aligned};

pub(crate) use real::words as failure_words;
pub use screen::{Paint, Screen};
pub use several::{ScenarioOutcome, endings, sweep};

/// Index of the column that is left out if no request is unsent, as always in a simulated run.
const UNSENT: usize = 3;

/// Maximum width of the column of checks. Longer checks do not widen it.
const CHECK_COLUMN_MAX: usize = 72;

/// Renders the summary of one run: a few lines, ended by a newline.
pub fn render(document: &Document, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let mut out = String::new();
    headline(document, screen, &mut out);
    for reason in &document.invalid {
        let line = format!("  invalid: {}", one_line(reason));
        wrapped(&line, "    ", screen, &mut out);
    }
    refusals::write(&document.events, screen, &mut out);
    out.push_str(&not_modelled(&document.not_modelled, screen));
    for row in &document.ejection_overflows {
        let line = format!("  {}", one_line(&overflow::sentence(row)));
        wrapped(&line, "    ", screen, &mut out);
    }
    if !document.checks.is_empty() {
        out.push('\n');
        write_checks(&document.checks, screen, &mut out);
    }
    if !document.loads.is_empty() {
        out.push('\n');
        write_loads(&document.loads, screen, &mut out);
        real::write(document, screen, &mut out);
    }
    out.push('\n');
    writeln!(out, "  digest  {}", document.digest).expect(INTO_A_STRING);
    writeln!(out, "  replay  {}", one_line(&document.replay)).expect(INTO_A_STRING);
    out
}

/// Lists the parts of the configuration that were ignored, in a few lines; empty if all of it is modelled.
pub fn not_modelled(parts: &[NotModelled], screen: impl Into<Screen>) -> String {
    let (screen, mut out) = (screen.into(), String::new());
    for line in omitted::lines(parts) {
        let line = format!("  not modelled: {}", one_line(&line));
        wrapped(&line, "    ", screen, &mut out);
    }
    out
}

fn headline(document: &Document, screen: Screen, out: &mut String) {
    let (word, color) = verdict_word(document.verdict);
    let mode = match document.mode {
        Mode::Simulated => "simulated",
        Mode::Real => "real",
    };
    let variant = match document.variant.as_str() {
        "base" => String::new(),
        variant => format!(" ({})", one_line(variant)),
    };
    let set: String = document
        .set
        .iter()
        .map(|set| format!(", --set {}", one_line(set)))
        .collect();
    let cut = document
        .cut_ns
        .map(|at| format!(", cut short at {}", units::duration(at)));
    let line = format!(
        "{}  {}{variant}  seed {}{set}, {mode} {}{}",
        painted(word, color, screen.paint),
        one_line(&document.scenario),
        document.seed,
        units::duration(document.elapsed_ns),
        cut.unwrap_or_default(),
    );
    wrapped(&line, "  ", screen, out);
    wrapped(&format!("  {}", sentence(document)), "  ", screen, out);
}

/// Returns a verdict as a word, and its ANSI colour.
fn verdict_word(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("PASS", "1;32"),
        Verdict::NotJudged => ("NOT JUDGED", "1;36"),
        Verdict::Fail => ("FAIL", "1;31"),
        Verdict::Invalid => ("INVALID", "1;33"),
    }
}

/// Writes one line per check: mark, check and observed value, and the expected value if it failed. A check
/// too long for its column shifts only its own line. If the screen is too narrow, lines are wrapped at words,
/// with the observed value below the check.
fn write_checks(checks: &[CheckResult], screen: Screen, out: &mut String) {
    const MARK: usize = 10;
    let words: Vec<String> = checks.iter().map(check_words).collect();
    let seen: Vec<String> = checks.iter().map(seen_words).collect();
    let columns = |words: &str| textwrap::core::display_width(words);
    let fits = |line: usize| screen.width.is_none_or(|width| line <= width);
    let line_of = |words: usize, seen: &str| 2 + MARK + 2 + words + 2 + columns(seen);
    let width = words
        .iter()
        .zip(&seen)
        .filter(|(words, seen)| fits(line_of(columns(words), seen)))
        .map(|(words, _)| columns(words))
        .filter(|columns| *columns <= CHECK_COLUMN_MAX)
        .max();
    let width = width.unwrap_or(0);
    for ((check, words), seen) in checks.iter().zip(words).zip(seen) {
        let (mark, color) = match (check.pass, check.over_seeds) {
            (Some(true), _) => ("ok        ", "32"),
            (Some(false), _) => ("FAIL      ", "1;31"),
            (None, true) => ("for sweep ", "2"),
            (None, false) => ("not judged", "1;33"),
        };
        let mark = painted(mark, color, screen.paint);
        let long = columns(&words).max(width);
        if fits(line_of(long, &seen)) {
            let gap = " ".repeat(long - columns(&words));
            let line = format!("  {mark}  {words}{gap}  {seen}");
            out.push_str(line.trim_end());
            out.push('\n');
            continue;
        }
        let indent = " ".repeat(2 + MARK + 2);
        let mut lines = String::new();
        wrapped(&format!("{indent}{words}"), &indent, screen, &mut lines);
        wrapped(&format!("{indent}{seen}"), &indent, screen, &mut lines);
        lines.replace_range(..indent.len(), &format!("  {mark}  "));
        out.push_str(&lines);
    }
}

/// Returns the observed value, and the expected one if the check failed.
fn seen_words(check: &CheckResult) -> String {
    let mut words = one_line(&check.observed);
    if check.pass == Some(false) {
        words.push_str(&format!("  (expected {})", one_line(&check.expected)));
    }
    words
}

fn check_words(check: &CheckResult) -> String {
    if check.name == check.check {
        one_line(&check.check)
    } else {
        format!("{}: {}", one_line(&check.name), one_line(&check.check))
    }
}

fn write_loads(loads: &[Load], screen: Screen, out: &mut String) {
    let mut rows: Vec<Vec<String>> = vec![
        [
            "load",
            "scheduled",
            "sent",
            "unsent",
            "dropped",
            "ok",
            "errors",
            "timeouts",
            "p50",
            "p99",
            "p99.9",
            "max",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for load in loads {
        let latency = &load.latency_ns;
        let mut row = vec![one_line(&load.name)];
        let counts = [
            load.scheduled,
            load.sent,
            load.unsent,
            load.dropped,
            load.ok,
            load.errors,
            load.timeouts,
        ];
        row.extend(counts.map(units::count));
        let times = [latency.p50, latency.p99, latency.p999, latency.max];
        row.extend(times.map(|ns| {
            if latency.count == 0 {
                "-".to_owned()
            } else {
                units::duration(ns)
            }
        }));
        rows.push(row);
    }
    if loads.iter().all(|load| load.unsent == 0) {
        rows.iter_mut().for_each(|row| drop(row.remove(UNSENT)));
    }
    write_aligned(&rows, screen, out);
}
