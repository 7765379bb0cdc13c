//! Validation of `Canary`.

use std::collections::BTreeMap;

use shakedown_yaml::{Location, Spanned, suggest};

use super::DocumentCheck;
use crate::in_force;
use crate::registry::Hostname;
use crate::{
    Analysis, BuiltinMetric, Canary, CanaryMetric, DestinationRule, Document, Resource,
    VirtualService,
};

/// The label with an endpoint's version.
const VERSION_LABEL: &str = "version";

impl<'a> DocumentCheck<'a> {
    pub(super) fn canary(&mut self, resource: &'a Resource<Canary>) {
        let spec = &resource.spec;
        if let Some(provider) = spec
            .provider
            .as_ref()
            .filter(|provider| provider.value != "istio")
        {
            self.report(
                &provider.place,
                format!("not supported yet: provider `{provider}`; expected `istio`"),
            );
        }
        let kind = &spec.target_ref.kind;
        if kind.value != "Deployment" {
            self.report(
                &kind.place,
                format!("not supported yet: target of kind `{kind}`; expected `Deployment`"),
            );
        }
        self.canary_service(spec);
        self.analysis(&spec.analysis, spec.skip_analysis);
        let (every, most) = (spec.analysis.every(), spec.progress_deadline());
        if !spec.skip_analysis && every >= most && !most.is_zero() {
            let message = format!(
                "`interval` {every:?} is not below `progressDeadlineSeconds` {}: no check would finish in time",
                most.as_secs()
            );
            self.report(&spec.analysis.place, message);
        }
        let deadline = spec.progress_deadline_seconds.as_ref();
        if let Some(seconds) = deadline.filter(|seconds| seconds.value == 0) {
            let message =
                "`progressDeadlineSeconds: 0` would fail every rollout: expected 1 or more";
            self.report(&seconds.place, message);
        }
        self.alone(resource);
    }

    fn canary_service(&mut self, spec: &Canary) {
        for host in &spec.service.hosts {
            self.host_name(host);
        }
        if let Some(retries) = &spec.service.retries {
            self.retries(retries);
        }
    }

