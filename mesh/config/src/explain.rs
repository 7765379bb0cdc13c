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
mod told;
mod upstream;

pub use asked::{Asked, AskedError};
pub use told::{
    AdaptiveTold, Answer, BudgetTold, ClusterPolicies, CorsTold, Decision, EndpointTold,
    Explanation, FaultTold, HedgeTold, InboundTold, LimitsTold, MirrorTold, Note, OutlierTold,
    PassedOver, Policies, RateLimitTold, Redirected, Rejection, RetriesTold, ShedTold, Target,
    ThrottleTold,
};

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;

use crate::compile::CompileError;
use crate::registry::{Hostname, Mesh, Registry};
use crate::table::{
    Action, Cluster, DirectResponse, Fault, Mirror, Redirect, RequestView, Route, RouteAction,
    VirtualHost, WeightedCluster,
};
use crate::translate::index::Index;
use crate::translate::{BLACK_HOLE, Caller};
use decided::Source;
use executed::Executed;
use notes::Notes;

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
    let view = asked.view();
    let notes = Notes {
        mesh,
        sender,
        asked,
    };
    let Some(host) = executed.routes().find_host(view.authority) else {
        told.rejected_by = Some(no_route("no virtual host has this authority"));
        notes.of_stranger(&mut told.notes);
        return Ok(told);
    };
    told.virtual_host = Some(host.name.to_string());
    let sources = dye::sources(mesh, sender, view.authority)?;
    let place = host.routes.iter().position(|it| it.matcher.matches(&view));
    let before = &host.routes[..place.unwrap_or(host.routes.len())];
    told.passed_over = passed_over(before, &sources, &view);
    let service = service_of(mesh, host);
    let mut written = sources.iter().flatten();
    let document = written.next().map(|source| source.document());
    match &service {
        Some(service) => notes.of_service(service, document, &mut told.notes),
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

/// A request that has its route.
struct Telling<'a> {
    mesh: &'a Mesh,
    executed: &'a Executed,
    notes: &'a Notes<'a>,
    /// Where the route is written; `None` if nowhere.
    source: Option<&'a Source<'a>>,
    host: &'a VirtualHost,
    route: &'a Route,
    view: RequestView<'a>,
}

