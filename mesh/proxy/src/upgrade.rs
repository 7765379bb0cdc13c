//! Requests that ask to make something else of their connection, as web sockets do.
//!
//! Only HTTP/1.1 has such; `h2c` is not taken for one, as in Envoy. A request of that kind does not end, so that no timeout
//! begins which counts from its end: but for a web socket, whose answer is bounded as any other's. After that, what bounds
//! it is how long its stream may be idle, or may last.
//! Source: Envoy, `Http::Utility::isUpgrade`, `HttpConnectionManagerConfig::createUpgradeFilterChain`, and the runtime
//! feature `websocket_enable_timeout_on_upgrade_response`, which is on since 1.36.

use http::header::{CONNECTION, HeaderMap, UPGRADE};
use http::{Request, Version};
use shakedown_wire::{Body, Upgrade};
use shakedown_xds::table::{Listener, Upgrades};

use crate::route::Found;

/// What a request wants its connection to become.
#[derive(Debug)]
pub(crate) struct Requested(Box<str>);

impl Requested {
    /// What a request asks for, if it does, and the caller's side of it.
    pub(crate) fn of(request: &mut Request<Body>) -> Option<(Requested, Upgrade)> {
        if request.version() != Version::HTTP_11 || !is_upgrade(request.headers()) {
            return None;
        }
        let protocol = request.headers().get(UPGRADE)?.to_str().ok()?;
        if protocol.eq_ignore_ascii_case("h2c") {
            return None;
        }
        let requested = Requested(protocol.into());
        let caller = Upgrade::take(request.extensions_mut())?;
        Some((requested, caller))
    }

    /// Whether it may be: the route's word counts before the listener's.
    pub(crate) fn is_allowed(&self, listener: &Listener, found: Option<Found<'_>>) -> bool {
        let of_route = found.and_then(|found| found.route.forward());
        let allows = |upgrades: &Upgrades| upgrades.allows(&self.0);
        of_route
            .and_then(|action| allows(&action.upgrades))
            .or_else(|| allows(&listener.manager.upgrades))
            .unwrap_or(false)
    }
}

/// Whether a message, of which it is known that it has to do with an upgrade, is about web sockets.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).map(|value| value.as_bytes());
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Whether a message asks for an upgrade, or agrees to one.
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
