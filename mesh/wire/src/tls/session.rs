//! The decrypted stream of a TLS session.

use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, TokioStream};
use tokio_rustls::TlsStream;

/// Converts a session after its handshake to a stream. `ends`: the local and the peer's address of the underlying
/// stream.
pub(super) fn boxed(
    session: TlsStream<TokioIo<BoxStream>>,
    (local, peer): (SocketAddr, SocketAddr),
) -> BoxStream {
    Box::new(TokioStream::new(session, local, peer, |session| {
        session.get_mut().0.inner_mut().reset_on_drop();
    }))
}
