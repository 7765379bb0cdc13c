//! Compiles `Cluster`.

use std::sync::Arc;
use std::time::Duration;

use super::problem::{FieldProblem, Result, duration, fields, from_ads, named, refuse};
use super::{balancing, endpoints, limits, outlier, overload, tls};
use crate::proto::HTTP_OPTIONS;
use crate::proto::cluster::{self as message, cluster as inner};
use crate::proto::protobuf::UInt32Value;
use crate::proto::upstream_http::HttpProtocolOptions;
use crate::proto::upstream_http::http_protocol_options::explicit_http_config::ProtocolConfig;
use crate::proto::upstream_http::http_protocol_options::{
    UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use crate::proto::{self, core};
use crate::table::{Assignment, Cluster, ClusterKind, UpstreamProtocol};

/// Envoy's default. Source: Envoy, `Cluster.connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Envoy's default. Source: Envoy, `HttpProtocolOptions.idle_timeout`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

#[expect(deprecated, reason = "deprecated fields are refused, too")]
pub(super) fn compile(message: &message::Cluster) -> Result<Cluster> {
    named("name", &message.name)?;
    fields!(message => message::Cluster {
        refused: transport_socket_matcher health_checks upstream_http_protocol_options
            common_http_protocol_options http_protocol_options http2_protocol_options upstream_bind_config
            protocol_selection upstream_connection_options
            close_connections_on_host_health_failure ignore_health_on_host_removal filters upstream_config
            preconnect_policy connection_pool_per_downstream_connection queuing_policies
            per_connection_buffer_high_watermark_timeout;
        used: name eds_cluster_config connect_timeout lb_policy load_assignment max_requests_per_connection
            circuit_breakers typed_extension_protocol_options outlier_detection lb_subset_config
            common_lb_config metadata load_balancing_policy cluster_discovery_type lb_config transport_socket
            transport_socket_matches;
        ignored: alt_stat_name stats_matcher per_connection_buffer_limit_bytes dns_refresh_rate dns_jitter
            dns_failure_refresh_rate respect_dns_ttl dns_lookup_family dns_resolvers use_tcp_for_dns_lookups
            dns_resolution_config typed_dns_resolver_config wait_for_warm_on_init cleanup_interval lrs_server
            lrs_report_endpoint_metrics track_timeout_budgets track_cluster_stats;
    });
    let kind = kind(message)?;
    let (lb, lb_options) = balancing::compile(message, &kind)?;
    let http = http_options(message)?;
    let idle_timeout = match http.idle_timeout {
        None => Some(IDLE_TIMEOUT),
        Some(timeout) => Some(timeout).filter(|timeout| !timeout.is_zero()),
    };
    let requests = http
        .max_requests
        .or(value(message.max_requests_per_connection.as_ref()));
    let name: Arc<str> = Arc::from(message.name.as_str());
    let kind = match kind {
        // Nearly every cluster has the same name in EDS, so the string is shared.
        ClusterKind::Eds(known) if known == name => ClusterKind::Eds(Arc::clone(&name)),
        kind => kind,
    };
    Ok(Cluster {
        name,
        lb,
        lb_options,
        kind,
        protocol: http.protocol,
        transport: tls::cluster(message)?,
        connect_timeout: connect_timeout(message)?,
        limits: limits::compile(message.circuit_breakers.as_ref())
            .map_err(|problem| problem.within("circuit_breakers"))?,
        policy: overload::upstream(message)?,
        outlier: message
            .outlier_detection
            .as_ref()
            .map(outlier::compile)
            .transpose()
            .map_err(|problem| problem.within("outlier_detection"))?
            .map(Box::new),
        update_merge_window: merge_window(message.common_lb_config.as_ref())
            .map_err(|problem| problem.within("common_lb_config"))?,
        idle_timeout,
        max_requests_per_connection: requests.filter(|requests| *requests > 0),
        max_connection_duration: http.max_duration,
    })
}

/// Compiles the connect timeout, which must be more than 0. Source: Envoy, `Cluster.connect_timeout`.
fn connect_timeout(message: &message::Cluster) -> Result<Duration> {
    match duration("connect_timeout", message.connect_timeout.as_ref())? {
        None => Ok(CONNECT_TIMEOUT),
        Some(timeout) if timeout.is_zero() => Err(FieldProblem::new(
            "connect_timeout",
            "value must be greater than 0s",
        )),
        Some(timeout) => Ok(timeout),
    }
}

fn kind(message: &message::Cluster) -> Result<ClusterKind> {
    const ACCEPTED: &str = "expected EDS, STATIC or ORIGINAL_DST";
    let number = match &message.cluster_discovery_type {
        // The default of the enum.
        None => inner::DiscoveryType::Static.into(),
        Some(inner::ClusterDiscoveryType::Type(number)) => *number,
        Some(inner::ClusterDiscoveryType::ClusterType(custom)) => {
            let text = format!("not supported yet: `{}`; {ACCEPTED} as `type`", custom.name);
            return Err(FieldProblem::new("cluster_type", text));
        }
    };
    if number != inner::DiscoveryType::Eds as i32 {
        refuse!(message; eds_cluster_config);
    }
    match inner::DiscoveryType::try_from(number) {
        Ok(inner::DiscoveryType::Eds) => {
            let eds = message.eds_cluster_config.as_ref();
            if let Some(eds) = eds {
                fields!(eds => inner::EdsClusterConfig {
                    used: eds_config service_name;
                });
            }
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
                None => Assignment::new(&message.name, Vec::new()),
            };
            Ok(ClusterKind::Static(Arc::new(assignment)))
        }
        Ok(inner::DiscoveryType::OriginalDst) => Ok(ClusterKind::OriginalDst),
        Ok(other) => Err(FieldProblem::new(
            "type",
            format!("not supported yet: {}; {ACCEPTED}", other.as_str_name()),
        )),
        Err(_) => Err(FieldProblem::new(
            "type",
            format!("unknown number {number}; {ACCEPTED}"),
        )),
    }
}

