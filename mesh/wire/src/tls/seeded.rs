//! Cryptography for reproducible environments: rustls' provider (ring) with random values and key exchange drawn from a
//! seeded stream, so that two runs of one seed send the same bytes.
//!
//! rustls requires `'static` implementations, which therefore read the stream of the session in progress from a
//! thread-local variable. [`SeededRandom::during`] sets it. Outside of it the provider refuses to draw.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use curve25519_dalek::MontgomeryPoint;
use rand::Rng as _;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup, ring,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use shakedown_env::Rng;

thread_local! {
    /// The stream of the TLS session that this thread is working on.
    static CURRENT: RefCell<Option<SeededRandom>> = const { RefCell::new(None) };
}

/// The random stream of one host's TLS sessions.
#[derive(Clone)]
pub(super) struct SeededRandom(Arc<Mutex<Rng>>);

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The state of the stream determines secrets.
        f.write_str("SeededRandom(..)")
    }
}

impl SeededRandom {
    pub(super) fn new(stream: Rng) -> SeededRandom {
        SeededRandom(Arc::new(Mutex::new(stream)))
    }

    /// Does work of a TLS session whose random values come from this stream.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restore = Restore(CURRENT.replace(Some(self.clone())));
        work()
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.fill_bytes(bytes);
    }
}

/// Restores the previous stream, even if the work panics.
struct Restore(Option<SeededRandom>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// The provider. X25519 is its only key exchange. Certificates need Ed25519 keys for reproducible bytes, because ring's
/// other signatures draw random values from the operating system.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![&SeededX25519],
        secure_random: &CurrentStream,
        ..ring::default_provider()
    }
}

fn draw(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    CURRENT.with_borrow(|current| match current {
        Some(stream) => {
            stream.fill(bytes);
            Ok(())
        }
        None => Err(GetRandomFailed),
    })
}

#[derive(Debug)]
struct CurrentStream;

impl SecureRandom for CurrentStream {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        draw(bytes)
    }
}

#[derive(Debug)]
struct SeededX25519;

impl SupportedKxGroup for SeededX25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        draw(&mut secret)?;
        Ok(Box::new(KeyExchange {
            public: MontgomeryPoint::mul_base_clamped(secret).to_bytes(),
            secret,
        }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct KeyExchange {
    secret: [u8; 32],
    public: [u8; 32],
}

impl ActiveKeyExchange for KeyExchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let peer = MontgomeryPoint(peer.try_into().map_err(|_| invalid())?);
        let shared = peer.mul_clamped(self.secret).to_bytes();
        // A key of low order, which would make the secret known to everyone. Source: RFC 8446, 7.4.2.
        if shared == [0; 32] {
            return Err(invalid());
        }
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
