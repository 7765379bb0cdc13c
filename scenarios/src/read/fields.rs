//! Reads the keys and scalars that every section uses.

use std::fmt::Display;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use shakedown_yaml::tree::{Map, Value};
use shakedown_yaml::{Node, suggest};

use super::reader::ScenarioReader;
use crate::value::{
    Decimal, Distribution, Rate, Ratio, Share, ValueError, parse_duration, parse_size,
};

/// The maximum factor. Bounded so that products of several factors and a time do not overflow.
const FACTOR_MAX: i128 = 1_000_000_000;

/// The accepted keys of a map, and those of the language that are not supported yet.
pub(super) struct Keys {
    pub(super) known: &'static [&'static str],
    pub(super) later: &'static [&'static str],
}

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
    /// Reports unknown keys and keys that are not supported yet.
    pub(super) fn keys(&mut self, node: &Node, keys: &Keys) {
        let Some(map) = self.map(node) else { return };
        for (key, entry) in map {
            if keys.known.contains(&key.as_str()) {
                continue;
            }
            if keys.later.contains(&key.as_str()) {
                if !entry.node.is_null() {
                    self.later(&entry.key, key);
                }
                continue;
            }
            let accepted = keys.known.iter().chain(keys.later).copied();
            self.error(
                &entry.key,
                format!("unknown key `{key}`: {}", suggest::hint(key, accepted)),
            );
        }
    }

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

    /// Parses a distribution, and reads the values of the file that it names, if any.
    pub(super) fn distribution(
        &mut self,
        node: &Node,
        parse: fn(&str) -> Result<Distribution, ValueError>,
    ) -> Option<Distribution> {
        let distribution = self.parsed(node, "a duration or a distribution", parse)?;
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

    /// Parses a word of a list. Words planned for later are reported as not supported yet.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node,
        words: &[(&str, T)],
        later: &[&str],
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let text = self.text(node, &suggest::one_of(&names))?;
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        if later.contains(&text) {
            self.later(&node.place, text);
        } else {
            let accepted: Vec<&str> = names.iter().chain(later).copied().collect();
            self.error(
                &node.place,
                format!("unknown word `{text}`: {}", suggest::hint(text, accepted)),
            );
        }
        None
    }

    pub(super) fn flag(&mut self, map: &Node, key: &str) -> Option<bool> {
        let node = get(map, key)?;
        self.word(node, &[("true", true), ("false", false)], &[])
    }

    /// Parses a factor: a bare number, such as `2.5` or `1k`.
    pub(super) fn factor(&mut self, map: &Node, key: &str) -> Option<Ratio> {
        let node = get(map, key)?;
        self.parsed(node, "a factor", |text| {
            Decimal::parse_multiplied(text)
                .filter(|factor| *factor <= Ratio::whole(FACTOR_MAX))
                .ok_or_else(|| {
                    format!("`{text}` is no factor: one is a bare number, such as `2.5` or `1k`, and at most {FACTOR_MAX}")
                })
        })
    }

    pub(super) fn duration(&mut self, map: &Node, key: &str) -> Option<Duration> {
        let node = get(map, key)?;
        self.parsed(node, "a duration", parse_duration)
    }

    pub(super) fn share(&mut self, map: &Node, key: &str) -> Option<Share> {
        let node = get(map, key)?;
        let share = self.parsed(node, "a share", Share::parse)?;
        if share > Share::ALL {
            self.error(&node.place, format!("`{share}` is more than 100%"));
            return None;
        }
        Some(share)
    }

    pub(super) fn rate(&mut self, map: &Node, key: &str) -> Option<Rate> {
        let node = get(map, key)?;
        self.parsed(node, "a rate", Rate::parse)
    }

    pub(super) fn size(&mut self, map: &Node, key: &str) -> Option<u64> {
        let node = get(map, key)?;
        self.parsed(node, "a size", parse_size)
    }

    /// Parses a count that fits 32 bits.
    pub(super) fn count(&mut self, map: &Node, key: &str) -> Option<u32> {
        let node = get(map, key)?;
        self.count_of(node)
    }

    /// Parses a count that fits 32 bits.
    pub(super) fn count_of(&mut self, node: &Node) -> Option<u32> {
        let count = self.parsed(node, "a count", crate::value::parse_count)?;
        match u32::try_from(count) {
            Ok(count) => Some(count),
            Err(_) => {
                self.error(
                    &node.place,
                    format!("`{count}` is too large: at most {}", u32::MAX),
                );
                None
            }
        }
    }

    /// Parses a count or `unlimited` (inner `None`).
    pub(super) fn limit(&mut self, map: &Node, key: &str) -> Option<Option<u32>> {
        let node = get(map, key)?;
        if node.as_str() == Some("unlimited") {
            return Some(None);
        }
        self.count_of(node).map(Some)
    }

    /// Parses a limit of at least 1, or `unlimited` (inner `None`).
    pub(super) fn positive_limit(&mut self, map: &Node, key: &str) -> Option<Option<u32>> {
        let limit = self.limit(map, key)?;
        if limit == Some(0)
            && let Some(node) = get(map, key)
        {
            self.error(&node.place, format!("`{key}` is 1 or more, or `unlimited`"));
            return None;
        }
        Some(limit)
    }

    /// Parses a name that is valid in a check.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?.to_owned();
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
                format!("`{text}` is no {what}: a name is made of a-z, 0-9 and inner `-`, begins with a letter and has at most 63"),
            );
        }
        good
    }

    /// Parses header names and values.
    pub(super) fn headers(&mut self, map: &Node, key: &str) -> Vec<(HeaderName, HeaderValue)> {
        let Some(entries) = get(map, key).and_then(|node| self.map(node)) else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (name, entry) in entries {
            let Ok(header) = HeaderName::try_from(name.as_str()) else {
                self.error(&entry.key, format!("`{name}` is no header name"));
                continue;
            };
            let Some(text) = self.text(&entry.node, "a header's value") else {
                continue;
            };
            match HeaderValue::try_from(text) {
                Ok(value) => headers.push((header, value)),
                Err(_) => self.error(
                    &entry.node.place,
                    format!("`{text}` cannot be sent as a header's value"),
                ),
            }
        }
        headers
    }

    /// Parses a distribution of durations.
    pub(super) fn durations(&mut self, node: &Node) -> Option<Distribution> {
        self.distribution(node, Distribution::parse_duration)
    }

    /// Parses a distribution of counts.
    pub(super) fn counts(&mut self, node: &Node) -> Option<Distribution> {
        self.distribution(node, Distribution::parse_count)
    }

    /// Reports a missing required key.
    pub(super) fn missing(&mut self, node: &Node, key: &str, example: &str) {
        self.error(
            &node.place,
            format!("`{key}` is missing: write `{example}`"),
        );
    }
}
