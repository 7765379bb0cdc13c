//! Translation of `ProxyPolicy` documents: caller policies become part of clusters, workload policies part of inbound
//! listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use shakedown_istio::in_force;
use shakedown_istio::registry::{Hostname, Mesh};
use shakedown_istio::{
    ConnectionPool, Document, GoDuration, PolicyBalancer, Portion, ProxyPolicy, Resource,
};
use shakedown_xds::proto::cluster::load_balancing_policy::Policy;
use shakedown_xds::proto::cluster::{self, LoadBalancingPolicy};
use shakedown_xds::proto::manager::{HttpFilter, http_filter};
use shakedown_xds::proto::{
    self, adaptive_concurrency as adaptive, balancers, core, policies, rate_limit,
};
use shakedown_xds::table::AdaptiveConcurrency;
use shakedown_yaml::Spanned;

use super::caller::Caller;
use super::cluster_policy::ClusterPolicy;
use super::messages::wrapped;
use super::rules::Rules;

/// The name of the extension config for the project's own load balancing policies.
const BALANCER: &str = "shakedown.dev/balancer";

/// The policies that apply to callers, oldest first.
pub struct CallerPolicies<'a>(Vec<(Hostname, &'a Resource<ProxyPolicy>)>);

impl<'a> CallerPolicies<'a> {
    /// Collects the caller policies of a mesh.
    pub fn new(mesh: &'a Mesh) -> Self {
        let named = |policy: &'a Resource<ProxyPolicy>| {
            let host = policy.spec.host.as_ref()?;
            Some((Hostname::resolve(host, &policy.meta.namespace), policy))
        };
        CallerPolicies(by_age(mesh).filter_map(named).collect())
    }

    /// Adds the policies for callers of a host to its cluster. If two documents set the same policy, the older one
    /// applies.
    pub(super) fn apply(&self, cluster: &mut cluster::Cluster, host: &Hostname) {
        let meant: Vec<&ProxyPolicy> = self.for_host(host).map(|policy| &*policy.spec).collect();
        if !meant.is_empty() {
            apply(cluster, &meant);
        }
    }

    /// Returns the policies for callers of a host.
    pub fn for_host(&self, host: &Hostname) -> impl Iterator<Item = &'a Resource<ProxyPolicy>> {
        let meant = self.0.iter().filter(|(named, _)| named.covers(host));
        meant.map(|(_, policy)| *policy)
    }
}

fn by_age(mesh: &Mesh) -> impl Iterator<Item = &Resource<ProxyPolicy>> {
    let policies = in_force(&mesh.documents).filter_map(|document| match document {
        Document::ProxyPolicy(policy) => Some(policy),
        _ => None,
    });
    let mut policies: Vec<&Resource<ProxyPolicy>> = policies.collect();
    policies.sort_by_key(|policy| policy.meta.age());
    policies.into_iter()
}

/// Adds caller policies, oldest first, to a cluster.
pub(super) fn apply(cluster: &mut cluster::Cluster, policies: &[&ProxyPolicy]) {
    if let Some(balancer) = policies.iter().find_map(|policy| policy.balancer.as_ref()) {
        cluster.load_balancing_policy = Some(balancing(balancer.value));
    }
    let message = policies::UpstreamPolicy {
        hedge: policies
            .iter()
            .find_map(|policy| policy.hedge.as_ref())
            .map(|hedge| policies::Hedge {
                after: Some(proto::duration(hedge.after.value.0)),
                times: hedge.times.as_ref().map_or(1, |times| times.value),
                budget_ppm: hedge.budget.as_ref().map(portion),
            }),
        throttle: policies
            .iter()
            .find_map(|policy| policy.adaptive_throttle.as_ref())
            .map(|throttle| policies::AdaptiveThrottle {
                k_milli: throttle.k.as_ref().map_or(0, |k| {
                    u32::try_from(k.value.micros() / 1000).unwrap_or(u32::MAX)
                }),
                window: time(throttle.window.as_ref()),
            }),
    };
    if message != policies::UpstreamPolicy::default() {
        // A single entry, as required by the map invariant of `shakedown_xds::proto`.
        let metadata = cluster.metadata.get_or_insert_with(core::Metadata::default);
        let packed = proto::pack(&message);
        metadata
            .typed_filter_metadata
            .insert(policies::UPSTREAM_POLICY.into(), packed);
    }
}

