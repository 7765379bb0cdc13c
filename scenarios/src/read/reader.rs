//! The state that all sections of a file are read with: errors, random streams, included files.

use std::collections::BTreeMap;

use shakedown_istio::{Document, Key, Omission};
use shakedown_yaml::{Diagnostics, Place as FilePlace};

use super::routes::Routes;
use crate::source::Source;
use crate::story::{Host, Place};

/// The state of reading one file.
pub(super) struct Reader<'s> {
    pub(super) errors: Diagnostics,
    pub(super) warnings: Vec<String>,
    /// Parts of the mesh's documents that are not modelled.
    pub(super) omissions: Vec<Omission>,
    /// Paths of all places that draw.
    pub(super) places: Vec<String>,
    /// True if a refused section could have introduced names, so that unknown names may be right.
    pub(super) incomplete: bool,
    pub(super) source: &'s Source,
    /// Other files that were read, by the name they are written with.
    pub(super) included: BTreeMap<String, String>,
    /// Documents that each `apply` adds and removes, by the number of its item.
    pub(super) applied: BTreeMap<usize, (Vec<Document>, Vec<Key>)>,
    /// Routes that requests of loads and calls may meet.
    pub(super) routes: Routes,
    /// Hosts without a service that were asked for so far.
    pub(super) hosts: Vec<Host>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Source) -> Reader<'s> {
        Reader {
            errors: Diagnostics::new(),
            warnings: Vec::new(),
            omissions: Vec::new(),
            places: Vec::new(),
            incomplete: false,
            source,
            included: BTreeMap::new(),
            applied: BTreeMap::new(),
            routes: Routes::default(),
            hosts: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, place: &FilePlace, message: impl Into<String>) {
        self.errors.add(place, message);
    }

    pub(super) fn later(&mut self, place: &FilePlace, what: &str) {
        self.error(place, format!("not supported yet: `{what}`"));
    }

    /// A new random stream, named by its path in the file.
    pub(super) fn place(&mut self, path: String) -> Place {
        let index =
            u32::try_from(self.places.len()).expect("a file of bounded size has few places");
        self.places.push(path);
        Place(index)
    }
}
