//! Finds a request's route: virtual host by authority, then the first route that matches.

use http::Method;
use shakedown_xds::table::{Route, Routes, Table, VirtualHost};

use crate::request_head::RequestHead;
use crate::respond::LocalReply;

/// The virtual host and the route of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatchedRoute<'t> {
    pub(crate) host: &'t VirtualHost,
    pub(crate) route: &'t Route,
}

/// The route of a request among those of its listener; `None` if none matches.
pub(crate) fn find<'t>(
    table: &'t Table,
    routes: &'t Routes,
    head: &RequestHead,
) -> Result<Option<MatchedRoute<'t>>, LocalReply> {
    let view = head.view()?;
    if head.parts.method == Method::CONNECT {
        // Only a route with a CONNECT matcher would match, and the route table has no such matcher.
        return Ok(None);
    }
    // `OPTIONS *`. Source: Envoy, `ConnectionManagerImpl::ActiveStream::decodeHeaders`.
    if !view.path.starts_with('/') {
        return Err(LocalReply::NoPath);
    }
    let routes = match routes {
        Routes::Inline(routes) => routes,
        Routes::Named(name) => match table.routes.get(name) {
            Some(routes) => routes,
            None => return Ok(None),
        },
    };
    let Some(host) = routes.find_host(view.authority) else {
        return Ok(None);
    };
    let route = host.route(&view);
    Ok(route.map(|route| MatchedRoute { host, route }))
}
