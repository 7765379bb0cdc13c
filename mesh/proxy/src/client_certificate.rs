//! `x-forwarded-client-cert`, the header that names the certificate of a request's client. Source: Envoy,
//! `ConnectionManagerUtility::mutateXfccRequestHeader`.

use std::fmt::Write as _;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use shakedown_wire::PeerCertificate;
use shakedown_xds::table::{ClientCertificateHeader, ForwardClientCert};

use crate::connection::DownstreamSession;
use crate::hex::hex;
use crate::prepare::join_values;

const NAME: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Removes, keeps or extends the header, as the listener specifies. `has`: the request may contain it. `session`: the TLS
/// session of the connection; `None`: plain text.
pub(crate) fn rewrite(
    headers: &mut HeaderMap,
    has: bool,
    config: ClientCertificateHeader,
    session: Option<&DownstreamSession>,
) {
    let peer = session.and_then(|session| Some((session, session.client.certificate.as_ref()?)));
    match (config.mode, peer) {
        (ForwardClientCert::AlwaysForwardOnly, _) | (ForwardClientCert::ForwardOnly, Some(_)) => {}
        (ForwardClientCert::Sanitize, _) | (_, None) => {
            if has {
                headers.remove(NAME);
            }
        }
        (mode, Some((session, peer))) => {
            let element = element(config, session, peer);
            append(headers, element, mode == ForwardClientCert::AppendForward);
        }
    }
}

/// The element for a client's certificate.
fn element(
    config: ClientCertificateHeader,
    session: &DownstreamSession,
    peer: &PeerCertificate,
) -> String {
    let mut text = String::new();
    let mut part = |name: &str, value: &str| {
        let separator = if text.is_empty() { "" } else { ";" };
        let _ = write!(text, "{separator}{name}={value}");
    };
    for uri in &*session.own_uris {
        part("By", uri);
    }
    let mut digits = [0; 64];
    for (half, digits) in peer.hash.chunks(16).zip(digits.chunks_mut(32)) {
        let number = half
            .iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte));
        hex(number, digits);
    }
    part("Hash", &String::from_utf8_lossy(&digits));
    if config.subject {
        part("Subject", &format!("\"{}\"", peer.subject));
    }
    if config.uri {
        for uri in &peer.uris {
            part("URI", uri);
        }
        if peer.uris.is_empty() {
            part("URI", "");
        }
    }
    if config.dns {
        for name in &peer.dns_names {
            part("DNS", name);
        }
    }
    text
}

/// Sets the header. If `keep`, the element follows those that the request has.
fn append(headers: &mut HeaderMap, element: String, keep: bool) {
    // A subject may contain bytes that a header may not. Without its element the request would seem to have no client
    // certificate, so that nothing but the header is lost.
    let Ok(own) = HeaderValue::try_from(element) else {
        headers.remove(NAME);
        return;
    };
    if keep {
        headers.append(NAME, own);
        join_values(headers, &NAME);
    } else {
        headers.insert(NAME, own);
    }
}

#[cfg(test)]
mod tests {
    use shakedown_env::UnixTime;
    use shakedown_wire::SessionClient;

    use super::*;

    const OLD: &str = "By=a;Hash=b";

    fn session(with_certificate: bool) -> DownstreamSession {
        let certificate = PeerCertificate {
            uris: vec!["spiffe://c".into()],
            dns_names: vec!["d.example".into()],
            subject: "CN=c".into(),
            hash: std::array::from_fn(|index| index as u8),
            expires: UnixTime::from_nanos(1),
        };
        DownstreamSession {
            client: SessionClient {
                certificate: with_certificate.then_some(certificate),
                server_name: None,
            },
            own_uris: [Box::from("spiffe://own")].into(),
        }
    }

    /// The header after [`rewrite`], of a request with [`OLD`].
    fn rewritten(mode: ForwardClientCert, session: Option<&DownstreamSession>) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, HeaderValue::from_static(OLD));
        let config = ClientCertificateHeader {
            mode,
            subject: true,
            dns: true,
            uri: true,
        };
        rewrite(&mut headers, true, config, session);
        assert!(headers.get_all(NAME).iter().count() <= 1);
        let value = headers.get(NAME)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn each_mode_treats_the_header_as_in_envoy() {
        let own = "By=spiffe://own;\
                   Hash=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;\
                   Subject=\"CN=c\";URI=spiffe://c;DNS=d.example";
        let (mutual, tls) = (session(true), session(false));
        for (mode, with_peer) in [
            (ForwardClientCert::Sanitize, None),
            (ForwardClientCert::ForwardOnly, Some(OLD.to_owned())),
            (
                ForwardClientCert::AppendForward,
                Some(format!("{OLD},{own}")),
            ),
            (ForwardClientCert::SanitizeSet, Some(own.to_owned())),
            (ForwardClientCert::AlwaysForwardOnly, Some(OLD.to_owned())),
        ] {
            assert_eq!(rewritten(mode, Some(&mutual)), with_peer, "{mode:?}");
            let always = mode == ForwardClientCert::AlwaysForwardOnly;
            let without = always.then(|| OLD.to_owned());
            assert_eq!(rewritten(mode, Some(&tls)), without, "{mode:?}");
            assert_eq!(rewritten(mode, None), without, "{mode:?}");
        }
    }
}
