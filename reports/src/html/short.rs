//! A summary of the run above all charts. Each line sets the cursor of the charts to its start.

use maud::{Markup, html};
use shakedown_results::Document;

use crate::short::{self, Kind, Link};

pub(super) fn section(document: &Document) -> Markup {
    let links = short::of(document);
    html! {
        @if !links.is_empty() {
            section.short aria-labelledby="short" {
                h2 #short { "In short" }
                (list(&links, document))
            }
        }
    }
}

pub(super) fn list(links: &[Link], document: &Document) -> Markup {
    html! {
        ol.short { @for link in links {
            li class=(class(link.kind)) {
                button.when type="button" data-at=(link.from_ns.max(0)) { (short::when(link, document.duration_ns)) }
                span.dot aria-hidden="true" {}
                span { b { (link.subject) } ": " (link.words) }
            }
        } }
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Fault => "l-fault",
        Kind::Refused | Kind::Failures => "l-bad",
        Kind::Queue | Kind::Slow => "l-slow",
        Kind::Retries | Kind::Ejections | Kind::Breakers => "l-mesh",
        Kind::Rollout => "l-rollout",
    }
}
