//! What the connections of a cluster speak.

/// What the connections of a cluster speak; without TLS, so that HTTP/2 is known of beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2.
    Http2 {
        /// The most streams at a time on one connection; the peer may allow fewer.
        max_concurrent_streams: u32,
    },
    /// What the request came over.
    Downstream {
        /// As for HTTP/2.
        max_concurrent_streams: u32,
    },
}

impl UpstreamProtocol {
    /// Where it is not set. Source: Envoy, `Http2ProtocolOptions.max_concurrent_streams`.
    pub const MAX_CONCURRENT_STREAMS: u32 = 1024;

    /// The most streams on a connection of a request that came over HTTP/2 or did not; `None`: it is one of HTTP/1.1.
    pub fn streams(self, over_http2: bool) -> Option<u32> {
        match self {
            UpstreamProtocol::Http1 => None,
            UpstreamProtocol::Http2 {
                max_concurrent_streams,
            } => Some(max_concurrent_streams),
            UpstreamProtocol::Downstream {
                max_concurrent_streams,
            } => over_http2.then_some(max_concurrent_streams),
        }
    }
}
