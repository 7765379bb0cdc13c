//! Finds the address of a destination outside the mesh, which the request's authority names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use shakedown_env::Env;

use crate::respond::Reject;

/// The longest that a name's resolution may take. Source: Envoy, `dns_query_timeout`, default 5 s.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The port of an authority without one.
const HTTP_PORT: u16 = 80;

/// The first address of an authority, `host`, `host:port` or either with an IP literal.
///
/// A name without an address is a cluster without endpoints, and so is what names neither.
pub(crate) async fn resolve(env: &Env, authority: &str) -> Result<SocketAddr, Reject> {
    let (host, port) = split(authority).ok_or(Reject::NoHealthyUpstream)?;
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let addresses = env.timeout(RESOLVE_TIMEOUT, env.resolve(host)).await;
    let first = addresses
        .ok()
        .and_then(Result::ok)
        .and_then(|all| all.first().copied());
    first
        .map(|address| SocketAddr::new(address, port))
        .ok_or(Reject::NoHealthyUpstream)
}

/// Host and port; brackets round an IPv6 address are taken off.
fn split(authority: &str) -> Option<(&str, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if rest.is_empty() => HTTP_PORT,
            None => return None,
        };
        return Some((host, port));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, HTTP_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_a_port_that_defaults_to_80() {
        assert_eq!(split("example.org"), Some(("example.org", 80)));
        assert_eq!(split("example.org:8080"), Some(("example.org", 8080)));
        assert_eq!(split("[::1]:9"), Some(("::1", 9)));
        assert_eq!(split("[::1]"), Some(("::1", 80)));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for text in ["a:b", "a:99999", "[::1", "[::1]x", "::1"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
