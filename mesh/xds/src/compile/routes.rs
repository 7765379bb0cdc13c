//! Compiles `RouteConfiguration`, its virtual hosts and their routes.

use std::sync::Arc;

use super::action::{self, InheritedAction};
use super::filters;
use super::headers::header_ops;
use super::matching;
use super::problem::{FieldProblem, Result, fields, is_true, named};
use super::rate_limit;
use super::rewrite;
use super::sharing::PreviousRoute;
use crate::proto::route as message;
use crate::proto::route::route::Action as Written;
use crate::table::{HeaderOps, Route, RouteActionKind, RouteFilters, RouteTable, VirtualHost};

/// Envoy's default, in bytes. Source: Envoy, `RouteConfiguration.max_direct_response_body_size_bytes`.
const DIRECT_BODY_MAX: u32 = 4096;

/// The settings that a route inherits from the levels above it.
#[derive(Clone, Debug, Default)]
struct Inherited {
    /// The header changes of each level, the least specific level first.
    request: Vec<Arc<HeaderOps>>,
    response: Vec<Arc<HeaderOps>>,
    filters: RouteFilters,
}

/// Adds a level's own header changes and filter settings to the inherited ones.
macro_rules! inherit {
    ($inherited:expr, $message:expr) => {{
        $inherited.request.push(Arc::new(header_ops!($message; request)?));
        $inherited.response.push(Arc::new(header_ops!($message; response)?));
        filters::per_level(&$message.typed_per_filter_config, &mut $inherited.filters)?;
    }};
}

pub(super) fn compile(message: &message::RouteConfiguration) -> Result<RouteTable> {
    named("name", &message.name)?;
    fields!(message => message::RouteConfiguration {
        refused: vhds internal_only_headers cluster_specifier_plugins vhost_header
            ignore_path_parameters_in_path_matching route_specifiers;
        used: name validate_clusters virtual_hosts response_headers_to_add response_headers_to_remove
            request_headers_to_add request_headers_to_remove most_specific_header_mutations_wins
            max_direct_response_body_size_bytes request_mirror_policies ignore_port_in_host_matching
            typed_per_filter_config;
        ignored: metadata;
    });
    // Istio sends `false`, which has no effect.
    if is_true(message.validate_clusters.as_ref()) {
        return Err(FieldProblem::unsupported("validate_clusters"));
    }
    let mut inherited = Inherited::default();
    inherit!(inherited, message);
    let sharing = PreviousRoute::default();
    let mut hosts = Vec::with_capacity(message.virtual_hosts.len());
    for (index, host) in message.virtual_hosts.iter().enumerate() {
        let above = InheritedAction {
            host,
            table: message,
            sharing: &sharing,
        };
        let compiled = virtual_host(above, inherited.clone())
            .map_err(|problem| problem.within(&format!("virtual_hosts[{index}]")))?;
        hosts.push((compiled, host.domains.clone()));
    }
    RouteTable::new(&message.name, hosts, message.ignore_port_in_host_matching).map_err(|domain| {
        FieldProblem::new("virtual_hosts", format!("duplicate domain `{domain}`"))
    })
}

