//! The error of one deserialisation pass: message, value at fault, and a flag for consequences of other errors.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::session::{DecodeSession, PassedOver, address};
use crate::diagnostic::Location;
use crate::suggest;
use crate::tree::Node;

/// A deserialisation error. The innermost value that was being read becomes its place.
#[derive(Clone, Debug)]
pub struct DecodeError(Box<DecodeErrorInner>);

#[derive(Clone, Debug)]
struct DecodeErrorInner {
    message: String,
    /// The missing key, if that is the error.
    missing: Option<String>,
    place: Option<Location>,
    culprit: Option<usize>,
    echo: bool,
    /// The effect of ignoring the value, if the value is not modelled.
    effect: Option<&'static str>,
}

/// The report of an error.
pub(super) enum DecodeOutcome {
    /// Another error, or what was passed over, explains it.
    Nothing,
    Error(Location, String),
    Passed(PassedOver),
}

impl DecodeError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        DecodeError(Box::new(DecodeErrorInner {
            message: message.into(),
            missing: None,
            place: None,
            culprit: None,
            echo: false,
            effect: None,
        }))
    }

    /// A value that is not modelled and is ignored.
    pub(super) fn passed(value: &str, effect: &'static str) -> Self {
        let mut error = DecodeError::new(value);
        error.0.effect = Some(effect);
        error
    }

    /// A value of the wrong shape: `expected a list, found a map`.
    pub(super) fn mismatch(expected: &str, found: &Node) -> Self {
        DecodeError::new(format!("expected {expected}, found {}", found.describe()))
    }

    /// A string that was not written as one.
    pub(super) fn unquoted(text: &str) -> Self {
        DecodeError::new(format!("names must be strings: write `\"{text}\"`"))
    }

    /// An error that another one explains, and that is not reported therefore.
    pub(super) fn echo() -> Self {
        let mut error = DecodeError::new("omitted because a part of it is invalid");
        error.0.echo = true;
        error
    }

    /// Sets a more precise place within the value at fault (a key, say).
    pub(super) fn pointing(mut self, place: &Location) -> Self {
        self.0.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Adds the example of the missing key, if that is the error and the struct is the one that misses it.
    pub(super) fn missing_in(mut self, name: &str, session: &DecodeSession<'_>) -> Self {
        if self.0.culprit.is_none()
            && let Some(example) = self
                .0
                .missing
                .as_ref()
                .and_then(|key| session.example(name, key))
        {
            self.0.message.push_str(&format!(": write `{example}`"));
        }
        self
    }

    /// Makes `node` the value at fault, unless an inner value already is.
    pub(super) fn at(mut self, node: &Node, session: &DecodeSession<'_>) -> Self {
        if self.0.culprit.is_none() {
            self.0.culprit = Some(address(node));
            self.0.echo |= match &self.0.missing {
                Some(key) => session.is_absence_explained(node, key),
                None => session.is_poisoned_within(node),
            };
            self.0.place.get_or_insert_with(|| node.place.clone());
        }
        self
    }

    /// The address of the value at fault; 0 if none was set.
    pub(super) fn culprit(&self) -> usize {
        self.0.culprit.unwrap_or(0)
    }

    /// The report of the error, with its place.
    pub(super) fn outcome(self) -> DecodeOutcome {
        let inner = *self.0;
        match (inner.place, inner.effect) {
            (Some(place), Some(effect)) => DecodeOutcome::Passed(PassedOver {
                place,
                key: inner.message,
                effect,
            }),
            (Some(place), None) if !inner.echo => DecodeOutcome::Error(place, inner.message),
            _ => DecodeOutcome::Nothing,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        DecodeError::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        DecodeError::new(format!("expected {expected}, found {}", found(&unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        DecodeError::new(format!("expected {expected}, found {}", found(&unexpected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        DecodeError::new(format!("expected {expected}, found {length} items"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        DecodeError::new(format!(
            "unknown `{variant}`: {}",
            suggest::hint(variant, expected.iter().copied())
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        DecodeError::new(format!(
            "unknown key `{field}`: {}",
            suggest::hint(field, expected.iter().copied())
        ))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = DecodeError::new(format!("`{field}` is missing"));
        error.0.missing = Some(field.into());
        error
    }

    fn duplicate_field(field: &'static str) -> Self {
        DecodeError::new(format!("duplicate key `{field}`"))
    }
}

/// Describes the value that was found, in YAML terms.
fn found(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Str(text) => format!("`{}`", crate::tree::scalar::shorten(text)),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}
