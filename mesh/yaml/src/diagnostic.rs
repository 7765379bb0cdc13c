//! Configuration errors: a message, its place in the input, and collections of both.
//!
//! Errors are values that are collected and shown together. Nothing here stops at the first. A message reads after its
//! place: `shop.yaml:9:3: unknown key `topolgy`: did you mean `topology`?`.

use std::fmt;
use std::sync::Arc;

/// A place in a file. Lines and columns count from 1, columns in characters. Line 0 denotes the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file's name, as the user wrote it.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Location {
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Location {
            file: file.into(),
            line,
            column,
        }
    }

    /// The file as a whole, or a source that has no lines (`--set`, a Rust builder).
    pub fn whole(file: impl Into<Arc<str>>) -> Self {
        Location::new(file, 0, 0)
    }

    /// The line and column without the file: `9:3`.
    pub fn in_file(&self) -> String {
        format!("{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str(&self.file);
        }
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An error: its place, its cause and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub place: Location,
    /// The cause, and the values that would be accepted.
    pub message: String,
    /// The place that included this file, if another file did.
    pub via: Option<Location>,
}

impl Diagnostic {
    /// An error at a place, with no including file.
    pub fn new(place: Location, message: impl Into<String>) -> Self {
        Diagnostic {
            place,
            message: message.into(),
            via: None,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(via) = &self.via {
            if via.line == 0 {
                write!(f, "(from {}) ", via.file)?;
            } else {
                write!(f, "(from {}:{}) ", via.file, via.line)?;
            }
        }
        f.write_str(&self.message)
    }
}

/// All errors of an input, in order. Displayed one per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub fn new() -> Self {
        Diagnostics::default()
    }

    pub fn one(place: Location, message: impl Into<String>) -> Self {
        Diagnostics(vec![Diagnostic::new(place, message)])
    }

    pub fn add(&mut self, place: &Location, message: impl Into<String>) {
        self.0.push(Diagnostic::new(place.clone(), message));
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Appends all errors of `other`.
    pub fn append(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// Sets the including place of every error that has none yet.
    #[must_use]
    pub fn via(mut self, place: &Location) -> Self {
        for diagnostic in &mut self.0 {
            diagnostic.via.get_or_insert_with(|| place.clone());
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Sorts the errors by file (in the order of first mention), line and column, and drops duplicates.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let mut files: Vec<Arc<str>> = Vec::new();
        for diagnostic in &self.0 {
            if !files.contains(&diagnostic.place.file) {
                files.push(diagnostic.place.file.clone());
            }
        }
        let rank = |file: &Arc<str>| files.iter().position(|known| known == file);
        self.0
            .sort_by_key(|d| (rank(&d.place.file), d.place.line, d.place.column));
        self.0.dedup();
        self
    }

    /// Returns `Ok(value)` if this list is empty.
    ///
    /// # Errors
    /// The errors, sorted.
    pub fn or<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self.sorted())
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Diagnostics(iter.into_iter().collect())
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_an_included_file_names_the_line_that_included_it() {
        let found = Diagnostics::one(
            Location::new("mesh/checkout.yaml", 12, 9),
            "unknown field `x`",
        )
        .via(&Location::new("scenarios/shop.yaml", 23, 5));
        assert_eq!(
            found.to_string(),
            "mesh/checkout.yaml:12:9: (from scenarios/shop.yaml:23) unknown field `x`"
        );
    }

    #[test]
    fn errors_are_ordered_by_place_within_files_in_order_of_first_mention() {
        let at = |file: &str, line| Diagnostic::new(Location::new(file, line, 1), "m");
        let found: Diagnostics = [at("z", 9), at("a", 1), at("z", 2), at("a", 1)]
            .into_iter()
            .collect();
        let shown: Vec<String> = found.sorted().iter().map(|d| d.place.to_string()).collect();
        assert_eq!(shown, ["z:2:1", "z:9:1", "a:1:1"]);
    }
}
