//! Deserialises trees into types with serde and reports *all* errors of a document at once, each with its place.
//!
//! Write `#[derive(Deserialize)]` types and call [`decode`]. Differences from other serde formats:
//!
//! - A key that a struct does not have is an error with its place and the nearest known key. No attribute is needed.
//! - An error is placed at the innermost value that was being read. That value is then treated as absent and reading
//!   starts again, so that the next error is found, until no error is left (at most [`MAX_ERRORS`]). An error that is
//!   only a consequence of a reported one is not reported.
//! - A struct whose serde name ends with `*` (`#[serde(rename = "call*")]`) has a short form: a value that is not a map
//!   is read as a map from the struct's first field to that value.
//! - Fields of type [`String`] are names: a plain `1.10` or `true` is refused there, with the advice to quote it. A
//!   type with its own text syntax (a duration, say) uses [`from_text`] or `deserialize_str` and gets the text of any
//!   scalar.
//! - [`Spanned`] keeps the place of a value or map key, [`Raw`] a whole subtree.
//! - An enum is written as its variant's name, or as a map with that one key. Numbers are read from plain scalars only.
//!
//! Not supported, because serde buffers them without places: `flatten`, `untagged`, internally tagged enums. They are
//! read, but unknown keys are not detected and errors are placed at the whole value.

mod access;
mod deserializer;
mod error;
mod keep;
mod key;

pub use error::Error;
pub use keep::{Raw, Spanned, Text, from_text};

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::tree::{Entry, Node};
use deserializer::NodeDeserializer;
use error::Told;

/// The number of errors after which decoding stops.
pub const MAX_ERRORS: usize = 100;

/// Keys (or enum variants) that exist but are not modelled: the serde name of the struct or enum (without a `*`), then
/// each key with the effect on the result of ignoring it. An empty effect means none.
pub type Later = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// A key or enum variant that is not modelled and was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    pub place: Place,
    pub key: String,
    /// The effect on the result of ignoring it; empty if there is none.
    pub effect: &'static str,
}

/// The readable part of a value.
#[derive(Clone, Debug)]
pub struct Partial<T> {
    /// The value without its erroneous and ignored parts. `None` if the type requires one of them.
    pub value: Option<T>,
    /// All errors, ordered by place.
    pub errors: Diagnostics,
    /// Keys of [`Decoder::later`], in the order in which they were read.
    pub passed: Vec<Passed>,
}

/// Deserialises `node` as a `T`.
///
/// # Errors
/// All errors, ordered by place.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostics> {
    Decoder::new().decode(node)
}

/// Decoder options: the wording of errors and the keys to ignore.
#[derive(Clone, Debug)]
pub struct Decoder {
    word: &'static str,
    prefix: String,
    later: Later,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

impl Decoder {
    /// A decoder whose messages say `key` and have no prefix.
    pub fn new() -> Self {
        Decoder {
            word: "key",
            prefix: String::new(),
            later: &[],
        }
    }

    /// Sets the word that messages use for a struct's key, as in `unknown field `x``.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.word = word;
        self
    }

    /// Sets the prefix of each message, e.g. `DestinationRule payment: `.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the keys that are not modelled. [`decode_partial`](Self::decode_partial) ignores them,
    /// [`decode`](Self::decode) reports them as errors.
    #[must_use]
    pub fn later(mut self, later: Later) -> Self {
        self.later = later;
        self
    }

    /// Deserialises `node` as a `T`.
    ///
    /// # Errors
    /// All errors, ordered by place.
    pub fn decode<T: DeserializeOwned>(&self, node: &Node) -> Result<T, Diagnostics> {
        let mut read = self.decode_partial(node);
        for passed in read.passed {
            let message = format!("{}not supported yet: `{}`", self.prefix, passed.key);
            read.errors.add(&passed.place, message);
        }
        match read.value {
            Some(value) if read.errors.is_empty() => Ok(value),
            _ => Err(read.errors.sorted()),
        }
    }

    /// Deserialises the readable part of `node`, for callers that go on to semantic checks or that ignore keys which
    /// are not modelled.
    pub fn decode_partial<T: DeserializeOwned>(&self, node: &Node) -> Partial<T> {
        let session = Session {
            decoder: self,
            poisoned: RefCell::new(BTreeSet::new()),
            noted: RefCell::new(BTreeSet::new()),
            found: RefCell::new(Diagnostics::new()),
            passed: RefCell::new(Vec::new()),
        };
        let value = session.run(node);
        Partial {
            value,
            errors: session.found.into_inner().sorted(),
            passed: session.passed.into_inner(),
        }
    }
}

