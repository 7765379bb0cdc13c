//! The client of the delta xDS protocol as a state machine without I/O: subscriptions, accepted resources, replies.
//!
//! A response's valid resources are applied even if others of it are invalid. The NACK lists each invalid resource, and
//! its last good version stays. Neither a stream nor a clock is used here.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use shakedown_xds::proto::ResourceKind;
use shakedown_xds::proto::core::Node;
use shakedown_xds::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};
use shakedown_xds::proto::rpc::Status;
use shakedown_xds::table::{ClusterKind, Listener, NameMap, NamedValue as _, Routes, Table};

use crate::resources::{AcceptError, Accepted, Compiled, ResourceCache, SavedResponse};

/// The gRPC status code of a NACK. Source: xDS protocol, `error_detail`; Envoy sends INVALID_ARGUMENT or INTERNAL.
const INVALID_ARGUMENT: i32 = 3;

/// The state that a proxy and its control plane agree on. It outlives the streams.
#[derive(Debug, Default)]
pub(crate) struct AdsSession {
    subscriptions: [ResourceSubscription; ResourceKind::ALL.len()],
    cache: ResourceCache,
    /// True if `accepted` differs from the last published configuration.
    changed: bool,
    /// A push that has arrived completely and is not in force yet. The control plane names a push in its last response.
    push: Option<u64>,
    /// True if a resource was refused since the last complete push.
    refused: bool,
    /// Listeners that were refused and have no earlier version, by name, each with the reason.
    closed: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct ResourceSubscription {
    /// The names subscribed to. Empty for wildcard types.
    wanted: NameMap<str>,
    /// The subscribed names without an answer. A resource, even an invalid one, and a removal are answers.
    waiting: BTreeSet<Arc<str>>,
    /// True once the control plane has sent a response of this type.
    answered: bool,
    /// The last good version of each resource.
    accepted: NameMap<Accepted>,
    /// True if `accepted` differs from the stored resources.
    unsaved: bool,
}

/// A resource that was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefusedResource {
    pub(super) kind: ResourceKind,
    pub(super) name: String,
    pub(super) reason: String,
}

/// The consequences of a response.
#[derive(Debug, Default)]
pub(crate) struct ResponseOutcome {
    /// The requests to send, in this order.
    pub(super) requests: Vec<DeltaDiscoveryRequest>,
    pub(super) refused: Vec<RefusedResource>,
}

/// A configuration to put in force.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) table: Table,
    /// The push that is complete with this configuration; `None` if part of it was refused.
    pub(super) push: Option<u64>,
    /// The reason why a listener is missing; `None` if none is.
    pub(super) missing: Option<String>,
}

/// Checks that the address of a compiled listener can be listened on.
pub(crate) type Bind<'b> = &'b dyn Fn(&Listener) -> io::Result<()>;

impl AdsSession {
    /// A session without accepted resources. Resources that other proxies have accepted are taken from the cache.
    pub(crate) fn new(cache: ResourceCache) -> AdsSession {
        AdsSession {
            cache,
            ..AdsSession::default()
        }
    }

    /// The requests that open a stream. Only the first carries the node.
    pub(super) fn open(&self, node: Node) -> Vec<DeltaDiscoveryRequest> {
        let mut node = Some(node);
        ResourceKind::ALL
            .into_iter()
            .filter(|kind| is_wildcard(*kind) || !self.subscription(*kind).wanted.is_empty())
            .map(|kind| {
                let subscription = self.subscription(kind);
                DeltaDiscoveryRequest {
                    node: node.take(),
                    type_url: kind.url().into(),
                    resource_names_subscribe: texts(subscription.wanted.values()),
                    // A protobuf map is encoded in another order each run, but always in the same number of bytes.
                    initial_resource_versions: subscription
                        .accepted
                        .values()
                        .map(|resource| (resource.name().to_owned(), resource.version.to_string()))
                        .collect(),
                    ..Default::default()
                }
            })
            .collect()
    }

