//! One resource type of one proxy: what it asked for, what it holds, what it is still owed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shakedown_xds::table::{Chunks, NameMap};

use super::message::{Request, WILDCARD};
use crate::snapshot::{Entry, Kind, View};

/// A response carries about this many bytes of resources at most (and always at least one): what a connection buffers, and
/// well under the 4 MiB that a gRPC client takes.
pub(super) const RESPONSE_BYTES: usize = 256 * 1024;
/// A proxy may ask for this many names of one type.
pub(super) const NAMES_MAX: usize = 100_000;

/// Why a resource is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// It differs from what the proxy holds.
    Changed,
    /// It was asked for, or its cluster was sent: it is sent even if the proxy has it, and reported missing if it is.
    Asked,
}

/// What the proxy answered to a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: the request acknowledges no outstanding response.
    None,
    Accepted,
    Refused,
}

/// More names than `NAMES_MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {NAMES_MAX} names of one type asked for")]
pub struct TooManyNames;

/// Resources to add and names to remove.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) resources: Vec<Arc<Entry>>,
    pub(super) removed: Vec<Arc<str>>,
}

/// The resources and names that proxies hold and ask for; equal parts are kept once.
#[derive(Debug, Default)]
pub struct Held {
    entries: Chunks<Entry>,
    names: Chunks<str>,
}

/// The state of one type.
#[derive(Debug)]
pub(super) struct Subscription {
    kind: Kind,
    /// A request of this type has come.
    started: bool,
    wildcard: bool,
    names: NameMap<str>,
    /// The version of each resource that was last sent, or that the client said it has.
    held: NameMap<Entry>,
    shared: Arc<Held>,
    due: BTreeMap<Arc<str>, Due>,
    /// Held, and no longer there.
    gone: BTreeSet<Arc<str>>,
    /// An answer is owed, be it an empty one.
    answer: bool,
    outstanding: Option<Outstanding>,
    refusal: Option<Refusal>,
}

/// A response that the proxy has not answered.
#[derive(Debug)]
struct Outstanding {
    nonce: u64,
    names: Vec<Arc<str>>,
}

/// What a proxy refused, until it accepts newer versions.
#[derive(Debug)]
struct Refusal {
    reason: Arc<str>,
    /// The names that its reason tells; if it tells none, all of the response.
    names: BTreeSet<Arc<str>>,
    told: bool,
}

impl Subscription {
    pub(super) fn new(kind: Kind, shared: &Arc<Held>) -> Subscription {
        Subscription {
            kind,
            shared: Arc::clone(shared),
            started: false,
            wildcard: false,
            names: NameMap::default(),
            held: NameMap::default(),
            due: BTreeMap::new(),
            gone: BTreeSet::new(),
            answer: false,
            outstanding: None,
            refusal: None,
        }
    }

    /// Whether the proxy has asked for this type.
    pub(super) fn started(&self) -> bool {
        self.started
    }

    /// Whether nothing is to be added or changed, and all responses were answered.
    pub(super) fn quiet(&self) -> bool {
        !self.owes_updates() && self.outstanding.is_none()
    }

    /// Whether nothing at all is to be sent, and all responses were answered.
    pub(super) fn idle(&self) -> bool {
        self.quiet() && self.gone.is_empty()
    }

    /// Whether something is still to be sent.
    pub(super) fn owes(&self) -> bool {
        self.owes_updates() || !self.gone.is_empty()
    }

    /// Whether a response is outstanding.
    pub(super) fn waits(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Why the proxy refuses something, if it does.
    pub(super) fn refusal(&self) -> Option<&Arc<str>> {
        self.refusal.as_ref().map(|refusal| &refusal.reason)
    }

    /// Returns true if the client has a resource in this version.
    fn holds(&self, entry: &Entry) -> bool {
        let held = self.held.get(&entry.name);
        held.is_some_and(|held| held.version == entry.version)
    }

    fn owes_updates(&self) -> bool {
        self.answer || !self.due.is_empty()
    }

    fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains_key(name)
    }

