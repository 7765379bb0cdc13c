//! From text to tree: the parser's events, assembled without recursion and within bounds.

use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::{Entry, Map, Node, Value, scalar};
use crate::diagnostic::{Diagnostics, Place};

/// The largest file that is read.
pub const MAX_BYTES: usize = 16 << 20;
/// How deep lists and maps may nest.
pub const MAX_DEPTH: usize = 64;
/// How many values a file may hold: bounds memory, which one byte of input can otherwise multiply a hundredfold.
pub const MAX_NODES: usize = 1_000_000;
/// After so many errors the rest of the file is not read.
const MAX_ERRORS: usize = 100;

/// Reads all documents of a file. Documents without content are left out.
///
/// # Errors
/// Every error that could be found: syntax (the first one only: what follows cannot be trusted), what this subset of
/// YAML does not have, a bound that is passed, or an empty file.
pub fn parse(file: &str, text: &str) -> Result<Vec<Node>, Diagnostics> {
    if text.len() > MAX_BYTES {
        let place = Place::whole(file);
        return Err(Diagnostics::one(
            place,
            format!(
                "too large: {} bytes, at most {MAX_BYTES} are read",
                text.len()
            ),
        ));
    }
    let mut builder = Builder::new(Arc::from(file));
    builder.read(text);
    if builder.errors.is_empty() && builder.documents.is_empty() {
        builder
            .errors
            .add(&Place::new(file, 1, 1), "empty: expected a YAML document");
    }
    builder.errors.or(builder.documents)
}

/// Reads all documents of a file whose encoding is not known to be UTF-8.
///
/// # Errors
/// As [`parse`]; and the place of the first byte that is not UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Diagnostics> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file, text),
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let start = good
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = String::from_utf8_lossy(&good[start..]).chars().count() + 1;
            let place = Place::new(file, clamp(line), clamp(column));
            let byte = bytes[error.valid_up_to()];
            Err(Diagnostics::one(
                place,
                format!("not UTF-8: byte 0x{byte:02x}; save the file as UTF-8"),
            ))
        }
    }
}

/// A list or map that is not finished.
enum Open {
    List {
        place: Place,
        items: Vec<Node>,
    },
    Map {
        place: Place,
        map: Map,
        key: Option<Key>,
        merge: bool,
    },
}

/// A key whose value is awaited. Without a text it was no scalar: its value is read and dropped.
struct Key {
    text: Option<String>,
    quoted: bool,
    place: Place,
}

struct Builder {
    file: Arc<str>,
    documents: Vec<Node>,
    open: Vec<Open>,
    errors: Diagnostics,
    nodes: usize,
}

impl Builder {
    fn new(file: Arc<str>) -> Self {
        Builder {
            file,
            documents: Vec::new(),
            open: Vec::new(),
            errors: Diagnostics::new(),
            nodes: 0,
        }
    }

