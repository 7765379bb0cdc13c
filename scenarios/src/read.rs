//! From a tree to a [`Story`]: every key is known, refused as not supported yet, or unknown; every value is parsed once.
//!
//! Reading continues after an error, so that all errors of a file are reported at once. Each submodule reads a section.

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

/// State of the reader of a file.
struct Reader<'s> {
    errors: Diagnostics,
    warnings: Vec<String>,
    /// Parts of the mesh's documents that are not modelled.
    omissions: Vec<Omission>,
    /// Paths of all places that draw.
    places: Vec<String>,
    /// Something that could introduce names is not supported (and was refused): unknown names may be right.
    incomplete: bool,
    source: &'s Source,
    /// Other files that were read, by the name they are written with.
    included: BTreeMap<String, String>,
    /// Documents that each `apply` adds and removes, by the number of its item.
    applied: BTreeMap<usize, (Vec<Document>, Vec<Key>)>,
    /// Routes that requests of loads and calls may meet.
    routes: Routes,
    /// Hosts without a service that were asked for so far.
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

    /// A new random stream, named by its path in the file.
    fn place(&mut self, path: String) -> Place {
        let index =
            u32::try_from(self.places.len()).expect("a file of bounded size has few places");
        self.places.push(path);
        Place(index)
    }

    /// A distribution, with its file's values where it names a file.
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
