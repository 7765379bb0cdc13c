//! Finds a request's route: virtual host by authority, then the first route that matches.

use http::Method;
use http::header::HOST;
use http::request::Parts;
use shakedown_wire::path_of;
use shakedown_xds::table::{RequestView, Route, Routes, Table, VirtualHost};

use crate::respond::Reject;

/// A request's place in the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'t> {
    pub(crate) host: &'t VirtualHost,
    pub(crate) route: &'t Route,
}

/// The route of a request among those of its listener; `None` if none takes it.
pub(crate) fn find<'t>(
    table: &'t Table,
    routes: &'t Routes,
    head: &Parts,
    scheme: &'static str,
) -> Result<Option<Found<'t>>, Reject> {
    let view = view(head, scheme)?;
    if head.method == Method::CONNECT {
        // Only a route that asks for it would take it, and there are none.
        return Ok(None);
    }
    // `OPTIONS *`. Source: Envoy, `ConnectionManagerImpl::ActiveStream::decodeHeaders`.
    if !view.path.starts_with('/') {
        return Err(Reject::NoPath);
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
    Ok(route.map(|route| Found { host, route }))
}

/// What routes, filters and values look at of a request.
pub(crate) fn view<'a>(head: &'a Parts, scheme: &'a str) -> Result<RequestView<'a>, Reject> {
    Ok(RequestView {
        method: head.method.as_str(),
        path: path_of(head),
        authority: authority(head)?,
        scheme,
        headers: &head.headers,
    })
}

/// Whom the request is for: the target's authority where it has one, else the `host` header.
/// Source: RFC 9112, section 3.2.2.
pub(crate) fn authority(head: &Parts) -> Result<&str, Reject> {
    if let Some(authority) = head.uri.authority() {
        return Ok(authority.as_str());
    }
    let host = head.headers.get(HOST).ok_or(Reject::BadAuthority)?;
    // An empty one is none that anybody has, but it is there.
    host.to_str().map_err(|_| Reject::BadAuthority)
}
