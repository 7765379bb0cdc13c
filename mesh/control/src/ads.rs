//! Delta ADS, as a state machine of one proxy's stream: requests and snapshots are its input, responses its output. It
//! uses neither a runtime nor a clock.
//!
//! The work is divided into rounds. A round updates the proxy from its current resources to one snapshot. A newer
//! snapshot waits until the round is over, so that all resource types of a proxy are from the same push. Within a
//! round:
//!
//! 1. Clusters, and the endpoints of every cluster sent. A changed cluster warms until it receives endpoints, even
//!    unchanged ones.
//! 2. Once those are acknowledged: listeners, then routes (make before break).
//! 3. Once those are acknowledged: removals, in reverse order: routes, listeners, endpoints, clusters. Each waits for
//!    the acknowledgement of the one before.
//!
//! Endpoints do not wait for the acknowledgement of clusters, because Envoy withholds it until it has received them.
//!
//! Bounds: one unacknowledged response per type, about 256 KiB per response, 100,000 names per type.
//!
//! Response rules: the first request of a type is always answered, if need be with an empty response. Later requests
//! are answered only for the names that they add. A refusal is never answered: the resource is sent again when it has
//! changed. A stale nonce acknowledges nothing. The subscriptions in such a request still apply, because each request
//! of the delta protocol is a difference.

mod message;
mod stream;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use message::{DeltaRequest, DeltaResponse};
pub(crate) use stream::DeltaStream;
pub use subscription::{SharedSubscriptions, TooManyNames};

use crate::snapshot::{ResourceKind, SnapshotView};
use crate::status::NackStatus;
use subscription::{Acknowledgement, Batch, TypeSubscription};

/// The maximum number of pending responses to types that are not served. At this limit the stream reads no further
/// request.
const UNSERVED_MAX: usize = 16;

/// The subscriptions of one proxy: the resources that it requested, has, and must still be sent.
#[derive(Debug)]
pub struct Subscriptions {
    view: SnapshotView,
    /// The newest view, for the next round.
    waiting: Option<SnapshotView>,
    /// Indexed by `ResourceKind as usize`.
    kinds: [TypeSubscription; 4],
    nonce: u64,
    /// The newest push that has been fully sent and acknowledged.
    acknowledged: u64,
    unserved: VecDeque<DeltaRequest>,
}

impl Subscriptions {
    /// A proxy without resources and subscriptions.
    pub fn new(view: SnapshotView) -> Subscriptions {
        Subscriptions::sharing(view, &Arc::default())
    }

    /// A proxy without resources and subscriptions, whose later state uses the storage in `shared`.
    pub fn sharing(view: SnapshotView, shared: &Arc<SharedSubscriptions>) -> Subscriptions {
        Subscriptions {
            view,
            waiting: None,
            kinds: ResourceKind::ALL.map(|kind| TypeSubscription::new(kind, shared)),
            nonce: 0,
            acknowledged: 0,
            unserved: VecDeque::new(),
        }
    }

    /// Processes a request. Afterwards call [`Subscriptions::next`] until it returns `None`.
    ///
    /// # Errors
    /// The proxy subscribes to more names than are allowed.
    pub fn request(&mut self, request: DeltaRequest) -> Result<(), TooManyNames> {
        let Some(kind) = ResourceKind::of_url(&request.type_url) else {
            // The acknowledgement of such a response is not answered again.
            if request.nonce.is_empty() || !request.subscribe.is_empty() {
                self.unserved.push_back(request);
            }
            return Ok(());
        };
        let verdict = self.kinds[kind as usize].request(request, &self.view)?;
        if verdict == Acknowledgement::Accepted {
            self.note_acknowledged();
        }
        Ok(())
    }

    /// Sets the view of the next round.
    pub fn offer(&mut self, view: SnapshotView) {
        self.waiting = Some(view);
    }

    /// Returns true if another request may be read before [`Subscriptions::next`] is called.
    pub fn has_room(&self) -> bool {
        self.unserved.len() < UNSERVED_MAX
    }