impl Telling<'_> {
    fn tell(&self, told: &mut Explanation) -> Result<(), CompileError> {
        let route = self.route;
        told.route = Some(route_name(route, self.source));
        if let Some(source) = self.source {
            source.decided(&self.host.name, route, &mut told.decided_by);
        }
        let filters = &route.filters;
        told.policies.fault = filters.fault.as_deref().map(FaultTold::of);
        told.policies.cors = {
            let cors = filters.cors.as_deref();
            cors.map(|cors| CorsTold::of(cors, &self.view))
        };
        told.policies.request_headers = headers::told(&route.request_headers);
        told.policies.response_headers = headers::told(&route.response_headers);
        let cors = told.policies.cors.as_ref();
        match &route.action {
            // Source: Istio's order of filters: what routes do comes after.
            _ if cors.and_then(|cors| cors.answered) == Some(true) => {
                told.direct_response = Some(Answer {
                    status: 200,
                    body: String::new(),
                });
            }
            Action::Respond(direct) => self.respond(direct, told),
            Action::Redirect(redirect) => self.redirect(redirect, told),
            Action::Forward(action) => self.forward(action, told)?,
        }
        // Faults come before all that a route does. Source: Istio's order of filters.
        let fault = filters.fault.as_deref();
        if let Some(aborted) = fault.and_then(|fault| self.aborted(fault)) {
            told.rejected_by = Some(aborted);
        }
        Ok(())
    }

    fn aborted(&self, fault: &Fault) -> Option<Rejection> {
        let meant = fault.upstream_cluster.is_none()
            && fault
                .headers
                .iter()
                .all(|header| header.matches(&self.view));
        let (abort, share) = fault.abort.as_ref()?;
        let all = share.numerator >= share.denominator;
        (meant && all).then(|| Rejection::fault(*abort))
    }

    fn respond(&self, direct: &DirectResponse, told: &mut Explanation) {
        told.direct_response = Some(Answer::of(direct));
        // What no document asks for is the mesh's own refusal of hosts that it does not have.
        if self.source.is_none() {
            told.rejected_by = Some(Rejection {
                flags: None,
                status: direct.status,
                details: "direct_response".into(),
                because: "no service has this host, and the mesh lets nothing else out".into(),
            });
        }
    }

    fn redirect(&self, redirect: &Redirect, told: &mut Explanation) {
        let view = &self.view;
        let location = redirect.location(view.scheme, view.authority, view.path);
        told.redirect = Some(Redirected {
            status: redirect.status,
            location: String::from_utf8_lossy(&location).into_owned(),
        });
    }

    fn forward(&self, action: &RouteAction, told: &mut Explanation) -> Result<(), CompileError> {
        told.timeout_ms = action.timeout.map(millis);
        told.retries = action.retry.as_ref().and_then(RetriesTold::of);
        let mirrors = action.mirrors.iter();
        told.policies.mirrors = mirrors.map(|mirror| self.mirror(mirror)).collect();
        let path = self.path(action);
        told.path = Some(path.as_deref().unwrap_or(self.view.path).to_owned());
        let chosen = match action.targets() {
            [only] => Some(only),
            _ => {
                let random = action.random_header.as_ref();
                told.split_by = random.map(ToString::to_string);
                let number = action.number_of(self.view.headers);
                number.map(|number| action.target(number))
            }
        };
        let targets: Vec<Target> = action
            .targets()
            .iter()
            .map(|target| self.target(action, target, told))
            .collect::<Result<_, _>>()?;
        if !self.executed.knows_endpoints() {
            self.notes.of_selectors(&mut told.notes);
        }
        told.rejected_by = match (&path, chosen) {
            (None, _) => Some(bad_path()),
            (Some(_), Some(chosen)) => {
                let chosen = targets.iter().find(|it| it.cluster == *chosen.cluster);
                chosen.and_then(|it| it.rejected_by.clone())
            }
            (Some(_), None) => all_rejected(&targets),
        };
        match chosen {
            Some(chosen) => {
                told.cluster = Some(chosen.cluster.to_string());
                told.host = Some(self.sent_host(action, chosen));
                if let Some(it) = targets.iter().find(|it| it.cluster == *chosen.cluster) {
                    told.endpoints.clone_from(&it.endpoints);
                    told.inbound.clone_from(&it.inbound);
                    told.policies.cluster.clone_from(&it.policies);
                    told.policies.request_headers =
                        [&*it.request_headers, &*told.policies.request_headers].concat();
                    told.policies.response_headers =
                        [&*it.response_headers, &*told.policies.response_headers].concat();
                }
            }
            None => {
                let mut hosts = targets.iter().map(|it| &it.host);
                let first = hosts.next().cloned();
                // Told for all of them only where it is the same for all of them.
                told.host = first.filter(|first| hosts.all(|host| host == first));
            }
        }
        if action.is_split() {
            told.weighted_clusters = Some(targets);
        }
        Ok(())
    }

    fn mirror(&self, mirror: &Mirror) -> MirrorTold {
        let targets = mirror.action.targets().iter();
        let rejections: Vec<Option<Rejection>> = targets
            .map(|target| self.rejection(&mirror.action, target))
            .collect();
        let all = rejections.iter().all(Option::is_some);
        MirrorTold::of(
            mirror,
            rejections.into_iter().next().flatten().filter(|_| all),
        )
    }

    /// Why nothing that goes to a destination arrives.
    fn rejection(&self, action: &RouteAction, target: &WeightedCluster) -> Option<Rejection> {
        let found = self.found(&target.cluster);
        let hosts = found.and_then(|found| self.executed.hosts(found));
        match (found, hosts) {
            (None, _) => Some(no_cluster(
                action.cluster_not_found,
                &missing(self.mesh, &target.cluster),
            )),
            (Some(_), Some([])) => Some(no_endpoint()),
            _ => None,
        }
    }

    fn found(&self, cluster: &str) -> Option<&Cluster> {
        let found = self.executed.cluster(cluster);
        found.filter(|_| cluster != BLACK_HOLE)
    }

    /// The path that is sent on; `None` if it is none that could be.
    fn path(&self, action: &RouteAction) -> Option<String> {
        let rewrite = action.rewrite.as_deref();
        let Some(path) = rewrite.and_then(|rewrite| rewrite.path.as_ref()) else {
            return Some(self.view.path.to_owned());
        };
        let new = PathAndQuery::try_from(path.apply(self.view.path)).ok()?;
        Some(new.to_string())
    }

    /// A route's host goes before a destination's own.
    fn sent_host(&self, action: &RouteAction, target: &WeightedCluster) -> String {
        let of_route = action.rewrite.as_deref().and_then(|it| it.host.as_ref());
        let own = target.headers.as_deref().and_then(|it| it.host.as_ref());
        match of_route.or(own) {
            Some(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
            None => self.view.authority.to_owned(),
        }
    }

    fn target(
        &self,
        action: &RouteAction,
        target: &WeightedCluster,
        told: &mut Explanation,
    ) -> Result<Target, CompileError> {
        let name = Arc::clone(&target.cluster);
        upstream::of_cluster(self.mesh, &name, &mut told.decided_by);
        self.notes.of_cluster(&name, &mut told.notes);
        let found = self.found(&name);
        let endpoints = found.and_then(|found| self.executed.endpoints(found));
        let hosts = found.and_then(|found| self.executed.hosts(found));
        let hosts = || hosts.unwrap_or_default().iter();
        let addresses = hosts().map(|host| host.address.ip());
        upstream::of_inbound(self.mesh, &name, addresses, &mut told.decided_by);
        let headers = target.headers.as_deref();
        Ok(Target {
            cluster: name.to_string(),
            weight: target.weight,
            host: self.sent_host(action, target),
            endpoints,
            policies: found.map(|found| cluster::policies(found, action, &self.view)),
            inbound: inbound::told(self.mesh, hosts())?,
            request_headers: headers.map_or_else(Vec::new, |it| headers::lines(&it.request)),
            response_headers: headers.map_or_else(Vec::new, |it| headers::lines(&it.response)),
            rejected_by: self.rejection(action, target),
        })
    }
}

