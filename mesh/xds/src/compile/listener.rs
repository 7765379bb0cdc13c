//! Compiles `Listener`, its only filter chain, and the HTTP connection manager in it.

use std::sync::Arc;
use std::time::Duration;

use super::problem::{FieldProblem, Result, address, duration, fields, from_ads, named, unset};
use super::{filters, manager, routes, tls};
use crate::proto::listener::{
    self as message, FilterChain, ListenerFilter, filter, listener_filter,
};
use crate::proto::manager::http_connection_manager::{CodecType, RouteSpecifier};
use crate::proto::manager::{HttpConnectionManager, Rds};
use crate::proto::{self, core};
use crate::table::{self, Direction, Filter, Listener, Routes};

/// Envoy's default. Source: Envoy, `HttpConnectionManager.stream_idle_timeout`.
const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The compiled HTTP connection manager.
struct CompiledManager {
    routes: Routes,
    filters: Vec<Filter>,
    settings: table::Manager,
    stream_idle_timeout: Option<Duration>,
}

pub(super) fn compile(message: &message::Listener) -> Result<Listener> {
    named("name", &message.name)?;
    fields!(message => message::Listener {
        refused: additional_addresses fcds_config filter_chain_matcher use_original_dst default_filter_chain
            deprecated_v1 transparent freebind socket_options udp_listener_config api_listener
            access_log bind_to_port enable_mptcp listener_specifier per_connection_buffer_high_watermark_timeout;
        used: name address filter_chains traffic_direction listener_filters;
        ignored: stat_prefix stats_matcher per_connection_buffer_limit_bytes drain_type listener_filters_timeout
            continue_on_listener_filters_timeout tcp_fast_open_queue_length connection_balance_config reuse_port
            enable_reuse_port tcp_backlog_size max_connections_to_accept_per_socket_event ignore_global_conn_limit
            bypass_overload_manager tcp_keepalive metadata;
    });
    let direction = match core::TrafficDirection::try_from(message.traffic_direction) {
        Ok(core::TrafficDirection::Inbound) => Direction::Inbound,
        Ok(core::TrafficDirection::Outbound) => Direction::Outbound,
        _ => {
            return Err(FieldProblem::new(
                "traffic_direction",
                "expected INBOUND or OUTBOUND",
            ));
        }
    };
    for (index, filter) in message.listener_filters.iter().enumerate() {
        inspector(filter)
            .map_err(|problem| problem.within(&format!("listener_filters[{index}]")))?;
    }
    let tls = tls::listener(&message.filter_chains)?;
    let manager = filter_chains(&message.filter_chains)?;
    Ok(Listener {
        name: Arc::from(message.name.as_str()),
        address: address("address", message.address.as_ref())?,
        direction,
        tls,
        routes: manager.routes,
        stream_idle_timeout: manager.stream_idle_timeout,
        filters: manager.filters,
        manager: manager.settings,
    })
}

/// Checks a listener filter. Envoy adds the TLS inspector itself if a filter chain requires it.
fn inspector(filter: &ListenerFilter) -> Result<()> {
    fields!(filter => ListenerFilter {
        refused: filter_disabled;
        used: config_type;
        ignored: name;
    });
    let path = "typed_config";
    let Some(listener_filter::ConfigType::TypedConfig(packed)) = &filter.config_type else {
        return Err(FieldProblem::new(
            path,
            "expected a TLS inspector, found nothing",
        ));
    };
    let inspector: proto::TlsInspector =
        proto::unpack(packed).map_err(|error| FieldProblem::new(path, error.to_string()))?;
    if unset(&inspector) {
        Ok(())
    } else {
        Err(FieldProblem::new(path, "must be empty"))
    }
}

/// Compiles the connection manager, which all filter chains must have in common.
fn filter_chains(chains: &[FilterChain]) -> Result<CompiledManager> {
    let mut managers = Vec::new();
    for (index, chain) in chains.iter().enumerate() {
        managers.push(filter_chain(chain).map_err(|problem| problem.within(&tls::at(index)))?);
    }
    let Some((first, others)) = managers.split_first() else {
        return Err(FieldProblem::new(
            "filter_chains",
            "expected a chain, found none",
        ));
    };
    if let Some(index) = others.iter().position(|other| other != first) {
        let text =
            "not supported yet: the connection manager differs from that of filter_chains[0]";
        return Err(FieldProblem::new(&tls::at(index + 1), text));
    }
    connection_manager(first).map_err(|problem| problem.within(MANAGER_PATH).within(&tls::at(0)))
}

