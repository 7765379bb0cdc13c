//! Certificate verifiers in addition to WebPKI's. One accepts every certificate. Another checks the certificate's chain,
//! but compares its names with a list instead of the server's name: a workload's certificate contains no host name. The
//! third also accepts a certificate that a user has configured as an authority if a server presents it as its own.
//!
//! `openssl req -x509` creates a certificate that is an authority (`CA:TRUE`) and signs itself. WebPKI rejects an
//! authority's certificate as a server's, even though a user who configures that file clearly trusts exactly this
//! certificate. Its names and its validity are still checked. All verifiers check the handshake's signature.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::TlsError;

/// A verifier with a custom rule for certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    rule: CertificateRule,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum CertificateRule {
    /// Accepts every certificate.
    Anyone,
    /// Accepts all that WebPKI accepts, and these certificates themselves.
    Named(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
    /// Accepts certificates signed by these authorities that contain one of these names. Without names, any of theirs.
    Listed(RootCertStore, Vec<Box<str>>),
}

impl Verifier {
    /// Accepts every certificate.
    pub(super) fn for_anyone(provider: Arc<CryptoProvider>) -> Verifier {
        Verifier {
            rule: CertificateRule::Anyone,
            provider,
        }
    }

    /// Accepts certificates signed by `roots` that contain one of `names`, as a URI or a DNS name. Without names, any.
    pub(super) fn for_listed(
        roots: RootCertStore,
        names: Vec<Box<str>>,
        provider: Arc<CryptoProvider>,
    ) -> Verifier {
        Verifier {
            rule: CertificateRule::Listed(roots, names),
            provider,
        }
    }

    /// Accepts all that WebPKI accepts, and the `named` certificates themselves.
    pub(super) fn for_named(
        roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, TlsError> {
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let webpki = builder
            .build()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        Ok(Verifier {
            rule: CertificateRule::Named(webpki, named),
            provider,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (webpki, named) = match &self.rule {
            CertificateRule::Anyone => return Ok(ServerCertVerified::assertion()),
            CertificateRule::Named(webpki, named) => (webpki, named),
            CertificateRule::Listed(roots, names) => {
                let known = self.provider.signature_verification_algorithms.all;
                let parsed = ParsedCertificate::try_from(certificate)?;
                verify_server_cert_signed_by_trust_anchor(&parsed, roots, chain, now, known)?;
                verify_listed(certificate, names, server)?;
                return Ok(ServerCertVerified::assertion());
            }
        };
        match webpki.verify_server_cert(certificate, chain, server, ocsp, now) {
            // WebPKI has checked the validity period before it reports this error.
            Err(error) if is_authority(&error) && named.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, server)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// Checks that a certificate contains one of these names, if there are any.
fn verify_listed(
    certificate: &CertificateDer<'_>,
    names: &[Box<str>],
    server: &ServerName<'_>,
) -> Result<(), Error> {
    let parsed =
        webpki::EndEntityCert::try_from(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let presented = || parsed.valid_uri_names().chain(parsed.valid_dns_names());
    let contains = |name: &str| names.iter().any(|listed| &**listed == name);
    if names.is_empty() || presented().any(contains) {
        return Ok(());
    }
    Err(CertificateError::NotValidForNameContext {
        expected: server.to_owned(),
        presented: presented().map(str::to_owned).collect(),
    }
    .into())
}

/// Returns true if a certificate was refused only because it is an authority's.
pub(super) fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    other.0.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
}