fn balancing(balancer: PolicyBalancer) -> LoadBalancingPolicy {
    let packed = match balancer {
        PolicyBalancer::PeakEwma => proto::pack(&balancers::PeakEwma::default()),
        PolicyBalancer::LeastLoaded => proto::pack(&balancers::LeastLoaded {}),
    };
    LoadBalancingPolicy {
        policies: vec![Policy {
            typed_extension_config: Some(core::TypedExtensionConfig {
                name: BALANCER.into(),
                typed_config: Some(packed),
            }),
        }],
    }
}

/// The inbound policy of a pod's proxy: the filters of its inbound listeners before the router, and the connection
/// limits towards the application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundPolicy {
    filters: Vec<HttpFilter>,
    /// By port, from the DestinationRule of the port's service.
    pools: BTreeMap<u16, ConnectionPool>,
}

impl InboundPolicy {
    /// Returns the policy of the pod at an address. If two documents set the same policy, the older one applies.
    pub fn for_pod(mesh: &Mesh, address: IpAddr) -> InboundPolicy {
        // A cheap check first, because this is called for each proxy at each push, and most meshes have no such
        // documents.
        if !InboundPolicy::is_spoken_of(mesh) {
            return InboundPolicy::default();
        }
        let policies: Vec<&ProxyPolicy> = of_workload(mesh, address)
            .into_iter()
            .map(|policy| &*policy.spec)
            .collect();
        InboundPolicy {
            filters: filters(&policies),
            pools: pools(mesh, address),
        }
    }

    /// Returns true if any document may affect an inbound policy.
    pub fn is_spoken_of(mesh: &Mesh) -> bool {
        mesh.documents.iter().any(|document| match document {
            Document::ProxyPolicy(policy) => policy.spec.selector.is_some(),
            Document::DestinationRule(rule) => {
                let policy = rule.spec.traffic_policy.as_ref();
                policy.is_some_and(|policy| {
                    let mut ports = policy.port_level_settings.iter();
                    policy.connection_pool.is_some()
                        || ports.any(|port| port.connection_pool.is_some())
                })
            }
            _ => false,
        })
    }

    pub(super) fn filters(&self) -> &[HttpFilter] {
        &self.filters
    }

    /// Returns the connection limits of an application port.
    pub(super) fn pool(&self, port: u16) -> Option<&ConnectionPool> {
        self.pools.get(&port)
    }
}

/// Returns the policies that select the workload at an address, oldest first: those of its own namespace and of the
/// root namespace.
pub fn of_workload(mesh: &Mesh, address: IpAddr) -> Vec<&Resource<ProxyPolicy>> {
    let services = mesh.registry.services.values();
    let pod = services
        .flat_map(|service| {
            service
                .endpoints
                .iter()
                .map(move |endpoint| (service, endpoint))
        })
        .find(|(_, endpoint)| endpoint.address.ip() == address);
    let Some((service, pod)) = pod else {
        return Vec::new();
    };
    let root = &mesh.options.root_namespace;
    let meant = |policy: &&Resource<ProxyPolicy>| {
        let namespace = &policy.meta.namespace;
        let selector = policy.spec.selector.as_ref();
        (*namespace == service.namespace || namespace == root)
            && selector.is_some_and(|selector| {
                let mut wanted = selector.match_labels.iter();
                wanted.all(|(name, value)| pod.labels.get(name) == Some(value))
            })
    };
    by_age(mesh).filter(meant).collect()
}

/// Returns the connection limits in the DestinationRules of a pod's services, by port. If two services have the same
/// port, the first one applies.
fn pools(mesh: &Mesh, address: IpAddr) -> BTreeMap<u16, ConnectionPool> {
    let rules = Rules::new(mesh);
    let pod = Caller::at(&mesh.registry, address).namespace;
    let mut pools = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for service in mesh.registry.services.values() {
        let mut endpoints = service.endpoints.iter();
        let Some(endpoint) = endpoints.find(|endpoint| endpoint.address.ip() == address) else {
            continue;
        };
        let rule = rules.rule_before_app(&pod, &service.hostname, &service.namespace);
        for port in &service.ports {
            let number = service.address(endpoint, port).port();
            let pool = ClusterPolicy::for_service(rule.policy, port.number).pool;
            if let (true, Some(pool)) = (seen.insert(number), pool) {
                pools.insert(number, pool.value.clone());
            }
        }
    }
    pools
}