    fn analysis(&mut self, analysis: &Spanned<Analysis>, skipped: bool) {
        self.weights(analysis);
        match (&analysis.iterations, analysis.r#match.first()) {
            (Some(rounds), _) if rounds.value == 0 => {
                self.report(&rounds.place, "`iterations: 0`: expected 1 or more");
            }
            (Some(rounds), None) => {
                let message = "not supported yet: `iterations` without `match` (blue/green); expected `match` for the requests to the new version";
                self.report(&rounds.place, message);
            }
            (None, Some(first)) => {
                let message = "`match` needs `iterations`, the number of checks that must pass";
                self.report(&first.place, message);
            }
            _ => {}
        }
        for condition in &analysis.r#match {
            self.condition(condition);
        }
        let weighted = analysis.step_weight.is_some() || !analysis.step_weights.is_empty();
        if !weighted && analysis.iterations.is_none() && analysis.r#match.is_empty() && !skipped {
            let message = "the analysis has no steps: expected `stepWeight`, `stepWeights`, or `match` with `iterations`";
            self.report(&analysis.place, message);
        }
        for metric in &analysis.metrics {
            self.metric(metric);
        }
    }

    fn weights(&mut self, analysis: &Analysis) {
        self.weight_of("maxWeight", analysis.max_weight.as_ref(), 1);
        self.weight_of("stepWeight", analysis.step_weight.as_ref(), 1);
        let promotion = analysis.step_weight_promotion.as_ref();
        self.weight_of("stepWeightPromotion", promotion, 1);
        for (at, weight) in analysis.step_weights.iter().enumerate() {
            self.weight_of("stepWeights", Some(weight), 1);
            let before = at
                .checked_sub(1)
                .map(|before| &analysis.step_weights[before]);
            if let Some(before) = before.filter(|before| before.value >= weight.value) {
                let message = format!(
                    "`stepWeights` must increase: {} follows {}",
                    weight.value, before.value
                );
                self.report(&weight.place, message);
            }
        }
        if let (Some(step), Some(first)) = (&analysis.step_weight, analysis.step_weights.first()) {
            let place: &Location = (&step.place).max(&first.place);
            self.report(
                place,
                "expected one of `stepWeight` and `stepWeights`, found both",
            );
        }
        let weight = analysis
            .step_weight
            .as_ref()
            .or(analysis.step_weights.first());
        if let (Some(weight), false) = (weight, analysis.r#match.is_empty()) {
            let message = "not supported yet: weight steps together with `match`; expected only `iterations` for an A/B test";
            self.report(&weight.place, message);
        }
    }

    fn weight_of(&mut self, field: &str, weight: Option<&Spanned<i64>>, least: i64) {
        if let Some(weight) = weight.filter(|weight| !(least..=100).contains(&weight.value)) {
            let message = format!(
                "`{field}` {}: expected {least} to 100 (percent)",
                weight.value
            );
            self.report(&weight.place, message);
        }
    }

    fn metric(&mut self, metric: &CanaryMetric) {
        let range = &metric.threshold_range;
        match BuiltinMetric::named(&metric.name) {
            None => {
                let hint = suggest::hint(&metric.name, BuiltinMetric::NAMES.iter().copied());
                let message = format!("unknown metric `{}`: {hint}", metric.name);
                self.report(&metric.name.place, message);
            }
            Some(BuiltinMetric::SuccessRate) => {
                let bounds = [range.min, range.max];
                let beyond = |bound: &&crate::MetricBound| bound.micros() > 100_000_000;
                if let Some(bound) = bounds.iter().flatten().find(beyond) {
                    let message = format!("invalid success rate {bound}%: expected 0 to 100");
                    self.report(&range.place, message);
                }
            }
            Some(BuiltinMetric::Duration) => {}
        }
        match (range.min, range.max) {
            (None, None) => {
                let message = "`thresholdRange` is empty: expected `min`, `max` or both";
                self.report(&range.place, message);
            }
            (Some(min), Some(max)) if min > max => {
                let message = format!("`min` {min} is above `max` {max}: no value would pass");
                self.report(&range.place, message);
            }
            _ => {}
        }
    }

    /// Reports other Canaries and VirtualServices that route the service of a canary.
    fn alone(&mut self, resource: &Resource<Canary>) {
        let host = host_of(resource);
        let mesh = self.mesh;
        for document in in_force(&mesh.documents) {
            let message = match document {
                Document::Canary(other)
                    if host_of(other) == host && other.meta != resource.meta =>
                {
                    let name = &other.meta.name;
                    format!(
                        "service `{host}` is also rolled out by Canary {name}: expected one Canary per service"
                    )
                }
                Document::VirtualService(other) if names(other, &host) => {
                    let name = &other.meta.name;
                    format!(
                        "not supported yet: VirtualService {name} also routes `{host}`; expected only the Canary to route its service"
                    )
                }
                _ => continue,
            };
            self.report(&resource.spec.service_name().place, message);
        }
    }

    /// Returns the canary that routes a host, if any.
    fn canary_of(&self, host: &Hostname) -> Option<&'a Resource<Canary>> {
        in_force(&self.mesh.documents).find_map(|document| match document {
            Document::Canary(canary) if host_of(canary) == *host => Some(canary),
            _ => None,
        })
    }

    /// Reports hosts of a VirtualService that a canary routes.
    pub(super) fn beside_canary(&mut self, resource: &Resource<VirtualService>) {
        for written in &resource.spec.hosts {
            let host = Hostname::resolve(written, &resource.meta.namespace);
            if let Some(canary) = self.canary_of(&host) {
                let message = format!(
                    "not supported yet: Canary {} also routes `{written}`; write `timeout`, `retries` and `hosts` in its `service`",
                    canary.meta.name
                );
                self.report(&written.place, message);
            }
        }
    }

    /// Reports a subset named like a version of a canary's service that selects other endpoints.
    pub(super) fn subsets_beside_canary(&mut self, resource: &Resource<DestinationRule>) {
        let host = Hostname::resolve(&resource.spec.host, &resource.meta.namespace);
        let Some(canary) = self.canary_of(&host) else {
            return;
        };
        let service = self.mesh.registry.service(host.as_str());
        let endpoints = service.map_or(&[][..], |service| &service.endpoints);
        let versions: BTreeMap<&str, ()> = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.labels.get(VERSION_LABEL))
            .map(|version| (version.as_str(), ()))
            .collect();
        for subset in &resource.spec.subsets {
            let name = subset.name.as_str();
            let same = subset.labels.len() == 1
                && subset.labels.get(VERSION_LABEL).map(String::as_str) == Some(name);
            if versions.contains_key(name) && !same {
                let message = format!(
                    "Canary {} uses this subset for version `{name}`: its labels must be {{version: {name}}}",
                    canary.meta.name
                );
                self.report(&subset.name.place, message);
            }
        }
    }
}

/// Returns the service that a canary rolls out.
fn host_of(canary: &Resource<Canary>) -> Hostname {
    Hostname::resolve(canary.spec.service_name(), &canary.meta.namespace)
}

/// Returns true if a VirtualService contains the exact host. A wildcard does not conflict with a canary, because a more
/// specific host takes precedence.
fn names(service: &Resource<VirtualService>, host: &Hostname) -> bool {
    let mut hosts = service.spec.hosts.iter();
    hosts.any(|written| Hostname::resolve(written, &service.meta.namespace) == *host)
}
