//! Identities of workloads: private keys, certificate signing requests, and the certificate authority that signs them.
//!
//! A workload makes its own key, and only a request signed by it leaves the pod. The authority decides by the caller's
//! credentials, and not by the request, for which [`SpiffeId`](shakedown_types::SpiffeId) it issues a certificate.
//!
//! All functions are pure, except that keys are drawn from the operating system unless the caller passes a random stream.

mod authority;
mod error;
mod files;
mod key;

pub use authority::{CertificateAuthority, CertificateTerms, IssuedCertificate};
pub use error::IdentityError;
pub use files::AuthorityFiles;
pub use key::PrivateKey;

#[cfg(test)]
mod tests;
