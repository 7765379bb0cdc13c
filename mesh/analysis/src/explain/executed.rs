//! The configuration that a sender's proxy executes, translated and compiled as for any proxy.

use std::sync::Arc;

use prost::{Message, Name};
use shakedown_istio::registry::{Mesh, SidecarPod};
use shakedown_translate::{InboundPolicy, LocalityInputs, SidecarScope};
use shakedown_xds::compile::{
    CompileError, compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_xds::proto::{Resource, cluster, endpoint, listener, route};
use shakedown_xds::table::{Cluster, ClusterKind, Host, Listener, RouteTable, Table};

use super::sender::SenderWorkload;
use super::view::EndpointView;

/// The outbound configuration of a sender's proxy.
pub(super) struct Executed {
    listener: Listener,
    routes: RouteTable,
    table: Table,
    /// True if the registry contains any endpoints.
    knows_endpoints: bool,
}

impl Executed {
    pub(super) fn new(mesh: &Mesh, sender: &SenderWorkload) -> Result<Executed, CompileError> {
        let pod = SidecarPod {
            address: sender.address,
            ports: Vec::new(),
        };
        let own = shakedown_translate::own(&pod, &InboundPolicy::default());
        let listener = own.listeners.first();
        let listener = listener.expect("every sidecar has an outbound listener");
        let mut table = Table::default();
        let caller = &sender.caller;
        let mut sent = shakedown_translate::outbound(mesh);
        let scope = SidecarScope::for_caller(mesh, caller);
        let own = shakedown_translate::outbound_of(mesh, &scope, caller);
        // Later resources replace earlier ones of the same name.
        sent.clusters
            .retain(|cluster| !own.absent.contains(&cluster.name));
        sent.clusters.extend(own.outbound.clusters);
        sent.endpoints.extend(own.outbound.endpoints);
        for sent in &sent.clusters {
            let cluster = compile_cluster(&message::<cluster::Cluster>(sent))?;
            table.clusters.put(Arc::new(cluster));
        }
        let inputs = LocalityInputs::for_caller(mesh, caller);
        let nearby = inputs.map(|inputs| {
            let client = inputs.client(mesh, sender.address);
            shakedown_translate::nearby(mesh, caller, &client)
        });
        for sent in sent.endpoints.iter().chain(nearby.iter().flatten()) {
            let message = message::<endpoint::ClusterLoadAssignment>(sent);
            let assignment = compile_endpoints(&message)?;
            table.endpoints.put(Arc::new(assignment));
        }
        let mut services = mesh.registry.services.values();
        Ok(Executed {
            listener: compile_listener(&message::<listener::Listener>(listener))?,
            routes: routes(mesh, sender)?,
            table,
            knows_endpoints: services.any(|service| !service.endpoints.is_empty()),
        })
    }

    pub(super) fn listener(&self) -> &str {
        &self.listener.name
    }

    /// Returns true if request paths are normalised before routing.
    pub(super) fn normalizes_path(&self) -> bool {
        self.listener.manager.normalize_path
    }

    pub(super) fn routes(&self) -> &RouteTable {
        &self.routes
    }

    pub(super) fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.table.clusters.get(name).map(|cluster| &**cluster)
    }

    /// Returns a cluster's endpoints, or `None` if they are unknown.
    pub(super) fn endpoints(&self, cluster: &Cluster) -> Option<Vec<EndpointView>> {
        Some(self.hosts(cluster)?.iter().map(EndpointView::new).collect())
    }

    /// Returns a cluster's hosts, or `None` if they are unknown.
    pub(super) fn hosts<'e>(&'e self, cluster: &'e Cluster) -> Option<&'e [Host]> {
        match &cluster.kind {
            ClusterKind::Eds(name) if self.knows_endpoints => {
                let found = self.table.endpoints.get(name);
                Some(found.map_or(&[][..], |assignment| &assignment.hosts))
            }
            ClusterKind::Static(assignment) => Some(&assignment.hosts),
            ClusterKind::Eds(_) | ClusterKind::OriginalDst => None,
        }
    }

    /// Returns true if the registry contains any endpoints.
    pub(super) fn knows_endpoints(&self) -> bool {
        self.knows_endpoints
    }
}

/// Returns the routes that a sender sees.
pub(super) fn routes(mesh: &Mesh, sender: &SenderWorkload) -> Result<RouteTable, CompileError> {
    let sent = shakedown_translate::routes_for(mesh, &sender.caller);
    compile_routes(&message::<route::RouteConfiguration>(&sent))
}

pub(super) fn message<M: Message + Name + Default>(sent: &Resource) -> M {
    sent.message()
        .expect("translation packs each message with its own type")
}
