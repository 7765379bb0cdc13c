//! Warnings about VirtualServices that are superseded by others, or that apply to no traffic of this mesh.

use shakedown_istio::export::OWN_NAMESPACE;
use shakedown_istio::gateways::is_for_sidecars;
use shakedown_istio::registry::{Hostname, MeshOptions};
use shakedown_istio::{Resource, VirtualService};
use shakedown_translate::index::Index;
use shakedown_translate::{Caller, export};
use shakedown_yaml::Spanned;

use super::codes::CONFLICTING_HOSTS;
use super::overlap::{self, Overlap};
use super::{Advice, beside, whose};

/// Returns the reason why a document does not apply to callers of a namespace, as far as this does not depend on
/// other documents.
pub(crate) fn why_idle(
    resource: &Resource<VirtualService>,
    caller: &str,
    options: &MeshOptions,
) -> Option<String> {
    let (spec, own) = (&resource.spec, resource.meta.namespace.as_str());
    if !is_for_sidecars(spec) {
        return Some("it applies only to gateways: its `gateways` do not contain `mesh`".into());
    }
    if export::reach(spec, own, caller, options.virtual_services_for).is_some() {
        return None;
    }
    let named = spec.export_to.iter().map(|to| match to.as_str() {
        OWN_NAMESPACE => own,
        other => other,
    });
    let named: Vec<&str> = named.collect();
    Some(match named.as_slice() {
        [] => format!(
            "documents without `exportTo` apply only to callers in their own namespace in this mesh, and the caller is in `{caller}`"
        ),
        named => format!(
            "its `exportTo` contains only {}, and the caller is in `{caller}`",
            named.join(", ")
        ),
    })
}

impl<'a> Advice<'a> {
    pub(super) fn hosts(&mut self, resource: &Resource<VirtualService>) {
        let spec = &resource.spec;
        if spec.hosts.is_empty() {
            return;
        }
        if !is_for_sidecars(spec) {
            let message = "it applies only to gateways, and this mesh has none; add `mesh` for callers inside the mesh";
            self.warn(&spec.gateways[0].place, message);
            return;
        }
        let seen_in = self.seen_in(resource);
        for host in &spec.hosts {
            self.conflicting_host(resource, host, &seen_in);
        }
    }

    /// Warns of a host that other documents also have, if sidecars do not use this document for some or all callers.
    fn conflicting_host(
        &mut self,
        resource: &Resource<VirtualService>,
        host: &Spanned<String>,
        seen_in: &[String],
    ) {
        let name = Hostname::resolve(host, &resource.meta.namespace);
        let ports = self.host_ports(&name);
        // For a wildcard that covers services, only the first document is used.
        let mut known = self.mesh.registry.services.keys();
        let of_services = name.is_wildcard() && known.any(|known| name.covers(known));
        let (mut idle_in, mut nearer, mut partly) = (Vec::new(), None, None);
        for namespace in seen_in {
            let index = self.seen_by(namespace);
            match overlap::find(index, resource, &name, &ports, namespace) {
                Overlap::Partial(by) if !of_services => partly = partly.or(Some(by)),
                Overlap::Full(by) | Overlap::Partial(by) => {
                    nearer.get_or_insert((by, namespace));
                    idle_in.push(namespace.as_str());
                }
                Overlap::None => {}
            }
        }
        if let Some((by, namespace)) = nearer {
            let of_whom = if idle_in.len() == seen_in.len() {
                String::new()
            } else {
                format!(" from callers in {}", whose(idle_in.into_iter()))
            };
            let default = self.mesh.options.virtual_services_for;
            let reach = |of: &Resource<VirtualService>| {
                export::reach(&of.spec, &of.meta.namespace, namespace, default)
            };
            let because = if reach(by) == reach(resource) {
                "sidecars use only the oldest; merge them into one"
            } else {
                "sidecars prefer it because it is exported to fewer callers"
            };
            let message = format!(
                "it matches no requests for `{host}`{of_whom}: VirtualService {} at {} also has that host, and {because} \
                 {CONFLICTING_HOSTS}",
                by.meta.name,
                beside(&by.place, &host.place)
            );
            self.warn(&host.place, message);
        } else if let Some(by) = partly {
            let message = format!(
                "it does not match some requests for `{host}`: sidecars use only VirtualService {} at {} for the callers and ports for which that one has a route; merge them into one {CONFLICTING_HOSTS}",
                by.meta.name,
                beside(&by.place, &host.place)
            );
            self.warn(&host.place, message);
        }
    }

    /// Returns the ports of a host. Empty if unknown.
    fn host_ports(&self, host: &Hostname) -> Vec<u16> {
        let service = self.mesh.registry.service(host.as_str());
        let ports = service.map_or(&[][..], |service| &service.ports);
        ports.iter().map(|port| port.number).collect()
    }

    /// Returns the namespaces whose callers see a document, among those that documents distinguish.
    pub(super) fn seen_in(&self, resource: &Resource<VirtualService>) -> Vec<String> {
        let (spec, own) = (&resource.spec, resource.meta.namespace.as_str());
        let default = self.mesh.options.virtual_services_for;
        let callers = self.callers.iter().map(|caller| &caller.namespace);
        let seen =
            callers.filter(|namespace| export::reach(spec, own, namespace, default).is_some());
        let mut seen: Vec<String> = seen.cloned().collect();
        // Callers are sorted by namespace, and several may have the same one.
        seen.dedup();
        seen
    }

    /// Returns the documents as callers of a namespace see them.
    pub(super) fn seen_by(&mut self, namespace: &str) -> &Index<'a> {
        let mesh = self.mesh;
        self.seen.entry(namespace.to_owned()).or_insert_with(|| {
            let caller = Caller {
                namespace: namespace.to_owned(),
                ..Caller::default()
            };
            Index::seen_by(mesh, &caller)
        })
    }
}
