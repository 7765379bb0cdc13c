//! Warnings about valid documents that are probably mistakes: unreachable routes, documents superseded by others,
//! conditions that never match. Istio accepts all of these silently.

mod codes;
mod cover;
mod delegates;
mod destinations;
mod ejections;
mod endpoints;
mod hosts;
mod overlap;
mod references;
mod routes;
mod rules;

use std::collections::BTreeMap;

use shakedown_istio::registry::Mesh;
use shakedown_istio::{Document, in_force};
use shakedown_translate::Caller;
use shakedown_translate::export::all_kinds_of_callers;
use shakedown_translate::index::Index;
use shakedown_yaml::{Diagnostics, Location};

pub(crate) use hosts::why_idle;

/// Returns the warnings about a mesh's documents, sorted by position. The documents must be valid, see
/// [`validate`](shakedown_translate::validate()).
pub fn advise(mesh: &Mesh) -> Diagnostics {
    let mut advice = Advice {
        mesh,
        index: Index::new(mesh),
        callers: all_kinds_of_callers(mesh),
        seen: BTreeMap::new(),
        found: Diagnostics::new(),
        prefix: String::new(),
    };
    for document in in_force(&mesh.documents) {
        advice.prefix = format!("{} {}: ", document.kind(), document.meta().name);
        match document {
            Document::VirtualService(resource) => {
                advice.routes(&resource.spec);
                advice.hosts(resource);
                advice.delegated(resource);
                advice.references(resource);
                advice.destinations(resource);
            }
            Document::DestinationRule(resource) => {
                advice.rule(resource);
                advice.rule_references(resource);
                advice.subsets(resource);
                advice.ejections(resource);
            }
            Document::Canary(resource) => advice.canary_references(resource),
            Document::ProxyPolicy(resource) => advice.policy_references(resource),
        }
    }
    advice.found.sorted()
}

struct Advice<'a> {
    mesh: &'a Mesh,
    index: Index<'a>,
    /// A representative of each kind of caller that documents distinguish.
    callers: Vec<Caller>,
    /// A cache of the documents as callers see them, by namespace.
    seen: BTreeMap<String, Index<'a>>,
    found: Diagnostics,
    prefix: String,
}

impl<'a> Advice<'a> {
    fn warn(&mut self, place: &Location, message: impl AsRef<str>) {
        let message = format!("{}{}", self.prefix, message.as_ref());
        self.found.add(place, message);
    }
}

/// Describes callers by their namespaces.
fn whose<'n>(namespaces: impl Iterator<Item = &'n str>) -> String {
    let named = namespaces.map(|namespace| {
        if namespace.is_empty() {
            "other namespaces"
        } else {
            namespace
        }
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Formats a position mentioned in a message about another one. The file is omitted if both are in the same file.
fn beside(place: &Location, other: &Location) -> String {
    if place.file == other.file {
        place.in_file()
    } else {
        place.to_string()
    }
}

#[cfg(test)]
mod tests;
