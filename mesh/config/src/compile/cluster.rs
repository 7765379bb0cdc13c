//! `Cluster`.

use std::sync::Arc;
use std::time::Duration;

use super::endpoints;
use super::problem::{Problem, Result, duration, from_ads, named, refuse};
use crate::table::{Assignment, Cluster, ClusterKind, LbPolicy, Limits};
use crate::translate::HTTP_OPTIONS;
use crate::xds::cluster::{self as message, circuit_breakers::Thresholds, cluster as inner};
use crate::xds::protobuf::UInt32Value;
use crate::xds::upstream_http::{
    HttpProtocolOptions,
    http_protocol_options::{UpstreamProtocolOptions, explicit_http_config::ProtocolConfig},
};
use crate::xds::{self, core};

/// Where it is not set. Source: Envoy, `Cluster.connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where it is not set. Source: Envoy, `HttpProtocolOptions.idle_timeout`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

#[expect(deprecated, reason = "what is deprecated is refused, too")]
pub(super) fn compile(message: &message::Cluster) -> Result<Cluster> {
    named("name", &message.name)?;
    refuse!(message;
        transport_socket_matches transport_socket_matcher health_checks upstream_http_protocol_options
        common_http_protocol_options http_protocol_options http2_protocol_options outlier_detection
        upstream_bind_config lb_subset_config common_lb_config transport_socket protocol_selection
        upstream_connection_options close_connections_on_host_health_failure ignore_health_on_host_removal filters
        load_balancing_policy upstream_config preconnect_policy connection_pool_per_downstream_connection
        queuing_policies);
    let kind = kind(message)?;
    let http = http_options(message)?;
    let idle_timeout = match http.idle_timeout {
        None => Some(IDLE_TIMEOUT),
        Some(timeout) => Some(timeout).filter(|timeout| !timeout.is_zero()),
    };
    let requests = http
        .max_requests
        .or(value(message.max_requests_per_connection.as_ref()));
    Ok(Cluster {
        name: Arc::from(message.name.as_str()),
        lb: lb_policy(message, &kind)?,
        kind,
        connect_timeout: duration("connect_timeout", message.connect_timeout.as_ref())?
            .unwrap_or(CONNECT_TIMEOUT),
        limits: limits(message.circuit_breakers.as_ref())
            .map_err(|problem| problem.within("circuit_breakers"))?,
        idle_timeout,
        max_requests_per_connection: requests.filter(|requests| *requests > 0),
    })
}

fn kind(message: &message::Cluster) -> Result<ClusterKind> {
    const ACCEPTED: &str = "expected EDS, STATIC or ORIGINAL_DST";
    let number = match &message.cluster_discovery_type {
        // The default of the enum.
        None => inner::DiscoveryType::Static.into(),
        Some(inner::ClusterDiscoveryType::Type(number)) => *number,
        Some(inner::ClusterDiscoveryType::ClusterType(custom)) => {
            let text = format!("not supported yet: `{}`; {ACCEPTED} as `type`", custom.name);
            return Err(Problem::new("cluster_type", text));
        }
    };
    if number != inner::DiscoveryType::Eds as i32 {
        refuse!(message; eds_cluster_config);
    }
    match inner::DiscoveryType::try_from(number) {
        Ok(inner::DiscoveryType::Eds) => {
            let eds = message.eds_cluster_config.as_ref();
            from_ads(
                "eds_cluster_config.eds_config",
                eds.and_then(|eds| eds.eds_config.as_ref()),
            )?;
            let service = eds
                .map(|eds| eds.service_name.as_str())
                .filter(|name| !name.is_empty());
            Ok(ClusterKind::Eds(Arc::from(
                service.unwrap_or(&message.name),
            )))
        }
        Ok(inner::DiscoveryType::Static) => {
            let assignment = match &message.load_assignment {
                Some(assignment) => endpoints::compile(assignment)
                    .map_err(|problem| problem.within("load_assignment"))?,
                None => Assignment {
                    name: Arc::from(message.name.as_str()),
                    hosts: Vec::new(),
                },
            };
            Ok(ClusterKind::Static(Arc::new(assignment)))
        }
        Ok(inner::DiscoveryType::OriginalDst) => Ok(ClusterKind::OriginalDst),
        Ok(other) => Err(Problem::new(
            "type",
            format!("not supported yet: {}; {ACCEPTED}", other.as_str_name()),
        )),
        Err(_) => Err(Problem::new(
            "type",
            format!("unknown number {number}; {ACCEPTED}"),
        )),
    }
}

