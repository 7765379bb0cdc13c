//! Subsets that no endpoint belongs to.

use super::Advice;
use super::codes::NO_PODS;
use crate::api::{DestinationRule, Resource};
use crate::registry::Hostname;

impl Advice<'_> {
    /// Only where the registry knows endpoints of the service.
    pub(super) fn subsets(&mut self, resource: &Resource<DestinationRule>) {
        let host = Hostname::resolve(&resource.spec.host, &resource.meta.namespace);
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        if service.endpoints.is_empty() {
            return;
        }
        for subset in &resource.spec.subsets {
            let has_all = |endpoint: &crate::registry::Endpoint| {
                let mut labels = subset.labels.iter();
                labels.all(|(name, value)| endpoint.labels.get(name) == Some(value))
            };
            if !service.endpoints.iter().any(has_all) {
                let labels = subset.labels.iter();
                let labels: Vec<String> = labels
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                let message = format!(
                    "no endpoint of `{}` has the labels of subset `{}` ({}): its requests are answered 503 UH \
                     {NO_PODS}",
                    resource.spec.host,
                    subset.name,
                    labels.join(", ")
                );
                self.tell(&subset.place, message);
            }
        }
    }
}
