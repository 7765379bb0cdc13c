//! HTTP connections over [`Env`](shakedown_env::Env): what the proxy, the control plane, the load generator and the
//! modelled apps share.
//!
//! - [`Body`]: the one body type of the request path.
//! - [`serve_http1`], [`accept_loop`]: HTTP/1.1 servers; [`serve_auto_until`], [`accept_auto_until`]: servers of HTTP/1.1 and
//!   HTTP/2 on one port; with [`Drain`] to end them gracefully.
//! - [`Pool`]: HTTP/1.1 or HTTP/2 connections to one address, kept and reused in Envoy's order; [`Quota`]: what its circuit
//!   breakers count over many pools.
//! - [`Upgrade`], [`tunnel`]: connections that become something else than HTTP.
//! - [`Replay`]: a body that can be sent again while it still arrives.
//! - [`connect_h2`], [`Channel`], [`serve_h2`]: gRPC over HTTP/2, for xDS; [`Messages`], [`MessageBody`]: its streams.
//! - [`TlsClient`], [`TlsServer`]: TLS inside a connection; pools speak it where they are told to.
//! - [`EnvTimer`], [`EnvExecutor`]: hyper's seams, filled from Env.
//!
//! It refuses to know what a request means: routes, policies and headers are its callers' business, down to `host` and the
//! hop-by-hop headers.
//!
//! Invariant: nothing here reads a clock, opens a socket or starts a task but through Env.

mod body;
mod drain;
mod framing;
mod grpc;
mod h2;
mod pool;
mod seams;
mod server;
mod target;
mod tls;
mod upgrade;
mod wakers;

pub use self::h2::{Flood, H2Body, ResetStream};
pub use body::{Body, BodyError, CollectError, KeptBudget, Replay, ReplayBody};
pub use drain::Drain;
pub use framing::BadHead;
pub use grpc::{
    Channel, ChannelBody, H2Error, H2Options, MessageBody, Messages, connect_h2, frame_message,
    message_head, serve_h2,
};
pub use pool::{
    Bound, HttpError, LeasedBody, Permit, Pool, PoolOptions, Protocol, Quota, QuotaLimits,
    SendError, Trace, Traffic,
};
pub use seams::{EnvExecutor, EnvTimer};
pub use server::{
    Connected, HeadTimeout, ServeError, ServerOptions, accept_auto_until, accept_loop,
    accept_loop_until, serve_auto_until, serve_http1, serve_http1_until,
};
pub use target::{WrittenPath, path_of, set_path};
pub use tls::{Refusal, Roots, TlsClient, TlsError, TlsServer, Trust, lacks_http2, refusal};
pub use upgrade::{Tunnel, TunnelBounds, TunnelEnd, Upgrade, tunnel};

#[cfg(test)]
mod scene;