/// Compiles the update merge window, in whole milliseconds as in Envoy.
fn merge_window(common: Option<&inner::CommonLbConfig>) -> Result<Duration> {
    let written = common.and_then(|common| common.update_merge_window.as_ref());
    let window = duration("update_merge_window", written)?;
    let millis = |window: Duration| u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    Ok(window.map_or(Cluster::UPDATE_MERGE_WINDOW, |window| {
        Duration::from_millis(millis(window))
    }))
}

#[derive(Default)]
struct HttpOptions {
    protocol: UpstreamProtocol,
    idle_timeout: Option<Duration>,
    max_requests: Option<u32>,
    max_duration: Option<Duration>,
}

fn http_options(message: &message::Cluster) -> Result<HttpOptions> {
    const FIELD: &str = "typed_extension_protocol_options";
    let options = &message.typed_extension_protocol_options;
    // The smallest unknown name is reported, so that the error does not depend on the map's order.
    if let Some(other) = options.keys().filter(|name| *name != HTTP_OPTIONS).min() {
        let text = format!("not supported yet: `{other}`; expected `{HTTP_OPTIONS}`");
        return Err(FieldProblem::new(FIELD, text));
    }
    let Some(packed) = options.get(HTTP_OPTIONS) else {
        return Ok(HttpOptions::default());
    };
    let path = format!("{FIELD}[{HTTP_OPTIONS}]");
    let read: HttpProtocolOptions =
        proto::unpack(packed).map_err(|error| FieldProblem::new(&path, error.to_string()))?;
    read_http_options(&read).map_err(|problem| problem.within(&path))
}

fn read_http_options(read: &HttpProtocolOptions) -> Result<HttpOptions> {
    fields!(read => HttpProtocolOptions {
        refused: upstream_http_protocol_options http_filters header_validation_config outlier_detection
            request_mirror_policies hash_policy retry_policy;
        used: common_http_protocol_options upstream_protocol_options;
    });
    let protocol = protocol(read.upstream_protocol_options.as_ref())?;
    let options = match &read.common_http_protocol_options {
        None => HttpOptions::default(),
        Some(common) => common_options(common)
            .map_err(|problem| problem.within("common_http_protocol_options"))?,
    };
    Ok(HttpOptions {
        protocol,
        ..options
    })
}

