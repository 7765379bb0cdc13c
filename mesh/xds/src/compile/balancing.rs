//! Compiles a cluster's load balancing: `lb_policy` with its settings, or `load_balancing_policy`.

use std::time::Duration;

use super::problem::{FieldProblem, Result, duration, enumerated, fields, refuse};
use super::subsets;
use crate::proto::cluster::LoadBalancingPolicy;
use crate::proto::cluster::load_balancing_policy::Policy;
use crate::proto::cluster::{self as message, cluster as inner};
use crate::proto::lb_policies::common::locality_lb_config::LocalityConfigSpecifier as TypedLocality;
use crate::proto::lb_policies::common::{self, LocalityLbConfig};
use crate::proto::protobuf::{Any, UInt32Value, UInt64Value};
use crate::proto::{self, balancers, core, lb_policies as typed};
use crate::table::{
    ClusterKind, LbOptions, LbPolicy, LeastRequest, Maglev, PeakEwma, RingFunction, RingHash,
    RoundRobin, SlowStart,
};
use inner::common_lb_config::LocalityConfigSpecifier;

const ACCEPTED: &str = "expected LEAST_REQUEST, ROUND_ROBIN, RANDOM, RING_HASH or MAGLEV";

/// Compiles an optional `slow_start_config`. Envoy has two messages with these fields.
macro_rules! compile_slow_start {
    ($config:expr => $($ty:ident)::+) => {
        match &$config {
            Some(config) => {
                fields!(config => $($ty)::+ {
                    used: slow_start_window aggression min_weight_percent;
                });
                slow_start(
                    duration("slow_start_window", config.slow_start_window.as_ref()),
                    config.aggression.as_ref(),
                    config.min_weight_percent.map(|percent| percent.value),
                )
                .map_err(|problem| problem.within("slow_start_config"))
            }
            None => Ok(None),
        }
    };
}

/// Returns the policy, and the options that apply to every policy.
pub(super) fn compile(
    message: &message::Cluster,
    kind: &ClusterKind,
) -> Result<(LbPolicy, LbOptions)> {
    let mut options = match &message.common_lb_config {
        Some(common) => {
            common_options(common).map_err(|problem| problem.within("common_lb_config"))?
        }
        None => LbOptions::default(),
    };
    if let Some(extension) = &message.load_balancing_policy {
        // The extension replaces `lb_policy` and its settings. Source: Envoy, `Cluster.load_balancing_policy`.
        refuse!(message; lb_subset_config);
        let policy = extension_policy(extension, &mut options)
            .map_err(|problem| problem.within("load_balancing_policy"))?;
        return Ok((policy, options));
    }
    if let Some(config) = &message.lb_subset_config {
        options.subsets =
            subsets::of_cluster(config).map_err(|problem| problem.within("lb_subset_config"))?;
    }
    Ok((lb_policy(message, kind)?, options))
}

fn common_options(common: &inner::CommonLbConfig) -> Result<LbOptions> {
    // `update_merge_window` is compiled with the cluster, because it is about health, not balancing.
    fields!(common => inner::CommonLbConfig {
        refused: ignore_new_hosts_until_first_hc close_connections_on_host_set_change override_host_status;
        used: healthy_panic_threshold update_merge_window consistent_hashing_lb_config locality_config_specifier;
    });
    if let Some(hashing) = &common.consistent_hashing_lb_config {
        let check = || {
            fields!(hashing => inner::common_lb_config::ConsistentHashingLbConfig {
                refused: use_hostname_for_hashing hash_balance_factor;
                used:;
            });
            Ok(())
        };
        check().map_err(|problem: FieldProblem| problem.within("consistent_hashing_lb_config"))?;
    }
    let mut options = LbOptions::default();
    if let Some(threshold) = &common.healthy_panic_threshold {
        options.panic_percent = percent("healthy_panic_threshold", threshold.value)?;
    }
    match &common.locality_config_specifier {
        Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_)) => options.by_locality = true,
        // Zone-aware balancing needs the hosts of the proxy's own cluster. As in Envoy, it has no effect without
        // them, and they are not configured here.
        Some(LocalityConfigSpecifier::ZoneAwareLbConfig(zones)) => {
            options.fail_on_panic = zones.fail_traffic_on_panic;
        }
        None => {}
    }
    Ok(options)
}

