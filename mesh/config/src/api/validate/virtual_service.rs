//! What is wrong with a VirtualService.

mod action;
mod condition;
mod route;

use std::collections::BTreeMap;

use super::{Check, short};
use crate::api::{Delegate, HttpRoute, Resource, VirtualService};
use crate::decode::Spanned;
use crate::suggest;
use crate::translate::delegate;

impl Check<'_> {
    pub(super) fn virtual_service(&mut self, resource: &Resource<VirtualService>) {
        let spec = &resource.spec;
        let mut seen = BTreeMap::new();
        for host in &spec.hosts {
            self.host_name(host);
            if let Some(first) = seen.insert(host.to_ascii_lowercase(), &host.place) {
                self.tell(
                    &host.place,
                    format!(
                        "host `{host}` stands here twice; the first is at {}",
                        short(first)
                    ),
                );
            }
        }
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

    /// A gateway's name, perhaps with its namespace before it.
    fn gateway(&mut self, gateway: &Spanned<String>) {
        let (namespace, name) = gateway.split_once('/').unwrap_or(("default", gateway));
        if !is_label(namespace) || !name.split('.').all(is_label) {
            let message =
                format!("`{gateway}` is no gateway: expected `mesh`, a name, or NAMESPACE/NAME");
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

/// Whether a text could name a namespace.
pub(super) fn is_label(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(fine)
}
