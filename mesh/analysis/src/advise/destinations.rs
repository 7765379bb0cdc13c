//! Warnings about destination subsets that are missing for some callers, because another DestinationRule applies to
//! those callers.

use shakedown_istio::registry::Hostname;
use shakedown_istio::{Destination, Resource, VirtualService};
use shakedown_translate::Caller;
use shakedown_yaml::Spanned;

use super::codes::NOT_FOUND;
use super::{Advice, whose};

impl Advice<'_> {
    pub(super) fn destinations(&mut self, resource: &Resource<VirtualService>) {
        let seen_in = self.seen_in(resource);
        for route in &resource.spec.http {
            for to in &route.route {
                if let Some(subset) = &to.destination.subset {
                    let own = &resource.meta.namespace;
                    self.subset(subset, &to.destination, own, &seen_in);
                }
            }
        }
    }

    fn subset(
        &mut self,
        subset: &Spanned<String>,
        destination: &Destination,
        own: &str,
        seen_in: &[String],
    ) {
        let host = Hostname::resolve(&destination.host, own);
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        let mut lacks: Vec<&str> = Vec::new();
        let mut rule = None;
        for caller in &self.callers {
            if !seen_in.contains(&caller.namespace) {
                continue;
            }
            let found = self.index.rules();
            let found = found.rule(caller, &host, &service.namespace);
            if found.subset(subset).is_none() && !lacks.contains(&&*caller.namespace) {
                lacks.push(&caller.namespace);
                rule = rule.or(found.from.first().copied());
            }
        }
        let everybody = |caller: &Caller| {
            let found = self.index.rules();
            let found = found.rule(caller, &host, &service.namespace);
            found.subset(subset).is_none()
        };
        // A subset missing for all callers is reported by `references`.
        if lacks.is_empty() || self.callers.iter().all(everybody) {
            return;
        }
        let because = match rule {
            Some(rule) => format!(
                "DestinationRule {} of namespace `{}` applies to them and has no such subset",
                rule.meta.name, rule.meta.namespace
            ),
            None => "no DestinationRule with this subset applies to them".to_owned(),
        };
        let message = format!(
            "requests from callers in {} fail with 503: {because} {NOT_FOUND}",
            whose(lacks.into_iter())
        );
        self.warn(&subset.place, message);
    }
}
