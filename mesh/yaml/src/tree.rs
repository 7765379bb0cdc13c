//! YAML parsed into a tree in which every value knows its place in the file.
//!
//! The subset is YAML 1.2 core without anchors, aliases, merge keys, tags, duplicate keys and keys that are not
//! scalars. Each of these is an error with its place. Only `true` and `false` are booleans. A scalar keeps its text and
//! a flag for quotes, so that `"1.10"` and `1.10` remain distinct until a type decides.
//!
//! Files of Kubernetes documents are read in a wider dialect ([`parse_kubernetes`]), which accepts the YAML that
//! kubectl accepts. In both dialects, lines within brackets may be indented to any column.

mod alias;
mod emit;
mod flow;
mod limits;
mod parse;
pub mod scalar;

pub use alias::{MAX_COPIED_BYTES, MAX_COPIED_VALUES};
pub use limits::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
pub use parse::{Dialect, parse, parse_bytes, parse_kubernetes};

use indexmap::IndexMap;

use crate::diagnostic::Location;

/// A value and its place. Equality includes places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub value: Value,
    /// The beginning of the value.
    pub place: Location,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, `~` or an empty value.
    Null,
    /// `true` or `false`, unquoted.
    Bool(bool),
    /// Any other scalar, as it was written.
    Scalar {
        /// The text after unescaping and folding.
        text: String,
        /// True if it was quoted or a block scalar. Such a scalar is always a string.
        quoted: bool,
    },
    List(Vec<Node>),
    /// A mapping, in file order.
    Map(Map),
}

/// A mapping, in file order.
pub type Map = IndexMap<String, MapEntry>;

/// The key's place and the value of one entry of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// The place of the key.
    pub key: Location,
    /// True if the key was quoted (`"1.10": ...`).
    pub quoted: bool,
    pub node: Node,
}

impl Node {
    pub fn new(value: Value, place: Location) -> Self {
        Node { value, place }
    }

    /// A null value at a place.
    pub fn null(place: Location) -> Self {
        Node::new(Value::Null, place)
    }

    /// A string, even if the text looks like a number or a boolean.
    pub fn string(text: impl Into<String>, place: Location) -> Self {
        Node::new(
            Value::Scalar {
                text: text.into(),
                quoted: true,
            },
            place,
        )
    }

    /// A plain scalar, as if written without quotes. `null`, `true` and `false` are resolved.
    pub fn plain(text: impl Into<String>, place: Location) -> Self {
        Node::new(scalar::resolve(text.into(), false), place)
    }

    pub fn list(items: Vec<Node>, place: Location) -> Self {
        Node::new(Value::List(items), place)
    }

    /// A map. The place of each key is that of its value.
    pub fn map<K: Into<String>>(
        entries: impl IntoIterator<Item = (K, Node)>,
        place: Location,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, node)| {
            (
                key.into(),
                MapEntry {
                    key: node.place.clone(),
                    quoted: true,
                    node,
                },
            )
        });
        Node::new(Value::Map(entries.collect()), place)
    }

    /// The value of a key. `None` if the key is missing or this is not a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    /// The value at a path of keys.
    pub fn find(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text of a scalar, including booleans.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Describes the value in words that fit after "found": `a map`, `` `5` ``.
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
