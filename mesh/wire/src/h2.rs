//! Code shared by both sides of HTTP/2: limits, bodies, and the conversion of headers from and to HTTP/1.1's form.
//!
//! Everything outside of this crate sees HTTP/1.1's form: a request has its target in origin form and a `host` header.
//! Both sides use h2's own streams. hyper's server cannot configure for how long h2 remembers the streams that it has
//! reset, which h2 measures by the real clock. A late frame of such a stream is ignored while the stream is remembered,
//! and answered with RST_STREAM after that, so a slow machine would produce other bytes than a fast one. hyper's client
//! can configure it, but hides which end of a stream failed, and needs a task per request.

use std::time::Duration;

mod accept;
mod body;
mod constraints;
mod expulsion;
mod frames;
mod headers;
mod send;
mod serve;
mod watched;

pub(crate) use accept::{ServerConnection, server_builder};
pub use body::H2Body;
pub use constraints::Flood;
pub(crate) use frames::{FrameScanner, PREFACE, kind};
pub(crate) use headers::{set_length, toward_service, toward_wire, toward_wire_response};
pub(crate) use send::{Upload, UploadError, upload};
pub use serve::ResetStream;
pub(crate) use watched::{AccountedStream, H2Accounting};

/// The time for which h2 remembers a reset stream. Unlimited in practice, because h2 measures it by the real clock. The
/// number of such streams is bounded instead, by [`RESET_STREAMS`].
pub(crate) const RESET_STREAM_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The number of reset streams that h2 remembers on one connection. A connection is drained before it reaches this.
pub(crate) const RESET_STREAMS: usize = 1024;
/// The number of reset streams after which a connection accepts no more streams.
pub(crate) const RESETS_MAX: usize = RESET_STREAMS / 2;
/// The number of streams of one connection that are started in a row before other tasks run.
pub(crate) const STREAMS_PER_TURN: u32 = 16;
/// The receive window of a stream, in bytes.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;
/// The receive window of a connection, in bytes. Envoy's default. Source: Envoy,
/// `Http2ProtocolOptions.initial_connection_window_size`.
pub(crate) const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;
