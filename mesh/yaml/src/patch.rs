//! JSON merge patch (RFC 7396) on positioned trees.
//!
//! Maps are merged key by key, null removes a key, and any other value, lists included, replaces the old one. Values
//! from the patch keep their place in the patch, so that an error names the file and line that the user must edit.

use crate::tree::{MapEntry, Node, Value};

/// Applies `edit` to `base` in place.
pub fn merge(base: &mut Node, edit: &Node) {
    let Value::Map(changes) = &edit.value else {
        *base = edit.clone();
        return;
    };
    if base.as_map().is_none() {
        *base = Node::new(Value::Map(Default::default()), edit.place.clone());
    }
    let map = base.as_map_mut().expect("the base was made a map above");
    for (key, change) in changes {
        if change.node.is_null() {
            map.shift_remove(key);
            continue;
        }
        match map.get_mut(key) {
            Some(entry) => {
                if change.node.as_map().is_none() {
                    entry.key = change.key.clone();
                }
                merge(&mut entry.node, &change.node);
            }
            None => {
                // Merged into null rather than cloned, because nulls inside a new map must not survive.
                let mut node = Node::null(change.node.place.clone());
                merge(&mut node, &change.node);
                map.insert(
                    key.clone(),
                    MapEntry {
                        key: change.key.clone(),
                        quoted: change.quoted,
                        node,
                    },
                );
            }
        }
    }
}

/// Returns a copy of `base` with `edit` applied.
#[must_use]
pub fn merged(base: &Node, edit: &Node) -> Node {
    let mut result = base.clone();
    merge(&mut result, edit);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse;

    fn node(text: &str) -> Node {
        parse("f", text).unwrap().remove(0)
    }

    /// RFC 7396, appendix A.
    #[test]
    fn the_examples_of_the_standard_hold() {
        for (base, edit, result) in [
            ("{a: b}", "{a: c}", "{a: c}"),
            ("{a: b}", "{b: c}", "{a: b, b: c}"),
            ("{a: b}", "{a: null}", "{}"),
            ("{a: b, b: c}", "{a: null}", "{b: c}"),
            ("{a: [b]}", "{a: c}", "{a: c}"),
            ("{a: c}", "{a: [b]}", "{a: [b]}"),
            ("{a: {b: c}}", "{a: {b: d, c: null}}", "{a: {b: d}}"),
            ("{a: [{b: c}]}", "{a: [1]}", "{a: [1]}"),
            ("[a, b]", "[c, d]", "[c, d]"),
            ("{a: b}", "[c]", "[c]"),
            ("{e: null}", "{a: 1}", "{e: null, a: 1}"),
            ("[1, 2]", "{a: b, c: null}", "{a: b}"),
            ("{}", "{a: {bb: {ccc: null}}}", "{a: {bb: {}}}"),
        ] {
            let merged = merged(&node(base), &node(edit));
            assert_eq!(
                merged.to_yaml_string(),
                node(result).to_yaml_string(),
                "{base} + {edit}"
            );
        }
    }

    #[test]
    fn a_patched_value_keeps_the_place_of_the_patch() {
        let base = parse("base.yaml", "a: 1\nb: {c: 2}\n").unwrap().remove(0);
        let edit = parse("edit.yaml", "\nb: {c: 3}\n").unwrap().remove(0);
        let merged = merged(&base, &edit);
        assert_eq!(
            merged.find(&["b", "c"]).unwrap().place.to_string(),
            "edit.yaml:2:8"
        );
        assert_eq!(merged.get("b").unwrap().place.to_string(), "base.yaml:2:4");
    }
}
