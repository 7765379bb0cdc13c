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
mod told;

pub use asked::{Asked, AskedError};
pub use told::{
    Answer, BudgetTold, ClusterPolicies, CorsTold, Decision, EndpointTold, Explanation, FaultTold,
    HedgeTold, LimitsTold, MirrorTold, OutlierTold, Policies, Redirected, Rejection, RetriesTold,
    Target, ThrottleTold,
};

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;

use crate::compile::CompileError;
use crate::registry::{Mesh, Registry};
use crate::table::{
    Action, DirectResponse, Fault, Redirect, RequestView, Route, RouteAction, VirtualHost,
    WeightedCluster,
};
use crate::translate::{BLACK_HOLE, Caller};
use decided::Source;
use executed::Executed;

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
    let Some(host) = executed.routes().find_host(view.authority) else {
        told.rejected_by = Some(no_route("no virtual host has this authority"));
        return Ok(told);
    };
    told.virtual_host = Some(host.name.to_string());
    let Some(route) = host.route(&view) else {
        told.rejected_by = Some(no_route("none of the virtual host's routes takes it"));
        return Ok(told);
    };
    let source = dye::source(mesh, sender, &view)?;
    Telling {
        mesh,
        executed: &executed,
        source: source.as_ref(),
        host,
        route,
        view,
    }
    .tell(&mut told);
    Ok(told)
}

/// A request that has its route.
struct Telling<'a> {
    mesh: &'a Mesh,
    executed: &'a Executed,
    /// Where the route is written; `None` if nowhere.
    source: Option<&'a Source<'a>>,
    host: &'a VirtualHost,
    route: &'a Route,
    view: RequestView<'a>,
}

impl Telling<'_> {
    fn tell(&self, told: &mut Explanation) {
        let route = self.route;
        told.route = Some(self.route_name());
        if let Some(source) = self.source {
            source.decided(&self.host.name, route, &mut told.decided_by);
        }
        let filters = &route.filters;
        told.policies.fault = filters.fault.as_deref().map(FaultTold::of);
        told.policies.cors = filters.cors.as_deref().map(CorsTold::of);
        told.policies.request_headers = headers::told(&route.request_headers);
        told.policies.response_headers = headers::told(&route.response_headers);
        match &route.action {
            Action::Respond(direct) => self.respond(direct, told),
            Action::Redirect(redirect) => self.redirect(redirect, told),
            Action::Forward(action) => self.forward(action, told),
        }
        // Faults come before all that a route does. Source: Istio's order of filters.
        let fault = filters.fault.as_deref();
        if let Some(aborted) = fault.and_then(|fault| self.aborted(fault)) {
            told.rejected_by = Some(aborted);
        }
    }

    /// Its name, else the place in its document, else what translation calls it.
    fn route_name(&self) -> String {
        match self.source {
            Some(source) if self.route.name.is_empty() => source.field(),
            _ => self.route.name.to_string(),
        }
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

    fn forward(&self, action: &RouteAction, told: &mut Explanation) {
        told.timeout_ms = action.timeout.map(millis);
        told.retries = action.retry.as_ref().and_then(RetriesTold::of);
        told.policies.mirrors = action.mirrors.iter().map(|it| MirrorTold::of(it)).collect();
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
            .collect();
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
    ) -> Target {
        let name = Arc::clone(&target.cluster);
        decided::of_cluster(self.mesh, &name, &mut told.decided_by);
        let found = self
            .executed
            .cluster(&name)
            .filter(|_| &*name != BLACK_HOLE);
        let endpoints = found.and_then(|found| self.executed.endpoints(found));
        let rejected_by = match (found, &endpoints) {
            (None, _) => Some(no_cluster(action.cluster_not_found)),
            (Some(_), Some(endpoints)) if endpoints.is_empty() => Some(no_endpoint()),
            _ => None,
        };
        let headers = target.headers.as_deref();
        Target {
            cluster: name.to_string(),
            weight: target.weight,
            host: self.sent_host(action, target),
            endpoints,
            policies: found.map(|found| cluster::policies(found, action)),
            request_headers: headers.map_or_else(Vec::new, |it| headers::lines(&it.request)),
            response_headers: headers.map_or_else(Vec::new, |it| headers::lines(&it.response)),
            rejected_by,
        }
    }
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

fn no_cluster(status: u16) -> Rejection {
    Rejection::of(
        "NC",
        status,
        "cluster_not_found",
        "the cluster does not exist: no service has this port, or no DestinationRule this subset",
    )
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
