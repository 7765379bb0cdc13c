//! Requests for an upgrade of their connection, for example to a web socket.
//!
//! Only HTTP/1.1 has them, and `h2c` is not treated as one, as in Envoy. Such a request does not end, so that the
//! timeouts that start with its end never start. Web sockets are the exception: their response is subject to the usual
//! timeouts. After the upgrade, idle timeout and stream duration apply. Source: Envoy, `Http::Utility::isUpgrade`,
//! `HttpConnectionManagerConfig::createUpgradeFilterChain`, and the runtime feature
//! `websocket_enable_timeout_on_upgrade_response`, which is on since 1.36.

use http::header::{CONNECTION, HeaderMap, UPGRADE};
use http::{Request, Version};
use shakedown_wire::{Body, Upgrade};
use shakedown_xds::table::{Listener, Upgrades};

use crate::route::MatchedRoute;

/// The protocol that a request asks to switch to.
#[derive(Debug)]
pub(crate) struct UpgradeRequest(Box<str>);

impl UpgradeRequest {
    /// The requested protocol and the caller's half of the connection; `None` if the request asks for no upgrade.
    pub(crate) fn from_request(request: &mut Request<Body>) -> Option<(UpgradeRequest, Upgrade)> {
        if request.version() != Version::HTTP_11 || !is_upgrade(request.headers()) {
            return None;
        }
        let protocol = request.headers().get(UPGRADE)?.to_str().ok()?;
        if protocol.eq_ignore_ascii_case("h2c") {
            return None;
        }
        let requested = UpgradeRequest(protocol.into());
        let caller = Upgrade::take(request.extensions_mut())?;
        Some((requested, caller))
    }

    /// True if the upgrade is allowed. The route's setting overrides the listener's.
    pub(crate) fn is_allowed(&self, listener: &Listener, found: Option<MatchedRoute<'_>>) -> bool {
        let of_route = found.and_then(|found| found.route.forward());
        let allows = |upgrades: &Upgrades| upgrades.allows(&self.0);
        of_route
            .and_then(|action| allows(&action.upgrades))
            .or_else(|| allows(&listener.manager.upgrades))
            .unwrap_or(false)
    }
}

/// True if a message that concerns an upgrade is about web sockets.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).map(|value| value.as_bytes());
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// True if a message asks for an upgrade, or accepts one.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    if !headers.contains_key(UPGRADE) {
        return false;
    }
    let options = headers.get_all(CONNECTION).iter();
    options
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_upgrade_is_named_by_the_connection_too() {
        let headers = |connection: &'static str| {
            let mut map = HeaderMap::new();
            map.insert(UPGRADE, HeaderValue::from_static("websocket"));
            map.insert(CONNECTION, HeaderValue::from_static(connection));
            map
        };
        assert!(is_upgrade(&headers("Upgrade")));
        assert!(is_upgrade(&headers("keep-alive, upgrade")));
        assert!(!is_upgrade(&headers("keep-alive")));
        let mut without = headers("upgrade");
        without.remove(UPGRADE);
        assert!(!is_upgrade(&without));
    }
}
