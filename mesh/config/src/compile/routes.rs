//! `RouteConfiguration`.

use std::sync::Arc;
use std::time::Duration;

use super::matching;
use super::problem::{Problem, Result, duration, named, refuse};
use super::retries;
use crate::table::{
    Action, DirectResponse, Route, RouteAction, RouteTable, VirtualHost, WeightedCluster,
};
use crate::xds::core::data_source::Specifier;
use crate::xds::route::{
    self as message, route::Action as Written, route_action::ClusterNotFoundResponseCode,
    route_action::ClusterSpecifier, weighted_cluster::ClusterWeight,
};

/// Where it is not set. Source: Envoy, `RouteAction.timeout`.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) fn compile(message: &message::RouteConfiguration) -> Result<RouteTable> {
    named("name", &message.name)?;
    refuse!(message;
        vhds internal_only_headers response_headers_to_add response_headers_to_remove request_headers_to_add
        request_headers_to_remove cluster_specifier_plugins request_mirror_policies vhost_header
        ignore_path_parameters_in_path_matching typed_per_filter_config route_specifiers);
    let mut hosts = Vec::with_capacity(message.virtual_hosts.len());
    for (index, host) in message.virtual_hosts.iter().enumerate() {
        let compiled = virtual_host(host)
            .map_err(|problem| problem.within(&format!("virtual_hosts[{index}]")))?;
        hosts.push((compiled, host.domains.clone()));
    }
    RouteTable::new(&message.name, hosts, message.ignore_port_in_host_matching).map_err(|domain| {
        Problem::new(
            "virtual_hosts",
            format!("domain `{domain}` stands twice; expected each once"),
        )
    })
}

#[expect(deprecated, reason = "what is deprecated is refused, too")]
fn virtual_host(message: &message::VirtualHost) -> Result<VirtualHost> {
    named("name", &message.name)?;
    refuse!(message;
        matcher require_tls rate_limits request_headers_to_add request_headers_to_remove response_headers_to_add
        response_headers_to_remove cors typed_per_filter_config include_attempt_count_in_response retry_policy
        retry_policy_typed_config hedge_policy include_is_timeout_retry_header request_body_buffer_limit
        request_mirror_policies route_specifiers);
    if message.domains.is_empty() {
        return Err(Problem::new("domains", "expected at least one"));
    }
    for (index, domain) in message.domains.iter().enumerate() {
        // A star stands alone, first or last.
        let inner = domain
            .strip_prefix('*')
            .or(domain.strip_suffix('*'))
            .unwrap_or(domain);
        if domain.is_empty() || inner.contains('*') {
            let text = format!("expected a name, `*suffix`, `prefix*` or `*`, found `{domain}`");
            return Err(Problem::new(&format!("domains[{index}]"), text));
        }
    }
    let mut routes = Vec::with_capacity(message.routes.len());
    for (index, written) in message.routes.iter().enumerate() {
        routes.push(route(written).map_err(|problem| problem.within(&format!("routes[{index}]")))?);
    }
    Ok(VirtualHost {
        name: Arc::from(message.name.as_str()),
        routes,
        include_attempt_count: message.include_request_attempt_count,
    })
}

fn route(message: &message::Route) -> Result<Route> {
    refuse!(message;
        typed_per_filter_config request_headers_to_add request_headers_to_remove response_headers_to_add
        response_headers_to_remove request_body_buffer_limit route_specifiers tracing);
    let Some(condition) = &message.r#match else {
        return Err(Problem::new(
            "match",
            "expected a path at least, found nothing",
        ));
    };
    let action = match &message.action {
        Some(Written::Route(written)) => {
            Action::Forward(action(written).map_err(|problem| problem.within("route"))?)
        }
        Some(Written::DirectResponse(written)) => Action::Respond(
            direct_response(written).map_err(|problem| problem.within("direct_response"))?,
        ),
        Some(Written::Redirect(_)) => return Err(Problem::later("redirect")),
        Some(Written::FilterAction(_)) => return Err(Problem::later("filter_action")),
        Some(Written::NonForwardingAction(_)) => {
            return Err(Problem::later("non_forwarding_action"));
        }
        None => {
            return Err(Problem::new(
                "action",
                "expected `route` or `direct_response`, found nothing",
            ));
        }
    };
    Ok(Route {
        name: Arc::from(message.name.as_str()),
        matcher: matching::route(condition).map_err(|problem| problem.within("match"))?,
        action,
    })
}

