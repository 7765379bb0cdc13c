//! Renders a run as one self-contained HTML file: the verdict in words first, then the figures behind it.
//!
//! The page loads and sends nothing, because a content security policy forbids it. The only script, which
//! moves the cursor, draws the heatmaps and copies the replay command, is allowed by its hash. All strings
//! from users are escaped. The same document gives the same bytes.

mod compare;
mod curves;
mod events;
mod facts;
mod heat;
mod latency;
mod loads;
mod outage;
mod readings;
mod real;
mod short;
mod tables;
mod time;
mod verdict;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use shakedown_results::{Document, Mode};

use crate::plot::box_of_load;
use crate::units;

use readings::Readings;
use time::Scales;

pub use compare::compare;
pub(crate) use verdict::sentence;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Renders the report of one run.
pub fn render(document: &Document) -> String {
    let scales = Scales::of(&[document]);
    let mut readings = Readings::new(scales.end_ns);
    let body = html! {
        a.skip href="#time" { "Skip to the charts" }
        (head(document))
        main {
            (verdict::section(document))
            (short::section(document))
            (verdict::checks(document))
            (time::section(document, &scales, &mut readings))
            (loads::section(document))
            (real::section(document))
            (latency::section(document))
            // Of a real server only the responses are known.
            @if !is_real_load(document) {
                (tables::edges(document))
                (tables::services(document))
            }
            (events::section(document))
            (facts::section(document))
            (facts::reading(document))
        }
    };
    page(&title(document), "one", &body, readings)
}

/// Returns true if a document is of loads on real servers.
fn is_real_load(document: &Document) -> bool {
    document.loads.iter().any(|load| load.real.is_some())
}

fn page(title: &str, class: &str, body: &Markup, readings: Readings) -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:; \
         base-uri 'none'; form-action 'none'"
    );
    let (top, height) = box_of_load();
    let heat = format!(
        ".heat{{top:{}.{:02}%;height:{}.{:02}%}}",
        top / 100,
        top % 100,
        height / 100,
        height % 100
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(heat)) }
            }
            body class=(class) {
                (body)
                (readings.block())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn title(document: &Document) -> String {
    let verdict = verdict::word(document.verdict);
    format!(
        "{verdict}: {} ({}, seed {})",
        document.scenario, document.variant, document.seed
    )
}

fn head(document: &Document) -> Markup {
    html! {
        header {
            p.kicker {
                "Shakedown "
                span.mode { @match document.mode { Mode::Simulated => "simulated run", Mode::Real => "real run" } }
                @if document.variant != "base" { " " span.mode { "variant " b { (document.variant) } } }
                " " span.mode { "seed " b { (document.seed) } }
            }
            h1 { (document.scenario) }
            p.story { (document.story) }
            @if !document.set.is_empty() {
                p.set { "Edited with " @for (i, set) in document.set.iter().enumerate() {
                    @if i > 0 { ", " } code { "--set " (set) }
                } }
            }
        }
    }
}

/// Makes a table scrollable, also by keyboard, if the page is too narrow for it.
fn scrolling(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// Labels a chart with a description of its contents.
fn chart(words: &str, svg: Markup) -> Markup {
    html! { div.plot role="img" aria-label=(words) { (svg) } }
}

/// Folds the table behind a chart.
fn behind(summary: &str, table: Markup) -> Markup {
    html! { details { summary { (summary) } (scrolling(summary, table)) } }
}

/// A legend entry: a swatch of this class, and its description.
fn key(class: &str, words: &str) -> Markup {
    html! { span.key { span class={ "swatch " (class) } aria-hidden="true" {} (words) } }
}

/// A legend entry with the value at the cursor.
fn key_read(class: &str, words: &str, reading: usize) -> Markup {
    html! {
        span.key { span class={ "swatch " (class) } aria-hidden="true" {} (words) (readings::shown(reading)) }
    }
}

/// A table cell with a duration; `-` if `count` is 0.
fn time_cell(ns: i64, count: u64) -> Markup {
    html! { td.n { @if count == 0 { "-" } @else { (units::duration(ns)) } } }
}

/// A table cell with the count of an undesired event, highlighted if it is not 0.
fn bad_cell(n: u64) -> Markup {
    html! { td.n.bad[n > 0] { (units::count(n)) } }
}

/// Limits a list to its `max` heaviest rows, and returns the number of rows left out.
fn most<T>(rows: &[T], max: usize, weight: impl Fn(&T) -> u64) -> (Vec<&T>, usize) {
    let mut kept: Vec<&T> = rows.iter().collect();
    if rows.len() > max {
        kept.sort_by_key(|row| std::cmp::Reverse(weight(row)));
        kept.truncate(max);
    }
    (kept, rows.len().saturating_sub(max))
}