/// The field of a filter chain that contains the connection manager.
const MANAGER_PATH: &str = "filters[0].typed_config";

/// Returns the connection manager of a filter chain.
fn filter_chain(chain: &FilterChain) -> Result<HttpConnectionManager> {
    fields!(chain => FilterChain {
        refused: use_proxy_proto;
        used: filters filter_chain_match transport_socket transport_socket_connect_timeout;
        ignored: metadata name;
    });
    let [filter] = chain.filters.as_slice() else {
        let text = format!(
            "expected only an HTTP connection manager, found {} filters",
            chain.filters.len()
        );
        return Err(FieldProblem::new("filters", text));
    };
    let path = MANAGER_PATH;
    let Some(filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
        return Err(FieldProblem::new(
            path,
            "expected an HTTP connection manager, found nothing",
        ));
    };
    proto::unpack(config).map_err(|error| FieldProblem::new(path, error.to_string()))
}

fn connection_manager(manager: &HttpConnectionManager) -> Result<CompiledManager> {
    fields!(manager => HttpConnectionManager {
        refused: add_user_agent tracing http_protocol_options http2_protocol_options http3_protocol_options
            server_name server_header_transformation scheme_header_transformation max_request_headers_kb
            drain_timeout delayed_close_timeout access_log original_ip_detection_extensions
            early_header_mutation_extensions via generate_request_id preserve_external_request_id
            always_set_request_id_in_response forward_client_cert_matcher proxy_100_continue
            represent_ipv4_remote_address_as_ipv4_mapped_ipv6
            merge_slashes request_id_extension local_reply_config strip_matching_host_port
            path_normalization_options strip_trailing_host_dot proxy_status_config
            typed_header_validation_config append_x_forwarded_port append_local_overload forward_proto_config
            strip_port_mode stream_error_on_invalid_http_message stream_flush_timeout;
        used: codec_type http_filters common_http_protocol_options stream_idle_timeout request_timeout
            request_headers_timeout use_remote_address xff_num_trusted_hops internal_address_config
            skip_xff_append upgrade_configs normalize_path path_with_escaped_slashes_action route_specifier
            forward_client_cert_details set_current_client_cert_details;
        ignored: stat_prefix http1_safe_max_connection_duration drain_timeout_jitter access_log_flush_interval
            flush_access_log_on_new_request access_log_options add_proxy_protocol_connection_state;
    });
    match CodecType::try_from(manager.codec_type) {
        Ok(CodecType::Auto | CodecType::Http1) => {}
        _ => {
            return Err(FieldProblem::new(
                "codec_type",
                "not supported yet: expected AUTO or HTTP1",
            ));
        }
    }
    let idle = duration("stream_idle_timeout", manager.stream_idle_timeout.as_ref())?
        .unwrap_or(STREAM_IDLE_TIMEOUT);
    let (filters, suppress_envoy_headers) = filters::list(&manager.http_filters)?;
    let settings = table::Manager {
        suppress_envoy_headers,
        ..manager::compile(manager)?
    };
    let routes = match &manager.route_specifier {
        Some(RouteSpecifier::Rds(rds)) => {
            fields!(rds => Rds {
                used: config_source route_config_name;
            });
            from_ads("rds.config_source", rds.config_source.as_ref())?;
            named("rds.route_config_name", &rds.route_config_name)?;
            Routes::Named(Arc::from(rds.route_config_name.as_str()))
        }
        Some(RouteSpecifier::RouteConfig(inline)) => {
            let table =
                routes::compile(inline).map_err(|problem| problem.within("route_config"))?;
            Routes::Inline(Arc::new(table))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => {
            return Err(FieldProblem::unsupported("scoped_routes"));
        }
        None => {
            let text = "expected `rds` or `route_config`, found nothing";
            return Err(FieldProblem::new("rds", text));
        }
    };
    Ok(CompiledManager {
        routes,
        filters,
        settings,
        stream_idle_timeout: Some(idle).filter(|idle| !idle.is_zero()),
    })
}
