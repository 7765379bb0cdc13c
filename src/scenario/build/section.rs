//! The tree of a scenario under construction.

use shakedown_yaml::{Diagnostics, Location, Node, tree};

/// A map of a scenario under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    entries: Vec<(String, Part)>,
}

/// The value of a key.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A text, also if it looks like a number or a boolean.
    Text(String),
    /// A value in YAML's flow form.
    Yaml(String),
    List(Vec<Part>),
    Section(Section),
}

impl Section {
    /// Sets a key. An earlier value is replaced in its place.
    pub(super) fn set(&mut self, key: &str, part: Part) {
        match self.entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = part,
            None => self.entries.push((key.to_owned(), part)),
        }
    }

    /// The map that is the value of a key, which is made if it is not there.
    pub(super) fn section(&mut self, key: &str) -> &mut Section {
        let known = self.entries.iter().position(|(known, _)| known == key);
        let at = known.unwrap_or_else(|| {
            self.set(key, Part::Section(Section::default()));
            self.entries.len() - 1
        });
        if !matches!(self.entries[at].1, Part::Section(_)) {
            self.entries[at].1 = Part::Section(Section::default());
        }
        match &mut self.entries[at].1 {
            Part::Section(section) => section,
            _ => unreachable!("the value was replaced by a map above"),
        }
    }

    /// Adds an item to the list that is the value of a key.
    pub(super) fn push(&mut self, key: &str, item: Part) {
        match self.entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, Part::List(items))) => items.push(item),
            _ => self.set(key, Part::List(vec![item])),
        }
    }

    pub(super) fn names(&mut self, key: &str, names: &[&str]) {
        let names = names.iter().map(|name| Part::Text((*name).to_owned()));
        self.set(key, Part::List(names.collect()));
    }

    pub(super) fn node(self, path: &str, errors: &mut Diagnostics) -> Node {
        let entries: Vec<(String, Node)> = self
            .entries
            .into_iter()
            .map(|(key, part)| {
                let separator = if path.ends_with(' ') { "" } else { "." };
                let node = part.node(&format!("{path}{separator}{key}"), errors);
                (key, node)
            })
            .collect();
        Node::map(entries, Location::whole(path.trim_end()))
    }
}

impl Part {
    fn node(self, path: &str, errors: &mut Diagnostics) -> Node {
        let place = Location::whole(path);
        match self {
            Part::Text(text) => Node::string(text, place),
            Part::Yaml(text) => match tree::parse(path, &text) {
                Ok(mut documents) if documents.len() == 1 => documents.remove(0),
                Ok(_) => {
                    errors.add(&place, "expected one value in YAML's flow form");
                    Node::null(place)
                }
                Err(found) => {
                    errors.append(found);
                    Node::null(place)
                }
            },
            Part::List(items) => {
                let items = items.into_iter().enumerate();
                let items = items.map(|(at, item)| item.node(&format!("{path}[{at}]"), errors));
                Node::list(items.collect(), place)
            }
            Part::Section(section) => section.node(path, errors),
        }
    }
}

pub(super) fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

pub(super) fn yaml(text: &str) -> Part {
    Part::Yaml(text.to_owned())
}
