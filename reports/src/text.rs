//! The output of a run on a terminal: the verdict, the checks, the loads, and the command that repeats it.

mod real;
mod refusals;
mod several;

use std::fmt::Write as _;

use shakedown_results::{CheckResult, Document, Load, Mode, NotModelled, Verdict};

use crate::html::sentence;
use crate::{omitted, overflow, units};

pub(crate) use real::words as failure_words;
pub use several::{ScenarioOutcome, endings, sweep};

/// Use of colours in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text: pipes, files, tests.
    Plain,
    /// ANSI colours for verdict and marks.
    Ansi,
}

/// Index of the column that is left out if no request is unsent, as always in a simulated run.
const UNSENT: usize = 3;

/// The terminal or pipe that a text is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub paint: Paint,
    /// Width in columns; `None` if lines may have any length.
    pub width: Option<usize>,
}

impl From<Paint> for Screen {
    fn from(paint: Paint) -> Screen {
        Screen { paint, width: None }
    }
}

/// Maximum width of the column of checks. Longer checks do not widen it.
const CHECK_COLUMN_MAX: usize = 72;
const INTO_A_STRING: &str = "writing into a string succeeds";

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

/// Writes a line, wrapped at words if the screen is narrower.
fn wrapped(line: &str, indent: &str, screen: Screen, out: &mut String) {
    let width = screen.width.unwrap_or(usize::MAX);
    let options = textwrap::Options::new(width)
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    // The line's own indentation must not count as a word.
    let own = line.len() - line.trim_start().len();
    let (own, line) = line.split_at(own);
    for line in textwrap::wrap(line, options.initial_indent(own)) {
        out.push_str(&line);
        out.push('\n');
    }
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
    match check.name == check.check {
        true => one_line(&check.check),
        false => format!("{}: {}", one_line(&check.name), one_line(&check.check)),
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

/// Writes columns two spaces apart, the first one aligned left, the others right. If the screen is narrower,
/// further columns follow below, each time after the first one.
fn write_aligned(rows: &[Vec<String>], screen: Screen, out: &mut String) {
    const GAP: usize = 2;
    let columns = |words: &str| textwrap::core::display_width(words);
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(width_of)
        .collect();
    let Some((first, figures)) = widths.split_first() else {
        return;
    };
    let mut from = 0;
    while from < figures.len() {
        let mut line = GAP + first;
        let fits = |width: &&usize| {
            line += GAP + **width;
            screen.width.is_none_or(|screen| line <= screen)
        };
        // At least one column, however narrow the screen is.
        let count = figures[from..].iter().take_while(fits).count().max(1);
        for row in rows {
            write!(out, "  {}{}", row[0], " ".repeat(first - columns(&row[0])))
                .expect(INTO_A_STRING);
            for column in from..from + count {
                let cell = &row[column + 1];
                let gap = " ".repeat(GAP + figures[column] - columns(cell));
                write!(out, "{gap}{cell}").expect(INTO_A_STRING);
            }
            out.push('\n');
        }
        from += count;
    }
}

fn painted(word: &str, color: &str, paint: Paint) -> String {
    match paint {
        Paint::Plain => word.to_owned(),
        Paint::Ansi => format!("\x1b[{color}m{word}\x1b[0m"),
    }
}

/// Puts a user's string on one line, without control characters that a terminal would interpret.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
