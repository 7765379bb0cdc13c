//! What a proxy is to see otherwise than others, by who its pod is and where it runs: endpoints that are near, routes that
//! speak of callers, DestinationRules that hold for some. Made once for all proxies that see the same.

use std::sync::Arc;

use shakedown_istio::registry::Mesh;
use shakedown_translate::{Audience, Audiences, Caller, Client, Nearness};

use crate::made::MadeFor;
use crate::node::Node;
use crate::snapshot::{Resources, Snapshot};

/// What documents look at of proxies. `None` and `false`: of nothing, and all see the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// What of a caller decides which rules hold for it.
    pub(crate) audiences: Option<Arc<Audiences>>,
    /// What of a client decides which endpoints it sees, where no rules hold but those that hold for all.
    pub(crate) nearness: Option<Arc<Nearness>>,
    /// Whether routes speak of callers.
    pub(crate) callers: bool,
}

/// What was made for those who have asked.
#[derive(Debug, Default)]
pub(crate) struct Sights {
    standings: MadeFor<Caller, Standing>,
    ruled: MadeFor<Arc<Audience>, Resources>,
    near: MadeFor<(Arc<Audience>, Client), Resources>,
    routed: MadeFor<Caller, Resources>,
}

/// Where a caller stands among the rules.
#[derive(Debug, Default, PartialEq)]
struct Standing {
    audience: Arc<Audience>,
    nearness: Option<Arc<Nearness>>,
}

/// A caller for whom other rules hold than for most.
struct Apart {
    /// As much of it as rules look at.
    met_as: Caller,
    standing: Arc<Standing>,
}

/// What one proxy sees otherwise.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The push that last changed the registry.
    registry_push: u64,
    /// Who its pod is, where anybody looks at it.
    caller: Option<Arc<Caller>>,
    client: Option<(Arc<Nearness>, Client)>,
    /// In the order in which one takes the other's place.
    layers: [Arc<Resources>; 3],
}

/// What is in force, for one proxy.
pub(crate) struct Scene<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) shared: &'a Snapshot,
    pub(crate) look: &'a Look,
    pub(crate) registry_push: u64,
    pub(crate) node: &'a Node,
}

impl Look {
    /// What a mesh's documents look at. What is as it was `before` is the same.
    pub(crate) fn of(mesh: &Mesh, before: &Look) -> Look {
        let stranger = Caller::default();
        Look {
            audiences: kept(Audiences::of(mesh), &before.audiences),
            nearness: kept(Nearness::of(mesh, &stranger), &before.nearness),
            callers: shakedown_translate::depends_on_caller(mesh),
        }
    }

    /// Whether all see the same.
    pub(crate) fn is_nothing(&self) -> bool {
        self.audiences.is_none() && self.nearness.is_none() && !self.callers
    }
}

/// The same [`Arc`] where it would hold the same, so that what was made of it is kept, too.
fn kept<T: PartialEq>(now: Option<T>, before: &Option<Arc<T>>) -> Option<Arc<T>> {
    let now = now?;
    match before {
        Some(before) if **before == now => Some(Arc::clone(before)),
        _ => Some(Arc::new(now)),
    }
}

impl Sights {
    /// What a proxy sees. `earlier`: what it saw.
    pub(crate) fn of(&self, scene: &Scene<'_>, earlier: Option<&Sight>) -> Sight {
        let same = earlier.filter(|it| it.registry_push == scene.registry_push);
        let look = scene.look;
        let caller = (look.audiences.is_some() || look.callers).then(|| {
            let known = same.and_then(|it| it.caller.clone());
            known.unwrap_or_else(|| Arc::new(caller_of(scene.mesh, scene.node)))
        });
        let apart = caller.as_deref().and_then(|it| self.apart(scene, it));
        let ruled = self.ruled(scene, apart.as_ref());
        let nearness = match &apart {
            Some(apart) => apart.standing.nearness.as_ref(),
            None => look.nearness.as_ref(),
        };
        let client = nearness.map(|it| client_of(scene, it, same));
        let near = match &client {
            Some((_, client)) => self.near(scene, apart.as_ref(), client, &ruled),
            None => Arc::default(),
        };
        let routed = match caller.as_deref().filter(|_| look.callers) {
            Some(caller) => self.routed.of(caller, scene.shared, |_| {
                Resources::routed(shakedown_translate::routes_for(scene.mesh, caller))
            }),
            None => Arc::default(),
        };
        Sight {
            registry_push: scene.registry_push,
            caller,
            client,
            layers: [ruled, near, routed],
        }
    }

