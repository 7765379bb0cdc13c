//! `x-forwarded-client-cert`, the header that names the certificate of a request's client. Source: Envoy,
//! `ConnectionManagerUtility::mutateXfccRequestHeader`.

use std::fmt::Write as _;

use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};
use shakedown_wire::PeerCertificate;
use shakedown_xds::table::{ClientCertificateHeader, ForwardClientCert};

use crate::connection::DownstreamSession;

pub(crate) const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";
const NAME: HeaderName = HeaderName::from_static(CLIENT_CERTIFICATE);

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
    part("Hash", &hex(&peer.hash));
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sets the header. If `keep`, the element follows those that the request has.
fn append(headers: &mut HeaderMap, element: String, keep: bool) {
    // A subject may contain bytes that a header may not. Without its element the request would seem to have no client
    // certificate, so that nothing but the header is lost.
    let Ok(own) = HeaderValue::try_from(element) else {
        headers.remove(NAME);
        return;
    };
    match headers.entry(NAME) {
        Entry::Occupied(mut known) if keep => {
            let mut all: Vec<u8> = Vec::new();
            for value in known.iter() {
                all.extend_from_slice(value.as_bytes());
                all.push(b',');
            }
            all.extend_from_slice(own.as_bytes());
            known.insert(HeaderValue::from_bytes(&all).unwrap_or(own));
        }
        Entry::Occupied(mut known) => {
            known.insert(own);
        }
        Entry::Vacant(space) => {
            space.insert(own);
        }
    }
}
