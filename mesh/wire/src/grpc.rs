//! gRPC over HTTP/2, as far as xDS needs it: a client channel for tonic's generated clients, a server for its generated
//! services, and streams of messages that hold no buffer between two messages. tonic's own transport is not used: it spawns on tokio and reads its clock.
//!
//! Both sides send pings, so that a peer which vanished without a word is noticed.
//! A call has no deadline here: nobody enforces `grpc-timeout`, callers wrap what must end.

use std::time::Duration;

mod client;
mod messages;
mod ping;
mod server;

pub use client::{Channel, ChannelBody, connect_h2};
pub use messages::{MessageBody, Messages, frame_message, message_head};
pub use server::{H2Error, serve_h2};

/// How both sides of an HTTP/2 connection behave.
#[derive(Clone, Debug)]
pub struct H2Options {
    /// The longest that the connect, and after it the peer's first word, may take.
    pub connect_timeout: Duration,
    /// How often the peer is pinged; never where none.
    pub keep_alive_interval: Option<Duration>,
    /// How long a ping may stay unanswered before the connection is given up.
    pub keep_alive_timeout: Duration,
    /// The receive window of a stream, in bytes.
    pub stream_window: u32,
    /// The receive window of a connection, in bytes.
    pub connection_window: u32,
    /// The most streams that a peer may have open; server only.
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