    /// Takes in a request of this type.
    pub(super) fn request(
        &mut self,
        request: Request,
        view: &View,
    ) -> Result<Verdict, TooManyNames> {
        let first = !std::mem::replace(&mut self.started, true);
        let verdict = self.answered(&request);
        if first {
            // The first request of a type is answered whatever its nonce: it may be an older stream's.
            self.answer = true;
            let held = request.initial_versions.into_iter();
            // In the order of names: that of the map.
            let held = held.map(|(name, version)| resume(self.kind, &name, version, view));
            self.held = NameMap::from_sorted(held);
        }
        let asks = !(request.subscribe.is_empty() && request.unsubscribe.is_empty());
        for name in &request.unsubscribe {
            self.unsubscribe(name);
        }
        let everything = request.subscribe.iter().any(|name| name == WILDCARD)
            || (first && has_wildcard(self.kind) && request.subscribe.is_empty());
        for name in request.subscribe {
            if name != WILDCARD {
                self.subscribe(&name, first, view)?;
            }
        }
        if everything && !self.wildcard {
            self.wildcard = true;
            self.answer = true;
            self.compare_all(view);
        } else if first {
            // What it holds and does not ask for is its own affair; what it asks for and is gone was marked above.
            self.held
                .retain(|entry| self.names.contains_key(&entry.name));
        }
        if first || asks {
            self.names.share(&self.shared.names);
            self.held.share(&self.shared.entries);
        }
        Ok(verdict)
    }

    /// Something was asked for again by another way: a cluster was sent, its endpoints must follow.
    pub(super) fn again(&mut self, name: &Arc<str>) {
        if self.wants(name) {
            self.due.insert(Arc::clone(name), Due::Asked);
        }
    }

    /// Compares one name with a new view.
    pub(super) fn reconsider(&mut self, name: &Arc<str>, view: &View) {
        if !self.wants(name) {
            return;
        }
        let differs = match view.find(self.kind, name) {
            Some(entry) => {
                self.gone.remove(name);
                !self.holds(entry)
            }
            None => {
                if self.held.contains_key(name) {
                    self.gone.insert(Arc::clone(name));
                }
                false
            }
        };
        if differs {
            self.due.entry(Arc::clone(name)).or_insert(Due::Changed);
        } else if self.due.get(name) == Some(&Due::Changed) {
            self.due.remove(name);
        }
    }

    /// Compares everything with a new view.
    pub(super) fn compare_all(&mut self, view: &View) {
        let held = self.held.values();
        let mut names: Vec<Arc<str>> = held.map(|entry| Arc::clone(&entry.name)).collect();
        if self.wildcard {
            names.extend(view.of(self.kind).map(|entry| Arc::clone(&entry.name)));
        } else {
            names.extend(self.names.values().cloned());
        }
        for name in &names {
            self.reconsider(name, view);
        }
    }

    /// The next additions and changes to send. The caller sends them.
    pub(super) fn updates(&mut self, view: &View, nonce: u64) -> Option<Batch> {
        if self.outstanding.is_some() || !self.owes_updates() {
            return None;
        }
        let mut batch = Batch::default();
        let mut size = 0;
        while size < RESPONSE_BYTES
            && let Some((name, due)) = self.due.pop_first()
        {
            match view.find(self.kind, &name) {
                Some(entry) if due == Due::Changed && self.holds(entry) => {}
                Some(entry) => {
                    size += entry.wire.len();
                    self.held.put(Arc::clone(entry));
                    batch.resources.push(Arc::clone(entry));
                }
                None => {
                    size += name.len();
                    self.held.remove(&name);
                    self.gone.remove(&name);
                    batch.removed.push(name);
                }
            }
        }
        if self.due.is_empty() {
            self.held.share(&self.shared.entries);
        }
        let answer = std::mem::take(&mut self.answer);
        if batch.resources.is_empty() && batch.removed.is_empty() && !answer {
            return None;
        }
        self.sent(&batch, nonce);
        Some(batch)
    }

    /// The next removals to send. The caller sends them.
    pub(super) fn removals(&mut self, nonce: u64) -> Option<Batch> {
        if self.outstanding.is_some() || self.gone.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        let mut size = 0;
        while size < RESPONSE_BYTES
            && let Some(name) = self.gone.pop_first()
        {
            size += name.len();
            self.held.remove(&name);
            batch.removed.push(name);
        }
        self.sent(&batch, nonce);
        Some(batch)
    }

