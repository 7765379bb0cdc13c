//! The configuration of a proxy as far as it depends on its pod's identity and locality: endpoints ordered by locality,
//! routes with conditions on the caller, and DestinationRules with a limited scope. Built once for all proxies with the
//! same result.

use std::sync::Arc;

use shakedown_istio::registry::Mesh;
use shakedown_translate::{Audience, Audiences, Caller, Client, Nearness};

use crate::made::MadeFor;
use crate::node::Node;
use crate::snapshot::{Resources, Snapshot};

/// The inputs of the view: the proxy attributes that documents depend on. With `None` and `false` everywhere, all
/// proxies receive the same configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// The caller attributes that decide which rules apply.
    pub(crate) audiences: Option<Arc<Audiences>>,
    /// The client attributes that decide the endpoints, for clients to which only the default rules apply.
    pub(crate) nearness: Option<Arc<Nearness>>,
    /// True if routes depend on the caller.
    pub(crate) callers: bool,
}

/// The resources built so far, by the attributes that they depend on.
#[derive(Debug, Default)]
pub(crate) struct Sights {
    standings: MadeFor<Caller, Standing>,
    ruled: MadeFor<Arc<Audience>, Resources>,
    near: MadeFor<(Arc<Audience>, Client), Resources>,
    routed: MadeFor<Caller, Resources>,
}

/// The sidecar scope of a caller, and the locality inputs of its rules.
#[derive(Debug, Default, PartialEq)]
struct Standing {
    audience: Arc<Audience>,
    nearness: Option<Arc<Nearness>>,
}

/// A caller with another sidecar scope than the default.
struct Apart {
    /// The caller, reduced to the attributes that rules depend on.
    met_as: Caller,
    standing: Arc<Standing>,
}

/// The part of a proxy's configuration that depends on its attributes.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The number of the push that last changed the registry.
    registry_push: u64,
    /// The proxy's pod; `None` if no document depends on callers.
    caller: Option<Arc<Caller>>,
    client: Option<(Arc<Nearness>, Client)>,
    /// The layers of resources. A later one takes precedence.
    layers: [Arc<Resources>; 3],
}

/// The configuration in force, for one proxy.
pub(crate) struct Scene<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) shared: &'a Snapshot,
    pub(crate) look: &'a Look,
    pub(crate) registry_push: u64,
    pub(crate) node: &'a Node,
}

impl Look {
    /// The inputs of a mesh's documents. Unchanged parts reuse those of `before`.
    pub(crate) fn of(mesh: &Mesh, before: &Look) -> Look {
        let stranger = Caller::default();
        Look {
            audiences: kept(Audiences::of(mesh), &before.audiences),
            nearness: kept(Nearness::of(mesh, &stranger), &before.nearness),
            callers: shakedown_translate::depends_on_caller(mesh),
        }
    }

    /// Returns true if all proxies receive the same configuration.
    pub(crate) fn is_nothing(&self) -> bool {
        self.audiences.is_none() && self.nearness.is_none() && !self.callers
    }
}

/// Returns the previous [`Arc`] if the value is unchanged, so that resources built from it stay cached.
fn kept<T: PartialEq>(now: Option<T>, before: &Option<Arc<T>>) -> Option<Arc<T>> {
    let now = now?;
    match before {
        Some(before) if **before == now => Some(Arc::clone(before)),
        _ => Some(Arc::new(now)),
    }
}

impl Sights {
    /// The view of a proxy. `earlier` is its previous view.
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

    /// The sidecar scope of a caller; `None` if it is the default.
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

    /// Endpoints by locality. `ruled` takes precedence over the shared resources.
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
            // For the default scope this is already in `Look`.
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
    /// Returns true if both contain the same resources.
    pub(crate) fn is_as(&self, other: &Sight) -> bool {
        let mut layers = self.layers.iter().zip(&other.layers);
        layers.all(|(one, other)| Arc::ptr_eq(one, other) || one.is_empty() && other.is_empty())
    }

    /// Merges a proxy's own resources with this view.
    pub(crate) fn over(&self, alone: &Arc<Resources>) -> Arc<Resources> {
        let mut seen = self.layers.iter().filter(|layer| !layer.is_empty());
        match seen.next() {
            None => Arc::clone(alone),
            Some(first) => Arc::new(seen.fold(alone.with(first), |all, layer| all.with(layer))),
        }
    }
}

/// The proxy as a client. Reuses the earlier result if neither the registry nor the inputs changed.
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

/// The pod of a proxy, with the namespace that the proxy reports and the labels that the registry has for its address.
/// Source: Istio, `Proxy.ConfigNamespace`.
fn caller_of(mesh: &Mesh, node: &Node) -> Caller {
    Caller {
        namespace: node.namespace.to_string(),
        ..Caller::at(&mesh.registry, node.address)
    }
}

#[cfg(test)]
mod tests;
