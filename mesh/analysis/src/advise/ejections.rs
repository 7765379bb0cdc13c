//! Warnings about outlier detection that can never eject an endpoint.

use shakedown_istio::registry::Hostname;
use shakedown_istio::{DestinationRule, OutlierDetection, Resource, TrafficPolicy};
use shakedown_xds::table::never_ejects;
use shakedown_yaml::Spanned;

use super::Advice;

impl Advice<'_> {
    /// Checks each outlier detection of a rule, if the registry contains endpoints of the service.
    pub(super) fn ejections(&mut self, resource: &Resource<DestinationRule>) {
        let spec = &resource.spec;
        let host = Hostname::resolve(&spec.host, &resource.meta.namespace);
        let Some(service) = self.mesh.registry.service(host.as_str()) else {
            return;
        };
        let whole = service.endpoints.len();
        for outlier in outliers(spec.traffic_policy.as_ref()) {
            self.ejection(outlier, whole, &format!("`{}`", spec.host));
        }
        for subset in &spec.subsets {
            let name = format!("subset `{}` of `{}`", subset.name, spec.host);
            let own: Vec<_> = outliers(subset.traffic_policy.as_ref()).collect();
            let inherited = own.is_empty();
            let endpoints = service.endpoints.iter();
            let count = endpoints
                .filter(|endpoint| subset.selects(&endpoint.labels))
                .count();
            for outlier in own {
                self.ejection(outlier, count, &name);
            }
            // A warning for the whole service also covers its subsets, because they have fewer endpoints.
            for outlier in outliers(spec.traffic_policy.as_ref()).filter(|_| inherited) {
                if !never_ejects(max_ejection_percent(outlier), whole) {
                    self.ejection(outlier, count, &name);
                }
            }
        }
    }

    fn ejection(&mut self, outlier: &Spanned<OutlierDetection>, endpoints: usize, of: &str) {
        if !never_ejects(max_ejection_percent(outlier), endpoints) {
            return;
        }
        let percent = max_ejection_percent(outlier);
        let place = match &outlier.max_ejection_percent {
            Some(written) => &written.place,
            None => &outlier.place,
        };
        let written = match &outlier.max_ejection_percent {
            Some(_) => format!("`maxEjectionPercent: {percent}`"),
            None => format!("the default `maxEjectionPercent` of {percent}"),
        };
        let message = format!(
            "outlier detection never ejects an endpoint: {written} is less than one of the {endpoints} endpoints of {of}; expected at \
             least {}",
            100_usize.div_ceil(endpoints)
        );
        self.warn(place, message);
    }
}

/// Returns the effective percentage. Istio passes on a value other than 0, and Envoy's default is 10.
fn max_ejection_percent(outlier: &OutlierDetection) -> u32 {
    let written = outlier.max_ejection_percent.as_ref();
    written
        .map(|percent| percent.value)
        .filter(|percent| *percent > 0)
        .unwrap_or(10)
}

/// Returns the outlier detections of a policy, including port-level ones.
fn outliers(
    policy: Option<&TrafficPolicy>,
) -> impl Iterator<Item = &Spanned<OutlierDetection>> + Clone {
    let whole = policy.and_then(|policy| policy.outlier_detection.as_ref());
    let ports = policy.map_or(&[][..], |policy| &policy.port_level_settings);
    whole.into_iter().chain(
        ports
            .iter()
            .filter_map(|port| port.outlier_detection.as_ref()),
    )
}
