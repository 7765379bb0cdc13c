//! Tracing of compiled routes back to their lines of YAML.
//!
//! Translation does not keep source positions. Here it is repeated with each route and condition of the documents
//! renamed to a tag that contains its position, and the same virtual host is looked up in the result. Because names
//! have no effect on routing, the routes are the same and in the same order. The name of each route identifies its
//! source, regardless of merging and omissions.

use shakedown_istio::registry::Mesh;
use shakedown_istio::{Document, Resource, VirtualService};
use shakedown_xds::compile::CompileError;

use super::decided::{RoutePosition, RouteSource};
use super::executed;
use super::sender::SenderWorkload;

/// The prefix of a tag.
const MARK: char = '#';
/// The separator between the names of a root and its delegate. Source: Istio, `mergeHTTPRoute`.
const DELEGATED: char = '-';
/// The separator between the names of a route and its condition.
const MATCHED: char = '.';

/// Returns the sources of the routes in an authority's virtual host, in order. `None` for a route that is not from a
/// document.
pub(super) fn sources<'m>(
    mesh: &'m Mesh,
    sender: &SenderWorkload,
    authority: &str,
) -> Result<Vec<Option<RouteSource<'m>>>, CompileError> {
    let routes = executed::routes(&tagged(mesh), sender)?;
    let host = routes.find_host(authority);
    let all = host.map_or(&[][..], |host| &host.routes);
    Ok(all.iter().map(|route| read(mesh, &route.name)).collect())
}

/// Returns the mesh with every route and condition tagged by its position.
fn tagged(mesh: &Mesh) -> Mesh {
    let mut mesh = mesh.clone();
    for (number, document) in mesh.documents.iter_mut().enumerate() {
        let Document::VirtualService(resource) = document else {
            continue;
        };
        for (index, route) in resource.spec.value.http.iter_mut().enumerate() {
            route.value.name = Some(format!("{MARK}{number}:{index}"));
            for (at, condition) in route.value.r#match.iter_mut().enumerate() {
                condition.value.name = Some(format!("{MARK}{number}:{index}:{at}"));
            }
        }
    }
    mesh
}

/// Parses a tag. `None` if the name is not a tag.
fn read<'m>(mesh: &'m Mesh, name: &str) -> Option<RouteSource<'m>> {
    let (routes, conditions) = match name.split_once(MATCHED) {
        Some((routes, conditions)) => (routes, Some(conditions)),
        None => (name, None),
    };
    let mut routes = routes.split(DELEGATED).map(|name| at(mesh, name));
    let root = routes.next()??;
    let taken = match routes.next() {
        Some(taken) => Some(taken?),
        None => None,
    };
    let conditions = conditions
        .into_iter()
        .flat_map(|names| names.split(DELEGATED));
    let conditions = conditions.map(|name| condition(mesh, name));
    RouteSource::new(root, taken, conditions.collect::<Option<_>>()?)
}

fn at<'m>(mesh: &'m Mesh, name: &str) -> Option<RoutePosition<'m>> {
    let (document, route) = name.strip_prefix(MARK)?.split_once(':')?;
    Some(RoutePosition {
        document: virtual_service(mesh, document)?,
        route: route.parse().ok()?,
    })
}

fn condition<'m>(mesh: &'m Mesh, name: &str) -> Option<(RoutePosition<'m>, usize)> {
    let (route, condition) = name.rsplit_once(':')?;
    Some((at(mesh, route)?, condition.parse().ok()?))
}

fn virtual_service<'m>(mesh: &'m Mesh, number: &str) -> Option<&'m Resource<VirtualService>> {
    match mesh.documents.get(number.parse::<usize>().ok()?)? {
        Document::VirtualService(resource) => Some(resource),
        _ => None,
    }
}