    fn sent(&mut self, batch: &Batch, nonce: u64) {
        let names = batch
            .resources
            .iter()
            .map(|entry| &entry.name)
            .chain(&batch.removed);
        self.outstanding = Some(Outstanding {
            nonce,
            names: names.cloned().collect(),
        });
    }

    /// Reads a request's nonce and error: what it says of the outstanding response.
    fn answered(&mut self, request: &Request) -> Verdict {
        // An empty nonce answers nothing; any other than the outstanding one is stale.
        let Ok(nonce) = request.nonce.parse::<u64>() else {
            return Verdict::None;
        };
        let Some(outstanding) = self.outstanding.take_if(|o| o.nonce == nonce) else {
            return Verdict::None;
        };
        match &request.error {
            Some(reason) => {
                self.refuse(reason, outstanding.names);
                Verdict::Refused
            }
            None => {
                self.forgive(outstanding.names.iter().map(|name| &**name));
                Verdict::Accepted
            }
        }
    }

    fn refuse(&mut self, reason: &str, names: Vec<Arc<str>>) {
        let told: BTreeSet<Arc<str>> = names
            .iter()
            .filter(|name| reason.contains(&***name))
            .cloned()
            .collect();
        let (told, names) = match told.is_empty() {
            true => (false, names.into_iter().collect()),
            false => (true, told),
        };
        let reason = reason.into();
        match &mut self.refusal {
            Some(refusal) => {
                refusal.told &= told;
                refusal.names.extend(names);
                refusal.reason = reason;
            }
            None => {
                self.refusal = Some(Refusal {
                    reason,
                    names,
                    told,
                })
            }
        }
    }

    /// Names that the proxy no longer refuses: it accepted newer versions, or has lost interest.
    fn forgive<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let Some(refusal) = &mut self.refusal else {
            return;
        };
        let before = refusal.names.len();
        for name in names {
            refusal.names.remove(name);
        }
        // Where it is not known which resource was refused, a newer version of any that may have been must do.
        if refusal.names.is_empty() || (!refusal.told && refusal.names.len() < before) {
            self.refusal = None;
        }
    }

    fn subscribe(&mut self, name: &str, first: bool, view: &View) -> Result<(), TooManyNames> {
        let entry = view.find(self.kind, name);
        let shared: Arc<str> = match entry {
            Some(entry) => Arc::clone(&entry.name),
            None => name.into(),
        };
        // A resumed stream names all that it holds: what it holds in the right version is not sent again. Later on, a name
        // that is asked for is sent in any case: the client may have dropped it in between.
        // And what it holds that has gone is removed in its turn, after what leads there.
        let held = if first { self.held.get(name) } else { None };
        match (held, entry) {
            (Some(held), Some(entry)) if held.version == entry.version => {}
            (Some(_), None) => {
                self.gone.insert(Arc::clone(&shared));
            }
            _ => {
                self.due.insert(Arc::clone(&shared), Due::Asked);
            }
        }
        self.names.put(shared);
        if self.names.len() > NAMES_MAX {
            Err(TooManyNames)
        } else {
            Ok(())
        }
    }

    fn unsubscribe(&mut self, name: &str) {
        if name == WILDCARD {
            self.wildcard = false;
            self.held
                .retain(|entry| self.names.contains_key(&entry.name));
            self.due.retain(|name, _| self.names.contains_key(name));
            self.gone.retain(|name| self.names.contains_key(name));
            return;
        }
        self.names.remove(name);
        if !self.wildcard {
            self.held.remove(name);
            self.due.remove(name);
            self.gone.remove(name);
            self.forgive([name]);
        }
    }
}

/// Whether a first request without names asks for all resources: it does for clusters and listeners; the others are named
/// by them.
fn has_wildcard(kind: Kind) -> bool {
    matches!(kind, Kind::Cluster | Kind::Listener)
}

/// A resource that the client brings from an earlier stream.
fn resume(kind: Kind, name: &str, version: String, view: &View) -> Arc<Entry> {
    match view.find(kind, name) {
        Some(entry) if *entry.version == *version => Arc::clone(entry),
        Some(entry) => Arc::new(Entry::held(Arc::clone(&entry.name), version.into())),
        None => Arc::new(Entry::held(name.into(), version.into())),
    }
}
