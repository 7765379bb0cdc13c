//! YAML as a tree in which every value knows its place in the file.
//!
//! The subset is YAML 1.2 core without anchors, aliases, merge keys, tags, duplicate keys and keys that are not scalars:
//! each is an error with its place. Only `true` and `false` are booleans. A scalar keeps its text, and whether it was
//! quoted, so that `"1.10"` and `1.10` stay apart until a type decides.
//!
//! Files of Kubernetes documents are read in a wider dialect ([`parse_kubernetes`]), which has what kubectl takes. In both,
//! lines within brackets may stand at any column.

mod alias;
mod emit;
mod flow;
mod parse;
pub mod scalar;

pub use alias::{MAX_COPIED_BYTES, MAX_COPIED_VALUES};
pub use parse::{Dialect, MAX_BYTES, MAX_DEPTH, MAX_NODES, parse, parse_bytes, parse_kubernetes};

use indexmap::IndexMap;

use crate::diagnostic::Place;

/// A value and its place. Equality compares places, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
}

/// What a YAML value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`, unquoted.
    Bool(bool),
    /// Any other scalar, as it was written.
    Scalar {
        /// The text, unescaped and unfolded.
        text: String,
        /// Whether it was quoted, or a block scalar: then it is a string, whatever it looks like.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Map),
}

/// A mapping, in the order of the file.
pub type Map = IndexMap<String, Entry>;

/// What a map holds under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the key stands.
    pub key: Place,
    /// Whether the key was quoted (`"1.10": ...`).
    pub quoted: bool,
    /// The value.
    pub node: Node,
}

impl Node {
    /// A value at a place.
    pub fn new(value: Value, place: Place) -> Self {
        Node { value, place }
    }

    /// Nothing, at a place.
    pub fn null(place: Place) -> Self {
        Node::new(Value::Null, place)
    }

    /// A string, whatever it looks like.
    pub fn string(text: impl Into<String>, place: Place) -> Self {
        Node::new(
            Value::Scalar {
                text: text.into(),
                quoted: true,
            },
            place,
        )
    }

    /// A plain scalar: what a person would write without quotes. `null`, `true` and `false` become what they mean.
    pub fn plain(text: impl Into<String>, place: Place) -> Self {
        Node::new(scalar::resolve(text.into(), false), place)
    }

    /// A list.
    pub fn list(items: Vec<Node>, place: Place) -> Self {
        Node::new(Value::List(items), place)
    }

    /// A map; each key stands where its value does.
    pub fn map<K: Into<String>>(
        entries: impl IntoIterator<Item = (K, Node)>,
        place: Place,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, node)| {
            (
                key.into(),
                Entry {
                    key: node.place.clone(),
                    quoted: true,
                    node,
                },
            )
        });
        Node::new(Value::Map(entries.collect()), place)
    }

    /// The value under a key of a map. None too if this is no map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    /// The value under a path of keys.
    pub fn find(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text of a scalar, booleans too.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The entries of a map, to change.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What it is, in words that read after "found": `a map`, `` `5` ``.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Scalar { text, .. } => format!("`{}`", scalar::shorten(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }
}

#[cfg(test)]
mod tests;
