//! Private keys, and the signing requests that are made with them.

use std::fmt;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use shakedown_types::SpiffeId;
use zeroize::Zeroizing;

use crate::error::IdentityError;

/// The start of an Ed25519 private key in PKCS #8. The 32 bytes of the key follow. Source: RFC 8410, 7 and 10.3.
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A private key. It is erased from memory on drop, and its debug output contains no part of it.
pub struct PrivateKey {
    pub(crate) pair: KeyPair,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// Generates a key. A reproducible stream gives an Ed25519 key, whose signatures need no random values. Without one
    /// the key is drawn from the operating system, and is ECDSA on P-256, which every TLS implementation supports.
    ///
    /// # Errors
    /// The operating system has no random values.
    pub fn generate(random: Option<&mut ChaCha8Rng>) -> Result<PrivateKey, IdentityError> {
        let pair = match random {
            None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Some(stream) => {
                let mut der = Zeroizing::new([0; 48]);
                let (start, secret) = der.split_at_mut(ED25519_PKCS8.len());
                start.copy_from_slice(&ED25519_PKCS8);
                stream.fill_bytes(secret);
                let der = PrivatePkcs8KeyDer::from(der.as_slice());
                KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)
            }
        };
        let pair = pair.map_err(|error| IdentityError::Key(error.to_string()))?;
        Ok(PrivateKey { pair })
    }

    /// Reads a key in PKCS #8, as PEM.
    ///
    /// # Errors
    /// The PEM text contains no private key, or one of an unsupported algorithm.
    pub fn from_pem(pem: &str) -> Result<PrivateKey, IdentityError> {
        let pair = KeyPair::from_pem(pem).map_err(|error| IdentityError::Key(error.to_string()))?;
        Ok(PrivateKey { pair })
    }

    /// The key in PKCS #8.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.pair.serialize_der())
    }

    /// The key in PKCS #8, as PEM.
    pub fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.pair.serialize_pem())
    }

    /// A certificate signing request for an identity, as PEM.
    ///
    /// # Errors
    /// The key cannot sign the request.
    pub fn signing_request(&self, id: &SpiffeId) -> Result<String, IdentityError> {
        let params = workload_params(id)?;
        let signed = params
            .serialize_request(&self.pair)
            .and_then(|request| request.pem());
        signed.map_err(|error| IdentityError::Sign(error.to_string()))
    }
}

/// The parameters of a workload's certificate: an empty subject, and the identity as its only name.
pub(crate) fn workload_params(id: &SpiffeId) -> Result<CertificateParams, IdentityError> {
    let uri = id.to_string().try_into();
    let uri = uri.map_err(|error: rcgen::Error| IdentityError::Sign(error.to_string()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(uri)];
    Ok(params)
}
