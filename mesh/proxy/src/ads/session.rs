//! The delta protocol's client as a plain state machine: what is subscribed, what was accepted, what to answer.
//!
//! A response's good resources are applied even when others of it are bad: those are refused one by one in the NACK, and
//! their last good version stays. It knows no stream and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use shakedown_xds::proto::Kind;
use shakedown_xds::proto::core::Node;
use shakedown_xds::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};
use shakedown_xds::proto::rpc::Status;
use shakedown_xds::table::{ClusterKind, Listener, NameMap, Named as _, Routes, Table};

use crate::resources::{AcceptError, Accepted, Compiled, ResourceCache, Saved};

/// gRPC's code for what a NACK says. Source: xDS protocol, `error_detail`; Envoy sends INVALID_ARGUMENT or INTERNAL.
const INVALID_ARGUMENT: i32 = 3;

/// What a proxy and its control plane have agreed on; it outlives the streams.
#[derive(Debug, Default)]
pub(crate) struct Session {
    subscriptions: [Subscription; Kind::ALL.len()],
    cache: ResourceCache,
    /// What was accepted differs from what was last published.
    changed: bool,
    /// The push that has wholly arrived and is not in force yet. The control plane names it in the last response of it.
    push: Option<u64>,
    /// Something was refused since a push was last whole.
    refused: bool,
    /// The listeners that were refused and have no earlier version, each with the reason.
    closed: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Subscription {
    /// Names subscribed to; nothing for the wildcard types.
    wanted: NameMap<str>,
    /// Of these, the ones never answered, be it with a resource, a refused one or its absence.
    waiting: BTreeSet<Arc<str>>,
    /// The control plane has spoken of this type at all.
    answered: bool,
    /// The last good version of each resource.
    accepted: NameMap<Accepted>,
    /// `accepted` differs from what the store has.
    unsaved: bool,
}

/// A resource that was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) reason: String,
}

/// What follows from a response.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// To be sent in this order.
    pub(super) requests: Vec<DeltaDiscoveryRequest>,
    pub(super) refused: Vec<Refused>,
}

/// A configuration that may be put in force.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) table: Table,
    /// The push that is now wholly in force; `None` when part of it was refused.
    pub(super) push: Option<u64>,
    /// Why one of the listeners is missing, if one is.
    pub(super) missing: Option<String>,
}

/// Asks for the address of a listener that has been compiled.
pub(crate) type Bind<'b> = &'b dyn Fn(&Listener) -> io::Result<()>;

impl Session {
    /// Nothing accepted yet. What other proxies have accepted is taken from the cache.
    pub(crate) fn new(cache: ResourceCache) -> Session {
        Session {
            cache,
            ..Session::default()
        }
    }

    /// The requests that open a stream. The node goes with the first alone.
    pub(super) fn open(&self, node: Node) -> Vec<DeltaDiscoveryRequest> {
        let mut node = Some(node);
        Kind::ALL
            .into_iter()
            .filter(|kind| is_wildcard(*kind) || !self.subscription(*kind).wanted.is_empty())
            .map(|kind| {
                let subscription = self.subscription(kind);
                DeltaDiscoveryRequest {
                    node: node.take(),
                    type_url: kind.url().into(),
                    resource_names_subscribe: texts(subscription.wanted.values()),
                    // A protobuf map: encoded in another order each run, but always in as many bytes.
                    initial_resource_versions: subscription
                        .accepted
                        .values()
                        .map(|it| (it.name().to_owned(), it.version.to_string()))
                        .collect(),
                    ..Default::default()
                }
            })
            .collect()
    }

