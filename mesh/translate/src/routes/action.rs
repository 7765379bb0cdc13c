//! Translation of a route's action: its destinations and forwarding settings, a redirect, or a direct response.

use shakedown_istio::registry::Hostname;
use shakedown_istio::{
    DerivePort, Destination, DirectBody, DirectResponse, HttpRoute, Redirect, RouteDestination,
};
use shakedown_xds::proto;
use shakedown_xds::proto::core::data_source::Specifier;
use shakedown_xds::proto::core::{DataSource, RuntimeFractionalPercent};
use shakedown_xds::proto::fractional::FractionalPercent;
use shakedown_xds::proto::matcher::RegexMatchAndSubstitute;
use shakedown_xds::proto::protobuf::BoolValue;
use shakedown_xds::proto::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use shakedown_xds::proto::route::route::Action;
use shakedown_xds::proto::route::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy,
};
use shakedown_xds::proto::route::weighted_cluster::{ClusterWeight, cluster_weight};
use shakedown_xds::proto::route::{self, DirectResponseAction, RedirectAction, Route, RouteAction};
use shakedown_yaml::Spanned;

use super::condition;
use super::context::{RouteContext, to};
use super::filters::{millionths, percent};
use super::headers::Operations;
use crate::messages::wrapped;
use crate::names::outbound_cluster;
use crate::{balancing, retries};

/// Sets a route's action and its header changes.
pub(super) fn fill(route: &mut Route, written: &HttpRoute, context: &RouteContext<'_>) {
    let mut operations = Operations::from_headers(written.headers.as_ref());
    let action = if let Some(redirect) = &written.redirect {
        Action::Redirect(redirect_action(redirect, context.port))
    } else if let Some(direct) = &written.direct_response {
        Action::DirectResponse(direct_response(direct))
    } else {
        Action::Route(forward(written, &mut operations, context))
    };
    route.action = Some(action);
    route.request_headers_to_add = operations.request_add;
    route.request_headers_to_remove = operations.request_remove;
    route.response_headers_to_add = operations.response_add;
    route.response_headers_to_remove = operations.response_remove;
}