    /// The next response to send, if one can be sent now.
    #[expect(
        clippy::should_implement_trait,
        reason = "not an iterator: there may be more after None"
    )]
    pub fn next(&mut self) -> Option<DeltaResponse> {
        self.nonce += 1;
        if let Some(request) = self.unserved.pop_front() {
            return Some(message::unserved(request, self.nonce.to_string()));
        }
        loop {
            if let Some((kind, batch)) = self.compose() {
                let more = self.kinds.iter().any(TypeSubscription::owes);
                return Some(DeltaResponse {
                    version: (!more).then_some(self.view.push()),
                    type_url: kind.url().into(),
                    resources: batch.resources,
                    removed: batch.removed,
                    nonce: self.nonce.to_string(),
                });
            }
            self.note_acknowledged();
            if !self.take_up() {
                return None;
            }
        }
    }

    /// Returns true if a response awaits the proxy's acknowledgement.
    pub fn waits(&self) -> bool {
        self.kinds.iter().any(TypeSubscription::waits)
    }

    /// The newest push of which everything that concerns this proxy was sent and acknowledged; 0 before the first. A
    /// proxy that has not yet requested clusters and listeners acknowledges nothing.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The types that the proxy refuses at present.
    pub fn rejections(&self) -> Vec<NackStatus> {
        let rejected = |kind: ResourceKind| {
            let reason = self.kinds[kind as usize].refusal()?.clone();
            Some(NackStatus { kind, reason })
        };
        ResourceKind::ALL.into_iter().filter_map(rejected).collect()
    }

    /// The next batch that the order of the rounds allows.
    fn compose(&mut self) -> Option<(ResourceKind, Batch)> {
        if let Some(batch) = self.update(ResourceKind::Cluster) {
            let endpoints = &mut self.kinds[ResourceKind::Endpoints as usize];
            for name in batch
                .resources
                .iter()
                .filter_map(|entry| entry.endpoints.as_ref())
            {
                endpoints.again(name);
            }
            return Some((ResourceKind::Cluster, batch));
        }
        if let Some(batch) = self.update(ResourceKind::Endpoints) {
            return Some((ResourceKind::Endpoints, batch));
        }
        if !(self.quiet(ResourceKind::Cluster) && self.quiet(ResourceKind::Endpoints)) {
            return None;
        }
        for kind in [ResourceKind::Listener, ResourceKind::Routes] {
            if let Some(batch) = self.update(kind) {
                return Some((kind, batch));
            }
        }
        if !(self.quiet(ResourceKind::Listener) && self.quiet(ResourceKind::Routes)) {
            return None;
        }
        for kind in [
            ResourceKind::Routes,
            ResourceKind::Listener,
            ResourceKind::Endpoints,
            ResourceKind::Cluster,
        ] {
            if let Some(batch) = self.removal(kind) {
                return Some((kind, batch));
            }
            if !self.quiet(kind) {
                return None;
            }
        }
        None
    }

    fn update(&mut self, kind: ResourceKind) -> Option<Batch> {
        self.kinds[kind as usize].updates(&self.view, self.nonce)
    }

    fn removal(&mut self, kind: ResourceKind) -> Option<Batch> {
        self.kinds[kind as usize].removals(self.nonce)
    }

    fn quiet(&self, kind: ResourceKind) -> bool {
        self.kinds[kind as usize].quiet()
    }

    /// Starts the next round if this one is over and a newer view is waiting.
    fn take_up(&mut self) -> bool {
        if !self.kinds.iter().all(TypeSubscription::idle) {
            return false;
        }
        let Some(view) = self.waiting.take() else {
            return false;
        };
        let earlier = std::mem::replace(&mut self.view, view);
        let changes = self.view.changes_since(&earlier);
        for (kind, subscription) in ResourceKind::ALL.into_iter().zip(&mut self.kinds) {
            match &changes {
                Some(changes) => {
                    for name in changes.of_kind(kind) {
                        subscription.reconsider(name, &self.view);
                    }
                }
                None => subscription.compare_all(&self.view),
            }
        }
        true
    }

    fn note_acknowledged(&mut self) {
        let requested = [ResourceKind::Cluster, ResourceKind::Listener]
            .iter()
            .all(|kind| self.kinds[*kind as usize].started());
        let settled = |s: &TypeSubscription| s.idle() && s.refusal().is_none();
        if requested && self.kinds.iter().all(settled) {
            self.acknowledged = self.view.push();
        }
    }
}
