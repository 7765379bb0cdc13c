//! What a run prints on a terminal: the verdict, the checks, the loads, and the command that runs it again.

mod real;
mod refusals;
mod several;

use std::fmt::Write as _;

use shakedown_results::{CheckResult, Document, Load, Mode, Verdict};

use crate::html::sentence;
use crate::units;

pub(crate) use real::words as failure_words;
pub use several::{Ending, endings, sweep};

/// Whether the reader's terminal shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text: pipes, files, tests.
    Plain,
    /// ANSI colours on the verdict and on marks.
    Ansi,
}

/// The column of a load's table that is left out where nothing is unsent: always in a simulated run.
const UNSENT: usize = 3;

/// A longer check does not widen the column of all.
const CHECK_COLUMN_MAX: usize = 72;
const INTO_A_STRING: &str = "writing into a string succeeds";

/// The summary of one run, a few lines, ended by a newline.
pub fn render(document: &Document, paint: Paint) -> String {
    let mut out = String::new();
    headline(document, paint, &mut out);
    for reason in &document.invalid {
        writeln!(out, "  invalid: {}", one_line(reason)).expect(INTO_A_STRING);
    }
    refusals::write(&document.events, &mut out);
    if !document.checks.is_empty() {
        out.push('\n');
        write_checks(&document.checks, paint, &mut out);
    }
    if !document.loads.is_empty() {
        out.push('\n');
        write_loads(&document.loads, &mut out);
        real::write(document, &mut out);
    }
    out.push('\n');
    writeln!(out, "  digest  {}", document.digest).expect(INTO_A_STRING);
    writeln!(out, "  replay  {}", one_line(&document.replay)).expect(INTO_A_STRING);
    out
}

fn headline(document: &Document, paint: Paint, out: &mut String) {
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
    writeln!(
        out,
        "{}  {}{variant}  seed {}{set}, {mode} {}{}",
        painted(word, color, paint),
        one_line(&document.scenario),
        document.seed,
        units::duration(document.elapsed_ns),
        cut.unwrap_or_default(),
    )
    .expect(INTO_A_STRING);
    writeln!(out, "  {}", sentence(document)).expect(INTO_A_STRING);
}

/// A verdict as a word, and its ANSI colour.
fn verdict_word(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("PASS", "1;32"),
        Verdict::Fail => ("FAIL", "1;31"),
        Verdict::Invalid => ("INVALID", "1;33"),
    }
}

/// A check a line: mark, check, what was seen; and what was wanted where it is false. A check too long for its column pushes
/// only its own line.
fn write_checks(checks: &[CheckResult], paint: Paint, out: &mut String) {
    let words: Vec<String> = checks.iter().map(check_words).collect();
    let width = words
        .iter()
        .map(|words| words.chars().count())
        .filter(|n| *n <= CHECK_COLUMN_MAX)
        .max();
    let width = width.unwrap_or(0);
    for (check, words) in checks.iter().zip(words) {
        let (mark, color) = match (check.pass, check.over_seeds) {
            (Some(true), _) => ("ok        ", "32"),
            (Some(false), _) => ("FAIL      ", "1;31"),
            (None, true) => ("for sweep ", "2"),
            (None, false) => ("not judged", "1;33"),
        };
        let mut line = format!(
            "  {}  {words:<width$}  {}",
            painted(mark, color, paint),
            one_line(&check.observed)
        );
        if check.pass == Some(false) {
            line.push_str(&format!("  (expected {})", one_line(&check.expected)));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn check_words(check: &CheckResult) -> String {
    match check.name == check.check {
        true => one_line(&check.check),
        false => format!("{}: {}", one_line(&check.name), one_line(&check.check)),
    }
}

fn write_loads(loads: &[Load], out: &mut String) {
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
    write_aligned(&rows, out);
}

/// Columns two spaces apart: the first to the left, figures to the right.
fn write_aligned(rows: &[Vec<String>], out: &mut String) {
    let width_of = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(width_of)
        .collect();
    for row in rows {
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match i {
                0 => write!(out, "  {cell:<width$}"),
                _ => write!(out, "  {cell:>width$}"),
            }
            .expect(INTO_A_STRING);
        }
        out.push('\n');
    }
}

fn painted(word: &str, color: &str, paint: Paint) -> String {
    match paint {
        Paint::Plain => word.to_owned(),
        Paint::Ansi => format!("\x1b[{color}m{word}\x1b[0m"),
    }
}

/// A user's string on one line, and without what would steer a terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