fn forward(
    written: &HttpRoute,
    operations: &mut Operations,
    context: &RouteContext<'_>,
) -> RouteAction {
    let mut host = operations.host.take();
    let rewrite = written.rewrite.as_ref();
    if let Some(authority) = rewrite.and_then(|rewrite| rewrite.authority.as_ref()) {
        host = Some(authority.value.clone());
    }
    let mut hashed = false;
    let cluster = match written.route.as_slice() {
        [only] => {
            let own = Operations::from_headers(only.headers.as_ref());
            host = host.or(own.host);
            operations.request_add.extend(own.request_add);
            operations.request_remove.extend(own.request_remove);
            operations.response_add.extend(own.response_add);
            operations.response_remove.extend(own.response_remove);
            let cluster = cluster(&only.destination, context);
            hashed = balancing::is_hashed(&cluster, context.mesh, context.index);
            ClusterSpecifier::Cluster(cluster)
        }
        several => ClusterSpecifier::WeightedClusters(weighted(several, context)),
    };
    let mut action = to(cluster);
    if let Some(timeout) = &written.timeout {
        action.timeout = Some(proto::duration(timeout.0));
    }
    action.retry_policy = retries::outbound(written.retries.as_deref(), hashed);
    action.host_rewrite_specifier = host.map(HostRewriteSpecifier::HostRewriteLiteral);
    if let Some(rewrite) = rewrite {
        if let Some(regex) = &rewrite.uri_regex_rewrite {
            action.regex_rewrite = Some(RegexMatchAndSubstitute {
                pattern: Some(condition::regex_matcher(&regex.r#match)),
                substitution: regex.rewrite.clone(),
            });
        } else if let Some(uri) = &rewrite.uri {
            action.prefix_rewrite.clone_from(&uri.value);
        }
    }
    let one = written
        .mirror
        .iter()
        .filter_map(|to| mirror(to, mirrored(written), context));
    let several = written.mirrors.iter().filter_map(|policy| {
        let share = policy.percentage.as_ref().map(|share| millionths(share));
        mirror(&policy.destination, share, context)
    });
    action.request_mirror_policies = one.chain(several).collect();
    action
}

/// Translates several destinations. Those without a weight are omitted.
fn weighted(
    several: &[Spanned<RouteDestination>],
    context: &RouteContext<'_>,
) -> route::WeightedCluster {
    let weight = |to: &RouteDestination| to.weight.as_ref().map_or(0, |weight| weight.value);
    let clusters = several.iter().filter(|to| weight(to) > 0).map(|to| {
        let own = Operations::from_headers(to.headers.as_ref());
        ClusterWeight {
            name: cluster(&to.destination, context),
            weight: Some(wrapped(u32::try_from(weight(to)).unwrap_or(u32::MAX))),
            request_headers_to_add: own.request_add,
            request_headers_to_remove: own.request_remove,
            response_headers_to_add: own.response_add,
            response_headers_to_remove: own.response_remove,
            host_rewrite_specifier: own
                .host
                .map(cluster_weight::HostRewriteSpecifier::HostRewriteLiteral),
            ..Default::default()
        }
    });
    route::WeightedCluster {
        clusters: clusters.collect(),
        ..Default::default()
    }
}

/// Returns the destination's cluster. The port is the one that the destination names, else the only port of its
/// service, else the port of the request.
fn cluster(to: &Destination, context: &RouteContext<'_>) -> String {
    let host = Hostname::resolve(&to.host, context.namespace);
    let ports = context
        .mesh
        .registry
        .service(host.as_str())
        .map_or(&[][..], |service| &service.ports);
    let number = match (&to.port, ports) {
        (Some(selector), _) => selector.number.value,
        (None, [only]) => only.number,
        (None, _) => context.port,
    };
    let subset = to.subset.as_ref().map_or("", |subset| subset.as_str());
    outbound_cluster(number, subset, host.as_str())
}

/// Returns the share of a route's `mirror`. The older field applies only if the newer one is not set. Source: Istio,
/// `MirrorPercent`.
fn mirrored(written: &HttpRoute) -> Option<FractionalPercent> {
    let share = written.mirror_percentage.as_ref();
    let whole = || {
        written
            .mirror_percent
            .as_ref()
            .map(|whole| percent(whole.value))
    };
    share.map(|share| millionths(share)).or_else(whole)
}

/// Translates a mirror, unless its share is zero.
fn mirror(
    to: &Destination,
    share: Option<FractionalPercent>,
    context: &RouteContext<'_>,
) -> Option<RequestMirrorPolicy> {
    let share = share.unwrap_or_else(|| percent(100));
    (share.numerator > 0).then(|| RequestMirrorPolicy {
        cluster: cluster(to, context),
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(share),
            ..Default::default()
        }),
        trace_sampled: Some(BoolValue { value: false }),
        ..Default::default()
    })
}

/// Translates a redirect. Source: Istio, `ApplyRedirect`.
fn redirect_action(redirect: &Redirect, request_port: u16) -> RedirectAction {
    let code = match redirect
        .redirect_code
        .as_ref()
        .map_or(301, |code| code.value)
    {
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::MovedPermanently,
    };
    let derived = match redirect.derive_port.as_ref().map(|derive| derive.value) {
        Some(DerivePort::FromRequestPort) => Some(request_port),
        Some(DerivePort::FromProtocolDefault) | None => None,
    };
    let port = redirect.port.as_ref().map(|port| port.value).or(derived);
    let scheme = redirect.scheme.as_ref().map(|scheme| scheme.as_str());
    // The default port of the scheme is omitted.
    let own = match scheme.unwrap_or("http") {
        "https" => 443,
        _ => 80,
    };
    RedirectAction {
        host_redirect: redirect.authority.clone().unwrap_or_default(),
        port_redirect: port.filter(|port| *port != own).map_or(0, u32::from),
        response_code: code.into(),
        scheme_rewrite_specifier: scheme
            .map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.into())),
        path_rewrite_specifier: redirect
            .uri
            .as_ref()
            .filter(|uri| !uri.is_empty())
            .map(|uri| PathRewriteSpecifier::PathRedirect(uri.clone())),
        ..Default::default()
    }
}

fn direct_response(direct: &DirectResponse) -> DirectResponseAction {
    let body = direct.body.as_ref().map(|body| DataSource {
        specifier: Some(match &body.value {
            DirectBody::String(text) => Specifier::InlineString(text.clone()),
            DirectBody::Bytes(bytes) => Specifier::InlineBytes(bytes.clone()),
        }),
        ..Default::default()
    });
    DirectResponseAction {
        status: direct.status.value.into(),
        body,
        ..Default::default()
    }
}
