//! Refused configuration that no check counts: documents refused by the control plane and resources refused by proxies.
//! Such a run did not test the configuration that its scenario describes and is therefore invalid.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_results::{Event, PodId, Record};

use super::board::PodBoard;
use super::words::time;

/// The maximum number of reasons of each kind to list. The others are only counted.
const WRITTEN_MAX: usize = 5;

/// The refusals that no check counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    documents: Vec<RefusalSubject>,
    /// Keyed by type and name of the resource.
    resources: BTreeMap<String, Nacks>,
}

#[derive(Clone, Debug)]
struct RefusalSubject {
    /// The kind and name.
    key: String,
    at_ns: i64,
    /// The chaos item that applied it; `None` for the scenario's own `mesh`.
    item: Option<String>,
}

/// The proxies that refused one resource.
#[derive(Clone, Debug)]
struct Nacks {
    first_ns: i64,
    pods: BTreeSet<PodId>,
}

impl Refusals {
    pub(super) fn record(&mut self, record: &Record, board: &PodBoard) {
        let at_ns = record.at_ns;
        match &record.event {
            Event::DocumentRefused { document, .. } => self.documents.push(RefusalSubject {
                key: document.clone(),
                at_ns,
                item: board.applied_by(document, at_ns).cloned(),
            }),
            Event::ConfigRefused { pod, resource, .. } => {
                let nacks = self.resources.entry(resource.clone());
                let nacks = nacks.or_insert_with(|| Nacks {
                    first_ns: at_ns,
                    pods: BTreeSet::new(),
                });
                nacks.pods.insert(*pod);
            }
            _ => {}
        }
    }

    /// A reason for each document and each resource.
    pub(super) fn reasons(&self) -> Vec<String> {
        let documents = self.documents.iter().map(|document| {
            let subject = document.item.as_deref().unwrap_or("control");
            format!(
                "the control plane refused {} at {}; no check counts `refused({subject})`",
                document.key,
                time(document.at_ns),
            )
        });
        let resources = self.resources.iter().map(|(resource, nacks)| {
            let proxies = match nacks.pods.len() {
                1 => "a proxy".to_owned(),
                count => format!("{count} proxies"),
            };
            format!(
                "{proxies} refused {resource}, first at {}; no check counts `nacks(control)`",
                time(nacks.first_ns),
            )
        });
        let mut reasons = first(documents);
        reasons.extend(first(resources));
        reasons
    }
}

/// The first reasons, and the number of the others.
fn first(mut reasons: impl Iterator<Item = String>) -> Vec<String> {
    let mut written: Vec<String> = reasons.by_ref().take(WRITTEN_MAX).collect();
    match reasons.count() {
        0 => {}
        left => written.push(format!("{left} more were refused in the same way")),
    }
    written
}
