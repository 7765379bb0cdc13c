//! The parts that all TLS sessions of a host share: its cryptography and its wall clock.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::CertificateError;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use shakedown_env::Env;

use super::peer::PeerCertificate;
use super::seeded::{self, SeededRandom};

/// The cryptography and the wall clock of a host's TLS sessions. Create it once per host, because every context of a
/// reproducible environment starts the same random stream.
#[derive(Clone, Debug)]
pub struct TlsContext {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) clock: Arc<dyn TimeProvider>,
    /// The source of random values. `None`: ring's own, which is the operating system's.
    random: Option<SeededRandom>,
}

impl TlsContext {
    /// The context of the host of `env`.
    pub fn new(env: &Env) -> TlsContext {
        let random = env.seeded_secrets("tls").map(SeededRandom::new);
        let provider = match random {
            Some(_) => seeded::provider(),
            None => ring::default_provider(),
        };
        TlsContext {
            provider: Arc::new(provider),
            clock: Arc::new(EnvClock(env.clone())),
            random,
        }
    }

    /// Does work that may draw random values.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.random {
            Some(random) => random.during(work),
            None => work(),
        }
    }

    /// Runs a future that may draw random values.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| self.during(|| future.as_mut().poll(cx))).await
    }
}

/// Rejects a certificate that has expired. A resumed session is not verified again by rustls, so that without this check a
/// peer could keep an expired certificate in use by resuming its sessions.
pub(super) fn check_expiry(context: &TlsContext, certificate: &PeerCertificate) -> io::Result<()> {
    let now = context.clock.current_time().map_or(0, |now| now.as_secs());
    if certificate.expires.as_nanos() / 1_000_000_000 >= now {
        return Ok(());
    }
    let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
    Err(io::Error::new(io::ErrorKind::InvalidData, expired))
}

/// The environment's wall clock, against which the validity of certificates is checked.
#[derive(Debug)]
struct EnvClock(Env);

impl TimeProvider for EnvClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::from_nanos(self.0.unix_time().as_nanos());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}
