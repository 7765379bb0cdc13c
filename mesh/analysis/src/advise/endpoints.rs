//! Warnings about subsets without endpoints.

use shakedown_istio::registry::Hostname;
use shakedown_istio::{DestinationRule, Resource};

use super::Advice;
use super::codes::NO_PODS;

impl Advice<'_> {
    /// Checks the subsets of a rule, if the registry contains endpoints of the service.
    pub(super) fn subsets(&mut self, resource: &Resource<DestinationRule>) {
        let host = Hostname::resolve(&resource.spec.host, &resource.meta.namespace);
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        if service.endpoints.is_empty() {
            return;
        }
        for subset in &resource.spec.subsets {
            let mut endpoints = service.endpoints.iter();
            if !endpoints.any(|endpoint| subset.selects(&endpoint.labels)) {
                let labels = subset.labels.iter();
                let labels: Vec<String> = labels
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                let message = format!(
                    "no endpoint of `{}` has the labels of subset `{}` ({}): its requests fail with 503 UH \
                     {NO_PODS}",
                    resource.spec.host,
                    subset.name,
                    labels.join(", ")
                );
                self.warn(&subset.place, message);
            }
        }
    }
}
