//! Transport security of a server's connections: TLS, plain text, or either of them as the client's first byte decides.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use shakedown_env::{BoxStream, Env};

use super::error::ServeError;
use super::idle::{Activity, IdleTimer};
use super::options::ServerOptions;
use super::sniff::{Sniffed, poll_first_byte, sniffed};
use crate::drain::{Drain, DrainStage};
use crate::tls::{SessionClient, TlsServer};

/// The first byte of a TLS handshake. Source: RFC 8446, 5.1.
const HANDSHAKE_RECORD: u8 = 22;

/// The TLS of a server's connections.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub server: TlsServer,
    /// True if a connection whose first byte is not that of a TLS handshake is closed. If false, it is plain text.
    pub required: bool,
    /// The maximum time for a handshake.
    pub handshake_timeout: Duration,
}

/// The transport security of new connections. Clones share the value, so that it can be changed while a server runs.
#[derive(Clone, Debug, Default)]
pub struct TransportSecurity(Rc<RefCell<TransportMode>>);

#[derive(Clone, Debug, Default)]
enum TransportMode {
    #[default]
    Plaintext,
    Tls(ServerTls),
    Closed,
}

impl TransportSecurity {
    /// Changes the transport of new connections. `None`: plain text.
    pub fn set(&self, tls: Option<ServerTls>) {
        self.0
            .replace(tls.map_or(TransportMode::Plaintext, TransportMode::Tls));
    }

    /// Closes new connections at once, because the server has no certificate.
    pub fn close(&self) {
        self.0.replace(TransportMode::Closed);
    }
}

/// A connection whose transport has been established, and of which nothing else has been read.
pub(super) struct Secured {
    pub(super) stream: Sniffed,
    /// The client of a TLS session. `None`: plain text.
    pub(super) tls: Option<SessionClient>,
}

/// Establishes the transport of an accepted connection. `None` if the connection has to close before that.
pub(super) async fn secured(
    env: &Env,
    stream: BoxStream,
    options: &ServerOptions,
    drain: &Drain,
) -> Option<Result<Secured, ServeError>> {
    let transport = options.transport.0.borrow().clone();
    let plain = |stream| Secured { stream, tls: None };
    let mut stream = sniffed(stream);
    let tls = match transport {
        TransportMode::Closed => return None,
        TransportMode::Plaintext => return Some(Ok(plain(stream))),
        TransportMode::Tls(tls) => tls,
    };
    let first = until_closing(env, options, drain, |cx| poll_first_byte(&mut stream, cx));
    match first.await? {
        Ok(Some(HANDSHAKE_RECORD)) => {}
        // Without an alert, which a client of plain text would take for a malformed response.
        Ok(_) if tls.required => return None,
        Ok(_) => return Some(Ok(plain(stream))),
        Err(error) => return Some(Err(ServeError::First(error))),
    }
    let handshake = env.timeout(tls.handshake_timeout, tls.server.accept(Box::new(stream)));
    Some(match handshake.await {
        Ok(Ok(session)) => Ok(Secured {
            stream: sniffed(session.stream),
            tls: Some(session.client),
        }),
        Ok(Err(error)) => Err(ServeError::Tls(error)),
        Err(_elapsed) => Err(ServeError::HandshakeTimeout),
    })
}

/// Polls until ready. `None` if the connection has to close before that.
pub(super) async fn until_closing<T>(
    env: &Env,
    options: &ServerOptions,
    drain: &Drain,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let mut member = drain.join();
    let activity = Activity::new(env);
    let mut idle = options
        .idle_timeout
        .map(|span| IdleTimer::new(span, &activity));
    poll_fn(|cx| {
        if member.stage(cx) >= DrainStage::Draining {
            return Poll::Ready(None);
        }
        if let Poll::Ready(known) = poll(cx) {
            return Poll::Ready(Some(known));
        }
        match &mut idle {
            Some(timer) => timer.poll_expired(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
