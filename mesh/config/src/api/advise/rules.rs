//! DestinationRules of which others leave nothing.

use super::{Advice, beside};
use crate::api::{DestinationRule, Resource};
use crate::registry::{DOMAIN, Hostname};

impl Advice<'_> {
    pub(super) fn rule(&mut self, resource: &Resource<DestinationRule>) {
        let spec = &resource.spec;
        let own = resource.meta.namespace.as_str();
        let host = Hostname::resolve(&spec.host, own);
        if host.is_wildcard() {
            return;
        }
        let service = self.mesh.registry.service(host.as_str());
        let namespace = service.map(|service| service.namespace.clone());
        let namespace = namespace.or_else(|| namespace_in(&host));
        let of = namespace.as_deref().unwrap_or(own);
        let (used, _) = self.index.rules(&host, of);
        let is_this = |it: &&&Resource<DestinationRule>| it.meta == resource.meta;
        let Some(place) = used.iter().position(|it| is_this(&it)) else {
            if let Some(first) = used.first() {
                let message = format!(
                    "nothing of it counts: DestinationRule {} of namespace `{}` at {} goes before it for `{}`",
                    first.meta.name,
                    first.meta.namespace,
                    beside(&first.place, &spec.host.place),
                    spec.host
                );
                self.tell(&spec.host.place, message);
            }
            return;
        };
        if own != of && own != self.mesh.options.root_namespace {
            let message = format!(
                "`{}` is a service of `{of}`: Istio takes a rule of `{own}` for callers in `{own}` alone, and this mesh for \
                 all; put it in `{of}`",
                spec.host
            );
            self.tell(&spec.host.place, message);
        }
        let older = &used[..place];
        if let Some(policy) = &spec.traffic_policy
            && let Some(first) = older.iter().find(|it| it.spec.traffic_policy.is_some())
        {
            let message = format!(
                "its `trafficPolicy` does not count: that of DestinationRule {} at {} does; merge them into one",
                first.meta.name,
                beside(&first.place, &spec.place)
            );
            self.tell(policy.place().unwrap_or(&spec.place), message);
        }
        self.twins(spec, older);
    }

    /// Subsets whose name an older rule has taken.
    fn twins(&mut self, spec: &DestinationRule, older: &[&Resource<DestinationRule>]) {
        for subset in &spec.subsets {
            let twin = older.iter().find_map(|it| {
                let mut subsets = it.spec.subsets.iter();
                Some((it, subsets.find(|known| known.name == subset.name)?))
            });
            if let Some((first, twin)) = twin {
                let message = format!(
                    "its subset `{}` does not count: that of DestinationRule {} at {} does",
                    subset.name,
                    first.meta.name,
                    beside(&twin.place, &subset.place)
                );
                self.tell(&subset.place, message);
            }
        }
    }
}

/// The namespace that a name of Kubernetes' form has in it.
fn namespace_in(host: &Hostname) -> Option<String> {
    let rest = host.as_str().strip_suffix(DOMAIN)?.strip_suffix('.')?;
    Some(rest.split_once('.')?.1.to_owned())
}
