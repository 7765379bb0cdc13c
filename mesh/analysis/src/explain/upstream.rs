//! The lines of YAML that decided the policies of a cluster, and the inbound policies of its endpoints.

use std::net::IpAddr;
use std::ptr;

use shakedown_istio::registry::Mesh;
use shakedown_istio::{DestinationRule, Document, ProxyPolicy, Resource, TrafficPolicy};
use shakedown_translate::rules::Rules;
use shakedown_translate::{Caller, CallerPolicies, ClusterPolicy, of_workload};
use shakedown_yaml::Location;

use super::decided::{name_of, parts_of};
use super::view::DecisionView;

/// Adds the decisions about a cluster.
pub(super) fn of_cluster(mesh: &Mesh, caller: &Caller, cluster: &str, out: &mut Vec<DecisionView>) {
    let Some((port, subset, host)) = parts_of(cluster) else {
        return;
    };
    let Ok(port) = port.parse() else { return };
    let Some(service) = mesh.registry.service(host) else {
        return;
    };
    let rule = Rules::new(mesh).rule(caller, &service.hostname, &service.namespace);
    let subset = rule.subset(subset);
    let mut found = Vec::new();
    if let Some(subset) = subset {
        let is_its = |(_, _, place): &(_, _, &Location)| ptr::eq(*place, &subset.place);
        found.extend(places(mesh).find(is_its).map(|place| ("subset", place)));
    }
    let nearer = subset.and_then(|subset| subset.traffic_policy.as_ref());
    let policy = ClusterPolicy::for_service(rule.policy, port).with(nearer, port);
    let callers: Vec<&Resource<ProxyPolicy>> = CallerPolicies::new(mesh)
        .for_host(&service.hostname)
        .collect();
    let own_balancer = callers
        .iter()
        .any(|caller_policy| caller_policy.spec.balancer.is_some());
    // The balancer of a ProxyPolicy replaces that of the rule.
    let balancer = policy.balancer.filter(|_| !own_balancer);
    let parts = [
        ("balancer", balancer.map(|balancer| &balancer.place)),
        ("connection_pool", policy.pool.map(|pool| &pool.place)),
        (
            "outlier_detection",
            policy.outlier.map(|outlier| &outlier.place),
        ),
        ("retry_budget", policy.budget.map(|budget| &budget.place)),
    ];
    for (what, part) in parts {
        let Some(part) = part else { continue };
        let is_its = |(_, _, place): &(_, _, &Location)| ptr::eq(*place, part);
        found.extend(places(mesh).find(is_its).map(|place| (what, place)));
    }
    let all = found.into_iter().map(|(what, (rule, field, place))| {
        let document = format!("DestinationRule/{}", name_of(rule));
        DecisionView::new(what, place, document, field)
    });
    let all = all.chain(of_callers(&callers));
    out.extend(all.map(|decision| DecisionView {
        cluster: Some(cluster.to_owned()),
        ..decision
    }));
}

/// Returns all fields of DestinationRules that decide a cluster's policies, each with its document and position.
fn places(mesh: &Mesh) -> impl Iterator<Item = (&Resource<DestinationRule>, String, &Location)> {
    let rules = mesh.documents.iter().filter_map(|document| match document {
        Document::DestinationRule(rule) => Some(rule),
        _ => None,
    });
    rules.flat_map(|rule| {
        let mut found = Vec::new();
        if let Some(policy) = &rule.spec.traffic_policy {
            found.extend(of_policy("spec.trafficPolicy", policy));
        }
        for (index, subset) in rule.spec.subsets.iter().enumerate() {
            let field = format!("spec.subsets[{index}]");
            if let Some(policy) = &subset.traffic_policy {
                found.extend(of_policy(&format!("{field}.trafficPolicy"), policy));
            }
            found.push((field, &subset.place));
        }
        found
            .into_iter()
            .map(move |(field, place)| (rule, field, place))
    })
}

