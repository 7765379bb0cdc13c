//! The head of a request on its way through the proxy: method, target, version, headers and scheme.

use http::header::HOST;
use http::request::Parts;
use shakedown_wire::path_of;
use shakedown_xds::table::RequestView;

use crate::respond::LocalReply;

/// The head of a request. hyper gives no scheme, because an HTTP/1.1 request to an origin server names none in its
/// target.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) parts: Parts,
    /// The scheme that the caller used, `http` until `prepare::receive` has found it.
    pub(crate) scheme: &'static str,
}

impl RequestHead {
    pub(crate) fn new(parts: Parts) -> RequestHead {
        RequestHead {
            parts,
            scheme: "http",
        }
    }

    /// The fields that routes, filters and header values match.
    ///
    /// # Errors
    /// [`LocalReply::BadAuthority`] if the request has no authority, or one that is not text.
    pub(crate) fn view(&self) -> Result<RequestView<'_>, LocalReply> {
        Ok(RequestView {
            method: self.parts.method.as_str(),
            path: path_of(&self.parts),
            authority: self.authority()?,
            scheme: self.scheme,
            headers: &self.parts.headers,
        })
    }

    /// The authority of the target, or else the `host` header. Source: RFC 9112, section 3.2.2.
    fn authority(&self) -> Result<&str, LocalReply> {
        if let Some(authority) = self.parts.uri.authority() {
            return Ok(authority.as_str());
        }
        let host = self
            .parts
            .headers
            .get(HOST)
            .ok_or(LocalReply::BadAuthority)?;
        // An empty host is valid, but matches no virtual host by name.
        host.to_str().map_err(|_| LocalReply::BadAuthority)
    }
}
