//! Renders a run as one self-contained HTML file: the verdict in words first, then the figures behind it.
//!
//! The page loads and sends nothing, because a content security policy forbids it. The only script, which
//! moves the cursor, draws the heatmaps and copies the replay command, is allowed by its hash. All strings
//! from users are escaped. The same document gives the same bytes.

mod compare;
mod curves;
mod elements;
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

use readings::Readings;
use time::Scales;

pub use compare::compare;
pub(crate) use verdict::sentence;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Renders the report of one run.
pub fn render(document: &Document) -> String {
    let scales = Scales::new(&[document]);
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
            // The state of a real server is unknown, except for its responses.
            @if !real::is_real_load(document) {
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

/// Renders a complete page around a body.
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