/// What there is not of a cluster, in words.
fn missing(mesh: &Mesh, cluster: &str) -> String {
    let Some((port, subset, host)) = decided::parts_of(cluster) else {
        return "the cluster does not exist".into();
    };
    let Some(service) = mesh.registry.service(host) else {
        return format!("the cluster does not exist: there is no service `{host}`");
    };
    let mut ports = service.ports.iter().map(|known| known.number.to_string());
    if !ports.any(|known| known == port) {
        let all: Vec<String> = service
            .ports
            .iter()
            .map(|it| it.number.to_string())
            .collect();
        return format!(
            "the cluster does not exist: `{host}` has no port {port}, but {}",
            all.join(", ")
        );
    }
    let rule = Index::new(mesh).rule(&service.hostname, &service.namespace);
    let known: Vec<&str> = rule.subsets.iter().map(|it| it.name.as_str()).collect();
    let known = match known.as_slice() {
        [] => "none has any".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    format!(
        "the cluster does not exist: no DestinationRule of `{host}` has a subset `{subset}`; {known}"
    )
}

/// What refuses a split request for sure: all of its destinations.
fn all_rejected(targets: &[Target]) -> Option<Rejection> {
    let mut rejections = targets.iter().map(|target| target.rejected_by.as_ref());
    let first = rejections.next()??;
    rejections
        .all(|other| other.is_some())
        .then(|| first.clone())
}

fn no_route(because: &str) -> Rejection {
    Rejection::of("NR", 404, "route_not_found", because)
}

fn no_cluster(status: u16, because: &str) -> Rejection {
    Rejection::of("NC", status, "cluster_not_found", because)
}

fn no_endpoint() -> Rejection {
    let because = "the cluster has no endpoint";
    Rejection::of("UH", 503, "no_healthy_upstream", because)
}

fn bad_path() -> Rejection {
    Rejection {
        flags: None,
        status: 400,
        details: "path_normalization_failed".into(),
        because: "what the rewrite makes of the path is none".into(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
