//! The state of one decoding: the errors found so far, and the values that they make unusable.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::tree::{Entry, Node};

/// After so many errors no more are looked for.
pub const MAX_ERRORS: usize = 100;

/// Keys (or enum variants) that exist and are not modelled: the serde name of the struct or enum, without a `*`, its keys,
/// and what it means for the answer that each is passed over; empty: nothing.
pub type Later = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// A key, or enum variant, that is not modelled and was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where it is.
    pub place: Place,
    /// The key or variant.
    pub key: String,
    /// What that means for the answer; empty: nothing.
    pub effect: &'static str,
}

/// One decoding, which may read the tree many times.
pub(super) struct Session<'a> {
    word: &'a str,
    prefix: &'a str,
    later: Later,
    /// The addresses of values that are in error, and taken as absent.
    pub(super) poisoned: RefCell<BTreeSet<usize>>,
    /// The addresses of map entries whose key has been refused.
    noted: RefCell<BTreeSet<usize>>,
    pub(super) found: RefCell<Diagnostics>,
    pub(super) passed: RefCell<Vec<Passed>>,
}

impl<'a> Session<'a> {
    pub(super) fn new(word: &'a str, prefix: &'a str, later: Later) -> Self {
        Session {
            word,
            prefix,
            later,
            poisoned: RefCell::new(BTreeSet::new()),
            noted: RefCell::new(BTreeSet::new()),
            found: RefCell::new(Diagnostics::new()),
            passed: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn is_poisoned(&self, node: &Node) -> bool {
        self.poisoned.borrow().contains(&address(node))
    }

    /// Whether a value, or anything in it, is taken as absent.
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

    /// Whether the absence of a key is no news: its value is in error, or it stands there misspelt.
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

    /// Tells of a key that a struct does not have, once.
    pub(super) fn unknown_key(
        &self,
        name: &str,
        key: &str,
        entry: &Entry,
        known: &'static [&'static str],
    ) {
        if self
            .noted
            .borrow_mut()
            .insert(std::ptr::from_ref(entry).addr())
        {
            if let Some(effect) = self.later(name, key) {
                // Without a value it says nothing.
                let is_empty = entry.node.as_list().is_some_and(<[Node]>::is_empty);
                if !entry.node.is_null() && !is_empty {
                    self.passed.borrow_mut().push(Passed {
                        place: entry.key.clone(),
                        key: key.to_owned(),
                        effect,
                    });
                }
                return;
            }
            let shown = crate::tree::scalar::shorten(key);
            let hint = crate::suggest::hint(key, known.iter().copied());
            let message = format!("unknown {} `{shown}`: {hint}", self.word);
            self.report(&entry.key, &message);
        }
    }

    /// What it means that a key, or variant, is passed over; none if it is not one of those.
    pub(super) fn later(&self, name: &str, key: &str) -> Option<&'static str> {
        let name = name.trim_end_matches('*');
        let mut of_name = self.later.iter().filter(|(of, _)| *of == name);
        of_name.find_map(|(_, keys)| {
            keys.iter()
                .find(|(known, _)| *known == key)
                .map(|(_, effect)| *effect)
        })
    }

    pub(super) fn report(&self, place: &Place, message: &str) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_ERRORS {
            found.push(Diagnostic::new(
                place.clone(),
                format!("{}{message}", self.prefix),
            ));
        }
    }
}

/// A node's identity: the tree is borrowed, and so does not move, as long as the decoding lasts.
pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}
