//! Answers that a route gives by itself.

use serde::Deserialize;
use shakedown_yaml::Spanned;

use super::base64;

/// Longest body of a direct response, in bytes. Source: Istio, `DefaultMaxDirectResponseBodySizeBytes`.
pub const DIRECT_BODY_MAX: u32 = 1024 * 1024;

/// Sends the caller elsewhere; what is not given stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    /// The new path.
    pub uri: Option<String>,
    /// The new host, perhaps with a port.
    pub authority: Option<String>,
    /// The new port.
    pub port: Option<Spanned<u16>>,
    /// Where the new port is taken from.
    pub derive_port: Option<Spanned<DerivePort>>,
    /// The new scheme.
    pub scheme: Option<Spanned<String>>,
    /// The status; none: 301.
    pub redirect_code: Option<Spanned<u16>>,
}

/// Where the port of a redirect is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DerivePort {
    /// From the scheme: 80 or 443, which are not written.
    #[serde(rename = "FROM_PROTOCOL_DEFAULT")]
    FromProtocolDefault,
    /// From the request.
    #[serde(rename = "FROM_REQUEST_PORT")]
    FromRequestPort,
}

/// Answers a request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectResponse {
    /// The status.
    pub status: Spanned<u16>,
    /// The body; none: empty.
    pub body: Option<Spanned<Body>>,
}

/// A body as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenBody")]
pub enum Body {
    /// Text.
    String(String),
    /// Bytes, written in base64.
    Bytes(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(rename = "Body")]
struct WrittenBody {
    string: Option<String>,
    bytes: Option<String>,
}

impl TryFrom<WrittenBody> for Body {
    type Error = String;

    fn try_from(written: WrittenBody) -> Result<Self, String> {
        match (written.string, written.bytes) {
            (Some(text), None) => Ok(Body::String(text)),
            (None, Some(text)) => base64::decode(&text)
                .map(Body::Bytes)
                .ok_or_else(|| format!("`{text}` is not base64")),
            _ => Err("expected either `string` or `bytes`".into()),
        }
    }
}
