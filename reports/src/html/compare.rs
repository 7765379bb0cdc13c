//! Compares the runs of a scenario: the verdicts, checks by variant, and the same charts in columns with
//! common axes.

use maud::{Markup, html};
use shakedown_results::{CheckResult, Document, Load};

use super::elements::{scrolling, time_cell};
use super::readings::{Readings, handle};
use super::time::{self, Scales};
use super::{page, short, verdict};
use crate::units;

/// Maximum number of loads in the table of verdicts.
const LOADS_MAX: usize = 3;
/// Maximum number of runs whose charts are shown.
const CHARTED_MAX: usize = 6;

/// Renders the report of several runs of one scenario, usually its variants.
pub fn compare(documents: &[Document]) -> String {
    let charted: Vec<&Document> = documents.iter().take(CHARTED_MAX).collect();
    let scales = Scales::new(&charted);
    let mut readings = Readings::new(scales.end_ns);
    let name = documents
        .first()
        .map_or("nothing", |document| &document.scenario);
    let title = format!("{name}: {}", units::counted(documents.len() as u64, "run"));
    let body = html! {
        a.skip href="#verdicts" { "Skip to the verdicts" }
        (head(documents, name))
        main {
            (verdicts(documents))
            (checks(documents))
            @if !charted.is_empty() { (over_time(&charted, &scales, &mut readings)) }
            (again(documents))
        }
    };
    page(&title, "compare", &body, readings)
}

fn head(documents: &[Document], name: &str) -> Markup {
    let seeds: Vec<u64> = documents.iter().map(|document| document.seed).collect();
    let one_seed = seeds.windows(2).all(|pair| pair[0] == pair[1]);
    html! {
        header {
            p.kicker {
                "Shakedown "
                span.mode { (units::counted(documents.len() as u64, "run")) " side by side" }
                @if let (true, Some(seed)) = (one_seed, seeds.first()) { " " span.mode { "seed " b { (seed) } } }
            }
            h1 { (name) }
            @if let Some(base) = documents.first() { p.story { (base.story) } }
        }
    }
}

fn verdicts(documents: &[Document]) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for load in documents.iter().flat_map(|document| &document.loads) {
        if !names.contains(&load.name.as_str()) {
            names.push(&load.name);
        }
    }
    names.truncate(LOADS_MAX);
    html! {
        section #verdicts aria-labelledby="endings" {
            h2 #endings { "Verdicts" }
            (scrolling("Verdicts", html! { table {
                thead {
                    tr {
                        th scope="col" rowspan="2" { "Variant" } th scope="col" rowspan="2" { "Verdict" }
                        th scope="col" rowspan="2" { "Summary" }
                        @for name in &names { th.group scope="colgroup" colspan="4" { (name) } }
                    }
                    tr { @for _ in &names { @for what in ["Success", "Goodput", "p50", "p99"] { th.n scope="col" { (what) } } } }
                }
                tbody { @for document in documents { tr {
                    th scope="row" { (document.variant) }
                    td class=(tone(document)) { span.mark { span.dot aria-hidden="true" {} (verdict::word(document.verdict)) } }
                    td.words { (verdict::sentence(document)) @for reason in &document.invalid { " " (reason) "." } }
                    @for name in &names { (load_cells(document, name)) }
                } } }
            } }))
        }
    }
}

fn load_cells(document: &Document, name: &str) -> Markup {
    let load: Option<&Load> = document.loads.iter().find(|load| load.name == name);
    html! {
        @if let Some(load) = load {
            td.n { (units::share(load.ok, load.scheduled)) }
            td.n { (units::rate(load.ok, document.duration_ns - document.warm_up_ns)) }
            (time_cell(load.latency_ns.p50, load.latency_ns.count))
            (time_cell(load.latency_ns.p99, load.latency_ns.count))
        } @else { @for _ in 0..4 { td.n { "-" } } }
    }
}

fn tone(document: &Document) -> &'static str {
    match document.verdict {
        shakedown_results::Verdict::Pass => "ok",
        shakedown_results::Verdict::NotJudged => "quiet",
        shakedown_results::Verdict::Fail => "bad",
        shakedown_results::Verdict::Invalid => "warn",
    }
}

/// A table of checks by variant. The text of a check may differ between variants of the same name.
fn checks(documents: &[Document]) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for check in documents.iter().flat_map(|document| &document.checks) {
        if !names.contains(&check.name.as_str()) {
            names.push(&check.name);
        }
    }
    html! {
        @if !names.is_empty() {
            section aria-labelledby="checks" {
                h2 #checks { "Checks" }
                (scrolling("Checks by variant", html! { table.matrix {
                    thead { tr {
                        th scope="col" { "Check" }
                        @for document in documents { th scope="col" { (document.variant) } }
                    } }
                    tbody { @for name in names { tr {
                        th scope="row" { (name) (as_written(documents, name)) }
                        @for document in documents {
                            (cell(document.checks.iter().find(|check| check.name == name)))
                        }
                    } } }
                } }))
            }
        }
    }
}

/// The check's text if it also has a name; several texts if variants differ.
fn as_written(documents: &[Document], name: &str) -> Markup {
    let mut texts: Vec<&str> = Vec::new();
    let all = documents.iter().flat_map(|document| &document.checks);
    for check in all.filter(|check| check.name == name && check.check != name) {
        if !texts.contains(&check.check.as_str()) {
            texts.push(&check.check);
        }
    }
    html! { @for text in texts { code { (text) } } }
}

fn cell(check: Option<&CheckResult>) -> Markup {
    let Some(check) = check else {
        return html! { td.quiet { "–" } };
    };
    let (class, words) = verdict::mark(check);
    html! {
        td class=(class) {
            span.mark { span.dot aria-hidden="true" {} (words) }
            span.seen { (check.observed) }
        }
    }
}

/// Maximum number of chart rows. Equal charts of all columns are in the same row, and unused rows have no
/// height.
const ROWS_MAX: usize = 40;

fn over_time(documents: &[&Document], scales: &Scales, readings: &mut Readings) -> Markup {
    html! {
        section.over aria-labelledby="time" {
            h2 #time { "Over time" }
            (handle())
            div.columns style={ "--rows:" (ROWS_MAX) } {
                @for document in documents {
                    div.column {
                        h3 class={ "variant " (tone(document)) } { span.dot aria-hidden="true" {} (document.variant) }
                        (short::list(&crate::short::chain(document), document))
                        (time::charts(document, scales, true, readings))
                    }
                }
            }
        }
    }
}

fn again(documents: &[Document]) -> Markup {
    html! {
        section aria-labelledby="again" {
            h2 #again { "Replay commands" }
            div.facts { dl { @for (at, document) in documents.iter().enumerate() {
                div.wide { dt { (document.variant) " · " code.digest { (document.digest) } } dd.replay {
                    code id={ "replay-" (at) } { (document.replay) }
                    button type="button" data-copy={ "replay-" (at) } hidden { "Copy" }
                } }
            } } }
        }
    }
}