fn lb_policy(message: &message::Cluster, kind: &ClusterKind) -> Result<LbPolicy> {
    let number = message.lb_policy;
    let policy = inner::LbPolicy::try_from(number).map_err(|_| {
        FieldProblem::new("lb_policy", format!("unknown number {number}; {ACCEPTED}"))
    })?;
    if *kind == ClusterKind::OriginalDst {
        // The request names its host, so nothing is balanced.
        return match policy {
            inner::LbPolicy::ClusterProvided => Ok(LbPolicy::LEAST_REQUEST),
            _ => Err(FieldProblem::new(
                "lb_policy",
                "expected CLUSTER_PROVIDED because the type is ORIGINAL_DST",
            )),
        };
    }
    // Envoy reads only the settings of the selected policy.
    match policy {
        inner::LbPolicy::LeastRequest => match &message.lb_config {
            Some(inner::LbConfig::LeastRequestLbConfig(config)) => {
                least_request(config).map_err(|problem| problem.within("least_request_lb_config"))
            }
            _ => Ok(LbPolicy::LEAST_REQUEST),
        },
        inner::LbPolicy::RoundRobin => match &message.lb_config {
            Some(inner::LbConfig::RoundRobinLbConfig(config)) => {
                fields!(config => inner::RoundRobinLbConfig {
                    used: slow_start_config;
                });
                let slow_start =
                    compile_slow_start!(config.slow_start_config => inner::SlowStartConfig)
                        .map_err(|problem| problem.within("round_robin_lb_config"))?;
                Ok(LbPolicy::RoundRobin(RoundRobin { slow_start }))
            }
            _ => Ok(LbPolicy::ROUND_ROBIN),
        },
        inner::LbPolicy::Random => Ok(LbPolicy::Random),
        inner::LbPolicy::RingHash => match &message.lb_config {
            Some(inner::LbConfig::RingHashLbConfig(config)) => {
                legacy_ring(config).map_err(|problem| problem.within("ring_hash_lb_config"))
            }
            _ => Ok(LbPolicy::RingHash(RingHash::ENVOY)),
        },
        inner::LbPolicy::Maglev => match &message.lb_config {
            Some(inner::LbConfig::MaglevLbConfig(config)) => maglev(config.table_size.as_ref())
                .map_err(|problem| problem.within("maglev_lb_config")),
            _ => Ok(LbPolicy::Maglev(Maglev::ENVOY)),
        },
        other => {
            let text = format!("not supported yet: {}; {ACCEPTED}", other.as_str_name());
            Err(FieldProblem::new("lb_policy", text))
        }
    }
}

fn least_request(config: &inner::LeastRequestLbConfig) -> Result<LbPolicy> {
    fields!(config => inner::LeastRequestLbConfig {
        used: choice_count active_request_bias slow_start_config;
    });
    Ok(LbPolicy::LeastRequest(LeastRequest {
        choices: choices(config.choice_count.as_ref())?,
        bias: bias(config.active_request_bias.as_ref())?,
        slow_start: compile_slow_start!(config.slow_start_config => inner::SlowStartConfig)?,
    }))
}

fn choices(count: Option<&UInt32Value>) -> Result<u32> {
    match count.map_or(LeastRequest::ENVOY.choices, |count| count.value) {
        count if count >= 2 => Ok(count),
        count => Err(FieldProblem::new(
            "choice_count",
            format!("expected 2 or more, found {count}"),
        )),
    }
}

/// Returns the default of a runtime value. Overrides by Envoy's runtime are not supported.
fn bias(written: Option<&core::RuntimeDouble>) -> Result<f64> {
    match written.map_or(LeastRequest::ENVOY.bias, |value| value.default_value) {
        bias if bias >= 0.0 && bias.is_finite() => Ok(bias),
        bias => Err(FieldProblem::new(
            "active_request_bias.default_value",
            format!("expected 0 or more, found {bias}"),
        )),
    }
}

fn slow_start(
    window: Result<Option<Duration>>,
    aggression: Option<&core::RuntimeDouble>,
    min_percent: Option<f64>,
) -> Result<Option<SlowStart>> {
    const MIN_PERCENT: f64 = 10.0;
    let aggression = aggression.map_or(1.0, |value| value.default_value);
    if !(aggression > 0.0 && aggression.is_finite()) {
        let text = format!("expected more than 0, found {aggression}");
        return Err(FieldProblem::new("aggression.default_value", text));
    }
    let min_percent = min_percent.unwrap_or(MIN_PERCENT);
    if !(0.0..=100.0).contains(&min_percent) {
        let text = format!("expected 0 to 100, found {min_percent}");
        return Err(FieldProblem::new("min_weight_percent", text));
    }
    // In whole milliseconds, as in Envoy. Zero disables slow start.
    let window = window?.map_or(0, |window| window.as_millis());
    let window = Duration::from_millis(u64::try_from(window).unwrap_or(u64::MAX));
    Ok((!window.is_zero()).then_some(SlowStart {
        window,
        aggression,
        min_weight: min_percent / 100.0,
    }))
}