#[expect(deprecated, reason = "what is deprecated is refused, too")]
fn action(message: &message::RouteAction) -> Result<RouteAction> {
    refuse!(message;
        metadata_match prefix_rewrite regex_rewrite path_rewrite_policy path_rewrite append_x_forwarded_host
        idle_timeout flush_timeout early_data_policy retry_policy_typed_config request_mirror_policies priority
        rate_limits include_vh_rate_limits hash_policy cors max_grpc_timeout grpc_timeout_offset upgrade_configs
        internal_redirect_policy internal_redirect_action max_internal_redirects hedge_policy max_stream_duration
        host_rewrite_specifier);
    let targets = targets(message)?;
    let Some(mut action) = RouteAction::new(targets) else {
        return Err(Problem::new(
            "weighted_clusters",
            "the weights sum to 0; expected 1 or more",
        ));
    };
    if action.total_weight() > u64::from(u32::MAX) {
        let text = format!(
            "the weights sum to {}; expected at most {}",
            action.total_weight(),
            u32::MAX
        );
        return Err(Problem::new("weighted_clusters", text));
    }
    let timeout = duration("timeout", message.timeout.as_ref())?.unwrap_or(TIMEOUT);
    action.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    if let Some(policy) = &message.retry_policy {
        action.retry =
            retries::compile(policy).map_err(|problem| problem.within("retry_policy"))?;
    }
    action.cluster_not_found =
        match ClusterNotFoundResponseCode::try_from(message.cluster_not_found_response_code) {
            Ok(ClusterNotFoundResponseCode::ServiceUnavailable) => 503,
            Ok(ClusterNotFoundResponseCode::NotFound) => 404,
            Ok(ClusterNotFoundResponseCode::InternalServerError) => 500,
            Err(_) => {
                let number = message.cluster_not_found_response_code;
                return Err(Problem::new(
                    "cluster_not_found_response_code",
                    format!("unknown number {number}"),
                ));
            }
        };
    Ok(action)
}

fn targets(message: &message::RouteAction) -> Result<Vec<WeightedCluster>> {
    match &message.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => {
            named("cluster", name)?;
            Ok(vec![WeightedCluster {
                cluster: Arc::from(name.as_str()),
                weight: 1,
            }])
        }
        Some(ClusterSpecifier::WeightedClusters(written)) => {
            weighted(written).map_err(|problem| problem.within("weighted_clusters"))
        }
        Some(ClusterSpecifier::ClusterHeader(_)) => Err(Problem::later("cluster_header")),
        Some(ClusterSpecifier::ClusterSpecifierPlugin(_)) => {
            Err(Problem::later("cluster_specifier_plugin"))
        }
        Some(ClusterSpecifier::InlineClusterSpecifierPlugin(_)) => {
            Err(Problem::later("inline_cluster_specifier_plugin"))
        }
        None => Err(Problem::new(
            "cluster",
            "expected `cluster` or `weighted_clusters`, found nothing",
        )),
    }
}

#[expect(deprecated, reason = "what is deprecated is looked at, too")]
fn weighted(message: &message::WeightedCluster) -> Result<Vec<WeightedCluster>> {
    refuse!(message; runtime_key_prefix random_value_specifier);
    let mut targets = Vec::with_capacity(message.clusters.len());
    for (index, written) in message.clusters.iter().enumerate() {
        targets
            .push(share(written).map_err(|problem| problem.within(&format!("clusters[{index}]")))?);
    }
    let sum: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    match &message.total_weight {
        Some(total) if u64::from(total.value) != sum => Err(Problem::new(
            "total_weight",
            format!(
                "expected the sum of the weights, {sum}, found {}",
                total.value
            ),
        )),
        _ => Ok(targets),
    }
}

fn share(message: &ClusterWeight) -> Result<WeightedCluster> {
    named("name", &message.name)?;
    refuse!(message;
        cluster_header metadata_match request_headers_to_add request_headers_to_remove response_headers_to_add
        response_headers_to_remove typed_per_filter_config host_rewrite_specifier);
    let Some(weight) = &message.weight else {
        return Err(Problem::new(
            "weight",
            "expected a whole number, found nothing",
        ));
    };
    Ok(WeightedCluster {
        cluster: Arc::from(message.name.as_str()),
        weight: weight.value,
    })
}

fn direct_response(message: &message::DirectResponseAction) -> Result<DirectResponse> {
    refuse!(message; body_format);
    let status = u16::try_from(message.status)
        .ok()
        .filter(|status| (200..600).contains(status));
    let Some(status) = status else {
        return Err(Problem::new(
            "status",
            format!("expected 200 to 599, found {}", message.status),
        ));
    };
    let body = match message.body.as_ref().map(|body| &body.specifier) {
        None | Some(None) => "",
        Some(Some(Specifier::InlineString(text))) => text,
        Some(Some(_)) => {
            return Err(Problem::new(
                "body",
                "not supported yet: expected `inline_string`",
            ));
        }
    };
    Ok(DirectResponse {
        status,
        body: Arc::from(body),
    })
}
