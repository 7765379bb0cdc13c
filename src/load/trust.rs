//! Certificate verification of a load: reads the trusted authorities once.

use shakedown_env::Env;
use shakedown_wire::{Roots, ServerTrust as Verified, TlsClient, TlsContext};

use super::options::TrustOption;
use super::outcome::LoadRunError;

/// The protocol offered by ALPN, the only one that the load uses.
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// The verification that the load's TLS clients apply.
#[derive(Debug)]
pub(super) struct LoadTrust(Verified);

/// Reads the trusted authorities.
pub(super) fn read(trust: &TrustOption) -> Result<LoadTrust, LoadRunError> {
    let mut roots = Roots::none();
    match trust {
        TrustOption::Anyone => return Ok(LoadTrust(Verified::Anyone)),
        TrustOption::File(path) => {
            let wrong = |why: String| {
                LoadRunError::Trust(format!("failed to read --cacert {}: {why}", path.display()))
            };
            let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            roots
                .add_pem(&pem)
                .map_err(|error| wrong(error.to_string()))?;
        }
        TrustOption::System => {
            let found = rustls_native_certs::load_native_certs();
            for certificate in &found.certs {
                // A store may contain an unparsable certificate. The others are still used.
                let _unread = roots.add_der(certificate);
            }
            if roots.is_empty() {
                let why = found.errors.first().map(|error| format!(": {error}"));
                return Err(LoadRunError::Trust(format!(
                    "this machine has no trusted certificate authority{}; pass one with `--cacert FILE`, or accept any certificate with `--insecure`",
                    why.unwrap_or_default()
                )));
            }
        }
    }
    Ok(LoadTrust(Verified::Roots(roots)))
}

impl LoadTrust {
    /// A TLS client for this server.
    pub(super) fn client(
        &self,
        env: &Env,
        host: &str,
        http2: bool,
    ) -> Result<TlsClient, LoadRunError> {
        let protocol = if http2 { HTTP2 } else { HTTP1 };
        TlsClient::new(
            &TlsContext::new(env),
            host,
            self.0.clone(),
            None,
            &[protocol],
        )
        .map_err(|error| LoadRunError::Trust(error.to_string()))
    }
}
