//! Arranges the endpoints of a cluster for one client: nearer localities first, or by shares of localities.
//! Source: Istio, `pilot/pkg/networking/core/loadbalancer`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use shakedown_istio::registry::{
    Endpoint, Locality, Mesh, REGION_LABEL as REGION, SUBZONE_LABEL as SUBZONE, Service,
    ZONE_LABEL as ZONE,
};
use shakedown_istio::{Distribute, Failover, LoadBalancer};
use shakedown_yaml::Spanned;

use super::caller::Caller;
use super::cluster_policy::{ClusterPolicy, value};
use super::rules::{MergedRule, Rules};

/// Separates a label of `failoverPriority` from its required value. Without it, the client's own value is required.
const OVERRIDE: char = '=';
/// The number of distances between two localities. Priorities by label take precedence over all of them. Source: Istio,
/// `applyLocalityFailover`.
const STEPS: u32 = 5;

/// The properties of a client that select and order its endpoints. Equal clients receive the same endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalityClient {
    /// Empty if unknown.
    pub locality: Locality,
    /// The labels that the mesh's rules refer to. `None` if the client is unknown.
    pub labels: Option<BTreeMap<String, String>>,
}

/// The properties of clients that the mesh's rules refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityInputs {
    labels: BTreeSet<String>,
}

impl LocalityInputs {
    /// Collects the properties that the rules for a caller refer to. `None` if no rule depends on the client, so that
    /// all clients with these rules receive the same endpoints.
    pub fn for_caller(mesh: &Mesh, caller: &Caller) -> Option<LocalityInputs> {
        let rules = Rules::new(mesh);
        let mut found = None;
        for service in mesh.registry.services.values() {
            let rule = rules.rule(caller, &service.hostname, &service.namespace);
            for setting in settings(service, &rule) {
                let inputs: &mut LocalityInputs = found.get_or_insert_default();
                if let LocalitySetting::Failover { labels, .. } = setting {
                    let names = labels.iter().map(|label| split(label).0.to_owned());
                    inputs.labels.extend(names);
                }
            }
        }
        found
    }

    /// Returns the client at an address. An unknown client has neither locality nor labels.
    pub fn client(&self, mesh: &Mesh, address: IpAddr) -> LocalityClient {
        let services = mesh.registry.services.values();
        let endpoint = services
            .flat_map(|service| &service.endpoints)
            .find(|endpoint| endpoint.address.ip() == address)
            .map(|endpoint| (&endpoint.labels, &endpoint.locality));
        let client = mesh.registry.clients.get(&address);
        let found = endpoint.or(client.map(|client| (&client.labels, &client.locality)));
        let Some((labels, locality)) = found else {
            return LocalityClient::default();
        };
        let label = |name: &String| Some((name.clone(), label(labels, locality, name)?.to_owned()));
        LocalityClient {
            locality: locality.clone(),
            labels: Some(self.labels.iter().filter_map(label).collect()),
        }
    }
}

/// The locality setting of a cluster.
#[derive(Clone, Copy, Debug)]
pub(super) enum LocalitySetting<'a> {
    /// Distributes requests by shares of localities.
    Distribute(&'a [Distribute]),
    /// Prefers nearer localities, and fails over to others.
    Failover {
        labels: &'a [Spanned<String>],
        regions: &'a [Failover],
    },
}

/// Returns the locality setting of a load balancer. `None` if localities do not matter. `ejects` is true if the cluster
/// has outlier detection, which failover requires.
pub(super) fn setting(
    balancer: Option<&LoadBalancer>,
    ejects: bool,
) -> Option<LocalitySetting<'_>> {
    let written = balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref());
    let Some(written) = written else {
        // The mesh's default is enabled, without further settings. Source: Istio, `MeshConfig.localityLbSetting`.
        return ejects.then_some(LocalitySetting::Failover {
            labels: &[],
            regions: &[],
        });
    };
    if written.enabled == Some(false) {
        return None;
    }
    if let Some(shares) = &written.distribute {
        return Some(LocalitySetting::Distribute(shares));
    }
    ejects.then(|| LocalitySetting::Failover {
        labels: written.failover_priority.as_deref().unwrap_or_default(),
        regions: written.failover.as_deref().unwrap_or_default(),
    })
}