    /// Applies a response. A response of an unknown type is ignored, because it was not subscribed to. One that names a
    /// resource twice is refused as a whole. Source: Envoy, `DeltaSubscriptionState::handleGoodResponse`.
    pub(crate) fn receive(
        &mut self,
        response: DeltaDiscoveryResponse,
        bind: Bind<'_>,
    ) -> ResponseOutcome {
        let Some(kind) = ResourceKind::of_url(&response.type_url) else {
            return ResponseOutcome::default();
        };
        let mut reply = ResponseOutcome::default();
        self.subscription_mut(kind).answered = true;
        let twice = named_twice(&response);
        let (resources, removed) = match &twice {
            Some(_) => (Vec::new(), &[][..]),
            None => (response.resources, &response.removed_resources[..]),
        };
        if let Some((name, reason)) = twice {
            self.subscription_mut(kind).waiting.remove(&*name);
            reply.refused.push(RefusedResource { kind, name, reason });
        }
        // Removals are applied first, because an added listener may use a removed one's address.
        for name in removed {
            self.forget(kind, name);
            self.subscription_mut(kind).waiting.remove(&**name);
        }
        for resource in resources {
            let name = resource.name.clone();
            self.subscription_mut(kind).waiting.remove(&*name);
            if !is_wildcard(kind) && !self.subscription(kind).wanted.contains_key(&name) {
                // The resource was sent before the control plane received the unsubscription.
                continue;
            }
            if let Err(error) = self.accept(kind, resource, bind) {
                let reason = error.to_string();
                if kind == ResourceKind::Listener
                    && !self.subscription(kind).accepted.contains_key(&name)
                {
                    self.closed.insert(name.clone(), reason.clone());
                }
                reply.refused.push(RefusedResource { kind, name, reason });
            }
        }
        self.refused |= !reply.refused.is_empty();
        // Our control plane numbers pushes in decimal. Another one may send any text, which is ignored.
        self.push = response.system_version_info.parse().ok().or(self.push);
        // New names are subscribed to before the response is acknowledged, as in Envoy.
        reply.requests.extend(self.follow_names(kind));
        reply.requests.push(DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            error_detail: error_detail(&reply.refused),
            ..Default::default()
        });
        reply
    }

    /// True if all subscriptions have been answered.
    pub(super) fn is_warm(&self) -> bool {
        ResourceKind::ALL.into_iter().all(|kind| {
            let subscription = self.subscription(kind);
            subscription.waiting.is_empty() && (subscription.answered || !is_wildcard(kind))
        })
    }

    /// Treats unanswered resources as absent from now on.
    pub(crate) fn stop_waiting(&mut self) {
        for subscription in &mut self.subscriptions {
            subscription.answered = true;
            subscription.waiting.clear();
        }
    }

    /// The configuration to put in force; `None` if answers are missing or nothing has changed.
    pub(crate) fn publish(&mut self) -> Option<Published> {
        if !self.is_warm() || !(self.changed || self.push.is_some()) {
            return None;
        }
        self.changed = false;
        for subscription in &mut self.subscriptions {
            self.cache.share(&mut subscription.accepted);
        }
        let push = self.push.take();
        let good = push.is_none() || !std::mem::take(&mut self.refused);
        Some(Published {
            table: self.table(),
            push: push.filter(|_| good),
            missing: self.missing(),
        })
    }

    fn missing(&self) -> Option<String> {
        let (name, reason) = self.closed.first_key_value()?;
        Some(format!("listener {name} was refused: {reason}"))
    }

    /// The types whose accepted resources changed since the last call, each with the value to store.
    pub(crate) fn unsaved(&mut self) -> Vec<(ResourceKind, SavedResponse)> {
        let mut unsaved = Vec::new();
        for kind in ResourceKind::ALL {
            let subscription = self.subscription_mut(kind);
            if !std::mem::take(&mut subscription.unsaved) {
                continue;
            }
            unsaved.push((
                kind,
                SavedResponse::new(kind, subscription.accepted.clone()),
            ));
        }
        unsaved
    }

    /// Restores the stored resources of a type. They were valid when stored, and those that are not any more are
    /// dropped.
    ///
    /// Call it in the order of [`ResourceKind::ALL`]. Restored resources do not count as answers of the control plane.
    pub(super) fn restore(&mut self, saved: DeltaDiscoveryResponse) {
        let Some(kind) = ResourceKind::of_url(&saved.type_url) else {
            return;
        };
        for resource in saved.resources {
            // Another version of the proxy may have written it, with other rules of validity.
            let _ = self.accept(kind, resource, &|_| Ok(()));
        }
        self.subscription_mut(kind).unsaved = false;
        self.follow_names(kind);
        for kind in ResourceKind::ALL {
            let subscription = self.subscription_mut(kind);
            let ResourceSubscription {
                waiting, accepted, ..
            } = subscription;
            waiting.retain(|name| !accepted.contains_key(name));
        }
    }

    /// The restored configuration; `None` if nothing was restored.
    pub(super) fn restored(&mut self) -> Option<Table> {
        std::mem::take(&mut self.changed).then(|| self.table())
    }

    fn accept(
        &mut self,
        kind: ResourceKind,
        resource: Resource,
        bind: Bind<'_>,
    ) -> Result<(), AcceptError> {
        let accepted = self.cache.accept(kind, resource)?;
        if let Compiled::Listener(listener) = &accepted.compiled {
            self.has_address(listener)?;
            bind(listener).map_err(|source| AcceptError::Bind {
                address: listener.address,
                source,
            })?;
            self.closed.remove(&*listener.name);
        }
        let subscription = self.subscription_mut(kind);
        subscription.accepted.put(accepted);
        subscription.unsaved = true;
        self.changed = true;
        Ok(())
    }

    /// Checks that no other listener has the same address. Source: Envoy,
    /// `ListenerManagerImpl::addOrUpdateListenerInternal`.
    fn has_address(&self, listener: &Listener) -> Result<(), AcceptError> {
        let accepted = self.subscription(ResourceKind::Listener).accepted.values();
        let mut others = accepted.filter(|resource| resource.name() != &*listener.name);
        let taken = others.find(|resource| match &resource.compiled {
            Compiled::Listener(other) => other.address == listener.address,
            _ => false,
        });
        match taken {
            None => Ok(()),
            Some(other) => Err(AcceptError::Address {
                address: listener.address,
                other: other.name().to_string(),
            }),
        }
    }

    /// The accepted resources as a table.
    fn table(&self) -> Table {
        self.cache.table(|kind| &self.subscription(kind).accepted)
    }

    /// The names that the accepted resources of a kind refer to.
    fn followed(&self, kind: ResourceKind) -> NameMap<str> {
        let name = |accepted: &Arc<Accepted>| match &accepted.compiled {
            Compiled::Cluster(cluster) => match &cluster.kind {
                ClusterKind::Eds(name) => Some(Arc::clone(name)),
                ClusterKind::Static(_) | ClusterKind::OriginalDst => None,
            },
            Compiled::Listener(listener) => match &listener.routes {
                Routes::Named(name) => Some(Arc::clone(name)),
                Routes::Inline(_) => None,
            },
            Compiled::Endpoints(_) | Compiled::Routes(_) => None,
        };
        let accepted = self.subscription(kind).accepted.values();
        let sorted: BTreeSet<Arc<str>> = accepted.filter_map(name).collect();
        let mut names = NameMap::from_sorted(sorted);
        self.cache.share_names(&mut names);
        names
    }

    fn forget(&mut self, kind: ResourceKind, name: &str) {
        if kind == ResourceKind::Listener {
            self.closed.remove(name);
        }
        let subscription = self.subscription_mut(kind);
        if subscription.accepted.remove(name).is_some() {
            subscription.unsaved = true;
            self.changed = true;
        }
    }

    /// Subscribes to the names that the accepted resources of `kind` refer to, and to no others.
    fn follow_names(&mut self, kind: ResourceKind) -> Option<DeltaDiscoveryRequest> {
        let followed = match kind {
            ResourceKind::Cluster => ResourceKind::Endpoints,
            ResourceKind::Listener => ResourceKind::Routes,
            ResourceKind::Endpoints | ResourceKind::Routes => return None,
        };
        let wanted = self.followed(kind);
        let before = std::mem::take(&mut self.subscription_mut(followed).wanted);
        let subscribe = difference(&wanted, &before);
        let unsubscribe = difference(&before, &wanted);
        self.subscription_mut(followed).wanted = wanted;
        if subscribe.is_empty() && unsubscribe.is_empty() {
            return None;
        }
        for name in &unsubscribe {
            self.forget(followed, name);
            self.subscription_mut(followed).waiting.remove(name);
        }
        let (subscribed, unsubscribed) = (texts(&subscribe), texts(&unsubscribe));
        self.subscription_mut(followed).waiting.extend(subscribe);
        Some(DeltaDiscoveryRequest {
            type_url: followed.url().into(),
            resource_names_subscribe: subscribed,
            resource_names_unsubscribe: unsubscribed,
            ..Default::default()
        })
    }

    fn subscription(&self, kind: ResourceKind) -> &ResourceSubscription {
        &self.subscriptions[kind as usize]
    }

    fn subscription_mut(&mut self, kind: ResourceKind) -> &mut ResourceSubscription {
        &mut self.subscriptions[kind as usize]
    }
}

