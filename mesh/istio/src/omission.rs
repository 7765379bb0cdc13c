//! Documents and fields that are not modelled. They are skipped and reported.

use std::fmt;

use shakedown_yaml::{Diagnostic, Diagnostics, Location};

use super::meta::DocumentKey;

/// A skipped document, or a skipped field of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    pub document: DocumentKey,
    /// The field. `None`: the whole document.
    pub field: Option<String>,
    pub place: Location,
    /// The effect on the result. `None`: no effect, because requests do not depend on it.
    pub effect: Option<String>,
}

impl Omission {
    /// Returns the omission as an error, for callers that accept no omissions.
    pub fn error(&self) -> Diagnostic {
        Diagnostic::new(self.place.clone(), format!("{}: {self}", self.subject()))
    }

    /// Returns the omission as a warning.
    pub fn warning(&self) -> Diagnostic {
        let message = format!("{}: passed over: {self}", self.subject());
        Diagnostic::new(self.place.clone(), message)
    }

    /// Returns the document's kind and name as used in messages: `AuthorizationPolicy deny`.
    fn subject(&self) -> String {
        let DocumentKey { kind, name, .. } = &self.document;
        if name.is_empty() {
            kind.clone()
        } else {
            format!("{kind} {name}")
        }
    }
}

/// States that the document or field is not modelled, and the effect.
impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{field}` is not modelled")?,
            None => f.write_str("this kind is not modelled")?,
        }
        match &self.effect {
            Some(effect) => write!(f, ": {effect}"),
            None => f.write_str("; it has no effect on requests"),
        }
    }
}

/// Returns all omissions as errors, for callers that accept none.
pub fn refused(omissions: &[Omission]) -> Diagnostics {
    let all: Diagnostics = omissions.iter().map(Omission::error).collect();
    all.sorted()
}