/// Returns the parts of a policy, with their fields.
fn of_policy<'p>(field: &str, policy: &'p TrafficPolicy) -> Vec<(String, &'p Location)> {
    let parts = [
        (
            "loadBalancer",
            policy
                .load_balancer
                .as_ref()
                .map(|balancer| &balancer.place),
        ),
        (
            "connectionPool",
            policy.connection_pool.as_ref().map(|pool| &pool.place),
        ),
        (
            "outlierDetection",
            policy
                .outlier_detection
                .as_ref()
                .map(|outlier| &outlier.place),
        ),
        (
            "retryBudget",
            policy.retry_budget.as_ref().map(|budget| &budget.place),
        ),
    ];
    let of_all = parts
        .into_iter()
        .filter_map(|(name, place)| Some((format!("{field}.{name}"), place?)));
    let ports = policy.port_level_settings.iter().enumerate();
    let of_ports = ports.flat_map(|(index, port)| {
        let parts = [
            (
                "loadBalancer",
                port.load_balancer.as_ref().map(|balancer| &balancer.place),
            ),
            (
                "connectionPool",
                port.connection_pool.as_ref().map(|pool| &pool.place),
            ),
            (
                "outlierDetection",
                port.outlier_detection
                    .as_ref()
                    .map(|outlier| &outlier.place),
            ),
        ];
        let field = format!("{field}.portLevelSettings[{index}]");
        parts
            .into_iter()
            .filter_map(move |(name, place)| Some((format!("{field}.{name}"), place?)))
    });
    of_all.chain(of_ports).collect()
}

/// Adds the decisions about the inbound policies of a cluster's endpoints.
pub(super) fn of_inbound(
    mesh: &Mesh,
    cluster: &str,
    addresses: impl Iterator<Item = IpAddr>,
    out: &mut Vec<DecisionView>,
) {
    type Read = fn(&ProxyPolicy) -> Option<&Location>;
    const FIELDS: [(&str, &str, Read); 3] = [
        ("rate_limit", "spec.rateLimit", |policy| {
            Some(&policy.rate_limit.as_ref()?.place)
        }),
        (
            "adaptive_concurrency",
            "spec.adaptiveConcurrency",
            |policy| Some(&policy.adaptive_concurrency.as_ref()?.place),
        ),
        ("shed", "spec.shed", |policy| {
            Some(&policy.shed.as_ref()?.place)
        }),
    ];
    let mut found: Vec<DecisionView> = Vec::new();
    for address in addresses {
        let policies = of_workload(mesh, address);
        for (what, field, read) in FIELDS {
            let first = policies
                .iter()
                .find_map(|policy| Some((policy, read(&policy.spec)?)));
            let Some((policy, place)) = first else {
                continue;
            };
            let document = format!("ProxyPolicy/{}", name_of(policy));
            let decision = DecisionView {
                cluster: Some(cluster.to_owned()),
                ..DecisionView::new(what, place, document, field.to_owned())
            };
            if !found.contains(&decision) {
                found.push(decision);
            }
        }
    }
    out.extend(found);
}

/// Returns the decisions of caller policies. For each field, the first policy that sets it applies.
fn of_callers(policies: &[&Resource<ProxyPolicy>]) -> Vec<DecisionView> {
    type Read = fn(&ProxyPolicy) -> Option<&Location>;
    let fields: [(&'static str, &str, Read); 3] = [
        ("balancer", "spec.balancer", |policy| {
            Some(&policy.balancer.as_ref()?.place)
        }),
        ("hedge", "spec.hedge", |policy| {
            Some(&policy.hedge.as_ref()?.place)
        }),
        ("adaptive_throttle", "spec.adaptiveThrottle", |policy| {
            Some(&policy.adaptive_throttle.as_ref()?.place)
        }),
    ];
    let first = |(what, field, read): (&'static str, &str, Read)| {
        policies.iter().find_map(|policy| {
            let document = format!("ProxyPolicy/{}", name_of(policy));
            Some(DecisionView::new(
                what,
                read(&policy.spec)?,
                document,
                field.to_owned(),
            ))
        })
    };
    fields.into_iter().filter_map(first).collect()
}
