//! Translation of `connectionPool` and `retryBudget`: circuit breaker thresholds and connection settings. Source:
//! Istio, `ClusterBuilder.applyConnectionPool`.

use std::time::Duration;

use shakedown_istio::{ConnectionPool, H2UpgradePolicy, Percent, RetryBudget};
use shakedown_xds::proto::cluster::circuit_breakers::{Thresholds, thresholds as inner};
use shakedown_xds::proto::upstream_http::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig, explicit_http_config,
};
use shakedown_xds::proto::{self, cluster, core, percent, upstream_http};
use shakedown_xds::table::{Direction, Limits};

use super::messages::wrapped;

/// The timeout for establishing a connection. Source: Istio, `MeshConfig.connectTimeout`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default share of a retry budget, as Istio sends it. Its comment and its reference say 20%, but it
/// sends 0.2%. Source: Istio, `applyRetryBudget`.
const BUDGET: Percent = Percent(2_000);

/// Returns the thresholds of a cluster. Unset ones are effectively unlimited, as in Istio, and 0 counts as unset.
pub(super) fn breakers(
    pool: Option<&ConnectionPool>,
    budget: Option<&RetryBudget>,
) -> cluster::CircuitBreakers {
    let unlimited = Limits::UNLIMITED;
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let set = |written: Option<u32>, otherwise: u32| {
        Some(wrapped(
            written.filter(|limit| *limit > 0).unwrap_or(otherwise),
        ))
    };
    let threshold = Thresholds {
        max_connections: set(
            tcp.and_then(|tcp| tcp.max_connections),
            unlimited.connections,
        ),
        max_pending_requests: set(
            http.and_then(|http| http.http1_max_pending_requests),
            unlimited.pending,
        ),
        max_requests: set(
            http.and_then(|http| http.http2_max_requests),
            unlimited.requests,
        ),
        max_retries: set(http.and_then(|http| http.max_retries), unlimited.retries),
        retry_budget: budget.map(retry_budget),
        track_remaining: true,
        ..Default::default()
    };
    cluster::CircuitBreakers {
        thresholds: vec![threshold],
        per_host_thresholds: Vec::new(),
    }
}

/// Returns the timeout for establishing a connection.
pub(super) fn connect_timeout(pool: Option<&ConnectionPool>) -> Duration {
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let written = tcp.and_then(|tcp| tcp.connect_timeout);
    written.map_or(CONNECT_TIMEOUT, |timeout| timeout.0)
}

fn retry_budget(written: &RetryBudget) -> inner::RetryBudget {
    let share = written
        .percent
        .as_ref()
        .map_or(BUDGET, |percent| percent.value);
    let concurrency = written
        .min_retry_concurrency
        .filter(|least| *least > 0)
        .unwrap_or(3);
    inner::RetryBudget {
        budget_percent: Some(percent(share.0)),
        min_retry_concurrency: Some(wrapped(concurrency)),
        ..Default::default()
    }
}

/// Returns the HTTP protocol options of a cluster, or `None` if nothing is configured. A port with the protocol
/// `http2` uses HTTP/2 regardless of the upgrade policy.
pub(super) fn http_options(
    pool: Option<&ConnectionPool>,
    http2: bool,
    direction: Direction,
) -> Option<upstream_http::HttpProtocolOptions> {
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let requests = http
        .and_then(|http| http.max_requests_per_connection)
        .filter(|requests| *requests > 0);
    let idle = http
        .and_then(|http| http.idle_timeout)
        .or(tcp.and_then(|tcp| tcp.idle_timeout));
    let duration = tcp.and_then(|tcp| tcp.max_connection_duration);
    // An upgrade takes precedence over the client's protocol, and that over the port's. Source: Istio,
    // `applyTrafficPolicy`. Inbound connections are never upgraded, because the application may not support HTTP/2.
    let upgrade = direction == Direction::Outbound
        && http.and_then(|http| http.h2_upgrade_policy) == Some(H2UpgradePolicy::Upgrade);
    let clients = !upgrade && http.is_some_and(|http| http.use_client_protocol);
    let upgrade = upgrade || http2;
    if requests.is_none() && idle.is_none() && duration.is_none() && !upgrade && !clients {
        return None;
    }
    // The stream limit only applies to HTTP/2. Source: Istio, as above.
    let streams = http
        .and_then(|http| http.max_concurrent_streams)
        .filter(|streams| *streams > 0);
    let explicit = |protocol| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(protocol),
        })
    };
    let protocol = if clients {
        // Envoy's own stream limit. Source: Istio, `setUseDownstreamProtocol`.
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(Default::default()),
            http2_protocol_options: Some(Default::default()),
            ..Default::default()
        })
    } else if upgrade {
        let options = core::Http2ProtocolOptions {
            max_concurrent_streams: streams.map(wrapped),
            ..Default::default()
        };
        explicit(explicit_http_config::ProtocolConfig::Http2ProtocolOptions(
            options,
        ))
    } else {
        explicit(explicit_http_config::ProtocolConfig::HttpProtocolOptions(
            Default::default(),
        ))
    };
    Some(upstream_http::HttpProtocolOptions {
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: idle.map(|timeout| proto::duration(timeout.0)),
            max_requests_per_connection: requests.map(wrapped),
            max_connection_duration: duration.map(|duration| proto::duration(duration.0)),
            ..Default::default()
        }),
        upstream_protocol_options: Some(protocol),
        ..Default::default()
    })
}
