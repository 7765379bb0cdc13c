//! Builds trees from the parser's events, without recursion and within bounds.

mod syntax;

use std::collections::BTreeSet;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use self::syntax::utf8;
use super::alias::{AliasCopies, NodeSize};
use super::flow::{self, Indented};
use super::limits::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
use super::{Map, MapEntry, Node, Value, alias, scalar};
use crate::diagnostic::{Diagnostics, Location};

/// The number of errors after which the rest of the file is not read.
const MAX_ERRORS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// YAML 1.2 core without anchors, aliases, merge keys and tags.
    Strict,
    /// The YAML that kubectl reads: also anchors, aliases, merge keys, tags of the core schema, and YAML 1.1's
    /// booleans. Source: sigs.k8s.io/yaml, goyaml.v2.
    Kubernetes,
}

/// Parses all documents of a file in the strict dialect. Documents without content are left out.
///
/// # Errors
/// All errors that could be found: the first syntax error (later ones are unreliable), features outside this subset of
/// YAML, exceeded bounds, or an empty file.
pub fn parse(file: &str, text: &str) -> Result<Vec<Node>, Diagnostics> {
    parse_as(Dialect::Strict, file, text)
}

/// Parses all documents of a file in the YAML that kubectl reads.
///
/// # Errors
/// See [`parse`]. Also aliases that would expand the file past a bound.
pub fn parse_kubernetes(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Diagnostics> {
    parse_as(Dialect::Kubernetes, file, utf8(file, bytes)?)
}

fn parse_as(dialect: Dialect, file: &str, text: &str) -> Result<Vec<Node>, Diagnostics> {
    if text.len() > MAX_BYTES {
        let place = Location::whole(file);
        return Err(Diagnostics::one(
            place,
            format!(
                "too large: {} bytes; at most {MAX_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = TreeBuilder::new(Arc::from(file), dialect);
    if let Err(error) = builder.read(text) {
        match again(&builder, text) {
            Some(indented) => builder = indented,
            None => builder.syntax(text, &error),
        }
    }
    if builder.errors.is_empty() && builder.documents.is_empty() {
        builder.errors.add(
            &Location::new(file, 1, 1),
            "empty: expected a YAML document",
        );
    }
    builder.errors.or(builder.documents)
}

/// Parses a refused text once more, with its flow collections indented as the standard requires.
fn again(failed: &TreeBuilder, text: &str) -> Option<TreeBuilder> {
    let Indented { text, added } = flow::indented(text)?;
    let mut builder = TreeBuilder::new(failed.file.clone(), failed.dialect);
    builder.added = added;
    builder.read(&text).is_ok().then_some(builder)
}

/// Parses all documents of a file whose encoding is not known to be UTF-8.
///
/// # Errors
/// See [`parse`]. Also the place of the first byte that is not UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Diagnostics> {
    parse(file, utf8(file, bytes)?)
}

/// A list or map whose end has not been read yet.
struct OpenCollection {
    place: Location,
    /// The parser's anchor number; 0 if there is none.
    anchor: usize,
    measure: NodeSize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map {
        map: Map,
        key: Option<PendingKey>,
        /// True if an error for merge keys was already reported in this map.
        merge_refused: bool,
        /// Keys inserted by a merge. Keys written in the map itself take precedence over these.
        merged: BTreeSet<String>,
    },
}

/// A key whose value has not been read yet.
struct PendingKey {
    name: Name,
    quoted: bool,
    place: Location,
}

enum Name {
    Text(String),
    /// `<<`: the entries of its value are inserted into the map.
    Merge,
    /// A key in error: its value is read and dropped.
    Unusable,
}

struct TreeBuilder {
    file: Arc<str>,
    dialect: Dialect,
    documents: Vec<Node>,
    open: Vec<OpenCollection>,
    errors: Diagnostics,
    nodes: usize,
    copies: AliasCopies,
    /// The number of spaces inserted before each line.
    added: Vec<usize>,
}

impl TreeBuilder {
    fn new(file: Arc<str>, dialect: Dialect) -> Self {
        TreeBuilder {
            file,
            dialect,
            documents: Vec::new(),
            open: Vec::new(),
            errors: Diagnostics::new(),
            nodes: 0,
            copies: AliasCopies::default(),
            added: Vec::new(),
        }
    }

    fn read(&mut self, text: &str) -> Result<(), ScanError> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event?;
            let place = self.place(&span.start);
            if !self.event(event, place) {
                break;
            }
        }
        Ok(())
    }

    /// Processes one event. Returns false if parsing must stop.
    fn event(&mut self, event: Event<'_>, place: Location) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mut quoted = style != ScalarStyle::Plain;
                quoted |= self.decorated(&place, anchor, tag.as_deref());
                let value = match self.dialect {
                    Dialect::Kubernetes => scalar::resolve_1_1(text.into_owned(), quoted),
                    Dialect::Strict => scalar::resolve(text.into_owned(), quoted),
                };
                self.scalar(Node::new(value, place), quoted, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::SequenceStart(anchor, tag) => {
                self.decorated(&place, anchor, tag.as_deref());
                self.open(place, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.decorated(&place, anchor, tag.as_deref());
                let inside = Inside::Map {
                    map: Map::new(),
                    key: None,
                    merge_refused: false,
                    merged: BTreeSet::new(),
                };
                self.open(place, anchor, inside)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return true;
                };
                let value = match open.inside {
                    Inside::List(items) => Value::List(items),
                    Inside::Map { map, .. } => Value::Map(map),
                };
                let node = Node::new(value, open.place);
                self.copies.keep(open.anchor, &node, open.measure);
                self.add(node, open.measure)
            }
            Event::DocumentEnd => {
                self.copies = AliasCopies::default();
                true
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                true
            }
        }
    }

    /// Adds a scalar as a key or as a value.
    fn scalar(&mut self, node: Node, quoted: bool, anchor: usize) -> bool {
        let measure = NodeSize::scalar(&node);
        self.copies.keep(anchor, &node, measure);
        if self.awaits_key() {
            let text = match node.value {
                Value::Scalar { text, .. } => text,
                _ => node.as_str().unwrap_or("null").to_owned(),
            };
            self.key(text, quoted, node.place);
            return self.errors.len() < MAX_ERRORS;
        }
        self.count(1, &node.place) && self.add(node, measure)
    }

    /// Inserts a copy of the anchored value in place of an alias.
    fn alias(&mut self, anchor: usize, place: Location) -> bool {
        if self.dialect == Dialect::Strict {
            self.errors.add(
                &place,
                "aliases (`*name`) are not accepted: write the value again, or quote the `*`",
            );
            return self.add(Node::null(place), NodeSize::default());
        }
        match self.copies.take(anchor, MAX_DEPTH - self.open.len()) {
            Ok((node, measure)) => {
                if self.awaits_key() && node.as_list().is_none() && node.as_map().is_none() {
                    let quoted = matches!(node.value, Value::Scalar { quoted: true, .. });
                    return self.scalar(node, quoted, 0);
                }
                self.count(measure.values, &place) && self.add(node, measure)
            }
            Err(problem) => {
                self.errors.add(&place, problem);
                false
            }
        }
    }

    /// Refuses anchors and tags that the dialect does not have. Returns true if a tag makes the value a string.
    fn decorated(&mut self, place: &Location, anchor: usize, tag: Option<&Tag>) -> bool {
        let strict = self.dialect == Dialect::Strict;
        if anchor != 0 && strict {
            self.errors.add(
                place,
                "anchors (`&name`) are not accepted: write the value where it is used",
            );
        }
        match tag {
            None => false,
            Some(tag) if !strict && tag.is_yaml_core_schema() => tag.suffix == "str",
            Some(_) => {
                self.errors.add(
                    place,
                    "tags (`!name`) are not accepted: quote the value to make it a string",
                );
                false
            }
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(OpenCollection {
                inside: Inside::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: String, quoted: bool, place: Location) {
        let Some(OpenCollection {
            inside:
                Inside::Map {
                    map,
                    key,
                    merge_refused,
                    merged,
                },
            ..
        }) = self.open.last_mut()
        else {
            return;
        };
        let mut name = Name::Text(text);
        if let Name::Text(text) = &name {
            if text == "<<" && !quoted {
                name = Name::Merge;
                if self.dialect == Dialect::Strict {
                    if !*merge_refused {
                        self.errors.add(
                            &place,
                            "merge keys (`<<`) are not accepted: write the keys here",
                        );
                    }
                    (*merge_refused, name) = (true, Name::Unusable);
                }
            } else if let Some(first) = map.get(text)
                && !merged.remove(text)
            {
                let shown = scalar::shorten(text);
                let at = format!("{}:{}", first.key.line, first.key.column);
                self.errors.add(
                    &place,
                    format!("duplicate key `{shown}`; the first is at {at}"),
                );
                name = Name::Unusable;
            }
        }
        *key = Some(PendingKey {
            name,
            quoted,
            place,
        });
    }

    fn open(&mut self, place: Location, anchor: usize, inside: Inside) -> bool {
        if self.open.len() == MAX_DEPTH {
            self.errors.add(
                &place,
                format!("nested too deeply: at most {MAX_DEPTH} levels are allowed"),
            );
            return false;
        }
        if !self.count(1, &place) {
            return false;
        }
        self.open.push(OpenCollection {
            place,
            anchor,
            measure: NodeSize::EMPTY,
            inside,
        });
        true
    }

    /// Counts values. Returns false if parsing must stop.
    fn count(&mut self, values: usize, place: &Location) -> bool {
        self.nodes += values;
        if self.nodes > MAX_NODES {
            self.errors.add(
                place,
                format!("too many values: at most {MAX_NODES} are allowed"),
            );
            return false;
        }
        true
    }

    /// Adds a finished value to the innermost open list, map or document. Returns false if parsing must stop.
    fn add(&mut self, node: Node, measure: NodeSize) -> bool {
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return self.errors.len() < MAX_ERRORS;
        };
        open.measure.absorb(measure);
        match &mut open.inside {
            Inside::List(items) => items.push(node),
            Inside::Map {
                map, key, merged, ..
            } => match key.take() {
                Some(PendingKey {
                    name: Name::Text(text),
                    quoted,
                    place,
                }) => {
                    open.measure.bytes += text.len();
                    map.insert(
                        text,
                        MapEntry {
                            key: place,
                            quoted,
                            node,
                        },
                    );
                }
                Some(PendingKey {
                    name: Name::Merge, ..
                }) => {
                    if let Err(problem) = alias::merge(map, merged, node) {
                        self.errors.push(problem);
                    }
                }
                Some(PendingKey {
                    name: Name::Unusable,
                    ..
                }) => {}
                None => {
                    self.errors
                        .add(&node.place, "a key must be a scalar, not a list or a map");
                    *key = Some(PendingKey {
                        name: Name::Unusable,
                        quoted: false,
                        place: node.place,
                    });
                }
            },
        }
        self.errors.len() < MAX_ERRORS
    }

    fn place(&self, mark: &Marker) -> Location {
        let line = mark.line().checked_sub(1);
        let added = line.and_then(|line| self.added.get(line)).unwrap_or(&0);
        Location {
            file: self.file.clone(),
            line: clamp(mark.line()),
            column: clamp((mark.col() + 1).saturating_sub(*added)),
        }
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
