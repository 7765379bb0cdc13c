//! What both sides of HTTP/2 share: its limits, its bodies, and the way of headers between it and HTTP/1.1.
//!
//! Everything behind this crate's surface looks like HTTP/1.1: a request has its target in origin form and a `host` header.
//! Streams are h2's own, on both sides. hyper's server cannot set how long h2 remembers the streams that it has reset, which
//! h2 measures by the real clock; a frame that comes late for such a stream is ignored while it is remembered, and answered
//! with a RST_STREAM after that, so that a slow machine would see other bytes than a fast one. Its client can, but hides which
//! end of a stream broke, and costs a task a request.

use std::time::Duration;

mod body;
mod constraints;
mod expulsion;
mod frames;
mod headers;
mod send;
mod serve;
mod watched;

pub use body::H2Body;
pub use constraints::Flood;
pub(crate) use expulsion::Expulsion;
pub(crate) use frames::{Frames, PREFACE, kind};
pub(crate) use headers::{set_length, toward_service, toward_wire, toward_wire_response};
pub(crate) use send::{Upload, UploadError, upload};
pub use serve::ResetStream;
pub(crate) use serve::{serve_stream, server_builder};
pub(crate) use watched::{Watch, Watched};

/// How long h2 remembers a stream that was reset: for ever, since it measures this by the real clock. The number of such
/// streams is bounded instead, by [`RESET_STREAMS`].
pub(crate) const RESET_STREAM_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// How many reset streams h2 remembers on one connection. A connection that comes near it takes no more streams, and ends.
pub(crate) const RESET_STREAMS: usize = 1024;
/// How many streams a connection may have reset before it takes no more.
pub(crate) const RESETS_MAX: usize = RESET_STREAMS / 2;
/// How many streams of one connection are begun in a row, before other tasks have their turn.
pub(crate) const STREAMS_PER_TURN: u32 = 16;
/// The receive window of a stream, in bytes.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;
/// The receive window of a connection, in bytes; Envoy's default.
/// Source: Envoy, `Http2ProtocolOptions.initial_connection_window_size`.
pub(crate) const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;
