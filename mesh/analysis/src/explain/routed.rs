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
    pub(super) fn explain(&self, explanation: &mut Explanation) -> Result<(), CompileError> {
        let route = self.route;
        explanation.route = Some(route_name(route, self.source));
        if let Some(source) = self.source {
            source.decided(&self.host.name, route, &mut explanation.decided_by);
        }
        let filters = &route.filters;
        explanation.policies.fault = filters.fault.as_deref().map(FaultView::new);
        explanation.policies.cors = {
            let cors = filters.cors.as_deref();
            cors.map(|cors| CorsView::new(cors, &self.view))
        };
        explanation.policies.request_headers = headers::describe(&route.request_headers);
        explanation.policies.response_headers = headers::describe(&route.response_headers);
        let cors = explanation.policies.cors.as_ref();
        match &route.action {
            // The CORS filter responds before the router applies the route's action. Source: Istio's order of
            // filters.
            _ if cors.and_then(|cors| cors.answered) == Some(true) => {
                explanation.direct_response = Some(DirectResponseView {
                    status: 200,
                    body: String::new(),
                });
            }
            RouteActionKind::Respond(direct) => self.respond(direct, explanation),
            RouteActionKind::Redirect(redirect) => self.redirect(redirect, explanation),
            RouteActionKind::Forward(action) => self.forward(action, explanation)?,
        }
        // The fault filter runs before the others. Source: Istio's order of filters.
        let fault = filters.fault.as_deref();
        if let Some(aborted) = fault.and_then(|fault| self.aborted(fault)) {
            explanation.rejected_by = Some(aborted);
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

    fn respond(&self, direct: &DirectResponse, explanation: &mut Explanation) {
        explanation.direct_response = Some(DirectResponseView::new(direct));
        // A direct response without a source is the mesh's own rejection of unknown hosts.
        if self.source.is_none() {
            explanation.rejected_by = Some(RejectionView {
                flags: None,
                status: direct.status,
                details: "direct_response".into(),
                because: "no service has this host, and the mesh allows no other outbound traffic"
                    .into(),
            });
        }
    }

    fn redirect(&self, redirect: &Redirect, explanation: &mut Explanation) {
        let view = &self.view;
        let location = redirect.location(view.scheme, view.authority, view.path);
        explanation.redirect = Some(Redirected {
            status: redirect.status,
            location: String::from_utf8_lossy(&location).into_owned(),
        });
    }

    fn forward(
        &self,
        action: &RouteAction,
        explanation: &mut Explanation,
    ) -> Result<(), CompileError> {
        explanation.timeout_ms = action.timeout.map(millis);
        explanation.retries = action.retry.as_deref().and_then(RetriesView::new);
        let mirrors = action.mirrors.iter();
        explanation.policies.mirrors = mirrors.map(|mirror| self.mirror(mirror)).collect();
        let path = self.path(action);
        explanation.path = Some(path.as_deref().unwrap_or(self.view.path).to_owned());
        let chosen = match action.targets() {
            [only] => Some(only),
            _ => {
                let random = action.random_header.as_deref();
                explanation.split_by = random.map(ToString::to_string);
                let number = action.number_of(self.view.headers);
                number.map(|number| action.target(number))
            }
        };
        let targets: Vec<TargetView> = action
            .targets()
            .iter()
            .map(|target| self.target(action, target, explanation))
            .collect::<Result<_, _>>()?;
        if !self.executed.knows_endpoints() {
            self.notes.of_selectors(&mut explanation.notes);
        }
        explanation.rejected_by = match (&path, chosen) {
            (None, _) => Some(RejectionView::bad_path("the rewritten path is invalid")),
            (Some(_), Some(chosen)) => {
                let chosen = targets
                    .iter()
                    .find(|target| target.cluster == *chosen.cluster);
                chosen.and_then(|target| target.rejected_by.clone())
            }
            (Some(_), None) => all_rejected(&targets),
        };
        match chosen {
            Some(chosen) => {
                explanation.cluster = Some(chosen.cluster.to_string());
                explanation.host = Some(self.sent_host(action, chosen));
                if let Some(target) = targets
                    .iter()
                    .find(|target| target.cluster == *chosen.cluster)
                {
                    explanation.endpoints.clone_from(&target.endpoints);
                    explanation.inbound.clone_from(&target.inbound);
                    explanation.policies.cluster.clone_from(&target.policies);
                    explanation.policies.request_headers = [
                        &*target.request_headers,
                        &*explanation.policies.request_headers,
                    ]
                    .concat();
                    explanation.policies.response_headers = [
                        &*target.response_headers,
                        &*explanation.policies.response_headers,
                    ]
                    .concat();
                }
            }
            None => {
                let mut hosts = targets.iter().map(|target| &target.host);
                let first = hosts.next().cloned();
                // Only reported if it is the same for all clusters.
                explanation.host = first.filter(|first| hosts.all(|host| host == first));
            }
        }
        if action.is_split() {
            explanation.weighted_clusters = Some(targets);
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
        let of_route = action
            .rewrite
            .as_deref()
            .and_then(|rewrite| rewrite.host.as_ref());
        let own = target
            .headers
            .as_deref()
            .and_then(|headers| headers.host.as_ref());
        match of_route.or(own) {
            Some(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
            None => self.view.authority.to_owned(),
        }
    }

    fn target(
        &self,
        action: &RouteAction,
        target: &WeightedCluster,
        explanation: &mut Explanation,
    ) -> Result<TargetView, CompileError> {
        let name = Arc::clone(&target.cluster);
        let caller = &self.notes.sender.caller;
        upstream::of_cluster(self.mesh, caller, &name, &mut explanation.decided_by);
        self.notes.of_cluster(&name, &mut explanation.notes);
        let found = self.found(&name);
        let endpoints = found.and_then(|found| self.executed.endpoints(found));
        let hosts = found.and_then(|found| self.executed.hosts(found));
        let hosts = || hosts.unwrap_or_default().iter();
        let addresses = hosts().map(|host| host.address.ip());
        upstream::of_inbound(self.mesh, &name, addresses, &mut explanation.decided_by);
        let headers = target.headers.as_deref();
        let fails_over = hosts().any(|host| host.priority > 0);
        if let Some(found) = found {
            notes::of_ejections(found, hosts().count(), &mut explanation.notes);
        }
        Ok(TargetView {
            cluster: name.to_string(),
            weight: target.weight,
            host: self.sent_host(action, target),
            endpoints,
            policies: found.map(|found| cluster::policies(found, action, &self.view, fails_over)),
            inbound: inbound::policies(self.mesh, hosts())?,
            request_headers: headers
                .map_or_else(Vec::new, |changes| headers::lines(&changes.request)),
            response_headers: headers
                .map_or_else(Vec::new, |changes| headers::lines(&changes.response)),
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
            .map(|port| port.number.to_string())
            .collect();
        return format!(
            "the cluster does not exist: `{host}` has no port {port}; it has {}",
            all.join(", ")
        );
    }
    let rule = Rules::new(mesh).rule(caller, &service.hostname, &service.namespace);
    let known: Vec<&str> = rule
        .subsets
        .iter()
        .map(|subset| subset.name.as_str())
        .collect();
    let known = match known.as_slice() {
        [] => "no subsets are defined".to_owned(),
        known => format!("known subsets: {}", known.join(", ")),
    };
    format!(
        "the cluster does not exist: no DestinationRule of `{host}` that applies to the caller has a subset `{subset}`; {known}"
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
    let because = "the cluster has no endpoints";
    RejectionView::new("UH", 503, "no_healthy_upstream", because)
}
