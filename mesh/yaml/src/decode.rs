//! From tree to types, by serde, with *all* errors of a document at once, each with its place.
//!
//! Write `#[derive(Deserialize)]` types and call [`decode`]. What differs from serde elsewhere:
//!
//! - A key that a struct does not have is an error with its place and the nearest known key; no attribute is needed.
//! - An error takes the place of the innermost value that was being read. That value is then taken as absent and
//!   reading starts again, so that the next error is found, until nothing is left to find (at most [`MAX_ERRORS`]).
//!   What fails only because of an error already told is not told.
//! - A struct whose serde name ends with `*` (`#[serde(rename = "call*")]`) has a short form: a value that is no map
//!   stands for the map of its first field to that value.
//! - Fields of type [`String`] are names: a plain `1.10` or `true` is refused there, with the advice to quote it. A
//!   type that reads text of its own (a duration, say) uses [`from_text`] or `deserialize_str`, and gets any scalar's.
//! - [`Spanned`] keeps a value's place (a map key's, too), [`Raw`] a whole subtree.
//! - An enum is its variant's name, or a map with that one key. Numbers are read from plain scalars only.
//!
//! Not supported, because serde buffers them without places: `flatten`, `untagged`, internally tagged enums (they are
//! read, but unknown keys go unseen and places are those of the whole).

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

/// After so many errors no more are looked for.
pub const MAX_ERRORS: usize = 100;

/// Keys (or enum variants) that exist and are not modelled: the serde name of the struct or enum, without a `*`, its keys,
/// and what it means for the answer that each is passed over; empty: nothing.
pub type Later = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// A key, or enum variant, that is not modelled and was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where it is.
    pub place: Place,
    /// The key or variant.
    pub key: String,
    /// What that means for the answer; empty: nothing.
    pub effect: &'static str,
}

/// What could be read of a value.
#[derive(Clone, Debug)]
pub struct Partial<T> {
    /// The value, without all that is in error and all that was passed over; none if its shape does not allow that.
    pub value: Option<T>,
    /// All errors, in order of place.
    pub errors: Diagnostics,
    /// Keys of [`Decoder::later`], in the order in which they were met.
    pub passed: Vec<Passed>,
}

/// Reads `node` as a `T`.
///
/// # Errors
/// All errors, in order of place.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostics> {
    Decoder::new().decode(node)
}

/// How errors are worded.
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
    /// Says `key`, without a prefix.
    pub fn new() -> Self {
        Decoder {
            word: "key",
            prefix: String::new(),
            later: &[],
        }
    }

    /// What a key of a struct is called: `unknown field `x``.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.word = word;
        self
    }

    /// What stands before each message: `DestinationRule payment: `.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Keys that are not modelled: passed over by [`decode_partial`](Self::decode_partial), errors for
    /// [`decode`](Self::decode).
    #[must_use]
    pub fn later(mut self, later: Later) -> Self {
        self.later = later;
        self
    }

    /// Reads `node` as a `T`.
    ///
    /// # Errors
    /// All errors, in order of place.
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

    /// Reads what can be read of `node`. For those who go on to look for errors of meaning, or who pass over what is not
    /// modelled.
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

/// One decoding, which may read the tree many times.
struct Session<'a> {
    decoder: &'a Decoder,
    /// The addresses of values that are in error, and taken as absent.
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
            // A pass that finds no new culprit would find the same for ever.
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

    /// Whether a value, or anything in it, is taken as absent.
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

    /// Whether the absence of a key is no news: its value is in error, or it stands there misspelt.
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

    /// Tells of a key that a struct does not have, once.
    fn unknown_key(&self, name: &str, key: &str, entry: &Entry, known: &'static [&'static str]) {
        if self
            .noted
            .borrow_mut()
            .insert(std::ptr::from_ref(entry).addr())
        {
            if let Some(effect) = self.later(name, key) {
                // Without a value it says nothing.
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

    /// What it means that a key, or variant, is passed over; none if it is not one of those.
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

/// A node's identity: the tree is borrowed, and so does not move, as long as the decoding lasts.
fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Reads a child, and gives an error that has no place yet this child's.
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
