//! The explanation of a request from its route on.

use std::sync::Arc;

use http::uri::PathAndQuery;
use shakedown_istio::registry::Mesh;
use shakedown_translate::rules::Rules;
use shakedown_translate::{BLACK_HOLE, Caller};
use shakedown_xds::compile::CompileError;
use shakedown_xds::table::{
    Cluster, DirectResponse, Fault, Mirror, Redirect, RequestView, Route, RouteAction,
    RouteActionKind, VirtualHost, WeightedCluster,
};

use super::decided::{self, RouteSource, route_name};
use super::executed::Executed;
use super::notes::{self, Notes};
use super::view::{
    CorsView, DirectResponseView, Explanation, FaultView, MirrorView, Redirected, RejectionView,
    RetriesView, TargetView, millis,
};
use super::{cluster, headers, inbound, upstream};

/// A request with its matched route.
pub(super) struct RoutedRequest<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) executed: &'a Executed,
    pub(super) notes: &'a Notes<'a>,
    /// The source of the route. `None` if it is not from a document.
    pub(super) source: Option<&'a RouteSource<'a>>,
    pub(super) host: &'a VirtualHost,
    pub(super) route: &'a Route,
    pub(super) view: RequestView<'a>,
}

impl RoutedRequest<'_> {
    pub(super) fn tell(&self, told: &mut Explanation) -> Result<(), CompileError> {
        let route = self.route;
        told.route = Some(route_name(route, self.source));
        if let Some(source) = self.source {
            source.decided(&self.host.name, route, &mut told.decided_by);
        }
        let filters = &route.filters;
        told.policies.fault = filters.fault.as_deref().map(FaultView::new);
        told.policies.cors = {
            let cors = filters.cors.as_deref();
            cors.map(|cors| CorsView::new(cors, &self.view))
        };
        told.policies.request_headers = headers::told(&route.request_headers);
        told.policies.response_headers = headers::told(&route.response_headers);
        let cors = told.policies.cors.as_ref();
        match &route.action {
            // The CORS filter responds before the router applies the route's action. Source: Istio's order of
            // filters.
            _ if cors.and_then(|cors| cors.answered) == Some(true) => {
                told.direct_response = Some(DirectResponseView {
                    status: 200,
                    body: String::new(),
                });
            }
            RouteActionKind::Respond(direct) => self.respond(direct, told),
            RouteActionKind::Redirect(redirect) => self.redirect(redirect, told),
            RouteActionKind::Forward(action) => self.forward(action, told)?,
        }
        // The fault filter runs before the others. Source: Istio's order of filters.
        let fault = filters.fault.as_deref();
        if let Some(aborted) = fault.and_then(|fault| self.aborted(fault)) {
            told.rejected_by = Some(aborted);
        }
        Ok(())
    }

    fn aborted(&self, fault: &Fault) -> Option<RejectionView> {
        let meant = fault.upstream_cluster.is_none()
            && fault
                .headers
                .iter()
                .all(|header| header.matches(&self.view));
        let (abort, share) = fault.abort.as_ref()?;
        let all = share.numerator >= share.denominator;
        (meant && all).then(|| RejectionView::fault(*abort))
    }

    fn respond(&self, direct: &DirectResponse, told: &mut Explanation) {
        told.direct_response = Some(DirectResponseView::new(direct));
        // A direct response without a source is the mesh's own rejection of unknown hosts.
        if self.source.is_none() {
            told.rejected_by = Some(RejectionView {
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
        told.retries = action.retry.as_deref().and_then(RetriesView::new);
        let mirrors = action.mirrors.iter();
        told.policies.mirrors = mirrors.map(|mirror| self.mirror(mirror)).collect();
        let path = self.path(action);
        told.path = Some(path.as_deref().unwrap_or(self.view.path).to_owned());
        let chosen = match action.targets() {
            [only] => Some(only),
            _ => {
                let random = action.random_header.as_deref();
                told.split_by = random.map(ToString::to_string);
                let number = action.number_of(self.view.headers);
                number.map(|number| action.target(number))
            }
        };
        let targets: Vec<TargetView> = action
            .targets()
            .iter()
            .map(|target| self.target(action, target, told))
            .collect::<Result<_, _>>()?;
        if !self.executed.knows_endpoints() {
            self.notes.of_selectors(&mut told.notes);
        }
        told.rejected_by = match (&path, chosen) {
            (None, _) => Some(RejectionView::bad_path(
                "what the rewrite makes of the path is none",
            )),
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
                // Only reported if it is the same for all clusters.
                told.host = first.filter(|first| hosts.all(|host| host == first));
            }
        }
        if action.is_split() {
            told.weighted_clusters = Some(targets);
        }
        Ok(())
    }

    fn mirror(&self, mirror: &Mirror) -> MirrorView {
        let targets = mirror.action.targets().iter();
        let rejections: Vec<Option<RejectionView>> = targets
            .map(|target| self.rejection(&mirror.action, target))
            .collect();
        let all = rejections.iter().all(Option::is_some);
        MirrorView::new(
            mirror,
            rejections.into_iter().next().flatten().filter(|_| all),
        )
    }

    /// Returns the reason why every request to a destination fails, if it does.
    fn rejection(&self, action: &RouteAction, target: &WeightedCluster) -> Option<RejectionView> {
        let found = self.found(&target.cluster);
        let hosts = found.and_then(|found| self.executed.hosts(found));
        match (found, hosts) {
            (None, _) => Some(no_cluster(
                action.cluster_not_found,
                &missing(self.mesh, &self.notes.sender.caller, &target.cluster),
            )),
            (Some(_), Some([])) => Some(no_endpoint()),
            _ => None,
        }
    }

    fn found(&self, cluster: &str) -> Option<&Cluster> {
        let found = self.executed.cluster(cluster);
        found.filter(|_| cluster != BLACK_HOLE)
    }

    /// Returns the path after rewrites, or `None` if it is not a valid path.
    fn path(&self, action: &RouteAction) -> Option<String> {
        let rewrite = action.rewrite.as_deref();
        let Some(path) = rewrite.and_then(|rewrite| rewrite.path.as_ref()) else {
            return Some(self.view.path.to_owned());
        };
        let new = PathAndQuery::try_from(path.apply(self.view.path)).ok()?;
        Some(new.to_string())
    }

    /// Returns the host sent upstream. A route's host rewrite takes precedence over a destination's.
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
    ) -> Result<TargetView, CompileError> {
        let name = Arc::clone(&target.cluster);
        let caller = &self.notes.sender.caller;
        upstream::of_cluster(self.mesh, caller, &name, &mut told.decided_by);
        self.notes.of_cluster(&name, &mut told.notes);
        let found = self.found(&name);
        let endpoints = found.and_then(|found| self.executed.endpoints(found));
        let hosts = found.and_then(|found| self.executed.hosts(found));
        let hosts = || hosts.unwrap_or_default().iter();
        let addresses = hosts().map(|host| host.address.ip());
        upstream::of_inbound(self.mesh, &name, addresses, &mut told.decided_by);
        let headers = target.headers.as_deref();
        let fails_over = hosts().any(|host| host.priority > 0);
        if let Some(found) = found {
            notes::of_ejections(found, hosts().count(), &mut told.notes);
        }
        Ok(TargetView {
            cluster: name.to_string(),
            weight: target.weight,
            host: self.sent_host(action, target),
            endpoints,
            policies: found.map(|found| cluster::policies(found, action, &self.view, fails_over)),
            inbound: inbound::told(self.mesh, hosts())?,
            request_headers: headers.map_or_else(Vec::new, |it| headers::lines(&it.request)),
            response_headers: headers.map_or_else(Vec::new, |it| headers::lines(&it.response)),
            rejected_by: self.rejection(action, target),
        })
    }
}

/// Describes the missing part of a cluster: the service, port or subset.
fn missing(mesh: &Mesh, caller: &Caller, cluster: &str) -> String {
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
    let rule = Rules::new(mesh).rule(caller, &service.hostname, &service.namespace);
    let known: Vec<&str> = rule.subsets.iter().map(|it| it.name.as_str()).collect();
    let known = match known.as_slice() {
        [] => "none has any".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    format!(
        "the cluster does not exist: no DestinationRule of `{host}` that holds for the caller has a subset `{subset}`; {known}"
    )
}

/// Returns the rejection of a split request, if all of its destinations are rejected.
fn all_rejected(targets: &[TargetView]) -> Option<RejectionView> {
    let mut rejections = targets.iter().map(|target| target.rejected_by.as_ref());
    let first = rejections.next()??;
    rejections
        .all(|other| other.is_some())
        .then(|| first.clone())
}

fn no_cluster(status: u16, because: &str) -> RejectionView {
    RejectionView::new("NC", status, "cluster_not_found", because)
}

fn no_endpoint() -> RejectionView {
    let because = "the cluster has no endpoint";
    RejectionView::new("UH", 503, "no_healthy_upstream", because)
}
