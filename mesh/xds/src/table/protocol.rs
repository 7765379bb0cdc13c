//! The protocol of a cluster's upstream connections.

/// The protocol of a cluster's upstream connections. ALPN is not available without TLS, so HTTP/2 must be configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    Http2 {
        /// The maximum number of concurrent streams per connection. The peer may allow fewer.
        max_concurrent_streams: u32,
    },
    /// The protocol of the downstream request.
    Downstream {
        /// The maximum number of concurrent streams per connection, if that is HTTP/2.
        max_concurrent_streams: u32,
    },
}

impl UpstreamProtocol {
    /// Envoy's default. Source: Envoy, `Http2ProtocolOptions.max_concurrent_streams`.
    pub const MAX_CONCURRENT_STREAMS: u32 = 1024;

    /// Returns the stream limit of the connection for a request, or `None` if it uses HTTP/1.1. `over_http2`: true if
    /// the downstream request uses HTTP/2.
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
