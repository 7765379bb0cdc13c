//! A summary of the run above all charts. Each line sets the cursor of the charts to its start.

use maud::{Markup, html};
use shakedown_results::Document;

use crate::short::{self, ChainLink, LinkKind};

pub(super) fn section(document: &Document) -> Markup {
    let links = short::chain(document);
    html! {
        @if !links.is_empty() {
            section.short aria-labelledby="short" {
                h2 #short { "Summary" }
                (list(&links, document))
            }
        }
    }
}

pub(super) fn list(links: &[ChainLink], document: &Document) -> Markup {
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

fn class(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Fault => "l-fault",
        LinkKind::Refused | LinkKind::Failures => "l-bad",
        LinkKind::Queue | LinkKind::Slow => "l-slow",
        LinkKind::Retries | LinkKind::Ejections | LinkKind::Breakers => "l-mesh",
        LinkKind::Rollout => "l-rollout",
    }
}
