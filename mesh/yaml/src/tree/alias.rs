//! Anchors, aliases and merge keys: values that are written once and meant several times.
//!
//! What aliases copy is bounded in number, size and depth, so that a small file cannot stand for a large tree ("billion
//! laughs").

use std::collections::{BTreeMap, BTreeSet};

use super::parse::{MAX_BYTES, MAX_DEPTH};
use super::{Map, Node, Value};
use crate::diagnostic::Diagnostic;

/// How many values the aliases of a document may copy in all.
pub const MAX_COPIED_VALUES: usize = 100_000;
/// How many bytes of text they may copy in all.
pub const MAX_COPIED_BYTES: usize = MAX_BYTES;

/// The size of a value with all that is in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measure {
    pub(super) values: usize,
    pub(super) bytes: usize,
    /// How many levels of lists and maps.
    pub(super) height: usize,
}

impl Measure {
    /// A list or map without anything in it.
    pub(super) const EMPTY: Measure = Measure {
        values: 1,
        bytes: 0,
        height: 1,
    };

    pub(super) fn scalar(node: &Node) -> Measure {
        Measure {
            values: 1,
            bytes: node.as_str().map_or(0, str::len),
            height: 0,
        }
    }

    /// Takes in a value that is put into this one.
    pub(super) fn absorb(&mut self, inner: Measure) {
        self.values += inner.values;
        self.bytes += inner.bytes;
        self.height = self.height.max(inner.height + 1);
    }
}

/// The anchored values of a document, and how much of it are copies.
#[derive(Default)]
pub(super) struct Copies {
    /// By the parser's number; none: too large to be copied once more.
    anchored: BTreeMap<usize, Option<(Node, Measure)>>,
    values: usize,
    bytes: usize,
}

impl Copies {
    /// Keeps a value that has an anchor. Keeping it is a copy, too: anchors may nest.
    pub(super) fn keep(&mut self, anchor: usize, node: &Node, measure: Measure) {
        if anchor != 0 {
            let kept = self.fits(measure).then(|| (node.clone(), measure));
            self.anchored.insert(anchor, kept);
        }
    }

    /// The value of an anchor, to stand where `levels` more lists and maps may nest.
    pub(super) fn take(&mut self, anchor: usize, levels: usize) -> Result<(Node, Measure), String> {
        let Some(kept) = self.anchored.get(&anchor) else {
            return Err("the alias stands within the value that it means".into());
        };
        let too_much = || {
            format!(
                "aliases copy too much: at most {MAX_COPIED_VALUES} values and {MAX_COPIED_BYTES} bytes a document"
            )
        };
        let (node, measure) = kept.clone().ok_or_else(too_much)?;
        if measure.height > levels {
            return Err(format!(
                "nested too deeply: at most {MAX_DEPTH} levels are read"
            ));
        }
        match self.fits(measure) {
            true => Ok((node, measure)),
            false => Err(too_much()),
        }
    }

    /// Whether one more copy is within the bounds; then it is counted.
    fn fits(&mut self, measure: Measure) -> bool {
        let (values, bytes) = (self.values + measure.values, self.bytes + measure.bytes);
        let fits = values <= MAX_COPIED_VALUES && bytes <= MAX_COPIED_BYTES;
        if fits {
            (self.values, self.bytes) = (values, bytes);
        }
        fits
    }
}

/// Takes the entries of a `<<` into its map, in the place of those that stand before it; of several maps the first goes
/// before the others. Source: goyaml.v2, `decoder.merge`.
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
            let message = format!("`<<` merges a map, or a list of maps, found {described}");
            return Err(Diagnostic::new(place, message));
        };
        for (key, entry) in entries {
            merged.insert(key.clone());
            map.insert(key, entry);
        }
    }
    Ok(())
}