/// The state of one decoding, which may read the tree many times.
struct Session<'a> {
    decoder: &'a Decoder,
    /// The addresses of values that are in error and treated as absent.
    poisoned: RefCell<BTreeSet<usize>>,
    /// The addresses of map entries whose key has been refused.
    noted: RefCell<BTreeSet<usize>>,
    found: RefCell<Diagnostics>,
    passed: RefCell<Vec<Passed>>,
}

impl Session<'_> {
    fn run<T: DeserializeOwned>(&self, root: &Node) -> Option<T> {
        loop {
            let deserializer = NodeDeserializer {
                node: root,
                session: self,
            };
            let error = match T::deserialize(deserializer) {
                Ok(value) => return Some(value),
                Err(error) => error.at(root, self),
            };
            let culprit = error.culprit();
            match error.told() {
                Told::Nothing => {}
                Told::Error(place, message) => self.tell(&place, &message),
                Told::Passed(passed) => self.passed.borrow_mut().push(passed),
            }
            // A pass that finds no new culprit would find the same one for ever.
            let new = self.poisoned.borrow_mut().insert(culprit);
            let told = self.found.borrow().len() + self.passed.borrow().len();
            if culprit == address(root) || !new || told >= MAX_ERRORS {
                return None;
            }
        }
    }

    fn is_poisoned(&self, node: &Node) -> bool {
        self.poisoned.borrow().contains(&address(node))
    }

    /// True if a value, or anything within it, is treated as absent.
    fn is_poisoned_within(&self, node: &Node) -> bool {
        if self.is_poisoned(node) {
            return true;
        }
        let within = |node: &Node| self.is_poisoned_within(node);
        node.as_list().is_some_and(|items| items.iter().any(within))
            || node
                .as_map()
                .is_some_and(|map| map.values().any(|entry| within(&entry.node)))
    }

    /// True if a missing key needs no error of its own, because its value is in error or a misspelling of it was
    /// reported.
    fn is_absence_told(&self, node: &Node, key: &str) -> bool {
        if node.get(key).is_some_and(|child| self.is_poisoned(child)) {
            return true;
        }
        let noted = self.noted.borrow();
        node.as_map().into_iter().flatten().any(|(found, entry)| {
            noted.contains(&std::ptr::from_ref(entry).addr())
                && crate::suggest::nearest(found, [key]).is_some()
        })
    }

    /// Reports a key that a struct does not have, once per entry.
    fn unknown_key(&self, name: &str, key: &str, entry: &Entry, known: &'static [&'static str]) {
        if self
            .noted
            .borrow_mut()
            .insert(std::ptr::from_ref(entry).addr())
        {
            if let Some(effect) = self.later(name, key) {
                // A key without a value has no effect.
                let is_empty = entry.node.as_list().is_some_and(<[Node]>::is_empty);
                if !entry.node.is_null() && !is_empty {
                    self.passed.borrow_mut().push(Passed {
                        place: entry.key.clone(),
                        key: key.to_owned(),
                        effect,
                    });
                }
                return;
            }
            let shown = crate::tree::scalar::shorten(key);
            let hint = crate::suggest::hint(key, known.iter().copied());
            let message = format!("unknown {} `{shown}`: {hint}", self.decoder.word);
            self.tell(&entry.key, &message);
        }
    }

    /// The effect of ignoring a key or variant. `None` if it is not one of [`Decoder::later`].
    fn later(&self, name: &str, key: &str) -> Option<&'static str> {
        let name = name.trim_end_matches('*');
        let mut of_name = self.decoder.later.iter().filter(|(of, _)| *of == name);
        of_name.find_map(|(_, keys)| {
            keys.iter()
                .find(|(known, _)| *known == key)
                .map(|(_, effect)| *effect)
        })
    }

    fn tell(&self, place: &Place, message: &str) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_ERRORS {
            found.push(Diagnostic::new(
                place.clone(),
                format!("{}{message}", self.decoder.prefix),
            ));
        }
    }
}

/// The identity of a node. The tree is borrowed, so that addresses are stable during a decoding.
fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Deserialises a child and attaches its place to an error that has none yet.
fn read<'de, S: serde::de::DeserializeSeed<'de>>(
    seed: S,
    node: &'de Node,
    session: &'de Session<'de>,
) -> Result<S::Value, Error> {
    seed.deserialize(NodeDeserializer { node, session })
        .map_err(|error| error.at(node, session))
}

#[cfg(test)]
mod tests;
