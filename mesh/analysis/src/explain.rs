//! Explanation of a request: the routing result, and the line of YAML that decided each part of it.
//!
//! Routing is not reimplemented here. The mesh is translated and compiled as for a proxy, and the request is looked
//! up in the tables by the functions that the proxy itself calls. The result is therefore the same as that of the
//! proxy. Random decisions (weights, fault and mirror percentages) are reported with their probabilities. Decisions
//! that depend on the state of a running proxy (open circuit breakers, ejected hosts, exhausted budgets) are not
//! covered.
//!
//! If no service in the registry has endpoints, endpoints are treated as unknown: none are reported, and no request
//! is rejected for lack of them.

mod cluster;
mod decided;
mod dye;
mod executed;
mod headers;
mod inbound;
mod notes;
mod passed;
mod request;
mod routed;
mod upstream;
mod view;

pub use request::{ExplainedRequest, ExplainedRequestError};
pub use view::{
    AdaptiveConcurrencyView, ClusterPolicies, CorsView, DecisionView, DirectResponseView,
    EndpointView, Explanation, FaultView, HedgeView, InboundView, LimitsView, LoadSheddingView,
    MirrorView, NoteView, OutlierDetectionView, PassedOverRoute, Policies, RateLimitView,
    Redirected, RejectionView, RetriesView, RetryBudgetView, SlowStartView, TargetView,
    ThrottleView,
};

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use shakedown_istio::registry::{Hostname, Mesh, Registry};
use shakedown_translate::Caller;
use shakedown_xds::compile::CompileError;
use shakedown_xds::table::{RequestView, Route, VirtualHost};

use decided::RouteSource;
use executed::Executed;
use notes::Notes;
use routed::RoutedRequest;

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderWorkload {
    /// The properties by which documents select callers.
    pub caller: Caller,
    /// The address of its pod, which determines its locality and the name of its listener.
    pub address: IpAddr,
}

impl SenderWorkload {
    /// The pod at an address, with the properties that the registry knows.
    pub fn at(registry: &Registry, address: IpAddr) -> SenderWorkload {
        SenderWorkload {
            caller: Caller::at(registry, address),
            address,
        }
    }
}

impl Default for SenderWorkload {
    /// A pod without a service in the namespace `default`.
    fn default() -> SenderWorkload {
        SenderWorkload::at(&Registry::new(), Ipv4Addr::UNSPECIFIED.into())
    }
}

/// Explains the routing of a request.
///
/// # Errors
/// The first resource that a proxy could not execute.
pub fn explain(
    mesh: &Mesh,
    sender: &SenderWorkload,
    asked: &ExplainedRequest,
) -> Result<Explanation, CompileError> {
    let executed = Executed::new(mesh, sender)?;
    let mut told = Explanation::nothing(executed.listener());
    let normal = match executed.normalizes_path() {
        true => asked.normalized(),
        false => Some(asked.clone()),
    };
    let Some(asked) = &normal else {
        told.rejected_by = Some(RejectionView::bad_path("the path has an escaped NUL"));
        return Ok(told);
    };
    let view = asked.view();
    let notes = Notes {
        mesh,
        sender,
        asked,
    };
    // A caller that names no port connects to 80 or 443, and gets the routes of that port.
    let authority = asked.authority_with_port();
    let Some(host) = executed.routes().find_host(&authority) else {
        told.rejected_by = Some(no_route("no virtual host has this authority"));
        notes.of_stranger(&mut told.notes);
        return Ok(told);
    };
    told.virtual_host = Some(host.name.to_string());
    let sources = dye::sources(mesh, sender, &authority)?;
    let place = host.routes.iter().position(|it| it.matcher.matches(&view));
    let before = &host.routes[..place.unwrap_or(host.routes.len())];
    told.passed_over = passed_over(before, &sources, &view);
    let service = service_of(mesh, host);
    let mut written = sources.iter().flatten();
    let document = written.next().map(|source| source.document());
    match &service {
        Some(service) => {
            notes.of_service(service, document, &mut told.notes);
            if document.is_none() {
                notes.of_default_route(service, &mut told.notes);
            }
        }
        None if document.is_none() => notes.of_stranger(&mut told.notes),
        None => {}
    }
    let Some(place) = place else {
        told.rejected_by = Some(no_route("none of the virtual host's routes takes it"));
        return Ok(told);
    };
    let source = sources.get(place).and_then(Option::as_ref);
    let route = &host.routes[place];
    notes.of_prefix(
        route,
        source.and_then(|source| source.place()),
        &mut told.notes,
    );
    RoutedRequest {
        mesh,
        executed: &executed,
        notes: &notes,
        source,
        host,
        route,
        view,
    }
    .tell(&mut told)?;
    Ok(told)
}

/// Returns the user's routes that did not match the request, each with the reason.
fn passed_over(
    before: &[Route],
    sources: &[Option<RouteSource<'_>>],
    view: &RequestView<'_>,
) -> Vec<PassedOverRoute> {
    let told = |(route, source): (&Route, &Option<RouteSource<'_>>)| {
        let source = source.as_ref()?;
        let place = source.place()?;
        Some(PassedOverRoute {
            route: route_name(route, Some(source)),
            file: place.file.to_string(),
            line: place.line,
            because: passed::reason(&route.matcher, view)?,
        })
    };
    before.iter().zip(sources).filter_map(told).collect()
}

/// Returns a route's name, else its field in the document, else the name given by the translation.
fn route_name(route: &Route, source: Option<&RouteSource<'_>>) -> String {
    match source {
        Some(source) if route.name.is_empty() => source.field(),
        _ => route.name.to_string(),
    }
}

/// Returns the service that a virtual host was generated for.
fn service_of(mesh: &Mesh, host: &VirtualHost) -> Option<Hostname> {
    let (name, _) = host.name.rsplit_once(':')?;
    Some(mesh.registry.service(name)?.hostname.clone())
}

fn no_route(because: &str) -> RejectionView {
    RejectionView::new("NR", 404, "route_not_found", because)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