fn protocol(options: Option<&UpstreamProtocolOptions>) -> Result<UpstreamProtocol> {
    match options {
        None => Ok(UpstreamProtocol::Http1),
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(both)) => {
            let within = |problem: FieldProblem| problem.within("use_downstream_protocol_config");
            fields!(both => UseDownstreamHttpConfig {
                refused: http3_protocol_options;
                used: http_protocol_options http2_protocol_options;
            });
            http1_options(both.http_protocol_options.as_ref()).map_err(within)?;
            let max_concurrent_streams =
                http2_streams(both.http2_protocol_options.as_ref()).map_err(within)?;
            Ok(UpstreamProtocol::Downstream {
                max_concurrent_streams,
            })
        }
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => {
            let within = |problem: FieldProblem| problem.within("explicit_http_config");
            match &explicit.protocol_config {
                Some(ProtocolConfig::HttpProtocolOptions(http1)) => {
                    http1_options(Some(http1)).map_err(within)?;
                    Ok(UpstreamProtocol::Http1)
                }
                Some(ProtocolConfig::Http2ProtocolOptions(http2)) => Ok(UpstreamProtocol::Http2 {
                    max_concurrent_streams: http2_streams(Some(http2)).map_err(within)?,
                }),
                _ => {
                    let text = "not supported yet: expected `http_protocol_options` (HTTP/1.1) \
                                or `http2_protocol_options`";
                    Err(FieldProblem::new("explicit_http_config", text))
                }
            }
        }
        Some(UpstreamProtocolOptions::AutoConfig(_)) => {
            Err(FieldProblem::unsupported("auto_config"))
        }
    }
}

fn http1_options(options: Option<&core::Http1ProtocolOptions>) -> Result<()> {
    match options {
        Some(http1) if *http1 != Default::default() => {
            Err(FieldProblem::new("http_protocol_options", "must be empty"))
        }
        _ => Ok(()),
    }
}

/// Returns the maximum number of concurrent streams per connection.
fn http2_streams(options: Option<&core::Http2ProtocolOptions>) -> Result<u32> {
    const FIELD: &str = "http2_protocol_options";
    let Some(options) = options else {
        return Ok(UpstreamProtocol::MAX_CONCURRENT_STREAMS);
    };
    let known = core::Http2ProtocolOptions {
        max_concurrent_streams: options.max_concurrent_streams,
        ..Default::default()
    };
    if *options != known {
        let text = "not supported yet: expected only `max_concurrent_streams`";
        return Err(FieldProblem::new(FIELD, text));
    }
    match value(options.max_concurrent_streams.as_ref()) {
        None => Ok(UpstreamProtocol::MAX_CONCURRENT_STREAMS),
        // Source: Envoy, `Http2ProtocolOptions.max_concurrent_streams`.
        Some(streams) if (1..=i32::MAX as u32).contains(&streams) => Ok(streams),
        Some(streams) => Err(FieldProblem::new(
            "http2_protocol_options.max_concurrent_streams",
            format!("expected 1 to {}, found {streams}", i32::MAX),
        )),
    }
}

fn common_options(common: &core::HttpProtocolOptions) -> Result<HttpOptions> {
    fields!(common => core::HttpProtocolOptions {
        refused: max_connection_duration_jitter max_headers_count max_response_headers_kb max_stream_duration
            headers_with_underscores_action;
        used: idle_timeout max_connection_duration max_requests_per_connection;
    });
    Ok(HttpOptions {
        protocol: UpstreamProtocol::Http1,
        idle_timeout: duration("idle_timeout", common.idle_timeout.as_ref())?,
        max_requests: value(common.max_requests_per_connection.as_ref()),
        max_duration: duration(
            "max_connection_duration",
            common.max_connection_duration.as_ref(),
        )?,
    })
}

fn value(wrapped: Option<&UInt32Value>) -> Option<u32> {
    wrapped.map(|wrapped| wrapped.value)
}
