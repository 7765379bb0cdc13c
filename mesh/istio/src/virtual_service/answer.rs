//! Responses of a route without an upstream: redirects and direct responses.

use serde::Deserialize;
use shakedown_yaml::Spanned;

use super::base64;

/// The maximum size of the body of a direct response, in bytes. Source: Istio, `DefaultMaxDirectResponseBodySizeBytes`.
pub const DIRECT_BODY_MAX: u32 = 1024 * 1024;

/// A redirect. Parts of the URL that are not given stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    pub uri: Option<String>,
    /// The new host, with an optional port.
    pub authority: Option<String>,
    pub port: Option<Spanned<u16>>,
    /// The origin of the new port. Not together with `port`.
    pub derive_port: Option<Spanned<DerivePort>>,
    pub scheme: Option<Spanned<String>>,
    /// The status. `None`: 301.
    pub redirect_code: Option<Spanned<u16>>,
}

/// The origin of a redirect's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DerivePort {
    /// The scheme's default, 80 or 443, which is omitted from the URL.
    #[serde(rename = "FROM_PROTOCOL_DEFAULT")]
    FromProtocolDefault,
    /// The port of the request.
    #[serde(rename = "FROM_REQUEST_PORT")]
    FromRequestPort,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectResponse {
    pub status: Spanned<u16>,
    /// The body. `None`: empty.
    pub body: Option<Spanned<DirectBody>>,
}

/// The body of a direct response, as written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "DirectBodyForm")]
pub enum DirectBody {
    String(String),
    /// Bytes, written in base64.
    Bytes(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(rename = "Body")]
struct DirectBodyForm {
    string: Option<String>,
    bytes: Option<String>,
}

impl TryFrom<DirectBodyForm> for DirectBody {
    type Error = String;

    fn try_from(written: DirectBodyForm) -> Result<Self, String> {
        match (written.string, written.bytes) {
            (Some(text), None) => Ok(DirectBody::String(text)),
            (None, Some(text)) => base64::decode(&text)
                .map(DirectBody::Bytes)
                .ok_or_else(|| format!("`{text}` is not base64")),
            _ => Err("expected either `string` or `bytes`".into()),
        }
    }
}
