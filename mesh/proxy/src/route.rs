//! Finds a request's route: virtual host by authority, then the first route that matches.

use http::header::HOST;
use http::request::Parts;
use shakedown_config::table::{RequestView, Route, Routes, Table, VirtualHost};

use crate::respond::Reject;

/// A request's place in the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'t> {
    pub(crate) host: &'t VirtualHost,
    pub(crate) route: &'t Route,
}

/// The route of a request among those of its listener.
pub(crate) fn find<'t>(
    table: &'t Table,
    routes: &'t Routes,
    head: &Parts,
) -> Result<Found<'t>, Reject> {
    let authority = authority(head)?;
    let routes = match routes {
        Routes::Inline(routes) => routes,
        Routes::Named(name) => table.routes.get(name).ok_or(Reject::NoRoute)?,
    };
    let host = routes.find_host(authority).ok_or(Reject::NoRoute)?;
    let view = RequestView {
        method: head.method.as_str(),
        path: head.uri.path_and_query().map_or("/", |path| path.as_str()),
        authority,
        scheme: "http",
        headers: &head.headers,
    };
    let route = host.route(&view).ok_or(Reject::NoRoute)?;
    Ok(Found { host, route })
}

/// Whom the request is for: the target's authority where it has one, else the `host` header.
/// Source: RFC 9112, section 3.2.2.
pub(crate) fn authority(head: &Parts) -> Result<&str, Reject> {
    if let Some(authority) = head.uri.authority() {
        return Ok(authority.as_str());
    }
    let host = head.headers.get(HOST).ok_or(Reject::BadAuthority)?;
    match host.to_str() {
        Ok(host) if !host.is_empty() => Ok(host),
        _ => Err(Reject::BadAuthority),
    }
}
