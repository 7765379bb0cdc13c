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
mod number;
mod session;

pub use error::Error;
pub use keep::{Raw, Spanned, Text, from_text};
pub use session::{Later, MAX_ERRORS, Passed};

use serde::de::DeserializeOwned;

use crate::diagnostic::Diagnostics;
use crate::tree::Node;
use deserializer::NodeDeserializer;
use error::Outcome;
use session::{Session, address};

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
        let session = Session::new(self.word, &self.prefix, self.later);
        let value = run(&session, node);
        Partial {
            value,
            errors: session.found.into_inner().sorted(),
            passed: session.passed.into_inner(),
        }
    }
}

/// Reads a tree until no further error is found; `None` if nothing is left of it.
fn run<T: DeserializeOwned>(session: &Session<'_>, root: &Node) -> Option<T> {
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
            Outcome::Nothing => {}
            Outcome::Error(place, message) => session.report(&place, &message),
            Outcome::Passed(passed) => session.passed.borrow_mut().push(passed),
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