    /// Takes in a response. Of an unknown type it is ignored, since nobody asked for it. One that names a resource twice is
    /// refused as a whole. Source: Envoy, `DeltaSubscriptionState::handleGoodResponse`.
    pub(crate) fn receive(&mut self, response: DeltaDiscoveryResponse, bind: Bind<'_>) -> Reply {
        let Some(kind) = Kind::of_url(&response.type_url) else {
            return Reply::default();
        };
        let mut reply = Reply::default();
        self.subscription_mut(kind).answered = true;
        let twice = named_twice(&response);
        let (resources, removed) = match &twice {
            Some(_) => (Vec::new(), &[][..]),
            None => (response.resources, &response.removed_resources[..]),
        };
        if let Some((name, reason)) = twice {
            self.subscription_mut(kind).waiting.remove(&*name);
            reply.refused.push(Refused { kind, name, reason });
        }
        // First, since what comes may take the place of what goes.
        for name in removed {
            self.forget(kind, name);
            self.subscription_mut(kind).waiting.remove(&**name);
        }
        for resource in resources {
            let name = resource.name.clone();
            self.subscription_mut(kind).waiting.remove(&*name);
            if !is_wildcard(kind) && !self.subscription(kind).wanted.contains_key(&name) {
                // It was on its way when we gave it up.
                continue;
            }
            if let Err(error) = self.accept(kind, resource, bind) {
                let reason = error.to_string();
                if kind == Kind::Listener && !self.subscription(kind).accepted.contains_key(&name) {
                    self.closed.insert(name.clone(), reason.clone());
                }
                reply.refused.push(Refused { kind, name, reason });
            }
        }
        self.refused |= !reply.refused.is_empty();
        // Pushes are numbered in decimal; another control plane may write what it likes there.
        self.push = response.system_version_info.parse().ok().or(self.push);
        // What the response makes us want is asked for before it is acknowledged, as Envoy does.
        reply.requests.extend(self.follow_names(kind));
        reply.requests.push(DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            error_detail: error_detail(&reply.refused),
            ..Default::default()
        });
        reply
    }

    /// Whether everything that was asked for has been answered.
    pub(super) fn is_warm(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| {
            let subscription = self.subscription(kind);
            subscription.waiting.is_empty() && (subscription.answered || !is_wildcard(kind))
        })
    }

    /// Goes on without what has not been answered by now: it is taken to be absent.
    pub(crate) fn stop_waiting(&mut self) {
        for subscription in &mut self.subscriptions {
            subscription.answered = true;
            subscription.waiting.clear();
        }
    }

    /// The configuration to put in force, if it is warm and differs from the last one.
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

    /// The types whose accepted resources changed since this was last asked, each with its store's value.
    pub(crate) fn unsaved(&mut self) -> Vec<(Kind, Saved)> {
        let mut unsaved = Vec::new();
        for kind in Kind::ALL {
            let subscription = self.subscription_mut(kind);
            if !std::mem::take(&mut subscription.unsaved) {
                continue;
            }
            unsaved.push((kind, Saved::new(kind, subscription.accepted.clone())));
        }
        unsaved
    }

    /// Takes in what the store kept of a type: all good once, so what is not any more is left out.
    ///
    /// The types come in [`Kind::ALL`]'s order. Nothing restored counts as answered by the control plane.
    pub(super) fn restore(&mut self, saved: DeltaDiscoveryResponse) {
        let Some(kind) = Kind::of_url(&saved.type_url) else {
            return;
        };
        for resource in saved.resources {
            // A version of the proxy that understood less, or more, may have written it.
            let _ = self.accept(kind, resource, &|_| Ok(()));
        }
        self.subscription_mut(kind).unsaved = false;
        self.follow_names(kind);
        for kind in Kind::ALL {
            let subscription = self.subscription_mut(kind);
            let Subscription {
                waiting, accepted, ..
            } = subscription;
            waiting.retain(|name| !accepted.contains_key(name));
        }
    }

    /// The restored configuration, if there is one.
    pub(super) fn restored(&mut self) -> Option<Table> {
        std::mem::take(&mut self.changed).then(|| self.table())
    }

    fn accept(
        &mut self,
        kind: Kind,
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

    /// No two listeners have one address. Source: Envoy, `ListenerManagerImpl::addOrUpdateListenerInternal`.
    fn has_address(&self, listener: &Listener) -> Result<(), AcceptError> {
        let accepted = self.subscription(Kind::Listener).accepted.values();
        let mut others = accepted.filter(|it| it.name() != &*listener.name);
        let taken = others.find(|it| match &it.compiled {
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

    /// What was accepted, as a table.
    fn table(&self) -> Table {
        self.cache.table(|kind| &self.subscription(kind).accepted)
    }

    /// The names that the accepted resources of a kind refer to.
    fn followed(&self, kind: Kind) -> NameMap<str> {
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

    fn forget(&mut self, kind: Kind, name: &str) {
        if kind == Kind::Listener {
            self.closed.remove(name);
        }
        let subscription = self.subscription_mut(kind);
        if subscription.accepted.remove(name).is_some() {
            subscription.unsaved = true;
            self.changed = true;
        }
    }

    /// Subscribes to the names that the accepted resources of `kind` refer to, and to no others.
    fn follow_names(&mut self, kind: Kind) -> Option<DeltaDiscoveryRequest> {
        let followed = match kind {
            Kind::Cluster => Kind::Endpoints,
            Kind::Listener => Kind::Routes,
            Kind::Endpoints | Kind::Routes => return None,
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

    fn subscription(&self, kind: Kind) -> &Subscription {
        &self.subscriptions[kind as usize]
    }

    fn subscription_mut(&mut self, kind: Kind) -> &mut Subscription {
        &mut self.subscriptions[kind as usize]
    }
}

/// Whether all resources of a kind are subscribed to, or some by name.
fn is_wildcard(kind: Kind) -> bool {
    matches!(kind, Kind::Cluster | Kind::Listener)
}

/// The names of one that are not in the other.
fn difference(one: &NameMap<str>, other: &NameMap<str>) -> Vec<Arc<str>> {
    let new = one.values().filter(|name| !other.contains_key(name));
    new.cloned().collect()
}

fn texts<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

/// A name that a response has twice, and what is wrong with that.
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

fn error_detail(refused: &[Refused]) -> Option<Status> {
    if refused.is_empty() {
        return None;
    }
    let each = |r: &Refused| format!("{} {}: {}", r.kind, r.name, r.reason);
    let message = refused.iter().map(each).collect::<Vec<_>>().join("; ");
    Some(Status {
        code: INVALID_ARGUMENT,
        message,
        details: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
