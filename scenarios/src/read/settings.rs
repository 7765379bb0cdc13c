//! Merges the client settings of a call: those of the step, the callee and `any`.

use shakedown_yaml::{Node, patch};

use super::fields::{get, long};

/// Settings that have a short form, and the first key of their long form.
const SHORT: [(&str, &str); 3] = [("retries", "times"), ("hedge", "after"), ("pool", "size")];
/// Merges a call step with the settings of its caller. The step overrides the settings for the callee, which override
/// those for `any`.
pub(super) fn with_settings(step: &Node, calls: Option<&Node>, callee: &str) -> Node {
    let mut merged = Node::map(Vec::<(String, Node)>::new(), step.place.clone());
    for settings in ["any", callee].iter().filter_map(|key| get(calls?, key)) {
        patch::merge(&mut merged, &normal(settings));
    }
    patch::merge(&mut merged, &normal(step));
    merged
}

/// Expands the short forms of the settings in `calls`, so that maps merge with maps.
pub(super) fn normal_calls(calls: &mut Node) {
    let targets = calls
        .as_map_mut()
        .into_iter()
        .flat_map(|map| map.values_mut());
    for entry in targets {
        entry.node = normal(&entry.node);
    }
}

/// Client settings with short forms expanded.
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