/// Returns the filters in front of the application. The cheapest check runs first.
pub(super) fn filters(policies: &[&ProxyPolicy]) -> Vec<HttpFilter> {
    let limit = policies
        .iter()
        .find_map(|policy| policy.rate_limit.as_ref());
    let concurrency = policies
        .iter()
        .find_map(|policy| policy.adaptive_concurrency.as_ref());
    let shed = policies.iter().find_map(|policy| policy.shed.as_ref());
    let filters = [
        limit.map(|limit| {
            filter(
                proto::RATE_LIMIT,
                proto::pack(&local_limit(&limit.local)),
                false,
            )
        }),
        concurrency.map(|concurrency| {
            filter(
                proto::ADAPTIVE_CONCURRENCY,
                proto::pack(&adaptive_concurrency(concurrency)),
                false,
            )
        }),
        shed.map(|shed| filter(policies::SHED, proto::pack(&shed_filter(shed)), true)),
    ];
    filters.into_iter().flatten().collect()
}

fn filter(name: &str, config: proto::protobuf::Any, is_optional: bool) -> HttpFilter {
    HttpFilter {
        name: name.into(),
        is_optional,
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

fn local_limit(limit: &shakedown_istio::LocalRateLimit) -> rate_limit::LocalRateLimit {
    use shakedown_xds::proto::core::RuntimeFractionalPercent;
    use shakedown_xds::proto::fractional::fractional_percent::DenominatorType;
    use shakedown_xds::proto::fractional::{FractionalPercent, TokenBucket};

    let all = || RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator: 100,
            denominator: DenominatorType::Hundred.into(),
        }),
        ..Default::default()
    };
    let burst = limit.burst.as_ref().unwrap_or(&limit.requests);
    rate_limit::LocalRateLimit {
        stat_prefix: "inbound".into(),
        token_bucket: Some(TokenBucket {
            max_tokens: burst.value,
            tokens_per_fill: Some(wrapped(limit.requests.value)),
            fill_interval: Some(proto::duration(limit.per.value.0)),
        }),
        filter_enabled: Some(all()),
        filter_enforced: Some(all()),
        local_rate_limit_per_downstream_connection: limit.per_connection,
        ..Default::default()
    }
}

fn adaptive_concurrency(
    written: &shakedown_istio::AdaptiveConcurrency,
) -> adaptive::AdaptiveConcurrency {
    use adaptive::gradient_controller_config::{
        ConcurrencyLimitCalculationParams, MinimumRttCalculationParams,
    };

    let default = AdaptiveConcurrency::default();
    let or = |written: Option<&Spanned<GoDuration>>, default: Duration| {
        Some(proto::duration(
            written.map_or(default, |duration| duration.value.0),
        ))
    };
    let gradient = adaptive::GradientControllerConfig {
        concurrency_limit_params: Some(ConcurrencyLimitCalculationParams {
            max_concurrency_limit: written.max.as_ref().map(|max| wrapped(max.value)),
            concurrency_update_interval: or(written.interval.as_ref(), default.update_interval),
            ..Default::default()
        }),
        min_rtt_calc_params: Some(MinimumRttCalculationParams {
            interval: or(written.measure_every.as_ref(), default.min_rtt_interval),
            min_concurrency: written.min.as_ref().map(|min| wrapped(min.value)),
            ..Default::default()
        }),
        ..Default::default()
    };
    adaptive::AdaptiveConcurrency {
        concurrency_controller_config: Some(
            adaptive::adaptive_concurrency::ConcurrencyControllerConfig::GradientControllerConfig(
                gradient,
            ),
        ),
        ..Default::default()
    }
}

fn shed_filter(written: &shakedown_istio::Shed) -> policies::Shed {
    policies::Shed {
        concurrency: written.concurrency.value,
        queue: written.queue.as_ref().map(|queue| wrapped(queue.value)),
        target: time(written.target.as_ref()),
        interval: time(written.interval.as_ref()),
    }
}

fn portion(share: &Spanned<Portion>) -> proto::protobuf::UInt32Value {
    wrapped(share.value.ppm())
}

fn time(written: Option<&Spanned<GoDuration>>) -> Option<proto::protobuf::Duration> {
    written.map(|written| proto::duration(written.value.0))
}

#[cfg(test)]
mod tests;
