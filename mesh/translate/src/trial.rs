//! A trial compilation of the mesh's documents, which finds the resources that a proxy would reject and the lines
//! that cause them.
//!
//! Each document is first tried alone, for all callers, ports and protocols at once, so that each error has a source
//! position. Errors that only a combination of documents causes are then searched for in the full configuration of
//! each kind of caller.

mod part;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use shakedown_istio::in_force;
use shakedown_istio::registry::{
    FIRST_APP_PORT, InboundPort, Mesh, MeshOptions, Port, PortProtocol, Registry, Service,
};
use shakedown_istio::{
    Canary, Destination, DestinationRule, Document, DocumentKey, HttpRoute, ProxyPolicy, Resource,
    RouteDestination, TrafficPolicy, VirtualService,
};
use shakedown_xds::compile::{
    CompileError, compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_xds::proto::route::{Route, RouteConfiguration, VirtualHost};
use shakedown_xds::proto::{Resource as Sent, cluster, endpoint};
use shakedown_yaml::{Location, Spanned};

use super::cluster_policy::ClusterPolicy;
use super::clusters;
use super::export::all_kinds_of_callers;
use super::inbound;
use super::index::Index;
use super::rules::MergedRule;
use super::sidecar_scope::SidecarScope;
use super::{balancing, policies, routes};

/// The port of a service for which documents set none.
const HTTP_PORT: u16 = 80;
/// The pod address used to try inbound policies.
const POD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A document that a proxy would reject.
#[derive(Debug)]
pub(crate) struct ProxyRefusal<'a> {
    pub(crate) document: &'a Document,
    pub(crate) place: Location,
    /// The path of the xDS field, and the error.
    pub(crate) problem: String,
}

/// Returns the documents that proxies would reject. With `changed`, only these documents, and the services that they
/// name, are tried. If the registry has no services, those that the documents name are used.
pub(crate) fn refused<'a>(
    mesh: &'a Mesh,
    changed: Option<&BTreeSet<DocumentKey>>,
) -> Vec<ProxyRefusal<'a>> {
    let index = Index::new(mesh);
    let mut all = Vec::new();
    let is_changed =
        |document: &&Document| changed.is_none_or(|keys| keys.contains(&document.key()));
    for document in in_force(&mesh.documents).filter(is_changed) {
        let mut trial = DocumentTrial {
            mesh,
            index: &index,
            found: Vec::new(),
        };
        match document {
            Document::VirtualService(resource) => trial.virtual_service(resource),
            Document::DestinationRule(resource) => trial.rule(&resource.spec),
            Document::Canary(resource) => trial.canary(resource),
            Document::ProxyPolicy(resource) => trial.policy(&resource.spec),
        }
        let found = trial.found.into_iter();
        all.extend(found.map(|(place, problem)| ProxyRefusal {
            document,
            place,
            problem,
        }));
    }
    if all.is_empty() {
        all.extend(together(mesh, changed));
    }
    all
}

/// The trial of a single document.
struct DocumentTrial<'t, 'a> {
    mesh: &'a Mesh,
    index: &'t Index<'a>,
    found: Vec<(Location, String)>,
}

impl DocumentTrial<'_, '_> {
    fn virtual_service(&mut self, resource: &Resource<VirtualService>) {
        for (place, route) in routes::all(self.mesh, self.index, resource) {
            let mut sent = alone(route);
            balancing::hash_routes(&mut sent, self.mesh, self.index);
            let within = "virtual_hosts[0].routes[0].";
            self.note(&place, within, compile_routes(&sent));
        }
    }

    fn rule(&mut self, spec: &Spanned<DestinationRule>) {
        let rule = MergedRule {
            policy: spec.traffic_policy.as_ref(),
            subsets: spec.subsets.iter().collect(),
            from: Vec::new(),
        };
        let of_subsets = spec
            .subsets
            .iter()
            .map(|subset| subset.traffic_policy.as_ref());
        let all = of_subsets.chain([spec.traffic_policy.as_ref()]).flatten();
        let ports: BTreeSet<u16> = all.flat_map(ports_of).chain([HTTP_PORT]).collect();
        for port in ports.iter().flat_map(|number| both_protocols(*number)) {
            let service = Service::new("any", "default", vec![port.clone()]);
            let all = clusters::of_port(&service, &port, &rule, &self.mesh.options);
            // The first cluster is that of the whole service.
            let whole = spec.traffic_policy.as_ref().and_then(TrafficPolicy::place);
            let subsets = spec.subsets.iter().map(|subset| &subset.place);
            let places = [whole.unwrap_or(&spec.place)].into_iter().chain(subsets);
            for (cluster, place) in all.iter().zip(places) {
                self.note(place, "", compile_cluster(&cluster.message));
            }
            let pool = ClusterPolicy::for_service(rule.policy, port.number).pool;
            if let Some(pool) = pool {
                let cluster = inbound::cluster(POD, inbound_port(&port), Some(&pool.value));
                self.note(&pool.place, "", compile_cluster(&cluster));
            }
        }
    }

