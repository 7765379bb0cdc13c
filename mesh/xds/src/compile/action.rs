//! Compiles `RouteAction`: the target clusters and the settings for forwarding.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;

use super::hashing;
use super::headers::header_ops;
use super::manager;
use super::policies;
use super::problem::{FieldProblem, Result, duration, enumerated, fields, named};
use super::rewrite;
use super::share;
use super::sharing::PreviousRoute;
use super::subsets;
use crate::proto::route as message;
use crate::proto::route::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, RequestMirrorPolicy,
};
use crate::proto::route::weighted_cluster::cluster_weight::HostRewriteSpecifier;
use crate::proto::route::weighted_cluster::{ClusterWeight, RandomValueSpecifier};
use crate::table::{Mirror, RouteAction, TargetHeaders, WeightedCluster};

/// Envoy's default. Source: Envoy, `RouteAction.timeout`.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The levels above a route, whose settings also apply to its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct InheritedAction<'m> {
    pub(super) host: &'m message::VirtualHost,
    pub(super) table: &'m message::RouteConfiguration,
    pub(super) sharing: &'m PreviousRoute,
}

pub(super) fn compile(
    message: &message::RouteAction,
    condition: &message::RouteMatch,
    above: InheritedAction<'_>,
) -> Result<RouteAction> {
    fields!(message => message::RouteAction {
        refused: path_rewrite_policy path_rewrite append_x_forwarded_host flush_timeout early_data_policy
            retry_policy_typed_config cors internal_redirect_policy internal_redirect_action
            max_internal_redirects;
        used: cluster_not_found_response_code metadata_match prefix_rewrite regex_rewrite timeout idle_timeout
            retry_policy request_mirror_policies priority rate_limits include_vh_rate_limits hash_policy
            max_grpc_timeout grpc_timeout_offset upgrade_configs hedge_policy max_stream_duration
            cluster_specifier host_rewrite_specifier;
    });
    let (targets, random_header) = targets(message, above.sharing)?;
    let Some(mut action) = RouteAction::new(targets) else {
        return Err(FieldProblem::new(
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
        return Err(FieldProblem::new("weighted_clusters", text));
    }
    action.random_header = random_header.map(Box::new);
    action.rewrite = rewrite::rewrite(message, condition)?;
    let timeout = duration("timeout", message.timeout.as_ref())?.unwrap_or(TIMEOUT);
    action.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    policies::apply(message, above.sharing, &mut action)?;
    if let Some(written) = &message.max_stream_duration {
        let of_stream = manager::stream_duration(written);
        action.stream_duration =
            Some(of_stream.map_err(|problem| problem.within("max_stream_duration"))?);
        // This setting replaces both. Source: Envoy, `RouteEntry::usingNewTimeouts`.
        (action.timeout, action.grpc_timeout) = (None, None);
    }
    action.upgrades = manager::upgrades_of_route(&message.upgrade_configs)?;
    if let (None, Some(policy)) = (&message.hedge_policy, &above.host.hedge_policy) {
        action.hedge = policies::hedge(policy)
            .map_err(|problem| problem.within("hedge_policy (of the virtual host)"))?;
    }
    // The retry policy of the most specific level applies, without merging.
    if let (None, Some(policy)) = (&message.retry_policy, &above.host.retry_policy) {
        let retry = above.sharing.retry(policy);
        action.retry =
            retry.map_err(|problem| problem.within("retry_policy (of the virtual host)"))?;
    }
    action.hash = hashing::compile(&message.hash_policy)?;
    action.labels = subsets::of_route(message.metadata_match.as_ref());
    action.mirrors = mirrors(message, above, action.timeout)?;
    action.cluster_not_found = match enumerated(
        "cluster_not_found_response_code",
        message.cluster_not_found_response_code,
    )? {
        ClusterNotFoundResponseCode::ServiceUnavailable => 503,
        ClusterNotFoundResponseCode::NotFound => 404,
        ClusterNotFoundResponseCode::InternalServerError => 500,
    };
    Ok(action)
}

/// Returns the mirrors of the route, else those of its virtual host, else those of the whole configuration.
fn mirrors(
    message: &message::RouteAction,
    above: InheritedAction<'_>,
    timeout: Option<Duration>,
) -> Result<Vec<Arc<Mirror>>> {
    let levels = [
        &message.request_mirror_policies,
        &above.host.request_mirror_policies,
        &above.table.request_mirror_policies,
    ];
    let Some(level) = levels.into_iter().find(|level| !level.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut mirrors = Vec::with_capacity(level.len());
    for (index, written) in level.iter().enumerate() {
        let at =
            |problem: FieldProblem| problem.within(&format!("request_mirror_policies[{index}]"));
        mirrors.push(Arc::new(mirror(written, timeout).map_err(at)?));
    }
    Ok(mirrors)
}

fn mirror(message: &RequestMirrorPolicy, timeout: Option<Duration>) -> Result<Mirror> {
    // `trace_sampled` has no visible effect: requests are not traced.
    fields!(message => RequestMirrorPolicy {
        refused: cluster_header request_headers_mutations host_rewrite_literal;
        used: cluster runtime_fraction disable_shadow_host_suffix_append;
        ignored: trace_sampled;
    });
    named("cluster", &message.cluster)?;
    let target = WeightedCluster::new(&message.cluster, 1);
    let mut action = RouteAction::new(vec![target]).expect("the weight of the only target is 1");
    action.timeout = timeout;
    let share = match &message.runtime_fraction {
        None => crate::table::RequestShare::ALL,
        Some(fraction) => share::runtime("runtime_fraction", Some(fraction))?,
    };
    Ok(Mirror {
        action,
        share,
        suffix: !message.disable_shadow_host_suffix_append,
    })
}

type Targets = (Vec<WeightedCluster>, Option<HeaderName>);

fn targets(message: &message::RouteAction, sharing: &PreviousRoute) -> Result<Targets> {
    match &message.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => {
            named("cluster", name)?;
            let target = WeightedCluster {
                cluster: sharing.cluster(name),
                weight: 1,
                headers: None,
                from_header: None,
            };
            Ok((vec![target], None))
        }
        Some(ClusterSpecifier::WeightedClusters(written)) => {
            weighted(written).map_err(|problem| problem.within("weighted_clusters"))
        }
        Some(ClusterSpecifier::ClusterHeader(name)) => Ok((
            vec![WeightedCluster::named_by(cluster_header(name)?, 1)],
            None,
        )),
        Some(ClusterSpecifier::ClusterSpecifierPlugin(_)) => {
            Err(FieldProblem::unsupported("cluster_specifier_plugin"))
        }
        Some(ClusterSpecifier::InlineClusterSpecifierPlugin(_)) => {
            Err(FieldProblem::unsupported("inline_cluster_specifier_plugin"))
        }
        None => Err(FieldProblem::new(
            "cluster",
            "expected `cluster` or `weighted_clusters`, found nothing",
        )),
    }
}

#[expect(deprecated, reason = "deprecated fields are checked, too")]
fn weighted(message: &message::WeightedCluster) -> Result<Targets> {
    fields!(message => message::WeightedCluster {
        refused: runtime_key_prefix;
        used: clusters total_weight random_value_specifier;
    });
    let random_header = match &message.random_value_specifier {
        None => None,
        Some(RandomValueSpecifier::HeaderName(name)) => {
            let text = || format!("invalid header name `{name}`");
            let name = HeaderName::try_from(name.as_str());
            Some(name.map_err(|_| FieldProblem::new("header_name", text()))?)
        }
        Some(RandomValueSpecifier::UseHashPolicy(used)) if !used.value => None,
        Some(RandomValueSpecifier::UseHashPolicy(_)) => {
            return Err(FieldProblem::unsupported("use_hash_policy"));
        }
    };
    let mut targets = Vec::with_capacity(message.clusters.len());
    for (index, written) in message.clusters.iter().enumerate() {
        targets
            .push(share(written).map_err(|problem| problem.within(&format!("clusters[{index}]")))?);
    }
    let sum: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    match &message.total_weight {
        Some(total) if u64::from(total.value) != sum => Err(FieldProblem::new(
            "total_weight",
            format!(
                "expected the sum of the weights, {sum}, found {}",
                total.value
            ),
        )),
        _ => Ok((targets, random_header)),
    }
}

/// Returns the header that names the cluster.
fn cluster_header(name: &str) -> Result<HeaderName> {
    const FIELD: &str = "cluster_header";
    // Source: Envoy, `RouteAction.cluster_header`. Envoy accepts pseudo-headers as well.
    if name.starts_with(':') {
        return Err(FieldProblem::new(
            FIELD,
            format!("not supported yet: `{name}`"),
        ));
    }
    let text = || format!("invalid header name `{name}`");
    HeaderName::try_from(name).map_err(|_| FieldProblem::new(FIELD, text()))
}

fn share(message: &ClusterWeight) -> Result<WeightedCluster> {
    fields!(message => ClusterWeight {
        refused: metadata_match typed_per_filter_config;
        used: name cluster_header weight request_headers_to_add request_headers_to_remove
            response_headers_to_add response_headers_to_remove host_rewrite_specifier;
    });
    let Some(weight) = &message.weight else {
        return Err(FieldProblem::new(
            "weight",
            "expected a whole number, found nothing",
        ));
    };
    let host = match &message.host_rewrite_specifier {
        None => None,
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => {
            Some(rewrite::host_value("host_rewrite_literal", host)?)
        }
    };
    let headers = TargetHeaders {
        request: header_ops!(message; request)?,
        response: header_ops!(message; response)?,
        host,
    };
    let mut target = match (message.name.as_str(), message.cluster_header.as_str()) {
        ("", "") => {
            return Err(FieldProblem::new(
                "name",
                "expected a name or `cluster_header`, found nothing",
            ));
        }
        (name, "") => WeightedCluster::new(name, weight.value),
        ("", header) => WeightedCluster::named_by(cluster_header(header)?, weight.value),
        // Source: Envoy, `RouteEntryImplBase`.
        (_, _) => {
            let text = "must not be set together with `name`";
            return Err(FieldProblem::new("cluster_header", text));
        }
    };
    target.headers = (headers != TargetHeaders::default()).then(|| Box::new(headers));
    Ok(target)
}
