//! The verdict and the checks, in words: observed against expected values.

use maud::{Markup, html};
use shakedown_results::{CheckResult, Document, Verdict};

use crate::omitted;
use crate::units::counted;

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Pass",
        Verdict::NotJudged => "Not judged",
        Verdict::Fail => "Fail",
        Verdict::Invalid => "Invalid",
    }
}

pub(super) fn section(document: &Document) -> Markup {
    let class = match document.verdict {
        Verdict::Pass => "pass",
        Verdict::NotJudged => "not-judged",
        Verdict::Fail => "fail",
        Verdict::Invalid => "invalid",
    };
    html! {
        section aria-labelledby="verdict" {
            div class={ "verdict " (class) } {
                h2 #verdict { (sign(document.verdict)) (word(document.verdict)) }
                div {
                    p { (sentence(document)) }
                    @if !document.invalid.is_empty() {
                        ul { @for reason in &document.invalid { li { (reason) } } }
                    }
                    (not_modelled(document))
                }
            }
        }
    }
}

/// Lists the parts of the configuration that were ignored.
fn not_modelled(document: &Document) -> Markup {
    let lines = omitted::lines(&document.not_modelled);
    html! {
        @if !lines.is_empty() {
            p { "Not modelled, and therefore ignored:" }
            ul.not-modelled { @for line in &lines { li { (line) } } }
        }
    }
}

/// The table of all checks.
pub(super) fn checks(document: &Document) -> Markup {
    html! {
        @if !document.checks.is_empty() {
            section #checks aria-labelledby="judged" {
                h2 #judged { "Checks" }
                (table(&document.checks))
            }
        }
    }
}

/// Summarises the results of the checks in a sentence.
pub(crate) fn sentence(document: &Document) -> String {
    let of = |pass: Option<bool>| {
        document
            .checks
            .iter()
            .filter(move |check| check.pass == pass)
    };
    let (holds, fails) = (of(Some(true)).count(), of(Some(false)).count());
    let seeds = of(None).filter(|check| check.over_seeds).count();
    let not_judged = of(None).count() - seeds;
    let judged = document.checks.len() - seeds;
    let mut words = match (judged, fails) {
        (0, _) if document.verdict == Verdict::NotJudged => {
            return "Not judged: all checks are over seeds, which only `shakedown sweep` judges."
                .to_owned();
        }
        (0, _) => "No check was judged.".to_owned(),
        (1, 0) if holds == 1 => "The check passed.".to_owned(),
        (2, 0) if holds == 2 => "Both checks passed.".to_owned(),
        (n, 0) if holds == n => format!("All {n} checks passed."),
        (1, 1) => "The check failed.".to_owned(),
        (n, 0) => format!("{holds} of {} passed.", counted(n as u64, "check")),
        (n, 1) => format!("1 of {n} checks failed."),
        (n, fails) => format!("{fails} of {n} checks failed."),
    };
    if document.verdict == Verdict::Invalid {
        words = format!("The run is invalid. {words}");
    }
    if not_judged > 0 {
        words.push_str(&format!(" {not_judged} could not be judged."));
    }
    if seeds > 0 {
        let over = counted(seeds as u64, "check");
        words.push_str(&format!(" {over} over seeds: left to a sweep."));
    }
    words
}

fn table(checks: &[CheckResult]) -> Markup {
    html! {
        table.checks {
            caption.quiet { "Checks" }
            thead { tr {
                th scope="col" { "Result" } th scope="col" { "Check" } th scope="col" { "Observed" } th scope="col" { "Expected" }
            } }
            tbody { @for check in checks { (row(check)) } }
        }
    }
}

/// CSS class and display text of a check's result.
pub(super) fn mark(check: &CheckResult) -> (&'static str, &'static str) {
    match (check.pass, check.over_seeds) {
        (Some(true), _) => ("ok", "pass"),
        (Some(false), _) => ("bad", "fail"),
        (None, true) => ("quiet", "for sweep"),
        (None, false) => ("warn", "not judged"),
    }
}

fn row(check: &CheckResult) -> Markup {
    let (class, words) = mark(check);
    html! {
        tr class=(class) {
            td.mark { span.dot aria-hidden="true" {} (words) }
            th scope="row" {
                @if check.name != check.check { span.name { (check.name) } }
                code { (check.check) }
            }
            td data-label="observed" { (check.observed) }
            td data-label="expected" { (check.expected) }
        }
    }
}

/// A sign that differs by its shape, not only by its colour.
fn sign(verdict: Verdict) -> Markup {
    let path = match verdict {
        Verdict::Pass => "M6 12.5l4 4 8-9",
        Verdict::NotJudged => "M6 12h12",
        Verdict::Fail => "M7 7l10 10M17 7L7 17",
        Verdict::Invalid => "M12 6v7.5M12 17v.6",
    };
    html! {
        svg.sign viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            circle cx="12" cy="12" r="11" {}
            path d=(path) {}
        }
    }
}