    fn policy(&mut self, spec: &Spanned<ProxyPolicy>) {
        let port = Port::http(HTTP_PORT);
        if spec.selector.is_some() {
            let filters = policies::filters(&[spec]);
            let listener = inbound::inbound_listener(POD, inbound_port(&port), &filters);
            return self.note(&spec.place, "", compile_listener(&listener));
        }
        let service = Service::new("any", "default", vec![port.clone()]);
        let options = MeshOptions::default();
        for mut cluster in clusters::of_port(&service, &port, &MergedRule::default(), &options) {
            policies::apply(&mut cluster.message, &[spec]);
            self.note(&spec.place, "", compile_cluster(&cluster.message));
        }
    }

    /// Tries the routes and the traffic policy that a canary sets for its service.
    fn canary(&mut self, resource: &Resource<Canary>) {
        let spec = &resource.spec;
        let to = RouteDestination {
            destination: Destination {
                host: spec.service_name().clone(),
                subset: None,
                port: None,
            },
            weight: None,
            headers: None,
        };
        let route = HttpRoute {
            route: vec![Spanned::new(to, spec.place.clone())],
            r#match: spec.analysis.r#match.clone(),
            timeout: spec.service.timeout.clone(),
            retries: spec.service.retries.clone(),
            ..HttpRoute::default()
        };
        let routes = VirtualService {
            http: vec![Spanned::new(route, spec.place.clone())],
            ..VirtualService::default()
        };
        self.virtual_service(&Resource {
            meta: resource.meta.clone(),
            spec: Spanned::new(routes, spec.place.clone()),
            place: resource.place.clone(),
        });
        let rule = DestinationRule {
            host: spec.service_name().clone(),
            traffic_policy: spec.service.traffic_policy.clone(),
            subsets: Vec::new(),
            export_to: Vec::new(),
            workload_selector: None,
        };
        self.rule(&Spanned::new(rule, spec.place.clone()));
    }

    fn note<T>(&mut self, place: &Location, within: &str, result: Result<T, CompileError>) {
        let Err(CompileError { path, problem, .. }) = result else {
            return;
        };
        let path = path.strip_prefix(within).unwrap_or(&path);
        let found = (place.clone(), format!("`{path}`: {problem}"));
        if !self.found.contains(&found) {
            self.found.push(found);
        }
    }
}

/// Returns a route configuration that contains only this route.
fn alone(route: Route) -> RouteConfiguration {
    let host = VirtualHost {
        name: "any".into(),
        domains: vec!["*".into()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    routes::configuration(vec![host])
}

fn both_protocols(number: u16) -> [Port; 2] {
    let port = Port::http(number);
    let http2 = Port {
        protocol: PortProtocol::Http2,
        ..port.clone()
    };
    [port, http2]
}

fn ports_of(policy: &TrafficPolicy) -> impl Iterator<Item = u16> {
    let ports = policy.port_level_settings.iter();
    ports.map(|port| port.port.number.value)
}

fn inbound_port(port: &Port) -> InboundPort {
    InboundPort {
        service: port.number,
        app: FIRST_APP_PORT,
        protocol: port.protocol,
    }
}

/// Finds an error in the combination of all documents. The first document without which the error does not occur is
/// reported.
fn together<'a>(
    mesh: &'a Mesh,
    changed: Option<&BTreeSet<DocumentKey>>,
) -> Option<ProxyRefusal<'a>> {
    let mut whole = match changed {
        Some(changed) => part::touched(mesh, changed),
        None => mesh.clone(),
    };
    if mesh.registry.services.is_empty() {
        whole.registry = Registry::named_by(&whole.documents, HTTP_PORT);
    }
    let error = snapshot(&whole).err()?;
    let without = |document: &Document| {
        let mut rest = whole.clone();
        rest.documents.retain(|other| other.key() != document.key());
        snapshot(&rest).err() != Some(error.clone())
    };
    let document = in_force(&mesh.documents).find(|document| without(document))?;
    let CompileError { path, problem, .. } = error;
    Some(ProxyRefusal {
        document,
        place: document.place().clone(),
        problem: format!("`{path}`: {problem}"),
    })
}

/// Compiles the configuration of each kind of caller.
fn snapshot(mesh: &Mesh) -> Result<(), CompileError> {
    let shared = super::outbound(mesh);
    for caller in all_kinds_of_callers(mesh) {
        let scope = SidecarScope::for_caller(mesh, &caller);
        let own = super::outbound_of(mesh, &scope, &caller).outbound;
        for sent in shared.clusters.iter().chain(&own.clusters) {
            compile_cluster(&message::<cluster::Cluster>(sent))?;
        }
        for sent in shared.endpoints.iter().chain(&own.endpoints) {
            compile_endpoints(&message::<endpoint::ClusterLoadAssignment>(sent))?;
        }
        let routes = super::routes_for(mesh, &caller);
        compile_routes(&message::<RouteConfiguration>(&routes))?;
    }
    Ok(())
}

fn message<M: prost::Message + prost::Name + Default>(sent: &Sent) -> M {
    sent.message()
        .expect("translation packs each message with its own type")
}

#[cfg(test)]
mod tests;
