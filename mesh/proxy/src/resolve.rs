//! Resolution of a destination outside the mesh that the request's authority names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use shakedown_env::Env;

use crate::respond::LocalReply;

/// The longest time for a name's resolution. Source: Envoy, `dns_query_timeout`, default 5 s.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The port of an authority without one.
const HTTP_PORT: u16 = 80;

/// The first address of an authority: a host name or an IP literal, with or without a port.
///
/// # Errors
/// Like a cluster without endpoints if the name has no address or the authority is malformed.
pub(crate) async fn resolve(env: &Env, authority: &str) -> Result<SocketAddr, LocalReply> {
    let (host, port) = split(authority).ok_or(LocalReply::NoHealthyUpstream)?;
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
        .ok_or(LocalReply::NoHealthyUpstream)
}

/// Splits host and port, and removes the brackets of an IPv6 address.
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