fn legacy_ring(config: &inner::RingHashLbConfig) -> Result<LbPolicy> {
    fields!(config => inner::RingHashLbConfig {
        used: minimum_ring_size hash_function maximum_ring_size;
    });
    use inner::ring_hash_lb_config::HashFunction;

    let function = match enumerated("hash_function", config.hash_function)? {
        HashFunction::XxHash => RingFunction::XxHash,
        HashFunction::MurmurHash2 => RingFunction::MurmurHash2,
    };
    ring(
        function,
        config.minimum_ring_size.as_ref(),
        config.maximum_ring_size.as_ref(),
    )
}

fn ring(
    function: RingFunction,
    min: Option<&UInt64Value>,
    max: Option<&UInt64Value>,
) -> Result<LbPolicy> {
    let (min, max) = (min.map(|size| size.value), max.map(|size| size.value));
    let bounded = |field: &str, size: Option<u64>| match size {
        Some(size) if size > RingHash::MAX_SIZE => Err(FieldProblem::new(
            field,
            format!("expected at most {}, found {size}", RingHash::MAX_SIZE),
        )),
        _ => Ok(size),
    };
    let ring = RingHash {
        function,
        min_size: bounded("minimum_ring_size", min)?.unwrap_or(RingHash::ENVOY.min_size),
        max_size: bounded("maximum_ring_size", max)?.unwrap_or(RingHash::ENVOY.max_size),
    };
    if ring.min_size > ring.max_size {
        let text = format!(
            "expected at most maximum_ring_size, {}, found {}",
            ring.max_size, ring.min_size
        );
        return Err(FieldProblem::new("minimum_ring_size", text));
    }
    Ok(LbPolicy::RingHash(ring))
}

fn maglev(table_size: Option<&UInt64Value>) -> Result<LbPolicy> {
    let table_size = table_size.map_or(Maglev::ENVOY.table_size, |size| size.value);
    if table_size > Maglev::MAX_SIZE || !is_prime(table_size) {
        let text = format!(
            "expected a prime of at most {}, found {table_size}",
            Maglev::MAX_SIZE
        );
        return Err(FieldProblem::new("table_size", text));
    }
    Ok(LbPolicy::Maglev(Maglev { table_size }))
}

/// Returns true if a number is prime. Trial division is fast enough for table sizes.
pub fn is_prime(number: u64) -> bool {
    number >= 2
        && (2..)
            .take_while(|factor| factor * factor <= number)
            .all(|factor| !number.is_multiple_of(factor))
}

fn percent(field: &str, value: f64) -> Result<u32> {
    if (0.0..=100.0).contains(&value) {
        return Ok(value.round() as u32);
    }
    let text = format!("expected 0 to 100, found {value}");
    Err(FieldProblem::new(field, text))
}

/// Returns the first policy in the list that is supported. Source: Envoy, `LoadBalancingPolicy.policies`.
fn extension_policy(list: &LoadBalancingPolicy, options: &mut LbOptions) -> Result<LbPolicy> {
    for (
        index,
        Policy {
            typed_extension_config,
        },
    ) in list.policies.iter().enumerate()
    {
        let Some(packed) = typed_extension_config
            .as_ref()
            .and_then(|config| config.typed_config.as_ref())
        else {
            continue;
        };
        let path = format!("policies[{index}].typed_extension_config.typed_config");
        if let Some(policy) =
            known_extension(packed, options).map_err(|problem| problem.within(&path))?
        {
            return Ok(policy);
        }
    }
    let urls = list.policies.iter().filter_map(|policy| {
        policy
            .typed_extension_config
            .as_ref()?
            .typed_config
            .as_ref()
    });
    let names: Vec<&str> = urls.map(|packed| packed.type_url.as_str()).collect();
    let text = format!(
        "not supported yet: `{}`; {ACCEPTED} of Envoy, or shakedown's LeastLoaded or PeakEwma",
        names.join("`, `")
    );
    Err(FieldProblem::new("policies", text))
}

