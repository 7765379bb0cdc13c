//! Validation of VirtualServices.

mod action;
mod condition;
mod route;

use shakedown_yaml::Spanned;

use super::{DocumentCheck, names};
use crate::gateways::is_for_sidecars;
use crate::{Delegate, Resource, VirtualService};

impl DocumentCheck<'_> {
    pub(super) fn virtual_service(&mut self, resource: &Resource<VirtualService>) {
        let spec = &resource.spec;
        self.hosts(spec);
        for gateway in &spec.gateways {
            self.gateway(gateway);
        }
        self.export_to(&spec.export_to, &resource.meta.namespace);
        if spec.http.is_empty() {
            self.report(&spec.place, "`http` is empty: expected at least one route");
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
                let message = "invalid host `*`: sidecars do not support a host for all names; expected names, or `gateways` without `mesh`";
                self.report(&host.place, message);
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
                    first.place.in_file()
                );
                self.report(&host.place, message);
            }
        }
    }

    /// Checks the name of a gateway, with an optional namespace before it.
    fn gateway(&mut self, gateway: &Spanned<String>) {
        let fine = match gateway.split_once('/') {
            Some((namespace, name)) => names::is_dns_label(namespace) && names::is_dns_label(name),
            None => names::check_fqdn(gateway).is_ok(),
        };
        if !fine {
            let message =
                format!("invalid gateway `{gateway}`: expected `mesh`, a name, or NAMESPACE/NAME");
            self.report(&gateway.place, message);
        }
    }

    /// Checks a VirtualService without hosts. It uses the gateways of those that delegate to it.
    fn delegated(&mut self, resource: &Resource<VirtualService>) {
        for gateway in resource.spec.gateways.iter().take(1) {
            let message = "a VirtualService without hosts uses the gateways of those that delegate to it: remove `gateways`";
            self.report(&gateway.place, message);
        }
    }

    /// Checks a route that delegates to another VirtualService.
    fn delegate(&mut self, to: &Spanned<Delegate>, resource: &Resource<VirtualService>) {
        if resource.spec.hosts.is_empty() {
            let message = "a VirtualService without hosts cannot delegate: only one level of delegation is supported";
            self.report(&to.place, message);
        }
    }
}
