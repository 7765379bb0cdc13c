//! The state that all sections of a file are read with: errors, random streams, included files.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use shakedown_istio::{Document, DocumentKey, Omission};
use shakedown_yaml::decode::Partial;
use shakedown_yaml::{Decoder, Diagnostics, Location as FilePlace, Node, StructKeys};

use super::routes::ScenarioRoutes;
use crate::file;
use crate::scenario::{DrawId, ExternalHost};
use crate::source::ScenarioSource;

/// The state of reading one file.
pub(super) struct ScenarioReader<'s> {
    pub(super) errors: Diagnostics,
    pub(super) warnings: Vec<String>,
    /// Parts of the mesh's documents that are not modelled.
    pub(super) omissions: Vec<Omission>,
    /// Paths of all places that draw.
    pub(super) streams: Vec<String>,
    /// True if a rejected section could have defined names, so that unknown names may be valid.
    pub(super) incomplete: bool,
    pub(super) source: &'s ScenarioSource,
    /// Included files, by their path as written in the scenario.
    pub(super) included: BTreeMap<String, String>,
    /// Documents that each `apply` adds and removes, by the index of its item.
    pub(super) applied: BTreeMap<usize, (Vec<Document>, Vec<DocumentKey>)>,
    /// Routes that may apply to requests of loads and calls.
    pub(super) routes: ScenarioRoutes,
    /// Hosts without a service that have been requested so far.
    pub(super) hosts: Vec<ExternalHost>,
}

impl<'s> ScenarioReader<'s> {
    pub(super) fn new(source: &'s ScenarioSource) -> ScenarioReader<'s> {
        ScenarioReader {
            errors: Diagnostics::new(),
            warnings: Vec::new(),
            omissions: Vec::new(),
            streams: Vec::new(),
            incomplete: false,
            source,
            included: BTreeMap::new(),
            applied: BTreeMap::new(),
            routes: ScenarioRoutes::default(),
            hosts: Vec::new(),
        }
    }

    /// Decodes a value. Invalid parts are reported and treated as absent. `None` if the whole value is invalid or a
    /// required key is missing.
    pub(super) fn decode<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        self.decode_by(&file::decoder(), node)
    }

    /// Decodes a map without required keys.
    pub(super) fn decode_or_default<T: DeserializeOwned + Default>(&mut self, node: &Node) -> T {
        self.decode(node).unwrap_or_default()
    }

    /// Decodes the keys of one struct from a map that other structs read, too, and whose unknown keys are reported by
    /// [`keys`](Self::keys).
    pub(super) fn decode_part<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        self.decode_by(&file::decoder().ignore_unknown_keys(), node)
    }

    pub(super) fn decode_by<T: DeserializeOwned>(
        &mut self,
        decoder: &Decoder,
        node: &Node,
    ) -> Option<T> {
        let read = decoder.decode_partial(node);
        self.reported(read)
    }

    /// Reports the keys of a map that none of the structs has, and those that are not supported yet.
    pub(super) fn keys(&mut self, node: &Node, first: StructKeys, others: &[StructKeys]) {
        if self.map(node).is_some() {
            let read = file::decoder().check_keys(node, first, others);
            self.reported(read);
        }
    }

    fn reported<T>(&mut self, read: Partial<T>) -> Option<T> {
        self.errors.append(read.errors);
        for passed in read.passed {
            self.unsupported(&passed.place, &passed.key);
        }
        read.value
    }

    pub(super) fn error(&mut self, place: &FilePlace, message: impl Into<String>) {
        self.errors.add(place, message);
    }

    pub(super) fn unsupported(&mut self, place: &FilePlace, what: &str) {
        self.error(place, format!("not supported yet: `{what}`"));
    }

    /// A new random stream, named by its path in the file.
    pub(super) fn stream(&mut self, path: String) -> DrawId {
        let index = u32::try_from(self.streams.len()).expect("the size of a file is bounded");
        self.streams.push(path);
        DrawId(index)
    }
}
