//! Warnings about DestinationRules that are superseded by others, or that apply to fewer callers than they appear to.

use shakedown_istio::export::OWN_NAMESPACE;
use shakedown_istio::registry::{DOMAIN, Hostname};
use shakedown_istio::{DestinationRule, Resource};
use shakedown_translate::Caller;
use shakedown_translate::rules::{Idle, MergedRule};

use super::{Advice, beside, whose};

/// The name and namespace of a service.
type QualifiedService = (Hostname, String);

impl<'a> Advice<'a> {
    pub(super) fn rule(&mut self, resource: &'a Resource<DestinationRule>) {
        let services = self.services_of(resource);
        let mut used: Vec<(MergedRule<'a>, usize)> = Vec::new();
        for (host, of) in &services {
            for caller in &self.callers {
                let rule = self.index.rules().rule(caller, host, of);
                let index = rule
                    .from
                    .iter()
                    .position(|document| is_same(document, resource));
                used.extend(index.map(|index| (rule, index)));
            }
        }
        if used.is_empty() {
            if let Some((host, of)) = services.first() {
                self.idle_rule(resource, host, of);
            }
            return;
        }
        if let [(_, of)] = services.as_slice() {
            self.far_rule(resource, of);
        }
        if !self.lost_rule(resource, &services) {
            self.idle_parts(resource, &used);
        }
    }

    /// Returns the known services of a rule's host. A host without a wildcard always counts as a service.
    fn services_of(&self, resource: &Resource<DestinationRule>) -> Vec<QualifiedService> {
        let own = resource.meta.namespace.as_str();
        let host = Hostname::resolve(&resource.spec.host, own);
        let known = self.mesh.registry.services.values();
        let covered = known.filter(|service| host.covers(&service.hostname));
        let found: Vec<QualifiedService> = covered
            .map(|service| (service.hostname.clone(), service.namespace.clone()))
            .collect();
        if !found.is_empty() || host.is_wildcard() {
            return found;
        }
        let of = namespace_in(&host).unwrap_or_else(|| own.to_owned());
        vec![(host, of)]
    }

    /// Warns of a rule that applies to no caller.
    fn idle_rule(&mut self, resource: &'a Resource<DestinationRule>, host: &Hostname, of: &str) {
        let spec = &resource.spec;
        let selected = spec.workload_selector.iter();
        let labels = selected.flat_map(|selector| &selector.match_labels);
        let caller = Caller {
            namespace: resource.meta.namespace.clone(),
            labels: labels.map(|(k, v)| (k.clone(), v.clone())).collect(),
        };
        let rules = self.index.rules();
        let Some(idle) = rules.why_idle(resource, &caller, host, of) else {
            return;
        };
        let because = match idle {
            Idle::Hidden => format!(
                "its `exportTo` does not include its own namespace, and other callers use only rules for `{}` in their own namespace, in `{of}` and in the root namespace",
                spec.host
            ),
            idle => self.because(resource, idle, &caller),
        };
        self.warn(&spec.host.place, format!("it has no effect: {because}"));
    }

    /// Warns of a rule outside its service's namespace, which therefore only applies to callers in its own namespace.
    /// Reported if no such callers are known, or if the rule is explicitly exported to others.
    fn far_rule(&mut self, resource: &Resource<DestinationRule>, of: &str) {
        let (spec, own) = (&resource.spec, resource.meta.namespace.as_str());
        if own == of || own == self.mesh.options.root_namespace {
            return;
        }
        let names_others = |to: &str| to != OWN_NAMESPACE && to != own;
        let exported_to_others = spec.export_to.iter().any(|to| names_others(to));
        let registry = &self.mesh.registry;
        let mut services = registry.services.values().map(|service| &service.namespace);
        let mut clients = registry.clients.values().map(|client| &client.namespace);
        let has_callers =
            services.any(|namespace| namespace == own) || clients.any(|namespace| namespace == own);
        if exported_to_others || !has_callers {
            let regardless = if exported_to_others {
                ", regardless of its `exportTo`"
            } else {
                ""
            };
            let message = format!(
                "`{}` is a service in `{of}`: a rule in `{own}` applies only to callers in `{own}`{regardless}; for other callers put it in `{of}`",
                spec.host
            );
            self.warn(&spec.host.place, message);
        }
    }

    /// Warns of a rule that is lost to some callers because of the way in which rules are merged and selected.
    /// Returns true if a warning was added.
    fn lost_rule(
        &mut self,
        resource: &'a Resource<DestinationRule>,
        services: &[QualifiedService],
    ) -> bool {
        let rules = self.index.rules();
        let lost = |caller: &Caller| {
            services.iter().find_map(|(host, of)| {
                let idle = rules.why_idle(resource, caller, host, of)?;
                let lost = matches!(
                    idle,
                    Idle::Apart(_) | Idle::MergedAway(_) | Idle::Shadowed(_)
                );
                lost.then_some(idle)
            })
        };
        let found: Vec<(&Caller, Idle<'a>)> = self
            .callers
            .iter()
            .filter_map(|caller| Some((caller, lost(caller)?)))
            .collect();
        let Some((caller, idle)) = found.first() else {
            return false;
        };
        let because = self.because(resource, *idle, caller);
        let mut namespaces: Vec<&str> =
            found.iter().map(|(caller, _)| &*caller.namespace).collect();
        namespaces.dedup();
        let message = format!(
            "it does not apply to callers in {}: {because}",
            whose(namespaces.into_iter())
        );
        self.warn(&resource.spec.host.place, message);
        true
    }

    /// Warns of the parts of a rule that older rules for the same service always override.
    fn idle_parts(
        &mut self,
        resource: &Resource<DestinationRule>,
        used: &[(MergedRule<'_>, usize)],
    ) {
        let spec = &resource.spec;
        let (rule, index) = &used[0];
        let older = &rule.from[..*index];
        let counts = |(rule, index): &(MergedRule<'_>, usize)| {
            let mut before = rule.from[..*index].iter();
            before.all(|document| document.spec.traffic_policy.is_none())
        };
        if let Some(policy) = &spec.traffic_policy
            && !used.iter().any(counts)
            && let Some(first) = older
                .iter()
                .find(|document| document.spec.traffic_policy.is_some())
        {
            let message = format!(
                "its `trafficPolicy` has no effect because that of DestinationRule {} at {} takes precedence; merge them into one",
                first.meta.name,
                beside(&first.place, &spec.place)
            );
            self.warn(policy.place().unwrap_or(&spec.place), message);
        }
        self.twins(spec, older, used);
    }

    /// Warns of subsets whose name is already defined by an older rule.
    fn twins(
        &mut self,
        spec: &DestinationRule,
        older: &[&Resource<DestinationRule>],
        used: &[(MergedRule<'_>, usize)],
    ) {
        for subset in &spec.subsets {
            let counts = |(rule, _): &(MergedRule<'_>, usize)| {
                let found = rule.subset(&subset.name);
                found.is_some_and(|found| std::ptr::eq(found, subset))
            };
            if used.iter().any(counts) {
                continue;
            }
            let twin = older.iter().find_map(|document| {
                let mut subsets = document.spec.subsets.iter();
                Some((document, subsets.find(|known| known.name == subset.name)?))
            });
            if let Some((first, twin)) = twin {
                let message = format!(
                    "its subset `{}` has no effect because that of DestinationRule {} at {} takes precedence",
                    subset.name,
                    first.meta.name,
                    beside(&twin.place, &subset.place)
                );
                self.warn(&subset.place, message);
            }
        }
    }

    fn because(
        &self,
        resource: &Resource<DestinationRule>,
        idle: Idle<'_>,
        caller: &Caller,
    ) -> String {
        let by = idle.by().map(|by| {
            format!(
                "DestinationRule {} of namespace `{}` at {}",
                by.meta.name,
                by.meta.namespace,
                beside(&by.place, &resource.spec.host.place)
            )
        });
        idle.because(&by.unwrap_or_default(), caller)
    }
}

fn is_same(one: &Resource<DestinationRule>, other: &Resource<DestinationRule>) -> bool {
    std::ptr::eq(one, other)
}

/// Returns the namespace in a Kubernetes service name.
fn namespace_in(host: &Hostname) -> Option<String> {
    let rest = host.as_str().strip_suffix(DOMAIN)?.strip_suffix('.')?;
    Some(rest.split_once('.')?.1.to_owned())
}