/// Returns the locality setting of a cluster. `None` if localities do not matter.
pub(super) fn of_policy<'a>(policy: &ClusterPolicy<'a>) -> Option<LocalitySetting<'a>> {
    setting(value(policy.balancer), policy.outlier.is_some())
}

/// Returns the settings of a service's clusters, including those of subsets.
fn settings<'a>(service: &Service, rule: &MergedRule<'a>) -> Vec<LocalitySetting<'a>> {
    let mut found = Vec::new();
    for port in &service.ports {
        let whole = ClusterPolicy::for_service(rule.policy, port.number);
        found.extend(of_policy(&whole));
        for subset in &rule.subsets {
            let policy = whole.with(subset.traffic_policy.as_ref(), port.number);
            found.extend(of_policy(&policy));
        }
    }
    found
}

/// The endpoints of one locality and priority.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LocalityGroup<'a> {
    pub(super) locality: &'a Locality,
    /// The priority in Envoy's order: 0 is used first.
    pub(super) priority: u32,
    pub(super) weight: u32,
    pub(super) endpoints: Vec<&'a Endpoint>,
}

/// Arranges a cluster's endpoints, grouped by locality, for a client.
pub(super) fn arrange<'a>(
    groups: Vec<LocalityGroup<'a>>,
    setting: &LocalitySetting<'_>,
    client: &LocalityClient,
) -> Vec<LocalityGroup<'a>> {
    match *setting {
        LocalitySetting::Distribute(shares) => distribute(groups, shares, client),
        LocalitySetting::Failover { labels, regions } => {
            let by_labels = !labels.is_empty();
            let mut groups = if by_labels {
                by_label(groups, labels, client)
            } else {
                groups
            };
            if !by_labels || !regions.is_empty() {
                by_distance(&mut groups, regions, client);
            }
            groups
        }
    }
}

fn distribute<'a>(
    mut groups: Vec<LocalityGroup<'a>>,
    shares: &[Distribute],
    client: &LocalityClient,
) -> Vec<LocalityGroup<'a>> {
    let Some(rule) = shares
        .iter()
        .find(|rule| matches(&client.locality, &rule.from))
    else {
        return groups;
    };
    let mut taken = vec![false; groups.len()];
    for (pattern, share) in &rule.to {
        let chosen: Vec<usize> = (0..groups.len())
            .filter(|index| !taken[*index] && matches(groups[*index].locality, pattern))
            .collect();
        let total: u64 = chosen
            .iter()
            .map(|index| u64::from(groups[*index].weight))
            .sum();
        for index in chosen {
            taken[index] = true;
            // The share of several localities is divided in proportion to their weights, and rounded up.
            let part = u64::from(groups[index].weight) * u64::from(*share);
            if part > 0 {
                groups[index].weight =
                    u32::try_from(part.div_ceil(total.max(1))).unwrap_or(u32::MAX);
            }
        }
    }
    for (group, taken) in groups.iter_mut().zip(taken) {
        if !taken {
            group.endpoints.clear();
        }
    }
    groups
}

