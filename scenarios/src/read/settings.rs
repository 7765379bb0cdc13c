//! Client settings of calls: their long form, and how those of a step, a callee and `any` are merged.

use shakedown_yaml::{Node, patch};

use super::fields::{get, long};

/// Settings that may be written short, and the first key of their long form.
const SHORT: [(&str, &str); 3] = [("retries", "times"), ("hedge", "after"), ("pool", "size")];
/// A call step with the settings that its caller has for the callee: the step's own win, then the callee's, then `any`'s.
pub(super) fn with_settings(step: &Node, calls: Option<&Node>, callee: &str) -> Node {
    let mut merged = Node::map(Vec::<(String, Node)>::new(), step.place.clone());
    for settings in ["any", callee].iter().filter_map(|key| get(calls?, key)) {
        patch::merge(&mut merged, &normal(settings));
    }
    patch::merge(&mut merged, &normal(step));
    merged
}

/// `calls` with the short forms of its settings written out, so that maps merge with maps.
pub(super) fn normal_calls(calls: &mut Node) {
    let targets = calls
        .as_map_mut()
        .into_iter()
        .flat_map(|map| map.values_mut());
    for entry in targets {
        entry.node = normal(&entry.node);
    }
}

/// Client settings with short forms written out.
fn normal(settings: &Node) -> Node {
    let mut settings = settings.clone();
    if let Some(map) = settings.as_map_mut() {
        for (key, first) in SHORT {
            if let Some(entry) = map.get_mut(key) {
                entry.node = long(&entry.node, first);
            }
        }
    }
    settings
}