    /// Where a caller stands among the rules, if others hold for it than for most.
    fn apart(&self, scene: &Scene<'_>, caller: &Caller) -> Option<Apart> {
        let met_as = scene.look.audiences.as_ref()?.look_at(caller);
        let standing = self.standing(scene, &met_as);
        (!standing.audience.is_everybody()).then_some(Apart { met_as, standing })
    }

    fn ruled(&self, scene: &Scene<'_>, apart: Option<&Apart>) -> Arc<Resources> {
        let Some(Apart { met_as, standing }) = apart else {
            return Arc::default();
        };
        let shared = scene.shared;
        self.ruled.of(&standing.audience, shared, |before| {
            let own = shakedown_translate::outbound_of(scene.mesh, &standing.audience, met_as);
            Resources::otherwise(own, shared.resources(), before)
        })
    }

    /// `ruled`: what goes before what all share.
    fn near(
        &self,
        scene: &Scene<'_>,
        apart: Option<&Apart>,
        client: &Client,
        ruled: &Resources,
    ) -> Arc<Resources> {
        let audience = apart.map(|it| Arc::clone(&it.standing.audience));
        let kind = (audience.unwrap_or_default(), client.clone());
        let stranger = Caller::default();
        let caller = apart.map_or(&stranger, |it| &it.met_as);
        self.near.of(&kind, scene.shared, |before| {
            let endpoints = shakedown_translate::nearby(scene.mesh, caller, client);
            Resources::nearby(endpoints, [ruled, scene.shared.resources()], before)
        })
    }

    fn standing(&self, scene: &Scene<'_>, met_as: &Caller) -> Arc<Standing> {
        self.standings.of(met_as, scene.shared, |before| {
            let audience = Audience::of(scene.mesh, met_as);
            let audience = match *before.audience == audience {
                true => Arc::clone(&before.audience),
                false => Arc::new(audience),
            };
            // For those who meet what all meet it is known.
            let nearness = (!audience.is_everybody())
                .then(|| Nearness::of(scene.mesh, met_as))
                .flatten();
            Standing {
                nearness: kept(nearness, &before.nearness),
                audience,
            }
        })
    }
}

impl Sight {
    /// Whether another sees the same.
    pub(crate) fn is_as(&self, other: &Sight) -> bool {
        let mut layers = self.layers.iter().zip(&other.layers);
        layers.all(|(one, other)| Arc::ptr_eq(one, other) || one.is_empty() && other.is_empty())
    }

    /// What a proxy has for itself, with what it sees.
    pub(crate) fn over(&self, alone: &Arc<Resources>) -> Arc<Resources> {
        let mut seen = self.layers.iter().filter(|layer| !layer.is_empty());
        match seen.next() {
            None => Arc::clone(alone),
            Some(first) => Arc::new(seen.fold(alone.with(first), |all, layer| all.with(layer))),
        }
    }
}

/// The client that a proxy is, as it was known where nothing has changed.
fn client_of(
    scene: &Scene<'_>,
    nearness: &Arc<Nearness>,
    earlier: Option<&Sight>,
) -> (Arc<Nearness>, Client) {
    let known = earlier.and_then(|it| it.client.as_ref());
    match known.filter(|(before, _)| Arc::ptr_eq(before, nearness)) {
        Some(known) => known.clone(),
        None => {
            let client = nearness.client(scene.mesh, scene.node.address);
            (Arc::clone(nearness), client)
        }
    }
}

/// The pod of a proxy: in the namespace that the proxy says, with the labels that the registry knows of its address.
/// Source: Istio, `Proxy.ConfigNamespace`.
fn caller_of(mesh: &Mesh, node: &Node) -> Caller {
    Caller {
        namespace: node.namespace.to_string(),
        ..Caller::at(&mesh.registry, node.address)
    }
}

#[cfg(test)]
mod tests;