fn lb_policy(message: &message::Cluster, kind: &ClusterKind) -> Result<LbPolicy> {
    const ACCEPTED: &str = "expected LEAST_REQUEST, ROUND_ROBIN or RANDOM";
    let number = message.lb_policy;
    let policy = inner::LbPolicy::try_from(number)
        .map_err(|_| Problem::new("lb_policy", format!("unknown number {number}; {ACCEPTED}")))?;
    if *kind == ClusterKind::OriginalDst {
        // The request chooses; nothing is balanced.
        return match policy {
            inner::LbPolicy::ClusterProvided => Ok(LbPolicy::LeastRequest),
            _ => Err(Problem::new(
                "lb_policy",
                "expected CLUSTER_PROVIDED, as the type is ORIGINAL_DST",
            )),
        };
    }
    let compiled = match policy {
        inner::LbPolicy::LeastRequest => LbPolicy::LeastRequest,
        inner::LbPolicy::RoundRobin => LbPolicy::RoundRobin,
        inner::LbPolicy::Random => LbPolicy::Random,
        other => {
            let text = format!("not supported yet: {}; {ACCEPTED}", other.as_str_name());
            return Err(Problem::new("lb_policy", text));
        }
    };
    // Envoy reads the settings of the policy in force, and of no other.
    match (&message.lb_config, compiled) {
        (Some(inner::LbConfig::LeastRequestLbConfig(config)), LbPolicy::LeastRequest) => {
            let within = |problem: Problem| problem.within("least_request_lb_config");
            least_request(config).map_err(within)?;
        }
        (Some(inner::LbConfig::RoundRobinLbConfig(config)), LbPolicy::RoundRobin)
            if config.slow_start_config.is_some() =>
        {
            return Err(Problem::later("round_robin_lb_config.slow_start_config"));
        }
        _ => {}
    }
    Ok(compiled)
}

fn least_request(config: &inner::LeastRequestLbConfig) -> Result<()> {
    refuse!(config; active_request_bias slow_start_config);
    match value(config.choice_count.as_ref()) {
        None | Some(2) => Ok(()),
        Some(count) => Err(Problem::new(
            "choice_count",
            format!("not supported yet: {count}; expected 2"),
        )),
    }
}

fn limits(breakers: Option<&message::CircuitBreakers>) -> Result<Limits> {
    let Some(breakers) = breakers else {
        return Ok(Limits::ENVOY);
    };
    refuse!(breakers; per_host_thresholds);
    // Routes of high priority are refused, so what holds for those is never looked at. The first of one kind counts.
    let default = core::RoutingPriority::Default as i32;
    let Some((index, threshold)) = breakers
        .thresholds
        .iter()
        .enumerate()
        .find(|(_, it)| it.priority == default)
    else {
        return Ok(Limits::ENVOY);
    };
    threshold_limits(threshold).map_err(|problem| problem.within(&format!("thresholds[{index}]")))
}

fn threshold_limits(threshold: &Thresholds) -> Result<Limits> {
    refuse!(threshold; retry_budget max_connection_pools);
    let envoy = Limits::ENVOY;
    Ok(Limits {
        connections: value(threshold.max_connections.as_ref()).unwrap_or(envoy.connections),
        pending: value(threshold.max_pending_requests.as_ref()).unwrap_or(envoy.pending),
        requests: value(threshold.max_requests.as_ref()).unwrap_or(envoy.requests),
        retries: value(threshold.max_retries.as_ref()).unwrap_or(envoy.retries),
    })
}

#[derive(Default)]
struct HttpOptions {
    idle_timeout: Option<Duration>,
    max_requests: Option<u32>,
}

fn http_options(message: &message::Cluster) -> Result<HttpOptions> {
    const FIELD: &str = "typed_extension_protocol_options";
    let options = &message.typed_extension_protocol_options;
    // The least name of those that are not known, for an error that does not depend on the map's order.
    if let Some(other) = options.keys().filter(|name| *name != HTTP_OPTIONS).min() {
        let text = format!("not supported yet: `{other}`; expected `{HTTP_OPTIONS}`");
        return Err(Problem::new(FIELD, text));
    }
    let Some(packed) = options.get(HTTP_OPTIONS) else {
        return Ok(HttpOptions::default());
    };
    let path = format!("{FIELD}[{HTTP_OPTIONS}]");
    let read: HttpProtocolOptions =
        xds::unpack(packed).map_err(|error| Problem::new(&path, error.to_string()))?;
    read_http_options(&read).map_err(|problem| problem.within(&path))
}

fn read_http_options(read: &HttpProtocolOptions) -> Result<HttpOptions> {
    refuse!(read; upstream_http_protocol_options http_filters header_validation_config outlier_detection
        request_mirror_policies hash_policy retry_policy);
    match &read.upstream_protocol_options {
        // Downstream speaks HTTP/1.1 only.
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(_)) | None => {}
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => match &explicit
            .protocol_config
        {
            Some(ProtocolConfig::HttpProtocolOptions(http1)) if *http1 == Default::default() => {}
            Some(ProtocolConfig::HttpProtocolOptions(_)) => {
                return Err(Problem::new(
                    "explicit_http_config.http_protocol_options",
                    "expected it to be empty",
                ));
            }
            _ => {
                let text = "not supported yet: expected `http_protocol_options` (HTTP/1.1)";
                return Err(Problem::new("explicit_http_config", text));
            }
        },
        Some(UpstreamProtocolOptions::AutoConfig(_)) => return Err(Problem::later("auto_config")),
    }
    let Some(common) = &read.common_http_protocol_options else {
        return Ok(HttpOptions::default());
    };
    common_options(common).map_err(|problem| problem.within("common_http_protocol_options"))
}

fn common_options(common: &core::HttpProtocolOptions) -> Result<HttpOptions> {
    refuse!(common; max_connection_duration max_connection_duration_jitter max_headers_count max_response_headers_kb
        max_stream_duration headers_with_underscores_action);
    Ok(HttpOptions {
        idle_timeout: duration("idle_timeout", common.idle_timeout.as_ref())?,
        max_requests: value(common.max_requests_per_connection.as_ref()),
    })
}

fn value(wrapped: Option<&UInt32Value>) -> Option<u32> {
    wrapped.map(|wrapped| wrapped.value)
}
