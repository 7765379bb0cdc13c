//! Anchors, aliases and merge keys: values that are written once and used several times.
//!
//! The copies that aliases make are bounded in number, size and depth, so that a small file cannot expand to a large
//! tree ("billion laughs").

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{MAX_BYTES, MAX_DEPTH};
use super::{Map, Node, Value};
use crate::diagnostic::Diagnostic;

/// The maximum number of values that the aliases of a document may copy in total.
pub const MAX_COPIED_VALUES: usize = 100_000;
/// The maximum number of bytes of text that the aliases of a document may copy in total.
pub const MAX_COPIED_BYTES: usize = MAX_BYTES;

/// The size of a value including everything within it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NodeSize {
    pub(super) values: usize,
    pub(super) bytes: usize,
    /// The number of nested levels of lists and maps.
    pub(super) height: usize,
}

impl NodeSize {
    /// An empty list or map.
    pub(super) const EMPTY: NodeSize = NodeSize {
        values: 1,
        bytes: 0,
        height: 1,
    };

    pub(super) fn scalar(node: &Node) -> NodeSize {
        NodeSize {
            values: 1,
            bytes: node.as_str().map_or(0, str::len),
            height: 0,
        }
    }

    /// Adds the size of a value that is inserted into this one.
    pub(super) fn absorb(&mut self, inner: NodeSize) {
        self.values += inner.values;
        self.bytes += inner.bytes;
        self.height = self.height.max(inner.height + 1);
    }
}

/// The anchored values of a document, and the total size of their copies.
#[derive(Default)]
pub(super) struct AliasCopies {
    /// Keyed by the parser's anchor number. `None`: too large to be copied once more.
    anchored: BTreeMap<usize, Option<(Node, NodeSize)>>,
    values: usize,
    bytes: usize,
}

impl AliasCopies {
    /// Stores a value that has an anchor. Storing counts as a copy, because anchors may nest.
    pub(super) fn keep(&mut self, anchor: usize, node: &Node, measure: NodeSize) {
        if anchor != 0 {
            let kept = self.fits(measure).then(|| (node.clone(), measure));
            self.anchored.insert(anchor, kept);
        }
    }

    /// Returns the value of an anchor, if it fits into the remaining `levels` of nesting.
    pub(super) fn take(
        &mut self,
        anchor: usize,
        levels: usize,
    ) -> Result<(Node, NodeSize), String> {
        let Some(kept) = self.anchored.get(&anchor) else {
            return Err("the alias is inside the value that it refers to".into());
        };
        let too_much = || {
            format!(
                "aliases expand to too much data: at most {MAX_COPIED_VALUES} values and {MAX_COPIED_BYTES} bytes per document are allowed"
            )
        };
        let (node, measure) = kept.clone().ok_or_else(too_much)?;
        if measure.height > levels {
            return Err(format!(
                "nested too deeply: at most {MAX_DEPTH} levels are allowed"
            ));
        }
        if self.fits(measure) {
            Ok((node, measure))
        } else {
            Err(too_much())
        }
    }

    /// Counts one more copy and returns true, if it is within the bounds.
    fn fits(&mut self, measure: NodeSize) -> bool {
        let (values, bytes) = (self.values + measure.values, self.bytes + measure.bytes);
        let fits = values <= MAX_COPIED_VALUES && bytes <= MAX_COPIED_BYTES;
        if fits {
            (self.values, self.bytes) = (values, bytes);
        }
        fits
    }
}

/// Inserts the entries of a `<<` value into its map, replacing keys written before it. If the value is a list of maps,
/// earlier maps take precedence over later ones. Source: goyaml.v2, `decoder.merge`.
pub(super) fn merge(
    map: &mut Map,
    merged: &mut BTreeSet<String>,
    value: Node,
) -> Result<(), Diagnostic> {
    let maps = match value.value {
        Value::List(items) => items,
        _ => vec![value],
    };
    for node in maps.into_iter().rev() {
        let (place, described) = (node.place.clone(), node.describe());
        let Value::Map(entries) = node.value else {
            let message =
                format!("invalid `<<`: expected a map or a list of maps, found {described}");
            return Err(Diagnostic::new(place, message));
        };
        for (key, entry) in entries {
            merged.insert(key.clone());
            map.insert(key, entry);
        }
    }
    Ok(())
}
