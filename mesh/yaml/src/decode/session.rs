//! The state of one decoding: the errors found so far, and the values that they make unusable.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::options::{DecodeOptions, UnknownKeys};
use super::struct_keys::StructKeys;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::tree::{MapEntry, Node};

/// The number of errors after which decoding stops.
pub const MAX_ERRORS: usize = 100;

/// An unsupported key or enum variant that was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    pub place: Location,
    pub key: String,
    /// The effect on the result; empty if ignoring the key has no effect.
    pub effect: &'static str,
}

/// The state of one decoding, which may read the tree several times: the values in error are skipped in the next pass.
pub(super) struct DecodeSession<'a> {
    options: &'a DecodeOptions,
    /// The address of the root.
    root: usize,
    /// The addresses of values in error, which are treated as absent.
    pub(super) poisoned: RefCell<BTreeSet<usize>>,
    /// The addresses of map entries whose key has been reported as unknown or recorded as unsupported.
    noted: RefCell<BTreeSet<usize>>,
    pub(super) found: RefCell<Diagnostics>,
    pub(super) passed: RefCell<Vec<PassedOver>>,
}

impl<'a> DecodeSession<'a> {
    pub(super) fn new(options: &'a DecodeOptions, root: usize) -> Self {
        DecodeSession {
            options,
            root,
            poisoned: RefCell::new(BTreeSet::new()),
            noted: RefCell::new(BTreeSet::new()),
            found: RefCell::new(Diagnostics::new()),
            passed: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn is_poisoned(&self, node: &Node) -> bool {
        self.poisoned.borrow().contains(&address(node))
    }

    /// Returns true if a value, or a part of it, is in error and treated as absent.
    pub(super) fn is_poisoned_within(&self, node: &Node) -> bool {
        if self.is_poisoned(node) {
            return true;
        }
        let within = |node: &Node| self.is_poisoned_within(node);
        node.as_list().is_some_and(|items| items.iter().any(within))
            || node
                .as_map()
                .is_some_and(|map| map.values().any(|entry| within(&entry.node)))
    }

    /// Returns true if a reported error explains that a key is missing: its value is in error, or the key is misspelt.
    pub(super) fn is_absence_explained(&self, node: &Node, key: &str) -> bool {
        if node.get(key).is_some_and(|child| self.is_poisoned(child)) {
            return true;
        }
        let noted = self.noted.borrow();
        node.as_map().into_iter().flatten().any(|(found, entry)| {
            noted.contains(&std::ptr::from_ref(entry).addr())
                && crate::suggest::nearest(found, [key]).is_some()
        })
    }

    /// Returns true if null is read as if the key were absent.
    pub(super) fn null_is_absent(&self) -> bool {
        self.options.null_is_absent
    }

    /// The word for a variant, with a space after it. Empty without such a word.
    pub(super) fn choice(&self) -> String {
        match self.options.choice {
            "" => String::new(),
            choice => format!("{choice} "),
        }
    }

    /// Reports a key that the struct at an address does not have, once.
    pub(super) fn unknown_key(&self, at: usize, of: &StructKeys, key: &str, entry: &MapEntry) {
        let others = match &self.options.unknown_keys {
            UnknownKeys::Ignored if at == self.root => return,
            UnknownKeys::Refused(others) if at == self.root => others.as_slice(),
            _ => &[],
        };
        if others.iter().any(|other| other.keys.contains(&key)) {
            return;
        }
        let address = std::ptr::from_ref(entry).addr();
        if !self.noted.borrow_mut().insert(address) {
            return;
        }
        let names = std::iter::once(of).chain(others);
        if let Some(effect) = names.clone().find_map(|of| self.effect_of(of.name, key)) {
            // A key without a value is not reported, because ignoring it changes nothing.
            let is_empty = entry.node.as_list().is_some_and(<[Node]>::is_empty);
            if !entry.node.is_null() && !is_empty {
                self.passed.borrow_mut().push(PassedOver {
                    place: entry.key.clone(),
                    key: key.to_owned(),
                    effect,
                });
            }
            return;
        }
        let shown = crate::tree::scalar::shorten(key);
        let known = names.clone().flat_map(|of| of.keys).copied();
        let accepted: Vec<&str> = known
            .chain(names.flat_map(|of| self.unsupported(of.name)))
            .collect();
        let hint = crate::suggest::hint(key, accepted);
        let message = format!("unknown {} `{shown}`: {hint}", self.options.word);
        self.report(&entry.key, &message);
    }

    /// Returns the effect of ignoring a key or variant; `None` if it must not be ignored.
    pub(super) fn effect_of(&self, name: &str, key: &str) -> Option<&'static str> {
        let keys = of_name(self.options.unsupported, name);
        keys.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, effect)| *effect)
    }

    /// The unsupported keys or variants of a type.
    pub(super) fn unsupported(&self, name: &str) -> impl Iterator<Item = &'static str> + Clone {
        of_name(self.options.unsupported, name)
            .iter()
            .map(|(key, _)| *key)
    }

    /// The example of a required key.
    pub(super) fn example(&self, name: &str, key: &str) -> Option<&'static str> {
        let examples = of_name(self.options.examples, name);
        examples
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, example)| *example)
    }

    pub(super) fn report(&self, place: &Location, message: &str) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_ERRORS {
            found.push(Diagnostic::new(
                place.clone(),
                format!("{}{message}", self.options.prefix),
            ));
        }
    }
}

/// The identity of a node. It is stable because the tree is borrowed, and so does not move, during the decoding.
pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// The entries of a type in a table by serde names, which are without the `*` of a short form.
fn of_name(
    table: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    name: &str,
) -> &'static [(&'static str, &'static str)] {
    let name = name.trim_end_matches('*');
    let found = table.iter().find(|(of, _)| *of == name);
    found.map_or(&[], |(_, entries)| entries)
}
