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
