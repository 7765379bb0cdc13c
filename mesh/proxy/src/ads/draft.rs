//! The configuration as far as it has arrived: what compiles is put in, resource by resource.

use std::collections::BTreeSet;
use std::sync::Arc;

use shakedown_config::compile::{
    CompileError, compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_config::table::{ClusterKind, Routes, Table};
use shakedown_config::xds::protobuf::Any;
use shakedown_config::xds::{Kind, UnpackError, unpack};

/// A table in the making. What is in force is a copy of it (of pointers).
#[derive(Debug, Default)]
pub(super) struct Draft {
    table: Table,
}

/// Why a resource is not put in.
#[derive(Debug, thiserror::Error)]
pub(super) enum PutError {
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error("{path}: {problem}", path = .0.path, problem = .0.problem)]
    Compile(#[from] CompileError),
    #[error("it is named {inside} inside")]
    Name { inside: String },
}

impl Draft {
    /// Puts a resource in the place of its predecessor, which stays when this one is bad.
    pub(super) fn put(&mut self, kind: Kind, name: &str, body: &Any) -> Result<(), PutError> {
        match kind {
            Kind::Cluster => {
                let cluster = compile_cluster(&unpack(body)?)?;
                let key = same(name, &cluster.name)?;
                self.table.clusters.insert(key, Arc::new(cluster));
            }
            Kind::Endpoints => {
                let assignment = compile_endpoints(&unpack(body)?)?;
                let key = same(name, &assignment.name)?;
                self.table.endpoints.insert(key, Arc::new(assignment));
            }
            Kind::Listener => {
                let listener = compile_listener(&unpack(body)?)?;
                let key = same(name, &listener.name)?;
                self.table.listeners.insert(key, Arc::new(listener));
            }
            Kind::Routes => {
                let routes = compile_routes(&unpack(body)?)?;
                let key = same(name, &routes.name)?;
                self.table.routes.insert(key, Arc::new(routes));
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        match kind {
            Kind::Cluster => drop(self.table.clusters.remove(name)),
            Kind::Endpoints => drop(self.table.endpoints.remove(name)),
            Kind::Listener => drop(self.table.listeners.remove(name)),
            Kind::Routes => drop(self.table.routes.remove(name)),
        }
    }

    /// The names under which the clusters' endpoints are asked for.
    pub(super) fn assignments_wanted(&self) -> BTreeSet<String> {
        let name = |kind: &ClusterKind| match kind {
            ClusterKind::Eds(name) => Some(name.to_string()),
            ClusterKind::Static(_) | ClusterKind::OriginalDst => None,
        };
        self.table
            .clusters
            .values()
            .filter_map(|cluster| name(&cluster.kind))
            .collect()
    }

    /// The names of the listeners' route configurations.
    pub(super) fn routes_wanted(&self) -> BTreeSet<String> {
        let name = |routes: &Routes| match routes {
            Routes::Named(name) => Some(name.to_string()),
            Routes::Inline(_) => None,
        };
        self.table
            .listeners
            .values()
            .filter_map(|listener| name(&listener.routes))
            .collect()
    }

    pub(super) fn table(&self) -> Table {
        self.table.clone()
    }
}

/// The name inside the resource, if it is the one that it was sent under.
fn same(name: &str, inside: &Arc<str>) -> Result<Arc<str>, PutError> {
    if name == &**inside {
        return Ok(Arc::clone(inside));
    }
    Err(PutError::Name {
        inside: inside.to_string(),
    })
}
