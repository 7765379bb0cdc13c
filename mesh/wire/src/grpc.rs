//! gRPC over HTTP/2, limited to the needs of xDS: a client channel for tonic's generated clients, a server for its
//! generated services, and message streams that keep no buffer between two messages. tonic's own transport is not used
//! because it spawns on tokio and reads tokio's clock.
//!
//! Both sides send pings to detect a peer that has vanished silently. A call has no deadline here: `grpc-timeout` is
//! not enforced, so callers must wrap calls that have to end.

use std::time::Duration;

mod client;
mod messages;
mod ping;
mod server;

pub use client::{Channel, ChannelBody, connect_h2};
pub use messages::{MessageBody, Messages, frame_message, message_head};
pub use server::{H2Error, serve_h2};

/// Options of either side of an HTTP/2 connection.
#[derive(Clone, Debug)]
pub struct H2Options {
    /// The maximum time for a client's connect, or for the client's part of the handshake with a server.
    pub connect_timeout: Duration,
    /// The interval between pings. `None` disables them.
    pub keep_alive_interval: Option<Duration>,
    /// The maximum time for the answer to a ping. The connection is closed after it.
    pub keep_alive_timeout: Duration,
    /// The receive window of a stream, in bytes.
    pub stream_window: u32,
    /// The receive window of a connection, in bytes.
    pub connection_window: u32,
    /// The maximum number of streams that a peer may have open. Server only.
    pub max_concurrent_streams: u32,
}

impl Default for H2Options {
    fn default() -> H2Options {
        H2Options {
            connect_timeout: Duration::from_secs(10),
            keep_alive_interval: Some(Duration::from_secs(30)),
            keep_alive_timeout: Duration::from_secs(10),
            stream_window: 1024 * 1024,
            connection_window: 4 * 1024 * 1024,
            max_concurrent_streams: 1024,
        }
    }
}

#[cfg(test)]
mod tests;
