//! The state of one decoding: the errors found so far, and the values that they make unusable.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::tree::{MapEntry, Node};

/// The number of errors after which decoding stops.
pub const MAX_ERRORS: usize = 100;

/// Unsupported keys (or enum variants): the serde name of the struct or enum without its `*`, and for each key, the
/// effect that ignoring it has on the result. An empty string means no effect.
pub type Unsupported = &'static [(&'static str, &'static [(&'static str, &'static str)])];

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
    word: &'a str,
    prefix: &'a str,
    later: Unsupported,
    /// The addresses of values in error, which are treated as absent.
    pub(super) poisoned: RefCell<BTreeSet<usize>>,
    /// The addresses of map entries whose key has been reported as unknown or recorded as unsupported.
    noted: RefCell<BTreeSet<usize>>,
    pub(super) found: RefCell<Diagnostics>,
    pub(super) passed: RefCell<Vec<PassedOver>>,
}

impl<'a> DecodeSession<'a> {
    pub(super) fn new(word: &'a str, prefix: &'a str, later: Unsupported) -> Self {
        DecodeSession {
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

    /// Reports an unknown key of a struct, once.
    pub(super) fn unknown_key(
        &self,
        name: &str,
        key: &str,
        entry: &MapEntry,
        known: &'static [&'static str],
    ) {
        if self
            .noted
            .borrow_mut()
            .insert(std::ptr::from_ref(entry).addr())
        {
            if let Some(effect) = self.later(name, key) {
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
            let hint = crate::suggest::hint(key, known.iter().copied());
            let message = format!("unknown {} `{shown}`: {hint}", self.word);
            self.report(&entry.key, &message);
        }
    }

    /// Returns the effect of ignoring a key or variant; `None` if it must not be ignored.
    pub(super) fn later(&self, name: &str, key: &str) -> Option<&'static str> {
        let name = name.trim_end_matches('*');
        let mut of_name = self.later.iter().filter(|(of, _)| *of == name);
        of_name.find_map(|(_, keys)| {
            keys.iter()
                .find(|(known, _)| *known == key)
                .map(|(_, effect)| *effect)
        })
    }

    pub(super) fn report(&self, place: &Location, message: &str) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_ERRORS {
            found.push(Diagnostic::new(
                place.clone(),
                format!("{}{message}", self.prefix),
            ));
        }
    }
}

/// The identity of a node. It is stable because the tree is borrowed, and so does not move, during the decoding.
pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}
