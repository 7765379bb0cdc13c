//! The subscription of one proxy to one resource type: requested names, resources sent, resources due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shakedown_xds::table::{ChunkStore, NameMap};

use super::message::{DeltaRequest, WILDCARD};
use crate::snapshot::{ResourceKind, ResourceVersion, SnapshotView};

/// The approximate maximum size of a response's resources, in bytes. A response carries at least one. This much is
/// buffered per connection, and is well below the 4 MiB that a gRPC client accepts.
pub(super) const RESPONSE_BYTES: usize = 256 * 1024;
/// The maximum number of names of one type that a proxy may subscribe to.
pub(super) const NAMES_MAX: usize = 100_000;

/// The reason to send a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SendReason {
    /// The resource differs from the version that the proxy has.
    Changed,
    /// The resource was requested, or its cluster was sent. The proxy is sent it again even if unchanged, and receives
    /// a removal if it does not exist.
    Requested,
}

/// The proxy's answer to a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Acknowledgement {
    /// The request acknowledges no outstanding response.
    None,
    Accepted,
    Refused,
}

/// Error of a subscription to more than `NAMES_MAX` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {NAMES_MAX} names of one type requested")]
pub struct TooManyNames;

#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) resources: Vec<Arc<ResourceVersion>>,
    pub(super) removed: Vec<Arc<str>>,
}

/// Storage for the resources and names of all subscriptions. Equal parts are stored once.
#[derive(Debug, Default)]
pub struct SharedSubscriptions {
    entries: ChunkStore<ResourceVersion>,
    names: ChunkStore<str>,
}

#[derive(Debug)]
pub(super) struct TypeSubscription {
    kind: ResourceKind,
    /// True once a request of this type was received.
    started: bool,
    wildcard: bool,
    names: NameMap<str>,
    /// The version of each resource that was last sent, or that the client reported.
    held: NameMap<ResourceVersion>,
    shared: Arc<SharedSubscriptions>,
    due: BTreeMap<Arc<str>, SendReason>,
    /// Resources that the client has and that no longer exist.
    gone: BTreeSet<Arc<str>>,
    /// True if a response must be sent even if it is empty.
    answer: bool,
    outstanding: Option<Outstanding>,
    refusal: Option<Nack>,
}

/// A response that the proxy has not answered.
#[derive(Debug)]
struct Outstanding {
    nonce: u64,
    names: Vec<Arc<str>>,
}

/// The resources that a proxy refused, until it accepts newer versions.
#[derive(Debug)]
struct Nack {
    reason: Arc<str>,
    /// The names that occur in the reason. If none does, all names of the response.
    names: BTreeSet<Arc<str>>,
    reason_has_names: bool,
}

impl TypeSubscription {
    pub(super) fn new(kind: ResourceKind, shared: &Arc<SharedSubscriptions>) -> TypeSubscription {
        TypeSubscription {
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

    /// Returns true if the proxy has requested this type.
    pub(super) fn started(&self) -> bool {
        self.started
    }

    /// Returns true if no addition or change is due and all responses were answered.
    pub(super) fn quiet(&self) -> bool {
        !self.owes_updates() && self.outstanding.is_none()
    }

    /// Returns true if neither updates nor removals are due and all responses were answered.
    pub(super) fn idle(&self) -> bool {
        self.quiet() && self.gone.is_empty()
    }

    /// Returns true if updates or removals are due.
    pub(super) fn owes(&self) -> bool {
        self.owes_updates() || !self.gone.is_empty()
    }

    /// Returns true if a response is outstanding.
    pub(super) fn waits(&self) -> bool {
        self.outstanding.is_some()
    }

    /// The reason of the current refusal, if any.
    pub(super) fn refusal(&self) -> Option<&Arc<str>> {
        self.refusal.as_ref().map(|refusal| &refusal.reason)
    }

    /// Returns true if the client has this version of a resource.
    fn holds(&self, entry: &ResourceVersion) -> bool {
        let held = self.held.get(&entry.name);
        held.is_some_and(|held| held.version == entry.version)
    }

    fn owes_updates(&self) -> bool {
        self.answer || !self.due.is_empty()
    }

    fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains_key(name)
    }

    /// Processes a request of this type.
    pub(super) fn request(
        &mut self,
        request: DeltaRequest,
        view: &SnapshotView,
    ) -> Result<Acknowledgement, TooManyNames> {
        let first = !std::mem::replace(&mut self.started, true);
        let verdict = self.answered(&request);
        if first {
            // The first request of a type is answered regardless of its nonce, which may belong to an older stream.
            self.answer = true;
            let held = request.initial_versions.into_iter();
            // Sorted by name, as `from_sorted` requires: the source is a `BTreeMap`.
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
            // Resources that the client has but does not subscribe to are ignored. Subscribed ones that no longer exist
            // were marked above.
            self.held
                .retain(|entry| self.names.contains_key(&entry.name));
        }
        if first || asks {
            self.names.share(&self.shared.names);
            self.held.share(&self.shared.entries);
        }
        Ok(verdict)
    }

    /// Marks a resource to be sent again after its cluster was sent: endpoints must follow their cluster.
    pub(super) fn again(&mut self, name: &Arc<str>) {
        if self.wants(name) {
            self.due.insert(Arc::clone(name), SendReason::Requested);
        }
    }

    /// Compares one name with a new view.
    pub(super) fn reconsider(&mut self, name: &Arc<str>, view: &SnapshotView) {
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
            self.due
                .entry(Arc::clone(name))
                .or_insert(SendReason::Changed);
        } else if self.due.get(name) == Some(&SendReason::Changed) {
            self.due.remove(name);
        }
    }

