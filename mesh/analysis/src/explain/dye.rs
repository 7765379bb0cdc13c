//! Which lines of YAML a route was made of.
//!
//! Translation keeps no places, and need not: here it is done once more with every route and every condition of the
//! documents named by where it stands, and the same virtual host looked up in what comes out. Names decide nothing, so its
//! routes are the same ones in the same order, and the name of each tells where it comes from, through whatever merging and
//! leaving out there may be.

use shakedown_istio::registry::Mesh;
use shakedown_istio::{Document, Resource, VirtualService};
use shakedown_xds::compile::CompileError;

use super::Sender;
use super::decided::{At, Source};
use super::executed;

/// What a name of this kind begins with.
const MARK: char = '#';
/// What stands between the names of a root and of what it delegates to. Source: Istio, `mergeHTTPRoute`.
const DELEGATED: char = '-';
/// What stands between the names of a route and of its condition.
const MATCHED: char = '.';

/// Where the routes of an authority's virtual host are written, in their order; `None` for one that is none of the user's.
pub(super) fn sources<'m>(
    mesh: &'m Mesh,
    sender: &Sender,
    authority: &str,
) -> Result<Vec<Option<Source<'m>>>, CompileError> {
    let routes = executed::routes(&dyed(mesh), sender)?;
    let host = routes.find_host(authority);
    let all = host.map_or(&[][..], |host| &host.routes);
    Ok(all.iter().map(|route| read(mesh, &route.name)).collect())
}

/// The mesh with every route and condition named by where it stands.
fn dyed(mesh: &Mesh) -> Mesh {
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

/// Reads a name; `None` if it is not of this kind.
fn read<'m>(mesh: &'m Mesh, name: &str) -> Option<Source<'m>> {
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
    let conditions = conditions.into_iter().flat_map(|it| it.split(DELEGATED));
    let conditions = conditions.map(|name| condition(mesh, name));
    Source::new(root, taken, conditions.collect::<Option<_>>()?)
}

fn at<'m>(mesh: &'m Mesh, name: &str) -> Option<At<'m>> {
    let (document, route) = name.strip_prefix(MARK)?.split_once(':')?;
    Some(At {
        document: virtual_service(mesh, document)?,
        route: route.parse().ok()?,
    })
}

fn condition<'m>(mesh: &'m Mesh, name: &str) -> Option<(At<'m>, usize)> {
    let (route, condition) = name.rsplit_once(':')?;
    Some((at(mesh, route)?, condition.parse().ok()?))
}

fn virtual_service<'m>(mesh: &'m Mesh, number: &str) -> Option<&'m Resource<VirtualService>> {
    match mesh.documents.get(number.parse::<usize>().ok()?)? {
        Document::VirtualService(resource) => Some(resource),
        _ => None,
    }
}
