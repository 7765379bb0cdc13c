//! What a request would meet, and which line of YAML decided each part of it.
//!
//! Nothing is routed here: the mesh is translated and compiled as it is for a proxy, and the request is looked up in the
//! tables by the functions that the proxy calls. So this cannot come to another answer than the proxy does. What chance
//! decides (weights, shares of faults and mirrors) is told with its odds. What the state of a running proxy decides (open
//! breakers, ejected hosts, spent budgets) is not known here.
//!
//! A registry of which no service has an endpoint is taken as one whose endpoints are not known: then none are told, and
//! no request is refused for want of them.

mod asked;
mod cluster;
mod decided;
mod dye;
mod executed;
mod headers;
mod inbound;
mod notes;
mod passed;
mod telling;
mod told;
mod upstream;

pub use asked::{Asked, AskedError};
pub use told::{
    AdaptiveTold, Answer, BudgetTold, ClusterPolicies, CorsTold, Decision, EndpointTold,
    Explanation, FaultTold, HedgeTold, InboundTold, LimitsTold, MirrorTold, Note, OutlierTold,
    PassedOver, Policies, RateLimitTold, Redirected, Rejection, RetriesTold, ShedTold,
    SlowStartTold, Target, ThrottleTold,
};

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use shakedown_istio::registry::{Hostname, Mesh, Registry};
use shakedown_translate::Caller;
use shakedown_xds::compile::CompileError;
use shakedown_xds::table::{RequestView, Route, VirtualHost};

use decided::Source;
use executed::Executed;
use notes::Notes;
use telling::Telling;

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// As documents may speak of it.
    pub caller: Caller,
    /// Its pod's address: it says where it runs, and names its listener.
    pub address: IpAddr,
}

impl Sender {
    /// The pod at an address, as far as the registry knows it.
    pub fn at(registry: &Registry, address: IpAddr) -> Sender {
        Sender {
            caller: Caller::at(registry, address),
            address,
        }
    }
}

impl Default for Sender {
    /// A pod of the namespace `default` that serves nothing.
    fn default() -> Sender {
        Sender::at(&Registry::new(), Ipv4Addr::UNSPECIFIED.into())
    }
}

/// What a request would meet.
///
/// # Errors
/// The first resource that a proxy could not execute.
pub fn explain(mesh: &Mesh, sender: &Sender, asked: &Asked) -> Result<Explanation, CompileError> {
    let executed = Executed::new(mesh, sender)?;
    let mut told = Explanation::nothing(executed.listener());
    let normal = match executed.normalizes_path() {
        true => asked.normalized(),
        false => Some(asked.clone()),
    };
    let Some(asked) = &normal else {
        told.rejected_by = Some(Rejection::bad_path("the path has an escaped NUL"));
        return Ok(told);
    };
    let view = asked.view();
    let notes = Notes {
        mesh,
        sender,
        asked,
    };
    // A caller that writes no port connects to 80 or 443, and gets the routes of that port.
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
    Telling {
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

/// The user's routes that did not take the request, each with its reason.
fn passed_over(
    before: &[Route],
    sources: &[Option<Source<'_>>],
    view: &RequestView<'_>,
) -> Vec<PassedOver> {
    let told = |(route, source): (&Route, &Option<Source<'_>>)| {
        let source = source.as_ref()?;
        let place = source.place()?;
        Some(PassedOver {
            route: route_name(route, Some(source)),
            file: place.file.to_string(),
            line: place.line,
            because: passed::reason(&route.matcher, view)?,
        })
    };
    before.iter().zip(sources).filter_map(told).collect()
}

/// Its name, else the place in its document, else what translation calls it.
fn route_name(route: &Route, source: Option<&Source<'_>>) -> String {
    match source {
        Some(source) if route.name.is_empty() => source.field(),
        _ => route.name.to_string(),
    }
}

/// The service that a virtual host is made for.
fn service_of(mesh: &Mesh, host: &VirtualHost) -> Option<Hostname> {
    let (name, _) = host.name.rsplit_once(':')?;
    Some(mesh.registry.service(name)?.hostname.clone())
}

fn no_route(because: &str) -> Rejection {
    Rejection::of("NR", 404, "route_not_found", because)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
