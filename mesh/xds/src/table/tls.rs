//! Transport security of listeners and clusters, and the header that names a client's certificate.

use std::sync::Arc;
use std::time::Duration;

/// The TLS settings of a listener, which applies them by the first bytes of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListenerTls {
    /// Every connection is plain text.
    #[default]
    Plaintext,
    /// Connections that begin with a TLS client hello are TLS. The others are plain text.
    Permissive(Arc<DownstreamTls>),
    /// Every connection must be TLS.
    Strict(Arc<DownstreamTls>),
}

/// The server side of TLS. Source: Envoy, `DownstreamTlsContext`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownstreamTls {
    /// The SDS secret with the server's certificate and key.
    pub certificate: Arc<str>,
    /// The treatment of client certificates.
    pub client: ClientCertificates,
    /// The application protocols, in order of preference. Empty: none is negotiated.
    pub alpn: Vec<Box<[u8]>>,
    /// The application protocols, one of which a client must offer, or else its connection is closed without a
    /// handshake. Empty: all clients are accepted. Source: Envoy, `FilterChainMatch.application_protocols`.
    pub offered: Vec<Box<[u8]>>,
    /// The maximum time for a handshake.
    pub handshake_timeout: Duration,
}

/// The client certificates that a server requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is requested.
    None,
    /// A certificate is requested. If the client sends one, it must be valid under the roots in this SDS secret.
    Optional(Arc<str>),
    /// The client must send a certificate that is valid under the roots in this SDS secret.
    Required(Arc<str>),
}

/// The transport of a cluster's connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UpstreamTransport {
    #[default]
    Plaintext,
    /// TLS to every host.
    Tls(Arc<UpstreamTls>),
    /// TLS to the hosts that accept the mesh's mutual TLS ([`Host::mesh_tls`](super::Host::mesh_tls)), plain text to
    /// the others.
    MeshOnly(Arc<UpstreamTls>),
}

/// The client side of TLS. Source: Envoy, `UpstreamTlsContext`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The server name that the client sends. `None`: the client sends none.
    pub sni: Option<Arc<str>>,
    /// The SDS secret with the client's certificate and key. `None`: the client has no certificate.
    pub certificate: Option<Arc<str>>,
    /// The requirements on the server's certificate.
    pub trust: UpstreamTrust,
    /// The application protocols that the client offers, in order of preference. Empty: `h2` or `http/1.1`, as the
    /// connection requires.
    pub alpn: Vec<Box<[u8]>>,
}

/// The server certificates that a client accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTrust {
    /// Any certificate.
    Anyone,
    /// Certificates that are valid under some roots.
    Roots {
        /// The SDS secret with the roots.
        roots: Arc<str>,
        /// The subject alternative names (URI or DNS), one of which the certificate must have exactly. Empty: the
        /// names are not checked.
        names: Vec<Box<str>>,
    },
}

/// The treatment of `x-forwarded-client-cert`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificateHeader {
    pub mode: ForwardClientCert,
    /// True if the header contains the subject of the client's certificate.
    pub subject: bool,
    /// True if it contains the DNS names of the certificate.
    pub dns: bool,
    /// True if it contains the URIs of the certificate.
    pub uri: bool,
}

/// Source: Envoy, `HttpConnectionManager.ForwardClientCertDetails`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardClientCert {
    /// The header is removed.
    #[default]
    Sanitize,
    /// The header is forwarded if the connection is mutual TLS, and removed otherwise.
    ForwardOnly,
    /// If the connection is mutual TLS, its client certificate is appended to the header. Otherwise the header is
    /// removed.
    AppendForward,
    /// If the connection is mutual TLS, its client certificate replaces the header. Otherwise the header is removed.
    SanitizeSet,
    /// The header is always forwarded.
    AlwaysForwardOnly,
}