    /// Compares all names with a new view.
    pub(super) fn compare_all(&mut self, view: &SnapshotView) {
        let held = self.held.values();
        let mut names: Vec<Arc<str>> = held.map(|entry| Arc::clone(&entry.name)).collect();
        if self.wildcard {
            names.extend(view.of_kind(self.kind).map(|entry| Arc::clone(&entry.name)));
        } else {
            names.extend(self.names.values().cloned());
        }
        for name in &names {
            self.reconsider(name, view);
        }
    }

    /// The next additions and changes. The caller must send them.
    pub(super) fn updates(&mut self, view: &SnapshotView, nonce: u64) -> Option<Batch> {
        if self.outstanding.is_some() || !self.owes_updates() {
            return None;
        }
        let mut batch = Batch::default();
        let mut size = 0;
        while size < RESPONSE_BYTES
            && let Some((name, due)) = self.due.pop_first()
        {
            match view.find(self.kind, &name) {
                Some(entry) if due == SendReason::Changed && self.holds(entry) => {}
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

    /// The next removals. The caller must send them.
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

    /// Applies the nonce and the error of a request to the outstanding response.
    fn answered(&mut self, request: &DeltaRequest) -> Acknowledgement {
        // An empty nonce acknowledges nothing. Any other than the outstanding one is stale.
        let Ok(nonce) = request.nonce.parse::<u64>() else {
            return Acknowledgement::None;
        };
        let Some(outstanding) = self.outstanding.take_if(|o| o.nonce == nonce) else {
            return Acknowledgement::None;
        };
        match &request.error {
            Some(reason) => {
                self.refuse(reason, outstanding.names);
                Acknowledgement::Refused
            }
            None => {
                self.forgive(outstanding.names.iter().map(|name| &**name));
                Acknowledgement::Accepted
            }
        }
    }

    fn refuse(&mut self, reason: &str, names: Vec<Arc<str>>) {
        let named: BTreeSet<Arc<str>> = names
            .iter()
            .filter(|name| reason.contains(&***name))
            .cloned()
            .collect();
        let (reason_has_names, names) = if named.is_empty() {
            (false, names.into_iter().collect())
        } else {
            (true, named)
        };
        let reason = reason.into();
        match &mut self.refusal {
            Some(refusal) => {
                refusal.reason_has_names &= reason_has_names;
                refusal.names.extend(names);
                refusal.reason = reason;
            }
            None => {
                self.refusal = Some(Nack {
                    reason,
                    names,
                    reason_has_names,
                })
            }
        }
    }

    /// Removes names from the refusal: the proxy accepted newer versions of them, or unsubscribed.
    fn forgive<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let Some(refusal) = &mut self.refusal else {
            return;
        };
        let before = refusal.names.len();
        for name in names {
            refusal.names.remove(name);
        }
        // If the reason names no resource, a newer version of any of them ends the refusal.
        if refusal.names.is_empty() || (!refusal.reason_has_names && refusal.names.len() < before) {
            self.refusal = None;
        }
    }

    fn subscribe(
        &mut self,
        name: &str,
        first: bool,
        view: &SnapshotView,
    ) -> Result<(), TooManyNames> {
        let entry = view.find(self.kind, name);
        let shared: Arc<str> = match entry {
            Some(entry) => Arc::clone(&entry.name),
            None => name.into(),
        };
        // A resumed stream subscribes to all names that it has, so resources with the current version are not sent
        // again. On later requests a name is always sent: the client may have dropped the resource in between. A
        // resource that no longer exists is removed in the order of the round, after the resources that refer to it.
        let held = if first { self.held.get(name) } else { None };
        match (held, entry) {
            (Some(held), Some(entry)) if held.version == entry.version => {}
            (Some(_), None) => {
                self.gone.insert(Arc::clone(&shared));
            }
            _ => {
                self.due.insert(Arc::clone(&shared), SendReason::Requested);
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

/// Returns true if a first request without names subscribes to all resources. This applies to clusters and listeners.
/// Endpoints and routes are requested by name.
fn has_wildcard(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Cluster | ResourceKind::Listener)
}

/// A resource that the client reported from an earlier stream.
fn resume(
    kind: ResourceKind,
    name: &str,
    version: String,
    view: &SnapshotView,
) -> Arc<ResourceVersion> {
    match view.find(kind, name) {
        Some(entry) if *entry.version == *version => Arc::clone(entry),
        Some(entry) => Arc::new(ResourceVersion::held(
            Arc::clone(&entry.name),
            version.into(),
        )),
        None => Arc::new(ResourceVersion::held(name.into(), version.into())),
    }
}
