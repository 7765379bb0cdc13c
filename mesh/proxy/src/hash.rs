//! The hash of a request, with which consistent hashing selects a host. Source: Envoy, `hash_policy.cc`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use http::header::{HeaderMap, HeaderValue};
use shakedown_xds::table::{
    HashBy, HashCookie, HashPolicy, HeaderKey, RequestView, cookie_value, query_value,
};
use smallvec::SmallVec;
use twox_hash::XxHash64;

use crate::hex::hex;

/// XXH64.
pub fn xx_hash(bytes: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

/// The alternative hash function of rings: MurmurHash64A with the seed of GNU's C++ library.
/// Source: Envoy, `MurmurHash::murmurHash2`.
pub fn murmur_hash(bytes: &[u8]) -> u64 {
    const SEED: u64 = 0xc70f_6907;
    const BY: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |value: u64| value ^ (value >> 47);
    let length = u64::try_from(bytes.len()).expect("a length fits into 64 bits");
    let mut hash = SEED ^ length.wrapping_mul(BY);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("a chunk has eight bytes"));
        hash = (hash ^ mix(word.wrapping_mul(BY)).wrapping_mul(BY)).wrapping_mul(BY);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(BY);
    }
    mix(mix(hash).wrapping_mul(BY))
}

/// The two addresses of the request's downstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionEnds {
    /// The caller's address.
    pub caller: SocketAddr,
    /// The proxy's address.
    pub own: SocketAddr,
}

/// The hash inputs of a request.
#[derive(Clone, Copy, Debug)]
pub struct HashInputs<'a> {
    /// The request's method, target and headers.
    pub view: RequestView<'a>,
    /// The downstream connection's addresses; `None` if unknown.
    pub ends: Option<ConnectionEnds>,
}

/// A hash, and the cookies to set so that the caller's next request has the same hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHash {
    /// The hash; `None` if no policy found its input.
    pub hash: Option<u64>,
    /// Values of `set-cookie`.
    pub cookies: SmallVec<[HeaderValue; 1]>,
}

impl RequestHash {
    /// Computes the hash of a request by a route's policies.
    pub fn compute(policies: &[HashPolicy], request: &HashInputs<'_>) -> RequestHash {
        let mut all = RequestHash::default();
        for policy in policies {
            let part = match &policy.by {
                HashBy::Header(HeaderKey::Name(name)) => of_header(request.view.headers, name),
                HashBy::Header(line) => line.first(&request.view).map(|value| xx_hash(value, 0)),
                HashBy::Cookie(cookie) => all.of_cookie(cookie, request),
                HashBy::SourceIp => request.ends.map(|ends| of_ip(ends.caller.ip())),
                HashBy::Query(name) => {
                    query_value(request.view.path, name).map(|value| xx_hash(value.as_bytes(), 0))
                }
            };
            if let Some(part) = part {
                // The hash is rotated, so that two equal policies do not cancel each other out.
                all.hash = Some(all.hash.map_or(0, |hash| hash.rotate_left(1)) ^ part);
            }
            if policy.terminal && all.hash.is_some() {
                break;
            }
        }
        all
    }

    fn of_cookie(&mut self, cookie: &HashCookie, request: &HashInputs<'_>) -> Option<u64> {
        let value =
            cookie_value(request.view.headers, &cookie.name).filter(|value| !value.is_empty());
        if let Some(value) = value {
            return Some(xx_hash(value, 0));
        }
        let ttl = cookie.ttl?;
        let value = made_value(request.ends?);
        let mut text = format!("{}=\"{value}\"", cookie.name);
        let wrote = (|| {
            if ttl.as_secs() > 0 {
                write!(text, "; Max-Age={}", ttl.as_secs())?;
            }
            if !cookie.path.is_empty() {
                write!(text, "; Path={}", cookie.path)?;
            }
            for (name, value) in &cookie.attributes {
                if value.is_empty() {
                    write!(text, "; {name}")?;
                } else {
                    write!(text, "; {name}={value}")?;
                }
            }
            text.write_str("; HttpOnly")
        })();
        wrote.expect("writing to a string cannot fail");
        // Invalid header values were rejected with the configuration.
        if let Ok(header) = HeaderValue::from_str(&text) {
            self.cookies.push(header);
        }
        Some(xx_hash(value.as_bytes(), 0))
    }
}