fn virtual_host(above: InheritedAction<'_>, mut inherited: Inherited) -> Result<VirtualHost> {
    let message = above.host;
    named("name", &message.name)?;
    fields!(message => message::VirtualHost {
        refused: matcher require_tls cors retry_policy_typed_config include_is_timeout_retry_header
            request_body_buffer_limit route_specifiers;
        used: name domains routes rate_limits request_headers_to_add request_headers_to_remove response_headers_to_add
            response_headers_to_remove typed_per_filter_config include_request_attempt_count
            include_attempt_count_in_response retry_policy hedge_policy request_mirror_policies;
        ignored: virtual_clusters per_request_buffer_limit_bytes metadata;
    });
    if message.domains.is_empty() {
        return Err(FieldProblem::new("domains", "expected at least one"));
    }
    for (index, domain) in message.domains.iter().enumerate() {
        // A wildcard must be the first or the last character.
        let inner = domain
            .strip_prefix('*')
            .or(domain.strip_suffix('*'))
            .unwrap_or(domain);
        if domain.is_empty() || inner.contains('*') {
            let text = format!("expected a name, `*suffix`, `prefix*` or `*`, found `{domain}`");
            return Err(FieldProblem::new(&format!("domains[{index}]"), text));
        }
    }
    inherit!(inherited, message);
    inherited.filters.host_descriptors = rate_limit::rules(&message.rate_limits)?.into();
    let mut routes = Vec::with_capacity(message.routes.len());
    for (index, written) in message.routes.iter().enumerate() {
        let compiled = route(written, above, inherited.clone());
        routes.push(compiled.map_err(|problem| problem.within(&format!("routes[{index}]")))?);
    }
    Ok(VirtualHost {
        name: Arc::from(message.name.as_str()),
        routes,
        include_attempt_count: message.include_request_attempt_count,
        include_attempt_count_in_response: message.include_attempt_count_in_response,
    })
}

#[expect(deprecated, reason = "control planes send the deprecated forms")]
fn route(
    message: &message::Route,
    above: InheritedAction<'_>,
    mut inherited: Inherited,
) -> Result<Route> {
    fields!(message => message::Route {
        refused: request_body_buffer_limit route_specifiers tracing;
        used: name r#match typed_per_filter_config request_headers_to_add request_headers_to_remove
            response_headers_to_add response_headers_to_remove action;
        ignored: decorator per_request_buffer_limit_bytes stat_prefix metadata;
    });
    let Some(condition) = &message.r#match else {
        return Err(FieldProblem::new(
            "match",
            "expected at least a path, found nothing",
        ));
    };
    inherit!(inherited, message);
    let action = match &message.action {
        Some(Written::Route(written)) => {
            let within = |problem: FieldProblem| problem.within("route");
            let filters = &mut inherited.filters;
            filters.descriptors = rate_limit::rules(&written.rate_limits).map_err(within)?;
            filters.include_host_descriptors = is_true(written.include_vh_rate_limits.as_ref());
            RouteActionKind::Forward(action::compile(written, condition, above).map_err(within)?)
        }
        Some(Written::DirectResponse(written)) => {
            let max = above.table.max_direct_response_body_size_bytes.as_ref();
            let max = max.map_or(DIRECT_BODY_MAX, |max| max.value);
            let response = rewrite::direct_response(written, max);
            RouteActionKind::Respond(response.map_err(|problem| problem.within("direct_response"))?)
        }
        Some(Written::Redirect(written)) => {
            let redirect = rewrite::redirect(written, condition);
            RouteActionKind::Redirect(redirect.map_err(|problem| problem.within("redirect"))?)
        }
        Some(Written::FilterAction(_)) => return Err(FieldProblem::unsupported("filter_action")),
        Some(Written::NonForwardingAction(_)) => {
            return Err(FieldProblem::unsupported("non_forwarding_action"));
        }
        None => {
            return Err(FieldProblem::new(
                "action",
                "expected `route`, `redirect` or `direct_response`, found nothing",
            ));
        }
    };
    let matcher = matching::route(condition).map_err(|problem| problem.within("match"))?;
    let mut route = Route::new(&message.name, matcher, action);
    let least_first = above.table.most_specific_header_mutations_wins;
    route.request_headers = in_order(inherited.request, least_first);
    route.response_headers = in_order(inherited.response, least_first);
    route.filters = inherited.filters;
    Ok(route)
}

/// Sorts the levels in the order in which they change headers. The last one wins. As in Envoy, that is the least
/// specific level by default. Source: Envoy, `RouteConfiguration.most_specific_header_mutations_wins`.
fn in_order(mut levels: Vec<Arc<HeaderOps>>, least_first: bool) -> Vec<Arc<HeaderOps>> {
    levels.retain(|ops| !ops.is_empty());
    if !least_first {
        levels.reverse();
    }
    levels
}
