//! Errors of keys, requests and authorities.

/// A key, a certificate or a signing request cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A private key cannot be parsed.
    #[error("read a private key: {0}")]
    Key(String),
    /// A certificate cannot be parsed, or is not an authority's.
    #[error("read a certificate authority: {0}")]
    Authority(String),
    /// A signing request cannot be parsed, or its signature is invalid.
    #[error("read a certificate signing request: {0}")]
    Request(String),
    /// A certificate or a request cannot be signed.
    #[error("sign a certificate: {0}")]
    Sign(String),
    /// The authority's own certificate is not valid for the requested time.
    #[error("the certificate authority itself has expired or is not valid yet")]
    OutOfValidity,
}
