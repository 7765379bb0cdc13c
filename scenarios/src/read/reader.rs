//! The state that all sections of a file are read with: errors, random streams, included files.

use std::collections::BTreeMap;

use shakedown_istio::{Document, DocumentKey, Omission};
use shakedown_yaml::{Diagnostics, Location as FilePlace};

use super::routes::ScenarioRoutes;
use crate::scenario::{DrawId, ExternalHost};
use crate::source::ScenarioSource;

/// The state of reading one file.
pub(super) struct ScenarioReader<'s> {
    pub(super) errors: Diagnostics,
    pub(super) warnings: Vec<String>,
    /// Parts of the mesh's documents that are not modelled.
    pub(super) omissions: Vec<Omission>,
    /// Paths of all places that draw.
    pub(super) places: Vec<String>,
    /// True if a refused section could have introduced names, so that unknown names may be right.
    pub(super) incomplete: bool,
    pub(super) source: &'s ScenarioSource,
    /// Other files that were read, by the name they are written with.
    pub(super) included: BTreeMap<String, String>,
    /// Documents that each `apply` adds and removes, by the number of its item.
    pub(super) applied: BTreeMap<usize, (Vec<Document>, Vec<DocumentKey>)>,
    /// Routes that requests of loads and calls may meet.
    pub(super) routes: ScenarioRoutes,
    /// Hosts without a service that were asked for so far.
    pub(super) hosts: Vec<ExternalHost>,
}

impl<'s> ScenarioReader<'s> {
    pub(super) fn new(source: &'s ScenarioSource) -> ScenarioReader<'s> {
        ScenarioReader {
            errors: Diagnostics::new(),
            warnings: Vec::new(),
            omissions: Vec::new(),
            places: Vec::new(),
            incomplete: false,
            source,
            included: BTreeMap::new(),
            applied: BTreeMap::new(),
            routes: ScenarioRoutes::default(),
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
    pub(super) fn place(&mut self, path: String) -> DrawId {
        let index =
            u32::try_from(self.places.len()).expect("a file of bounded size has few places");
        self.places.push(path);
        DrawId(index)
    }
}
