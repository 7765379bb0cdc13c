//! Options of a server's connections.

use std::time::Duration;

use super::head::HeadTimeout;
use super::transport::TransportSecurity;

/// Options of a server's connections. The defaults are those of Envoy's HTTP connection manager.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The transport security of new connections, for servers of HTTP/1.1 and HTTP/2.
    pub transport: TransportSecurity,
    /// The maximum time from the first byte of a request's head to its end (HTTP/1.1). A later head gets 408.
    pub head_timeout: HeadTimeout,
    /// True if the service responds to rejected heads. Over HTTP/2 it gets requests that exceed `max_header_bytes`.
    /// Over HTTP/1.1 it gets a placeholder request with a [`BadHead`](crate::BadHead) among its extensions, and must
    /// ignore everything else in it. If false, the response is the bare status. In either case the connection is closed
    /// afterwards.
    pub service_refuses: bool,
    /// The time without a request after which a connection is closed. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// The maximum number of headers of a request, beyond which the response is 431. `None`: hyper's limit of 100,
    /// which avoids an allocation.
    pub max_headers: Option<usize>,
    /// The maximum size of a request's head in bytes, including its target and line ends (HTTP/1.1). A larger head gets
    /// 431.
    pub max_header_bytes: usize,
    /// The number of requests after which a connection is closed. `None`: unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// The maximum number of concurrent streams of an HTTP/2 client.
    pub max_concurrent_streams: u32,
    /// True if a client that has closed its sending half still gets its response (HTTP/1.1). If false, its request is
    /// cancelled, because this is how a caller that gave up is detected.
    pub half_close: bool,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            transport: TransportSecurity::default(),
            head_timeout: HeadTimeout::default(),
            service_refuses: false,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_headers: None,
            max_header_bytes: 60 * 1024,
            max_requests_per_connection: None,
            max_concurrent_streams: 1024,
            half_close: false,
        }
    }
}