/// Splits each locality into priorities by the number of leading labels that an endpoint has in common with the client.
fn by_label<'a>(
    groups: Vec<LocalityGroup<'a>>,
    labels: &[Spanned<String>],
    client: &LocalityClient,
) -> Vec<LocalityGroup<'a>> {
    // Without known labels of the client, no endpoint is preferred. Source: Istio, `applyFailoverPriorities`.
    let Some(own) = &client.labels else {
        return groups;
    };
    let lowest = u32::try_from(labels.len()).unwrap_or(u32::MAX);
    let priority = |endpoint: &Endpoint| {
        let differs = |text: &&Spanned<String>| {
            let (name, wanted) = split(text);
            let wanted = wanted.or_else(|| own.get(name).map(String::as_str));
            wanted.unwrap_or_default()
                != label(&endpoint.labels, &endpoint.locality, name).unwrap_or_default()
        };
        match labels.iter().take_while(|text| !differs(text)).count() {
            shared if shared == labels.len() => 0,
            shared => lowest - u32::try_from(shared).unwrap_or(lowest),
        }
    };
    let mut result = Vec::new();
    for group in groups {
        let mut parts: BTreeMap<u32, Vec<&Endpoint>> = BTreeMap::new();
        for endpoint in &group.endpoints {
            parts.entry(priority(endpoint)).or_default().push(endpoint);
        }
        result.extend(
            parts
                .into_iter()
                .map(|(priority, endpoints)| LocalityGroup {
                    locality: group.locality,
                    priority,
                    weight: u32::try_from(endpoints.len()).unwrap_or(u32::MAX),
                    endpoints,
                }),
        );
    }
    compact(&mut result);
    result
}

/// Orders the groups by distance: the same subzone, zone and region, then the region's failover target, then any other
/// region. Without a failover rule for the client's region, all other regions are equal.
fn by_distance(groups: &mut [LocalityGroup<'_>], regions: &[Failover], client: &LocalityClient) {
    let here = &client.locality;
    for group in groups.iter_mut() {
        let there = group.locality;
        let step = if here.region != there.region {
            let rule = regions.iter().find(|rule| *rule.from == here.region);
            if rule.is_some_and(|rule| rule.to != there.region) {
                4
            } else {
                3
            }
        } else if here.zone != there.zone {
            2
        } else if here.subzone != there.subzone {
            1
        } else {
            0
        };
        group.priority = group.priority * STEPS + step;
    }
    compact(groups);
}

/// Renumbers priorities from 0 on without gaps, as Envoy requires.
fn compact(groups: &mut [LocalityGroup<'_>]) {
    let used: BTreeSet<u32> = groups.iter().map(|group| group.priority).collect();
    let renumbered: BTreeMap<u32, u32> = used.into_iter().zip(0..).collect();
    for group in groups {
        group.priority = renumbered[&group.priority];
    }
}

/// Splits a label into its name and its required value, if given.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(OVERRIDE) {
        // More than one `=` counts as no value. Source: Istio, `priorityLabelOverrides`.
        Some((name, value)) if !value.contains(OVERRIDE) => (name, Some(value)),
        Some((name, _)) => (name, None),
        None => (text, None),
    }
}

/// Returns the value of a pod's label. A known locality replaces the pod's own labels of that name. Source: Istio,
/// `AugmentLabels`.
fn label<'a>(
    labels: &'a BTreeMap<String, String>,
    locality: &'a Locality,
    name: &str,
) -> Option<&'a str> {
    let place = match name {
        REGION => &locality.region,
        ZONE => &locality.zone,
        SUBZONE => &locality.subzone,
        _ => "",
    };
    if place.is_empty() {
        labels.get(name).map(String::as_str)
    } else {
        Some(place)
    }
}

/// Returns true if a locality matches a pattern `region/zone/subzone`. `*` matches anything, and so does a missing zone
/// or subzone.
/// Source: Istio, `LocalityMatch`.
fn matches(locality: &Locality, pattern: &str) -> bool {
    let mut parts = pattern.split('/');
    let region = parts.next().unwrap_or_default();
    let zone = parts.next().unwrap_or_default();
    let subzone = parts.next().unwrap_or_default();
    let fits = |part: &str, place: &str| part == "*" || part.is_empty() || part == place;
    (region == "*" || region == locality.region)
        && fits(zone, &locality.zone)
        && fits(subzone, &locality.subzone)
}

#[cfg(test)]
mod tests;