    fn read(&mut self, text: &str) {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => {
                    let place = self.place(&span.start);
                    if !self.event(event, place) {
                        return;
                    }
                }
                Err(error) => {
                    self.syntax(text, &error);
                    return;
                }
            }
        }
    }

    /// Takes in one event; false ends the reading.
    fn event(&mut self, event: Event<'_>, place: Place) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(&place, anchor, tag.is_some());
                let quoted = style != ScalarStyle::Plain;
                if self.awaits_key() {
                    self.key(text.into_owned(), quoted, place);
                    return self.errors.len() < MAX_ERRORS;
                }
                self.add(Node::new(scalar::resolve(text.into_owned(), quoted), place))
            }
            Event::Alias(_) => {
                self.errors.add(
                    &place,
                    "aliases (`*name`) are not accepted: write the value again, or quote the `*`",
                );
                self.add(Node::null(place))
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_only(&place, anchor, tag.is_some());
                self.open(Open::List {
                    place,
                    items: Vec::new(),
                })
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_only(&place, anchor, tag.is_some());
                self.open(Open::Map {
                    place,
                    map: Map::new(),
                    key: None,
                    merge: false,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { place, items }) => self.add(Node::new(Value::List(items), place)),
                Some(Open::Map { place, map, .. }) => self.add(Node::new(Value::Map(map), place)),
                None => true,
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => true,
        }
    }

    /// Refuses anchors and tags.
    fn plain_only(&mut self, place: &Place, anchor: usize, tag: bool) {
        if anchor != 0 {
            self.errors.add(
                place,
                "anchors (`&name`) are not accepted: write the value where it is used",
            );
        }
        if tag {
            self.errors.add(
                place,
                "tags (`!name`) are not accepted: quote the value to make it a string",
            );
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn key(&mut self, text: String, quoted: bool, place: Place) {
        let Some(Open::Map {
            map, key, merge, ..
        }) = self.open.last_mut()
        else {
            return;
        };
        let mut usable = true;
        if text == "<<" && !quoted {
            if !*merge {
                self.errors.add(
                    &place,
                    "merge keys (`<<`) are not accepted: write the keys here",
                );
            }
            (*merge, usable) = (true, false);
        } else if let Some(first) = map.get(&text) {
            let shown = scalar::shorten(&text);
            let at = format!("{}:{}", first.key.line, first.key.column);
            self.errors.add(
                &place,
                format!("key `{shown}` stands here twice; the first is at {at}"),
            );
            usable = false;
        }
        *key = Some(Key {
            text: usable.then_some(text),
            quoted,
            place,
        });
    }

    fn open(&mut self, open: Open) -> bool {
        if self.open.len() == MAX_DEPTH {
            let place = match &open {
                Open::List { place, .. } | Open::Map { place, .. } => place.clone(),
            };
            self.errors.add(
                &place,
                format!("nested too deeply: at most {MAX_DEPTH} levels are read"),
            );
            return false;
        }
        self.open.push(open);
        true
    }

    /// Puts a finished value where it belongs; false ends the reading.
    fn add(&mut self, node: Node) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.errors.add(
                &node.place,
                format!("too many values: at most {MAX_NODES} are read"),
            );
            return false;
        }
        match self.open.last_mut() {
            None if node.is_null() => {}
            None => self.documents.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { map, key, .. }) => match key.take() {
                Some(Key {
                    text: Some(text),
                    quoted,
                    place,
                }) => {
                    map.insert(
                        text,
                        Entry {
                            key: place,
                            quoted,
                            node,
                        },
                    );
                }
                Some(Key { text: None, .. }) => {}
                None => {
                    self.errors.add(
                        &node.place,
                        "a key must be a scalar: a list or map cannot be one",
                    );
                    *key = Some(Key {
                        text: None,
                        quoted: false,
                        place: node.place,
                    });
                }
            },
        }
        self.errors.len() < MAX_ERRORS
    }

    fn syntax(&mut self, text: &str, error: &ScanError) {
        let mark = error.marker();
        let place = self.place(mark);
        // The parser has a depth limit of its own, and meets it in looking ahead: say ours.
        if let Some(place) = self.too_deep(text, mark.index()) {
            self.errors.add(
                &place,
                format!("nested too deeply: at most {MAX_DEPTH} levels are read"),
            );
            return;
        }
        let at = text.chars().nth(mark.index().saturating_sub(1));
        let here = text.chars().nth(mark.index());
        let hint = match (at, here) {
            (Some('*'), _) | (_, Some('*')) => "; a value that begins with `*` is quoted: `\"*\"`",
            (_, Some('@' | '`' | '%')) => "; quote the value",
            (_, Some('\t')) => "; indent with spaces",
            _ => "",
        };
        self.errors
            .add(&place, format!("YAML syntax: {}{hint}", error.info()));
    }

    /// Where flow brackets alone nest past the bound, before `end` (in characters). Brackets in quotes may be counted,
    /// which can only matter to a file that is in error anyway.
    fn too_deep(&self, text: &str, end: usize) -> Option<Place> {
        let (mut depth, mut line, mut column) = (0_usize, 1, 0);
        for letter in text.chars().take(end + 1) {
            column += 1;
            match letter {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                '\n' => (line, column) = (line + 1, 0),
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Some(Place {
                    file: self.file.clone(),
                    line,
                    column,
                });
            }
        }
        None
    }

    fn place(&self, mark: &Marker) -> Place {
        Place {
            file: self.file.clone(),
            line: clamp(mark.line()),
            column: clamp(mark.col() + 1),
        }
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
