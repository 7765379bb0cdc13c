//! Reads a YAML tree into a [`Story`]. Each key is accepted, refused as not supported yet, or reported as unknown. Each
//! value is parsed once.
//!
//! Reading continues after an error, so that all errors of a file are reported together. Each submodule reads one
//! section.

mod calls;
mod chaos;
mod endpoint;
mod expect;
mod fields;
mod latency;
mod load;
mod mesh;
mod retries;
mod routes;
mod service;
mod skeleton;
mod steps;
mod target;
mod top;

pub(crate) use top::read;

use std::collections::BTreeMap;

use shakedown_istio::{Document, Key, Omission};
use shakedown_yaml::{Diagnostics, Node, Place as FilePlace};

use crate::source::Source;
use crate::story::{Host, Place};
use crate::value::Distribution;
use routes::Routes;

/// The reader's state for one file.
struct Reader<'s> {
    errors: Diagnostics,
    warnings: Vec<String>,
    /// Ignored fields of mesh documents that are not modelled.
    omissions: Vec<Omission>,
    /// The paths of all source locations that draw random values.
    places: Vec<String>,
    /// True if a refused (not supported) section could have defined names. Unknown names may then be valid.
    incomplete: bool,
    source: &'s Source,
    /// The content of included files, keyed by the path as written.
    included: BTreeMap<String, String>,
    /// Documents added and removed by each `apply`, keyed by the index of the chaos item.
    applied: BTreeMap<usize, (Vec<Document>, Vec<Key>)>,
    /// The routes that may apply to requests of loads and calls.
    routes: Routes,
    /// Hosts without a service that were requested so far.
    hosts: Vec<Host>,
}

impl<'s> Reader<'s> {
    fn new(source: &'s Source) -> Reader<'s> {
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

    fn error(&mut self, place: &FilePlace, message: impl Into<String>) {
        self.errors.add(place, message);
    }

    fn later(&mut self, place: &FilePlace, what: &str) {
        self.error(place, format!("not supported yet: `{what}`"));
    }

    /// Registers a source location that draws. Its path names its random stream.
    fn place(&mut self, path: String) -> Place {
        let index =
            u32::try_from(self.places.len()).expect("a file of bounded size has few places");
        self.places.push(path);
        Place(index)
    }

    /// Parses a distribution and reads its values if it names a file.
    fn distribution(
        &mut self,
        node: &Node,
        parse: fn(&str) -> Result<Distribution, crate::value::ValueError>,
    ) -> Option<Distribution> {
        let distribution = self.parsed(node, "a duration or a distribution", parse)?;
        let Some(file) = distribution.file().map(str::to_owned) else {
            return Some(distribution);
        };
        let content = match self.source.include(&file) {
            Ok(content) => content,
            Err(error) => {
                self.error(&node.place, error.to_string());
                return None;
            }
        };
        let text = String::from_utf8_lossy(&content).into_owned();
        let read = distribution.with_values(&text);
        self.included.insert(file, text);
        match read {
            Ok(distribution) => Some(distribution),
            Err(error) => {
                self.error(&node.place, error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
