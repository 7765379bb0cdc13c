//! `Listener`, its only filter chain, and the HTTP connection manager in it.

use std::sync::Arc;

use super::problem::{Problem, Result, address, duration, from_ads, named, refuse};
use super::routes;
use crate::table::{Direction, Listener, Routes};
use crate::xds::listener::{self as message, FilterChain, filter};
use crate::xds::manager::{
    HttpConnectionManager, HttpFilter,
    http_connection_manager::{CodecType, RouteSpecifier},
    http_filter,
};
use crate::xds::router::Router;
use crate::xds::{self, core};

#[expect(deprecated, reason = "what is deprecated is refused, too")]
pub(super) fn compile(message: &message::Listener) -> Result<Listener> {
    named("name", &message.name)?;
    refuse!(message;
        additional_addresses fcds_config filter_chain_matcher use_original_dst default_filter_chain deprecated_v1
        listener_filters transparent freebind socket_options udp_listener_config api_listener access_log bind_to_port
        enable_mptcp listener_specifier);
    let direction = match core::TrafficDirection::try_from(message.traffic_direction) {
        Ok(core::TrafficDirection::Inbound) => Direction::Inbound,
        Ok(core::TrafficDirection::Outbound) => Direction::Outbound,
        _ => {
            return Err(Problem::new(
                "traffic_direction",
                "expected INBOUND or OUTBOUND",
            ));
        }
    };
    let routes = match message.filter_chains.as_slice() {
        [chain] => filter_chain(chain).map_err(|problem| problem.within("filter_chains[0]"))?,
        chains => {
            let text = format!(
                "expected exactly one, found {}: more are not supported yet",
                chains.len()
            );
            return Err(Problem::new("filter_chains", text));
        }
    };
    Ok(Listener {
        name: Arc::from(message.name.as_str()),
        address: address("address", message.address.as_ref())?,
        direction,
        routes,
    })
}

#[expect(deprecated, reason = "what is deprecated is refused, too")]
fn filter_chain(chain: &FilterChain) -> Result<Routes> {
    refuse!(chain; filter_chain_match use_proxy_proto transport_socket transport_socket_connect_timeout);
    let [filter] = chain.filters.as_slice() else {
        let text = format!(
            "expected an HTTP connection manager alone, found {} filters",
            chain.filters.len()
        );
        return Err(Problem::new("filters", text));
    };
    let path = "filters[0].typed_config";
    let Some(filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
        return Err(Problem::new(
            path,
            "expected an HTTP connection manager, found nothing",
        ));
    };
    let manager: HttpConnectionManager =
        xds::unpack(config).map_err(|error| Problem::new(path, error.to_string()))?;
    connection_manager(&manager).map_err(|problem| problem.within(path))
}

fn connection_manager(manager: &HttpConnectionManager) -> Result<Routes> {
    refuse!(manager;
        add_user_agent tracing common_http_protocol_options http_protocol_options http2_protocol_options
        http3_protocol_options server_name server_header_transformation scheme_header_transformation
        max_request_headers_kb request_timeout request_headers_timeout drain_timeout delayed_close_timeout access_log
        use_remote_address xff_num_trusted_hops original_ip_detection_extensions early_header_mutation_extensions
        internal_address_config skip_xff_append via generate_request_id preserve_external_request_id
        always_set_request_id_in_response forward_client_cert_details set_current_client_cert_details
        forward_client_cert_matcher proxy_100_continue represent_ipv4_remote_address_as_ipv4_mapped_ipv6
        upgrade_configs normalize_path merge_slashes path_with_escaped_slashes_action request_id_extension
        local_reply_config strip_matching_host_port path_normalization_options strip_trailing_host_dot
        proxy_status_config typed_header_validation_config append_x_forwarded_port append_local_overload
        forward_proto_config strip_port_mode);
    match CodecType::try_from(manager.codec_type) {
        Ok(CodecType::Auto | CodecType::Http1) => {}
        _ => {
            return Err(Problem::new(
                "codec_type",
                "not supported yet: expected AUTO or HTTP1",
            ));
        }
    }
    let idle = duration("stream_idle_timeout", manager.stream_idle_timeout.as_ref())?;
    if idle.is_some_and(|idle| !idle.is_zero()) {
        return Err(Problem::new(
            "stream_idle_timeout",
            "not supported yet: expected 0 s",
        ));
    }
    http_filters(&manager.http_filters)?;
    match &manager.route_specifier {
        Some(RouteSpecifier::Rds(rds)) => {
            from_ads("rds.config_source", rds.config_source.as_ref())?;
            named("rds.route_config_name", &rds.route_config_name)?;
            Ok(Routes::Named(Arc::from(rds.route_config_name.as_str())))
        }
        Some(RouteSpecifier::RouteConfig(inline)) => {
            let table =
                routes::compile(inline).map_err(|problem| problem.within("route_config"))?;
            Ok(Routes::Inline(Arc::new(table)))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => Err(Problem::later("scoped_routes")),
        None => Err(Problem::new(
            "rds",
            "expected `rds` or `route_config`, found nothing",
        )),
    }
}

/// The router must come last, and nothing that does something before it.
fn http_filters(filters: &[HttpFilter]) -> Result<()> {
    let Some((last, before)) = filters.split_last() else {
        return Err(Problem::new(
            "http_filters",
            "expected a router, found nothing",
        ));
    };
    for (index, filter) in before.iter().enumerate() {
        // An optional filter that is not known is skipped by Envoy, too.
        if !filter.disabled && !filter.is_optional {
            let text = format!(
                "not supported yet: `{}`; expected the router alone",
                filter.name
            );
            return Err(Problem::new(&format!("http_filters[{index}]"), text));
        }
    }
    let path = format!("http_filters[{}].typed_config", before.len());
    let Some(http_filter::ConfigType::TypedConfig(config)) = &last.config_type else {
        return Err(Problem::new(&path, "expected the router, found nothing"));
    };
    let router: Router =
        xds::unpack(config).map_err(|error| Problem::new(&path, error.to_string()))?;
    if router == Router::default() {
        Ok(())
    } else {
        Err(Problem::new(&path, "expected a router without settings"))
    }
}
