//! Reads the keys and scalars that every section uses.

use std::fmt::Display;

use shakedown_yaml::Node;
use shakedown_yaml::tree::{Map, Value};

use super::reader::ScenarioReader;
use crate::file::{Limit, Spans};
use crate::value::Distribution;

/// Returns the value of a key. `None` if it is missing or null.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.get(key).filter(|value| !value.is_null())
}

/// Expands the short form of a value: a value that is not a map becomes the value of the first key.
pub(super) fn long(node: &Node, first: &'static str) -> Node {
    match &node.value {
        Value::Map(_) | Value::Null => node.clone(),
        _ => Node::map([(first, node.clone())], node.place.clone()),
    }
}

impl ScenarioReader<'_> {
    /// Returns the entries of a map. Null counts as empty.
    pub(super) fn map<'n>(&mut self, node: &'n Node) -> Option<&'n Map> {
        match &node.value {
            Value::Map(map) => Some(map),
            Value::Null => None,
            _ => {
                self.error(
                    &node.place,
                    format!("expected a map, found {}", node.describe()),
                );
                None
            }
        }
    }

    /// Returns the items of a list. Null counts as empty.
    pub(super) fn list<'n>(&mut self, node: &'n Node, of: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                self.error(
                    &node.place,
                    format!("expected a list of {of}, found {}", node.describe()),
                );
                &[]
            }
        }
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = node.as_str();
        if text.is_none() {
            self.error(
                &node.place,
                format!("expected {what}, found {}", node.describe()),
            );
        }
        text
    }

    /// Parses the text of a scalar.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        node: &Node,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(&node.place, error.to_string());
                None
            }
        }
    }

    /// Reads a distribution of durations, and the values of the file that it names, if any.
    pub(super) fn durations(&mut self, node: &Node) -> Option<Distribution> {
        let Spans(distribution) = self.decode(node)?;
        self.with_file(distribution, node)
    }

    /// Reads the values of the file that a distribution names, if any.
    pub(super) fn with_file(
        &mut self,
        distribution: Distribution,
        node: &Node,
    ) -> Option<Distribution> {
        let Some(file) = distribution.file().map(str::to_owned) else {
            return Some(distribution);
        };
        let content = match self.source.include(&file) {
            Ok(content) => content,
            Err(error) => {
                self.error(&node.place, error.to_string());
                return None;
            }
        };
        let text = String::from_utf8_lossy(&content).into_owned();
        let read = distribution.with_values(&text);
        self.included.insert(file, text);
        match read {
            Ok(distribution) => Some(distribution),
            Err(error) => {
                self.error(&node.place, error.to_string());
                None
            }
        }
    }

    /// Returns a limit of at least 1; `None` without a limit. Reports a limit of 0, which is the value of this key.
    pub(super) fn positive(&mut self, map: &Node, key: &str, limit: &Limit) -> Option<u32> {
        if limit.0 == Some(0)
            && let Some(node) = get(map, key)
        {
            self.error(
                &node.place,
                format!("`{key}` must be at least 1, or `unlimited`"),
            );
            return None;
        }
        limit.0
    }

    /// Parses a name that is valid in a check.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, &format!("a {what} name"))?.to_owned();
        self.is_name(&text, &node.place, what).then_some(text)
    }

    /// Returns true if the text is a valid name. Otherwise reports an error.
    pub(super) fn is_name(
        &mut self,
        text: &str,
        place: &shakedown_yaml::Location,
        what: &str,
    ) -> bool {
        let good = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.ends_with('-')
            && text.len() <= 63;
        if !good {
            self.error(
                place,
                format!("invalid {what} name `{text}`: a name consists of a-z, 0-9 and inner `-`, begins with a letter and has at most 63 characters"),
            );
        }
        good
    }

    /// Reports a missing required key.
    pub(super) fn missing(&mut self, node: &Node, key: &str, example: &str) {
        self.error(
            &node.place,
            format!("`{key}` is missing: write `{example}`"),
        );
    }
}
