//! Compiles the HTTP filters before the router, and their per-route configuration in `typed_per_filter_config`.

use std::sync::Arc;

use super::cors;
use super::fault;
use super::overload;
use super::problem::{FieldProblem, Result, fields};
use super::rate_limit;
use crate::proto::manager::{HttpFilter, http_filter};
use crate::proto::policies::SHED;
use crate::proto::protobuf::Any;
use crate::proto::{self, ADAPTIVE_CONCURRENCY, CORS, FAULT, RATE_LIMIT, ROUTER};
use crate::table::{Filter, RouteFilters};

/// Compiles a filter chain, which must end with the router. The flag is the router's `suppress_envoy_headers`.
pub(super) fn list(filters: &[HttpFilter]) -> Result<(Vec<Filter>, bool)> {
    let Some((last, before)) = filters.split_last() else {
        return Err(FieldProblem::new(
            "http_filters",
            "expected a router, found nothing",
        ));
    };
    let mut compiled = Vec::new();
    for (index, filter) in before.iter().enumerate() {
        let at = |problem: FieldProblem| problem.within(&format!("http_filters[{index}]"));
        if filter.disabled {
            // A disabled filter is not supported, because a route could enable it again.
            if known(&filter.name) {
                return Err(at(FieldProblem::unsupported("disabled")));
            }
            continue;
        }
        match one(filter).map_err(at)? {
            Some(filter) => compiled.push(filter),
            // A known filter whose configuration disables it.
            None if known(&filter.name) => {}
            // Envoy also skips an unknown filter if it is optional.
            None if filter.is_optional => {}
            None => {
                let text = format!(
                    "not supported yet: `{}`; expected {FAULT}, {CORS}, {RATE_LIMIT}, and the router at the end",
                    filter.name
                );
                return Err(FieldProblem::new(&format!("http_filters[{index}]"), text));
            }
        }
    }
    let path = format!("http_filters[{}].typed_config", before.len());
    let Some(http_filter::ConfigType::TypedConfig(config)) = &last.config_type else {
        return Err(FieldProblem::new(
            &path,
            "expected the router, found nothing",
        ));
    };
    let router: proto::router::Router =
        proto::unpack(config).map_err(|error| FieldProblem::new(&path, error.to_string()))?;
    let suppresses = suppresses(&router).map_err(|problem| problem.within(&path))?;
    Ok((compiled, suppresses))
}

fn suppresses(router: &proto::router::Router) -> Result<bool> {
    fields!(router => proto::router::Router {
        refused: dynamic_stats start_child_span upstream_log upstream_log_options strict_check_headers
            respect_expected_rq_timeout suppress_grpc_request_failure_code_stats upstream_http_filters;
        used: suppress_envoy_headers;
        ignored: reject_connect_request_early_data;
    });
    Ok(router.suppress_envoy_headers)
}

fn known(name: &str) -> bool {
    [FAULT, CORS, RATE_LIMIT, ADAPTIVE_CONCURRENCY, SHED, ROUTER].contains(&name)
}

/// Compiles one filter. Filters are identified by name, because `typed_per_filter_config` refers to them by name.
/// `None`: the filter is unknown, or disabled by its configuration.
fn one(filter: &HttpFilter) -> Result<Option<Filter>> {
    fields!(filter => HttpFilter {
        used: name is_optional disabled config_type;
    });
    if !known(&filter.name) {
        return Ok(None);
    }
    let Some(http_filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
        return Err(FieldProblem::new(
            "typed_config",
            "expected a configuration, found nothing",
        ));
    };
    let within = |problem: FieldProblem| problem.within("typed_config");
    let unpacked = |error: proto::UnpackError| FieldProblem::new("typed_config", error.to_string());
    Ok(match filter.name.as_str() {
        FAULT => {
            let message = proto::unpack(config).map_err(unpacked)?;
            let fault = fault::compile(&message).map_err(within)?;
            Some(Filter::Fault(fault.map(Arc::new)))
        }
        CORS => {
            proto::unpack::<proto::cors::Cors>(config).map_err(unpacked)?;
            Some(Filter::Cors)
        }
        RATE_LIMIT => {
            let message = proto::unpack(config).map_err(unpacked)?;
            let limit = rate_limit::compile(&message).map_err(within)?;
            // Without a bucket, the filter has no limit until a route configures one.
            let limit = message.token_bucket.is_some().then(|| Arc::new(limit));
            Some(Filter::RateLimit(limit))
        }
        ADAPTIVE_CONCURRENCY => {
            let message = proto::unpack(config).map_err(unpacked)?;
            let adaptive = overload::adaptive(&message).map_err(within)?;
            adaptive.map(|adaptive| Filter::AdaptiveConcurrency(Arc::new(adaptive)))
        }
        SHED => {
            let message = proto::unpack(config).map_err(unpacked)?;
            let shed = overload::shed(&message).map_err(within)?;
            Some(Filter::Shed(Arc::new(shed)))
        }
        _ => {
            return Err(FieldProblem::new(
                "name",
                "expected the router at the end only",
            ));
        }
    })
}

/// Merges the filter configuration of one level (route configuration, virtual host or route) into that of the levels
/// above, which it overrides filter by filter.
pub(super) fn per_level<'m>(
    written: impl IntoIterator<Item = (&'m String, &'m Any)>,
    filters: &mut RouteFilters,
) -> Result<()> {
    // Sorted by name, so that the reported error does not depend on the map's order.
    let mut written: Vec<(&String, &Any)> = written.into_iter().collect();
    written.sort_by_key(|(name, _)| *name);
    for (name, config) in written {
        let path = format!("typed_per_filter_config[{name}]");
        per_filter(name, config, filters).map_err(|problem| problem.within(&path))?;
    }
    Ok(())
}

fn per_filter(name: &str, config: &Any, filters: &mut RouteFilters) -> Result<()> {
    let unpacked = |error: proto::UnpackError| FieldProblem::new("type_url", error.to_string());
    match name {
        FAULT => {
            let message = proto::unpack(config).map_err(unpacked)?;
            // A fault without effect still overrides those of the levels above.
            let fault = fault::compile(&message)?.unwrap_or_else(fault::none);
            filters.fault = Some(Arc::new(fault));
        }
        CORS => {
            let message = proto::unpack(config).map_err(unpacked)?;
            let cors = cors::compile(&message, filters.cors.as_deref())?;
            filters.cors = Some(Arc::new(cors));
        }
        RATE_LIMIT => {
            let message: proto::rate_limit::LocalRateLimit =
                proto::unpack(config).map_err(unpacked)?;
            if message.token_bucket.is_none() {
                return Err(FieldProblem::new(
                    "token_bucket",
                    "expected a token bucket, found nothing",
                ));
            }
            filters.rate_limit = Some(Arc::new(rate_limit::compile(&message)?));
        }
        other => {
            let text =
                format!("not supported yet: `{other}`; expected {FAULT}, {CORS} or {RATE_LIMIT}");
            return Err(FieldProblem::new("name", text));
        }
    }
    Ok(())
}
