//! The stream inside of a TLS session.

use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, TokioStream};
use tokio_rustls::TlsStream;

/// A session after its handshake as a stream; `ends` are the local and peer address of the one below it.
pub(super) fn boxed(
    session: TlsStream<TokioIo<BoxStream>>,
    (local, peer): (SocketAddr, SocketAddr),
) -> BoxStream {
    Box::new(TokioStream::new(session, local, peer, |session| {
        session.get_mut().0.inner_mut().reset_on_drop();
    }))
}
