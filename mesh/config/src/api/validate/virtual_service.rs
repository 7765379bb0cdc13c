//! What is wrong with a VirtualService.

mod action;
mod condition;
mod route;

use super::{Check, names, short};
use crate::api::{Delegate, HttpRoute, Resource, VirtualService};
use crate::decode::Spanned;
use crate::suggest;
use crate::translate::caller::is_for_sidecars;
use crate::translate::delegate;

impl Check<'_> {
    pub(super) fn virtual_service(&mut self, resource: &Resource<VirtualService>) {
        let spec = &resource.spec;
        self.hosts(spec);
        for gateway in &spec.gateways {
            self.gateway(gateway);
        }
        self.export_to(&spec.export_to, &resource.meta.namespace);
        if spec.http.is_empty() {
            self.tell(&spec.place, "`http` is empty: expected at least one route");
        }
        for route in &spec.http {
            self.route(route, resource);
        }
        if spec.hosts.is_empty() {
            self.delegated(resource);
        }
        self.beside_canary(resource);
    }

    /// Source: Istio, `ValidateVirtualService`.
    fn hosts(&mut self, spec: &VirtualService) {
        let mut all_valid = true;
        for host in &spec.hosts {
            if names::is_ip(host) {
                continue;
            }
            if host.value == "*" && is_for_sidecars(spec) {
                let message = "invalid host `*`: sidecars take no host for everything; expected names, or `gateways` without `mesh`";
                self.tell(&host.place, message);
                all_valid = false;
            } else {
                all_valid &= self.host_name(host);
            }
        }
        if !all_valid {
            return;
        }
        for (at, host) in spec.hosts.iter().enumerate() {
            let mut earlier = spec.hosts[..at].iter();
            if let Some(first) = earlier.find(|first| names::hosts_overlap(first, host)) {
                let message = format!(
                    "duplicate host `{host}`: `{first}` at {} covers the same names; expected hosts that do not overlap",
                    short(&first.place)
                );
                self.tell(&host.place, message);
            }
        }
    }

    /// A gateway's name, perhaps with its namespace before it.
    fn gateway(&mut self, gateway: &Spanned<String>) {
        let fine = match gateway.split_once('/') {
            Some((namespace, name)) => names::is_dns_label(namespace) && names::is_dns_label(name),
            None => names::check_fqdn(gateway).is_ok(),
        };
        if !fine {
            let message =
                format!("invalid gateway `{gateway}`: expected `mesh`, a name, or NAMESPACE/NAME");
            self.tell(&gateway.place, message);
        }
    }

    /// One without hosts, which only others use: who may use it is theirs to say.
    fn delegated(&mut self, resource: &Resource<VirtualService>) {
        let used = self.mesh.documents.iter().any(|document| {
            let crate::api::Document::VirtualService(root) = document else {
                return false;
            };
            let own = root.meta.namespace.as_str();
            let key = (
                resource.meta.namespace.as_str(),
                resource.meta.name.as_str(),
            );
            let mut delegates = root.spec.http.iter().filter_map(|it| it.delegate.as_ref());
            delegates.any(|delegate| delegate::key(delegate, own) == key)
        });
        if !used {
            let message = "`hosts` is empty: expected at least one, or a route of another VirtualService that delegates to this one";
            self.tell(&resource.spec.place, message);
            return;
        }
        for gateway in resource.spec.gateways.iter().take(1) {
            let message = "one without hosts has the gateways of those that delegate to it: leave `gateways` out";
            self.tell(&gateway.place, message);
        }
        for condition in resource.spec.http.iter().flat_map(|it| &it.r#match) {
            if !condition.source_labels.is_empty()
                || condition.source_namespace.is_some()
                || !condition.gateways.is_empty()
            {
                let message = "one without hosts cannot ask for callers or gateways: those that delegate to it do";
                self.tell(&condition.place, message);
            }
        }
    }

    /// A route that takes those of another document.
    fn delegate(
        &mut self,
        route: &HttpRoute,
        to: &Spanned<Delegate>,
        resource: &Resource<VirtualService>,
    ) {
        if resource.spec.hosts.is_empty() {
            let message = "one without hosts cannot delegate: one level is all there is";
            self.tell(&to.place, message);
            return;
        }
        let own = resource.meta.namespace.as_str();
        let Some(found) = self.index.delegate(to, own) else {
            let (namespace, _) = delegate::key(to, own);
            let names = self.index.delegates_in(namespace);
            let hint = suggest::hint(&to.name, names);
            let message = format!(
                "no VirtualService `{}` without hosts in `{namespace}`: {hint}",
                to.name
            );
            self.tell(&to.name.place, message);
            return;
        };
        for taken in &found.spec.http {
            if delegate::merge(route, own, taken).is_none() {
                let message = format!(
                    "the route of `{}` at {} takes what this one does not, and would never be reached",
                    found.meta.name, taken.place
                );
                self.tell(&to.place, message);
            }
        }
    }
}
