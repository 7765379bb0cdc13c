//! The reason why serving a connection failed.

use std::io;

use crate::Flood;

/// The reason why serving a connection failed. An HTTP/2 client that disconnects in the middle of a request is not a
/// failure, because only its streams end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The connection failed before the client's protocol was known.
    #[error("read the client's first bytes")]
    First(#[source] io::Error),
    /// The connection failed, or the client did not speak HTTP.
    #[error("serve HTTP/1.1")]
    Http1(#[from] hyper::Error),
    /// The connection failed, or the client violated HTTP/2.
    #[error("serve HTTP/2")]
    Http2(#[from] h2::Error),
    /// The client exceeded the limits on cheap HTTP/2 frames.
    #[error("serve a client that floods HTTP/2")]
    Flood(#[from] Flood),
    /// TLS's handshake failed.
    #[error("complete TLS's handshake")]
    Tls(#[source] io::Error),
    /// The client did not complete the handshake of TLS or HTTP/2 in time.
    #[error("complete the handshake in time")]
    HandshakeTimeout,
}
