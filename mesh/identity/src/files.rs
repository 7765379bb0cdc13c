//! The files of a certificate authority, named as Istio's `cacerts` secret names them.

use zeroize::Zeroizing;

/// The contents of the files from which an authority is restored, all in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityFiles {
    /// `ca-cert.pem`: the certificate that signs workloads' certificates.
    pub ca_cert: String,
    /// `ca-key.pem`: its private key.
    pub ca_key: Zeroizing<String>,
    /// `cert-chain.pem`: the certificates from the signing one up to, but without, the root.
    pub cert_chain: String,
    /// `root-cert.pem`: the root certificates that workloads trust.
    pub root_cert: String,
}

impl std::fmt::Debug for AuthorityFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorityFiles")
            .field("ca_cert", &self.ca_cert)
            .field("cert_chain", &self.cert_chain)
            .field("root_cert", &self.root_cert)
            .finish_non_exhaustive()
    }
}
