//! Versions that a chaos item deploys. They are added to their service when it is read, with no replicas at 0 s.

use std::collections::BTreeMap;

use shakedown_yaml::{Location as FilePlace, Node};

use super::fields::get;

/// A version that a `deploy` item adds.
#[derive(Clone)]
pub(super) struct Deploy {
    pub(super) version: String,
    /// The item, counted from 0.
    pub(super) item: usize,
    /// The keys of the version itself.
    pub(super) with: Option<Node>,
    /// The place of its target.
    pub(super) place: FilePlace,
}

/// Versions that chaos deploys, by service, in the order of the file. Errors of an item are reported when it is read.
pub(super) fn deploys(chaos: &Node) -> BTreeMap<String, Vec<Deploy>> {
    let mut deploys: BTreeMap<String, Vec<Deploy>> = BTreeMap::new();
    for (item, node) in chaos.as_list().unwrap_or_default().iter().enumerate() {
        if get(node, "do").and_then(Node::as_str) != Some("deploy") {
            continue;
        }
        let Some(target) = get(node, "target") else {
            continue;
        };
        let Some((service, version)) = target.as_str().and_then(|text| text.split_once('/')) else {
            continue;
        };
        deploys
            .entry(service.trim().to_owned())
            .or_default()
            .push(Deploy {
                version: version.trim().to_owned(),
                item,
                with: get(node, "with").cloned(),
                place: target.place.clone(),
            });
    }
    deploys
}