/// True if the kind is subscribed to by wildcard, false if by name.
fn is_wildcard(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Cluster | ResourceKind::Listener)
}

/// The names in `one` that are not in `other`.
fn difference(one: &NameMap<str>, other: &NameMap<str>) -> Vec<Arc<str>> {
    let new = one.values().filter(|name| !other.contains_key(name));
    new.cloned().collect()
}

fn texts<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

/// A name that a response contains twice, and the error text for it.
fn named_twice(response: &DeltaDiscoveryResponse) -> Option<(String, String)> {
    let mut seen = BTreeSet::new();
    for resource in &response.resources {
        if !seen.insert(&resource.name) {
            let name = resource.name.clone();
            let reason = format!("duplicate name {name} found among added/updated resources");
            return Some((name, reason));
        }
    }
    let mut removed = response.removed_resources.iter();
    let name = removed.find(|name| !seen.insert(*name))?.clone();
    let reason = format!("duplicate name {name} found in the union of added+removed resources");
    Some((name, reason))
}

fn error_detail(refused: &[RefusedResource]) -> Option<Status> {
    if refused.is_empty() {
        return None;
    }
    let each = |r: &RefusedResource| format!("{} {}: {}", r.kind, r.name, r.reason);
    let message = refused.iter().map(each).collect::<Vec<_>>().join("; ");
    Some(Status {
        code: INVALID_ARGUMENT,
        message,
        details: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