/// The value of a generated cookie. It is the same for all requests of a connection, which may be concurrent.
/// Source: Envoy, `Filter::addDownstreamSetCookie`.
fn made_value(ends: ConnectionEnds) -> String {
    let text = format!("{}{}", ends.caller, ends.own);
    let mut digits = [0; 16];
    hex(xx_hash(text.as_bytes(), 0).into(), &mut digits);
    digits.map(char::from).iter().collect()
}

/// The hash of all values of a header, sorted so that their order does not matter. Each value is hashed with the
/// previous hash as its seed.
fn of_header(headers: &HeaderMap, name: &http::HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(xx_hash(first.as_bytes(), 0));
    };
    let mut all: SmallVec<[&[u8]; 4]> = [first, second]
        .into_iter()
        .chain(values)
        .map(HeaderValue::as_bytes)
        .collect();
    all.sort_unstable();
    Some(chained(&all))
}

/// Hashes several texts. Source: Envoy, `HashUtil::xxHash64`.
fn chained(texts: &[&[u8]]) -> u64 {
    texts.iter().fold(0, |seed, text| xx_hash(text, seed))
}

fn of_ip(ip: IpAddr) -> u64 {
    // The longest text is an IPv4 address in an IPv6 address, with 45 characters.
    let mut text = io::Cursor::new([0_u8; 48]);
    write!(text, "{ip}").expect("an address fits into the buffer");
    let length = usize::try_from(text.position()).expect("the position is at most 48");
    xx_hash(&text.get_ref()[..length], 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn ends() -> ConnectionEnds {
        ConnectionEnds {
            caller: "10.0.0.7:40000".parse().unwrap(),
            own: "10.0.0.1:80".parse().unwrap(),
        }
    }

    fn view<'a>(headers: &'a HeaderMap, path: &'a str) -> RequestView<'a> {
        RequestView {
            method: "GET",
            path,
            authority: "reviews:9080",
            scheme: "http",
            headers,
        }
    }

    #[test]
    fn what_a_request_asks_for_is_hashed_as_headers_are() {
        let of = |name: &str| {
            let by = HashBy::Header(HeaderKey::named(name).unwrap());
            hash(&[policy(by)], &headers(&[("host", "else")]), "/a?q=1").hash
        };
        for (name, text) in [
            (":path", "/a?q=1"),
            (":method", "GET"),
            (":authority", "reviews:9080"),
            ("host", "reviews:9080"),
            (":scheme", "http"),
        ] {
            assert_eq!(of(name), Some(xx_hash(text.as_bytes(), 0)), "{name}");
        }
    }

    fn policy(by: HashBy) -> HashPolicy {
        HashPolicy {
            by,
            terminal: false,
        }
    }

    fn header(name: &'static str) -> HashBy {
        HashBy::Header(HeaderKey::Name(HeaderName::from_static(name)))
    }

    fn cookie(ttl: Option<u64>) -> HashBy {
        HashBy::Cookie(HashCookie {
            name: "session".into(),
            ttl: ttl.map(Duration::from_secs),
            path: "/shop".into(),
            attributes: vec![
                ("SameSite".into(), "Lax".into()),
                ("Secure".into(), "".into()),
            ],
        })
    }

    fn hash(policies: &[HashPolicy], headers: &HeaderMap, path: &str) -> RequestHash {
        let request = HashInputs {
            view: view(headers, path),
            ends: Some(ends()),
        };
        RequestHash::compute(policies, &request)
    }

    // Source: Envoy, `hash_test.cc`; the last is XXH64's own test of the empty input.
    #[test]
    fn the_hash_is_xxh64() {
        assert_eq!(xx_hash(b"foo", 0), 3728699739546630719);
        assert_eq!(xx_hash(b"bar", 0), 5234164152756840025);
        assert_eq!(xx_hash(b"foo\nbar", 0), 8917841378505826757);
        assert_eq!(xx_hash(b"lyft", 0), 4400747396090729504);
        assert_eq!(xx_hash(b"", 0), 0xEF46_DB37_51D8_E999);
    }

    // Source: Envoy, `hash_test.cc`.
    #[test]
    fn the_other_hash_of_rings_is_murmur2() {
        assert_eq!(murmur_hash(b"foo"), 9631199822919835226);
        assert_eq!(murmur_hash(b"bar"), 11474628671133349555);
        assert_eq!(murmur_hash(b"foo\nbar"), 16306510975912980159);
        assert_eq!(murmur_hash(b"lyft"), 12847078931730529320);
        assert_eq!(murmur_hash(b""), 6142509188972423790);
    }

    #[test]
    fn the_order_of_a_headers_values_does_not_count() {
        let policies = [policy(header("x-user"))];
        let of =
            |pairs: &[(&'static str, &'static str)]| hash(&policies, &headers(pairs), "/").hash;
        assert_eq!(of(&[("x-user", "foo")]), Some(3728699739546630719));
        assert_eq!(of(&[]), None);
        let sorted = Some(chained(&[b"bar", b"foo"]));
        assert_eq!(of(&[("x-user", "foo"), ("x-user", "bar")]), sorted);
        assert_eq!(of(&[("x-user", "bar"), ("x-user", "foo")]), sorted);
        // Source: Envoy, `hash_test.cc`, `xxHashWithVector`.
        assert_eq!(chained(&[b"foo", b"bar"]), 17745830980996999794);
    }

    #[test]
    fn several_policies_make_one_hash_and_a_terminal_one_ends_it() {
        let map = headers(&[("x-a", "foo"), ("x-b", "bar")]);
        let (a, b) = (xx_hash(b"foo", 0), xx_hash(b"bar", 0));
        let both = [policy(header("x-a")), policy(header("x-b"))];
        assert_eq!(hash(&both, &map, "/").hash, Some(a.rotate_left(1) ^ b));
        let mut ended = both.clone();
        ended[0].terminal = true;
        assert_eq!(hash(&ended, &map, "/").hash, Some(a));
        let mut absent = ended.clone();
        absent[0].by = header("x-none");
        assert_eq!(hash(&absent, &map, "/").hash, Some(b));
        let twice = [policy(header("x-a")), policy(header("x-a"))];
        assert_ne!(hash(&twice, &map, "/").hash, Some(0));
    }

    #[test]
    fn a_cookie_is_hashed_without_its_quotes() {
        let policies = [policy(cookie(Some(60)))];
        for text in [
            "session=foo",
            "a=1; session=\"foo\"; b=2",
            "sessio=1;session=foo",
        ] {
            let map = headers(&[("cookie", text)]);
            let found = hash(&policies, &map, "/");
            assert_eq!(found.hash, Some(3728699739546630719), "{text}");
            assert!(found.cookies.is_empty());
        }
    }

    #[test]
    fn a_missing_cookie_is_generated_if_it_has_a_ttl() {
        let value = xx_hash(b"10.0.0.7:4000010.0.0.1:80", 0);
        let text = format!("{value:016x}");
        let made = hash(&[policy(cookie(Some(60)))], &HeaderMap::new(), "/");
        assert_eq!(made.hash, Some(xx_hash(text.as_bytes(), 0)));
        let expected =
            format!("session=\"{text}\"; Max-Age=60; Path=/shop; SameSite=Lax; Secure; HttpOnly");
        assert_eq!(made.cookies.as_slice(), [expected.as_str()]);
        let session = hash(&[policy(cookie(Some(0)))], &HeaderMap::new(), "/");
        let kept = session.cookies[0].to_str().unwrap();
        assert!(!kept.contains("Max-Age"), "{kept}");
        let none = hash(&[policy(cookie(None))], &HeaderMap::new(), "/");
        assert_eq!(none, RequestHash::default());
    }

    #[test]
    fn the_callers_address_is_hashed_without_its_port() {
        let found = hash(&[policy(HashBy::SourceIp)], &HeaderMap::new(), "/");
        assert_eq!(found.hash, Some(xx_hash(b"10.0.0.7", 0)));
    }

    #[test]
    fn the_first_value_of_a_parameter_is_hashed_as_it_stands() {
        let policies = [policy(HashBy::Query("user".into()))];
        let of = |path: &str| hash(&policies, &HeaderMap::new(), path).hash;
        assert_eq!(of("/?x=1&user=foo&user=bar"), Some(3728699739546630719));
        assert_eq!(of("/?user=%66oo"), Some(xx_hash(b"%66oo", 0)));
        assert_eq!(of("/?user"), Some(xx_hash(b"", 0)));
        assert_eq!(of("/?users=foo"), None);
        assert_eq!(of("/"), None);
    }
}
