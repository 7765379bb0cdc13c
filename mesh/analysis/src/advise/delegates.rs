//! Warnings about delegates: VirtualServices without a root, and routes that no root can reach.

use shakedown_istio::{Document, Resource, VirtualService, in_force};
use shakedown_translate::delegate;

use super::Advice;

impl Advice<'_> {
    pub(super) fn delegated(&mut self, resource: &Resource<VirtualService>) {
        if !resource.spec.hosts.is_empty() {
            return;
        }
        let meta = &resource.meta;
        let key = (meta.namespace.as_str(), meta.name.as_str());
        let roots = in_force(&self.mesh.documents).filter_map(|document| match document {
            Document::VirtualService(root) if !root.spec.hosts.is_empty() => Some(root),
            _ => None,
        });
        let users = roots.flat_map(|root| {
            let own = root.meta.namespace.as_str();
            let routes = root.spec.http.iter();
            let users = routes.filter(move |route| {
                let to = route.delegate.as_ref();
                to.is_some_and(|to| delegate::key(to, own) == key)
            });
            users.map(move |route| (own, route))
        });
        let users: Vec<_> = users.collect();
        if users.is_empty() {
            let message = "it matches no requests: `hosts` is empty, and no other VirtualService delegates to it";
            self.warn(&resource.spec.place, message);
            return;
        }
        for taken in &resource.spec.http {
            let mut merged = users
                .iter()
                .map(|(own, root)| delegate::merge(root, own, taken));
            if merged.all(|merged| merged.is_none()) {
                let because = "no route that delegates here covers its conditions";
                self.unreachable(&taken.place, because);
            }
        }
    }
}
