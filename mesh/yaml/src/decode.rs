//! Deserialization of a tree by serde, which reports *all* errors of a document at once, each with its place.
//!
//! Write `#[derive(Deserialize)]` types and call [`decode`]. What differs from serde elsewhere:
//!
//! - A key that a struct does not have is an error with its place and the nearest known key; no attribute is needed.
//! - An error takes the place of the innermost value that was being read. That value is then taken as absent and
//!   reading starts again, so that the next error is found, until nothing is left to find (at most [`MAX_ERRORS`]).
//!   A failure that an error already reported explains is left out.
//! - A struct whose serde name ends with `*` (`#[serde(rename = "call*")]`) has a short form: any value but a map
//!   is read as the value of its first field.
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
mod number;
mod options;
mod session;
mod struct_keys;

pub use error::DecodeError;
pub use keep::{Raw, Spanned, Text, from_text, parse_text};
pub use options::{Examples, Unsupported};
pub use session::{MAX_ERRORS, PassedOver};
pub use struct_keys::StructKeys;

use serde::de::DeserializeOwned;

use crate::diagnostic::Diagnostics;
use crate::tree::Node;
use deserializer::NodeDeserializer;
use error::DecodeOutcome;
use options::{DecodeOptions, UnknownKeys};
use session::{DecodeSession, address};

/// The readable part of a value.
#[derive(Clone, Debug)]
pub struct Partial<T> {
    /// The value without the parts that are in error or were passed over; `None` if its type does not allow that.
    pub value: Option<T>,
    /// All errors, in order of place.
    pub errors: Diagnostics,
    /// Keys of [`Decoder::unsupported`], in the order in which they were met.
    pub passed: Vec<PassedOver>,
}

/// Reads `node` as a `T`.
///
/// # Errors
/// All errors, in order of place.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostics> {
    Decoder::new().decode(node)
}

/// A reader with options: the words of errors, and the keys that are passed over.
#[derive(Clone, Debug)]
pub struct Decoder(DecodeOptions);

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

impl Decoder {
    /// Calls a key `key` and has no prefix.
    pub fn new() -> Self {
        Decoder(DecodeOptions {
            word: "key",
            choice: "",
            prefix: String::new(),
            unsupported: &[],
            examples: &[],
            null_is_absent: false,
            unknown_keys: UnknownKeys::Refused(Vec::new()),
        })
    }

    /// Sets the word for a key of a struct, as in `unknown field `x``.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.0.word = word;
        self
    }

    /// Sets the prefix of each message, such as `DestinationRule payment: `.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.0.prefix = prefix.into();
        self
    }

    /// Keys that are not modelled: passed over by [`decode_partial`](Self::decode_partial), errors for
    /// [`decode`](Self::decode).
    #[must_use]
    pub fn unsupported(mut self, keys: Unsupported) -> Self {
        self.0.unsupported = keys;
        self
    }

    /// Sets the word for a variant of an enum, as in `unknown word `x``.
    #[must_use]
    pub fn choice(mut self, choice: &'static str) -> Self {
        self.0.choice = choice;
        self
    }

    /// Examples that are added to the error of a missing key: `` `to` is missing: write `to: api GET /` ``.
    #[must_use]
    pub fn examples(mut self, examples: Examples) -> Self {
        self.0.examples = examples;
        self
    }

    /// Reads null as if the key were absent, and a struct that is null as one without keys.
    #[must_use]
    pub fn null_is_absent(mut self) -> Self {
        self.0.null_is_absent = true;
        self
    }

    /// Accepts the keys of another struct in the root, which is read from the same map.
    #[must_use]
    pub fn beside(mut self, other: StructKeys) -> Self {
        match &mut self.0.unknown_keys {
            UnknownKeys::Refused(others) => others.push(other),
            UnknownKeys::Ignored => {}
        }
        self
    }

    /// Ignores unknown keys in the root, because another type reports them.
    #[must_use]
    pub fn ignore_unknown_keys(mut self) -> Self {
        self.0.unknown_keys = UnknownKeys::Ignored;
        self
    }

    /// Reads `node` as a `T`.
    ///
    /// # Errors
    /// All errors, in order of place.
    pub fn decode<T: DeserializeOwned>(&self, node: &Node) -> Result<T, Diagnostics> {
        let mut read = self.decode_partial(node);
        for passed in read.passed {
            let message = format!("{}not supported yet: `{}`", self.0.prefix, passed.key);
            read.errors.add(&passed.place, message);
        }
        match read.value {
            Some(value) if read.errors.is_empty() => Ok(value),
            _ => Err(read.errors.sorted()),
        }
    }

    /// Reads as much of `node` as is valid, for callers that look for errors of meaning next or that pass over unsupported
    /// keys.
    pub fn decode_partial<T: DeserializeOwned>(&self, node: &Node) -> Partial<T> {
        let session = DecodeSession::new(&self.0, address(node));
        let value = run(&session, node);
        Partial {
            value,
            errors: session.found.into_inner().sorted(),
            passed: session.passed.into_inner(),
        }
    }

    /// Reports the keys of a map that none of its structs has, and those that are not supported, and reads no values.
    /// A value that is not a map has no keys.
    pub fn check_keys(&self, node: &Node, first: StructKeys, others: &[StructKeys]) -> Partial<()> {
        let mut options = self.0.clone();
        options.unknown_keys = UnknownKeys::Refused(others.to_vec());
        let session = DecodeSession::new(&options, address(node));
        for (key, entry) in node.as_map().into_iter().flatten() {
            if !first.keys.contains(&key.as_str()) {
                session.unknown_key(address(node), &first, key, entry);
            }
        }
        Partial {
            value: Some(()),
            errors: session.found.into_inner().sorted(),
            passed: session.passed.into_inner(),
        }
    }
}

/// Reads a tree until no further error is found; `None` if nothing is left of it.
fn run<T: DeserializeOwned>(session: &DecodeSession<'_>, root: &Node) -> Option<T> {
    loop {
        let deserializer = NodeDeserializer {
            node: root,
            session,
        };
        let error = match T::deserialize(deserializer) {
            Ok(value) => return Some(value),
            Err(error) => error.at(root, session),
        };
        let culprit = error.culprit();
        match error.outcome() {
            DecodeOutcome::Nothing => {}
            DecodeOutcome::Error(place, message) => session.report(&place, &message),
            DecodeOutcome::Passed(passed) => session.passed.borrow_mut().push(passed),
        }
        // A pass that finds no new culprit would find the same one forever.
        let new = session.poisoned.borrow_mut().insert(culprit);
        let count = session.found.borrow().len() + session.passed.borrow().len();
        if culprit == address(root) || !new || count >= MAX_ERRORS {
            return None;
        }
    }
}

#[cfg(test)]
mod tests;
