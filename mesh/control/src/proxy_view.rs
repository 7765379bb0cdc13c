//! The configuration of a proxy as far as it depends on its pod's identity and locality: endpoints ordered by locality,
//! routes with conditions on the caller, and DestinationRules with a limited scope. Built once for all proxies with the
//! same result.

use std::sync::Arc;

use shakedown_istio::registry::Mesh;
use shakedown_translate::{Caller, LocalityClient, LocalityInputs, ScopeInputs, SidecarScope};

use crate::keyed_cache::KeyedCache;
use crate::node::ProxyNode;
use crate::snapshot::{ConfigSnapshot, Resources};

/// The inputs of the view: the proxy attributes that documents depend on. With `None` and `false` everywhere, all
/// proxies receive the same configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct ViewInputs {
    /// The caller attributes that decide which rules apply.
    pub(crate) audiences: Option<Arc<ScopeInputs>>,
    /// The client attributes that decide the endpoints, for clients to which only the default rules apply.
    pub(crate) nearness: Option<Arc<LocalityInputs>>,
    /// True if routes depend on the caller.
    pub(crate) callers: bool,
}

/// The resources built so far, by the attributes that they depend on.
#[derive(Debug, Default)]
pub(crate) struct ViewCaches {
    standings: KeyedCache<Caller, CallerScope>,
    ruled: KeyedCache<Arc<SidecarScope>, Resources>,
    near: KeyedCache<(Arc<SidecarScope>, LocalityClient), Resources>,
    routed: KeyedCache<Caller, Resources>,
}

/// The sidecar scope of a caller, and the locality inputs of its rules.
#[derive(Debug, Default, PartialEq)]
struct CallerScope {
    audience: Arc<SidecarScope>,
    nearness: Option<Arc<LocalityInputs>>,
}

/// A caller with another sidecar scope than the default.
struct ScopedCaller {
    /// The caller, reduced to the attributes that rules depend on.
    met_as: Caller,
    standing: Arc<CallerScope>,
}

/// The part of a proxy's configuration that depends on its attributes.
#[derive(Debug)]
pub(crate) struct ProxyView {
    /// The number of the push that last changed the registry.
    registry_push: u64,
    /// The proxy's pod; `None` if no document depends on callers.
    caller: Option<Arc<Caller>>,
    client: Option<(Arc<LocalityInputs>, LocalityClient)>,
    /// The layers of resources. A later one takes precedence.
    layers: [Arc<Resources>; 3],
}

/// The configuration in force, for one proxy.
pub(crate) struct CurrentConfig<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) shared: &'a ConfigSnapshot,
    pub(crate) look: &'a ViewInputs,
    pub(crate) registry_push: u64,
    pub(crate) node: &'a ProxyNode,
}

impl ViewInputs {
    /// The inputs of a mesh's documents. Unchanged parts reuse those of `before`.
    pub(crate) fn from_mesh(mesh: &Mesh, before: &ViewInputs) -> ViewInputs {
        let stranger = Caller::default();
        ViewInputs {
            audiences: kept(ScopeInputs::from_mesh(mesh), &before.audiences),
            nearness: kept(
                LocalityInputs::for_caller(mesh, &stranger),
                &before.nearness,
            ),
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

impl ViewCaches {
    /// The view of a proxy. `earlier` is its previous view.
    pub(crate) fn view_for(
        &self,
        scene: &CurrentConfig<'_>,
        earlier: Option<&ProxyView>,
    ) -> ProxyView {
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
            Some(caller) => self.routed.get_or_make(caller, scene.shared, |_| {
                Resources::routed(shakedown_translate::routes_for(scene.mesh, caller))
            }),
            None => Arc::default(),
        };
        ProxyView {
            registry_push: scene.registry_push,
            caller,
            client,
            layers: [ruled, near, routed],
        }
    }

    /// The sidecar scope of a caller; `None` if it is the default.
    fn apart(&self, scene: &CurrentConfig<'_>, caller: &Caller) -> Option<ScopedCaller> {
        let met_as = scene.look.audiences.as_ref()?.look_at(caller);
        let standing = self.standing(scene, &met_as);
        (!standing.audience.is_everybody()).then_some(ScopedCaller { met_as, standing })
    }

    fn ruled(&self, scene: &CurrentConfig<'_>, apart: Option<&ScopedCaller>) -> Arc<Resources> {
        let Some(ScopedCaller { met_as, standing }) = apart else {
            return Arc::default();
        };
        let shared = scene.shared;
        self.ruled
            .get_or_make(&standing.audience, shared, |before| {
                let own = shakedown_translate::outbound_of(scene.mesh, &standing.audience, met_as);
                Resources::otherwise(own, shared.resources(), before)
            })
    }

    /// Endpoints by locality. `ruled` takes precedence over the shared resources.
    fn near(
        &self,
        scene: &CurrentConfig<'_>,
        apart: Option<&ScopedCaller>,
        client: &LocalityClient,
        ruled: &Resources,
    ) -> Arc<Resources> {
        let audience = apart.map(|it| Arc::clone(&it.standing.audience));
        let kind = (audience.unwrap_or_default(), client.clone());
        let stranger = Caller::default();
        let caller = apart.map_or(&stranger, |it| &it.met_as);
        self.near.get_or_make(&kind, scene.shared, |before| {
            let endpoints = shakedown_translate::nearby(scene.mesh, caller, client);
            Resources::nearby(endpoints, [ruled, scene.shared.resources()], before)
        })
    }

    fn standing(&self, scene: &CurrentConfig<'_>, met_as: &Caller) -> Arc<CallerScope> {
        self.standings.get_or_make(met_as, scene.shared, |before| {
            let audience = SidecarScope::for_caller(scene.mesh, met_as);
            let audience = match *before.audience == audience {
                true => Arc::clone(&before.audience),
                false => Arc::new(audience),
            };
            // For the default scope this is already in `ViewInputs`.
            let nearness = (!audience.is_everybody())
                .then(|| LocalityInputs::for_caller(scene.mesh, met_as))
                .flatten();
            CallerScope {
                nearness: kept(nearness, &before.nearness),
                audience,
            }
        })
    }
}

impl ProxyView {
    /// Returns true if both contain the same resources.
    pub(crate) fn is_as(&self, other: &ProxyView) -> bool {
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
    scene: &CurrentConfig<'_>,
    nearness: &Arc<LocalityInputs>,
    earlier: Option<&ProxyView>,
) -> (Arc<LocalityInputs>, LocalityClient) {
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
fn caller_of(mesh: &Mesh, node: &ProxyNode) -> Caller {
    Caller {
        namespace: node.namespace.to_string(),
        ..Caller::at(&mesh.registry, node.address)
    }
}

#[cfg(test)]
mod tests;
