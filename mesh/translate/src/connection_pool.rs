//! `connectionPool` and `retryBudget`: thresholds, and the settings of connections. Source: Istio,
//! `ClusterBuilder.applyConnectionPool`.

use std::time::Duration;

use shakedown_istio::{ConnectionPool, H2UpgradePolicy, Percent, RetryBudget};
use shakedown_xds::proto::cluster::circuit_breakers::{Thresholds, thresholds as inner};
use shakedown_xds::proto::upstream_http::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig, explicit_http_config,
};
use shakedown_xds::proto::{self, cluster, core, percent, upstream_http};
use shakedown_xds::table::{Direction, Limits};

use super::{CONNECT_TIMEOUT, wrapped};

/// The share that Istio sends where none is written. Its comment says 20%, and so does its reference; the number that it
/// sends is 0.2 of a percent. Source: Istio, `applyRetryBudget`.
const BUDGET: Percent = Percent(2_000);

/// The thresholds of a cluster: Istio's, which never bite, and what is written. 0 is taken as not written.
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

/// How long a connection may take to come up.
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

/// How a cluster's connections are treated; `None` if nothing is written. A port that says `http2` speaks it, whatever the
/// upgrade policy.
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
    // An upgrade goes before the client's protocol, and that before the port's. Source: Istio, `applyTrafficPolicy`.
    // Nothing is upgraded on the way to an app, which may not speak it.
    let upgrade = direction == Direction::Outbound
        && http.and_then(|http| http.h2_upgrade_policy) == Some(H2UpgradePolicy::Upgrade);
    let clients = !upgrade && http.is_some_and(|http| http.use_client_protocol);
    let upgrade = upgrade || http2;
    if requests.is_none() && idle.is_none() && duration.is_none() && !upgrade && !clients {
        return None;
    }
    // Streams are bounded only where there are some. Source: Istio, as above.
    let streams = http
        .and_then(|http| http.max_concurrent_streams)
        .filter(|streams| *streams > 0);
    let explicit = |protocol| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(protocol),
        })
    };
    let protocol = if clients {
        // Source: Istio, `setUseDownstreamProtocol`: Envoy's own bound on streams.
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
