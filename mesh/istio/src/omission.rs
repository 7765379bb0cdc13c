//! Documents and fields that are not modelled, and so are passed over: the answer is without them, and says so.

use std::fmt;

use shakedown_yaml::{Diagnostic, Diagnostics, Place};

use super::Key;

/// A document, or a field of one, that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// The document.
    pub document: Key,
    /// The field; none: all of the document.
    pub field: Option<String>,
    /// Where it is.
    pub place: Place,
    /// What that means for the answer; none: nothing, since requests take the same way without it.
    pub effect: Option<String>,
}

impl Omission {
    /// The omission as an error, for those who want nothing to be passed over.
    pub fn error(&self) -> Diagnostic {
        Diagnostic::new(self.place.clone(), format!("{}: {self}", self.subject()))
    }

    /// The omission as a warning.
    pub fn warning(&self) -> Diagnostic {
        let message = format!("{}: passed over: {self}", self.subject());
        Diagnostic::new(self.place.clone(), message)
    }

    /// The document by kind and name, as messages have it: `AuthorizationPolicy deny`.
    fn subject(&self) -> String {
        let Key { kind, name, .. } = &self.document;
        match name.is_empty() {
            true => kind.clone(),
            false => format!("{kind} {name}"),
        }
    }
}

/// What is not modelled, and what that means.
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

/// All omissions as errors: for those who want nothing to be passed over.
pub fn refused(omissions: &[Omission]) -> Diagnostics {
    let all: Diagnostics = omissions.iter().map(Omission::error).collect();
    all.sorted()
}
