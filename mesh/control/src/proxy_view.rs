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
    pub(crate) scopes: Option<Arc<ScopeInputs>>,
    /// The client attributes that decide the endpoints, for clients to which only the default rules apply.
    pub(crate) locality: Option<Arc<LocalityInputs>>,
    /// True if routes depend on the caller.
    pub(crate) callers: bool,
}

/// The resources built so far, by the attributes that they depend on.
#[derive(Debug, Default)]
pub(crate) struct ViewCaches {
    caller_scopes: KeyedCache<Caller, CallerScope>,
    ruled: KeyedCache<Arc<SidecarScope>, Resources>,
    near: KeyedCache<(Arc<SidecarScope>, LocalityClient), Resources>,
    routed: KeyedCache<Caller, Resources>,
}

/// The sidecar scope of a caller, and the locality inputs of its rules.
#[derive(Debug, Default, PartialEq)]
struct CallerScope {
    scope: Arc<SidecarScope>,
    locality: Option<Arc<LocalityInputs>>,
}

/// A caller with another sidecar scope than the default.
struct ScopedCaller {
    /// The caller, reduced to the attributes that rules depend on.
    met_as: Caller,
    caller_scope: Arc<CallerScope>,
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
    pub(crate) inputs: &'a ViewInputs,
    pub(crate) registry_push: u64,
    pub(crate) node: &'a ProxyNode,
}

impl ViewInputs {
    /// The inputs of a mesh's documents. Unchanged parts reuse those of `before`.
    pub(crate) fn from_mesh(mesh: &Mesh, before: &ViewInputs) -> ViewInputs {
        let default_caller = Caller::default();
        ViewInputs {
            scopes: kept(ScopeInputs::from_mesh(mesh), &before.scopes),
            locality: kept(
                LocalityInputs::for_caller(mesh, &default_caller),
                &before.locality,
            ),
            callers: shakedown_translate::depends_on_caller(mesh),
        }
    }

    /// Returns true if all proxies receive the same configuration.
    pub(crate) fn is_nothing(&self) -> bool {
        self.scopes.is_none() && self.locality.is_none() && !self.callers
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
        config: &CurrentConfig<'_>,
        earlier: Option<&ProxyView>,
    ) -> ProxyView {
        let same = earlier.filter(|view| view.registry_push == config.registry_push);
        let inputs = config.inputs;
        let caller = (inputs.scopes.is_some() || inputs.callers).then(|| {
            let known = same.and_then(|view| view.caller.clone());
            known.unwrap_or_else(|| Arc::new(caller_of(config.mesh, config.node)))
        });
        let apart = caller
            .as_deref()
            .and_then(|caller| self.apart(config, caller));
        let ruled = self.ruled(config, apart.as_ref());
        let locality = match &apart {
            Some(apart) => apart.caller_scope.locality.as_ref(),
            None => inputs.locality.as_ref(),
        };
        let client = locality.map(|locality| client_of(config, locality, same));
        let near = match &client {
            Some((_, client)) => self.near(config, apart.as_ref(), client, &ruled),
            None => Arc::default(),
        };
        let routed = match caller.as_deref().filter(|_| inputs.callers) {
            Some(caller) => self.routed.get_or_make(caller, config.shared, |_| {
                Resources::routed(shakedown_translate::routes_for(config.mesh, caller))
            }),
            None => Arc::default(),
        };
        ProxyView {
            registry_push: config.registry_push,
            caller,
            client,
            layers: [ruled, near, routed],
        }
    }

    /// The sidecar scope of a caller; `None` if it is the default.
    fn apart(&self, config: &CurrentConfig<'_>, caller: &Caller) -> Option<ScopedCaller> {
        let met_as = config.inputs.scopes.as_ref()?.reduce(caller);
        let caller_scope = self.caller_scope(config, &met_as);
        (!caller_scope.scope.is_everybody()).then_some(ScopedCaller {
            met_as,
            caller_scope,
        })
    }

    fn ruled(&self, config: &CurrentConfig<'_>, apart: Option<&ScopedCaller>) -> Arc<Resources> {
        let Some(ScopedCaller {
            met_as,
            caller_scope,
        }) = apart
        else {
            return Arc::default();
        };
        let shared = config.shared;
        self.ruled
            .get_or_make(&caller_scope.scope, shared, |before| {
                let own =
                    shakedown_translate::outbound_of(config.mesh, &caller_scope.scope, met_as);
                Resources::otherwise(own, shared.resources(), before)
            })
    }

    /// Endpoints by locality. `ruled` takes precedence over the shared resources.
    fn near(
        &self,
        config: &CurrentConfig<'_>,
        apart: Option<&ScopedCaller>,
        client: &LocalityClient,
        ruled: &Resources,
    ) -> Arc<Resources> {
        let scope = apart.map(|apart| Arc::clone(&apart.caller_scope.scope));
        let kind = (scope.unwrap_or_default(), client.clone());
        let default_caller = Caller::default();
        let caller = apart.map_or(&default_caller, |apart| &apart.met_as);
        self.near.get_or_make(&kind, config.shared, |before| {
            let endpoints = shakedown_translate::nearby(config.mesh, caller, client);
            Resources::nearby(endpoints, [ruled, config.shared.resources()], before)
        })
    }

    fn caller_scope(&self, config: &CurrentConfig<'_>, met_as: &Caller) -> Arc<CallerScope> {
        self.caller_scopes
            .get_or_make(met_as, config.shared, |before| {
                let scope = SidecarScope::for_caller(config.mesh, met_as);
                let scope = if *before.scope == scope {
                    Arc::clone(&before.scope)
                } else {
                    Arc::new(scope)
                };
                // For the default scope this is already in `ViewInputs`.
                let locality = (!scope.is_everybody())
                    .then(|| LocalityInputs::for_caller(config.mesh, met_as))
                    .flatten();
                CallerScope {
                    locality: kept(locality, &before.locality),
                    scope,
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
    config: &CurrentConfig<'_>,
    locality: &Arc<LocalityInputs>,
    earlier: Option<&ProxyView>,
) -> (Arc<LocalityInputs>, LocalityClient) {
    let known = earlier.and_then(|view| view.client.as_ref());
    match known.filter(|(before, _)| Arc::ptr_eq(before, locality)) {
        Some(known) => known.clone(),
        None => {
            let client = locality.client(config.mesh, config.node.address);
            (Arc::clone(locality), client)
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