fn known_extension(packed: &Any, options: &mut LbOptions) -> Result<Option<LbPolicy>> {
    let is = |url: String| {
        let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        name(&packed.type_url) == name(&url)
    };
    fn read<M: prost::Message + prost::Name + Default>(packed: &Any) -> Result<M> {
        proto::unpack(packed).map_err(|error| FieldProblem::new("value", error.to_string()))
    }
    fn url<M: prost::Name>() -> String {
        M::type_url()
    }
    // Envoy's own policies contain locality settings. The project's own policies use those of the cluster.
    let common = options.clone();
    options.by_locality = false;
    options.fail_on_panic = false;
    let policy = if is(url::<balancers::LeastLoaded>()) {
        *options = common;
        let balancers::LeastLoaded {} = read(packed)?;
        LbPolicy::LeastLoaded
    } else if is(url::<balancers::PeakEwma>()) {
        *options = common;
        let config: balancers::PeakEwma = read(packed)?;
        let decay = duration("decay", config.decay.as_ref())?.unwrap_or(PeakEwma::FINAGLE.decay);
        if decay.is_zero() {
            return Err(FieldProblem::new("decay", "expected more than 0s"));
        }
        LbPolicy::PeakEwma(PeakEwma { decay })
    } else if is(url::<typed::RoundRobin>()) {
        let config: typed::RoundRobin = read(packed)?;
        fields!(&config => typed::RoundRobin {
            used: slow_start_config locality_lb_config;
        });
        locality(config.locality_lb_config.as_ref(), options);
        let slow_start = compile_slow_start!(config.slow_start_config => common::SlowStartConfig)?;
        LbPolicy::RoundRobin(RoundRobin { slow_start })
    } else if is(url::<typed::LeastRequest>()) {
        let config: typed::LeastRequest = read(packed)?;
        refuse_scan(&config)?;
        locality(config.locality_lb_config.as_ref(), options);
        LbPolicy::LeastRequest(LeastRequest {
            choices: choices(config.choice_count.as_ref())?,
            bias: bias(config.active_request_bias.as_ref())?,
            slow_start: compile_slow_start!(config.slow_start_config => common::SlowStartConfig)?,
        })
    } else if is(url::<typed::Random>()) {
        let config: typed::Random = read(packed)?;
        fields!(&config => typed::Random {
            used: locality_lb_config;
        });
        locality(config.locality_lb_config.as_ref(), options);
        LbPolicy::Random
    } else if is(url::<typed::RingHash>()) {
        let config: typed::RingHash = read(packed)?;
        typed_ring(&config, options)?
    } else if is(url::<typed::Maglev>()) {
        let config: typed::Maglev = read(packed)?;
        fields!(&config => typed::Maglev {
            refused: consistent_hashing_lb_config;
            used: table_size locality_weighted_lb_config;
        });
        options.by_locality = config.locality_weighted_lb_config.is_some();
        maglev(config.table_size.as_ref())?
    } else {
        *options = common;
        return Ok(None);
    };
    Ok(Some(policy))
}

fn refuse_scan(config: &typed::LeastRequest) -> Result<()> {
    fields!(config => typed::LeastRequest {
        refused: enable_full_scan selection_method;
        used: choice_count active_request_bias slow_start_config locality_lb_config;
    });
    Ok(())
}

fn typed_ring(config: &typed::RingHash, options: &mut LbOptions) -> Result<LbPolicy> {
    use typed::ring_hash::HashFunction;

    fields!(config => typed::RingHash {
        refused: use_hostname_for_hashing hash_balance_factor consistent_hashing_lb_config;
        used: hash_function minimum_ring_size maximum_ring_size locality_weighted_lb_config;
    });
    options.by_locality = config.locality_weighted_lb_config.is_some();
    let function = match enumerated("hash_function", config.hash_function)? {
        HashFunction::DefaultHash | HashFunction::XxHash => RingFunction::XxHash,
        HashFunction::MurmurHash2 => RingFunction::MurmurHash2,
    };
    ring(
        function,
        config.minimum_ring_size.as_ref(),
        config.maximum_ring_size.as_ref(),
    )
}

fn locality(config: Option<&LocalityLbConfig>, options: &mut LbOptions) {
    match config.and_then(|config| config.locality_config_specifier.as_ref()) {
        Some(TypedLocality::LocalityWeightedLbConfig(_)) => options.by_locality = true,
        Some(TypedLocality::ZoneAwareLbConfig(zones)) => {
            options.fail_on_panic = zones.fail_traffic_on_panic;
        }
        None => {}
    }
}

#[cfg(test)]
mod tests;
