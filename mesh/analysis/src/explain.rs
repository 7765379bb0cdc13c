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
mod executed;
mod headers;
mod inbound;
mod notes;
mod passed;
mod request;
mod routed;
mod sender;
mod sources;
mod upstream;
mod view;

pub use request::{ExplainedRequest, ExplainedRequestError};
pub use sender::SenderWorkload;
pub use view::{
    AdaptiveConcurrencyView, ClusterPolicies, CorsView, DecisionView, DirectResponseView,
    EndpointView, Explanation, FaultView, HedgeView, InboundView, LimitsView, LoadSheddingView,
    MirrorView, NoteView, OutlierDetectionView, PassedOverRoute, Policies, RateLimitView,
    Redirected, RejectionView, RetriesView, RetryBudgetView, SlowStartView, TargetView,
    ThrottleView,
};

use shakedown_istio::registry::{Hostname, Mesh};
use shakedown_xds::compile::CompileError;
use shakedown_xds::table::{RequestView, Route, VirtualHost};

use decided::{RouteSource, route_name};
use executed::Executed;
use notes::Notes;
use routed::RoutedRequest;

/// Explains the routing of a request.
///
/// # Errors
/// The first resource that a proxy could not execute.
pub fn explain(
    mesh: &Mesh,
    sender: &SenderWorkload,
    request: &ExplainedRequest,
) -> Result<Explanation, CompileError> {
    let executed = Executed::new(mesh, sender)?;
    let mut explanation = Explanation::nothing(executed.listener());
    let normal = if executed.normalizes_path() {
        request.normalized()
    } else {
        Some(request.clone())
    };
    let Some(request) = &normal else {
        explanation.rejected_by = Some(RejectionView::bad_path("the path contains an escaped NUL"));
        return Ok(explanation);
    };
    let view = request.view();
    let notes = Notes {
        mesh,
        sender,
        request,
    };
    // A caller that names no port connects to 80 or 443, and gets the routes of that port.
    let authority = request.authority_with_port();
    let Some(host) = executed.routes().find_host(&authority) else {
        explanation.rejected_by = Some(no_route("no virtual host matches this authority"));
        notes.of_unknown_host(&mut explanation.notes);
        return Ok(explanation);
    };
    explanation.virtual_host = Some(host.name.to_string());
    let sources = sources::sources(mesh, sender, &authority)?;
    let index = host
        .routes
        .iter()
        .position(|route| route.matcher.matches(&view));
    let before = &host.routes[..index.unwrap_or(host.routes.len())];
    explanation.passed_over = passed_over(before, &sources, &view);
    let service = service_of(mesh, host);
    let mut written = sources.iter().flatten();
    let document = written.next().map(|source| source.document());
    match &service {
        Some(service) => {
            notes.of_service(service, document, &mut explanation.notes);
            if document.is_none() {
                notes.of_default_route(service, &mut explanation.notes);
            }
        }
        None if document.is_none() => notes.of_unknown_host(&mut explanation.notes),
        None => {}
    }
    let Some(index) = index else {
        explanation.rejected_by =
            Some(no_route("no route of the virtual host matches the request"));
        return Ok(explanation);
    };
    let source = sources.get(index).and_then(Option::as_ref);
    let route = &host.routes[index];
    notes.of_prefix(
        route,
        source.and_then(|source| source.place()),
        &mut explanation.notes,
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
    .explain(&mut explanation)?;
    Ok(explanation)
}

/// Returns the user's routes that did not match the request, each with the reason.
fn passed_over(
    before: &[Route],
    sources: &[Option<RouteSource<'_>>],
    view: &RequestView<'_>,
) -> Vec<PassedOverRoute> {
    let describe = |(route, source): (&Route, &Option<RouteSource<'_>>)| {
        let source = source.as_ref()?;
        let place = source.place()?;
        Some(PassedOverRoute {
            route: route_name(route, Some(source)),
            file: place.file.to_string(),
            line: place.line,
            because: passed::reason(&route.matcher, view)?,
        })
    };
    before.iter().zip(sources).filter_map(describe).collect()
}

/// Returns the service that a virtual host was generated for.
fn service_of(mesh: &Mesh, host: &VirtualHost) -> Option<Hostname> {
    let (name, _) = host.name.rsplit_once(':')?;
    Some(mesh.registry.service(name)?.hostname.clone())
}

fn no_route(because: &str) -> RejectionView {
    RejectionView::new("NR", 404, "route_not_found", because)
}

#[cfg(test)]
mod tests;
