//! HTTP connections over [`Env`](shakedown_env::Env), shared by the proxy, the control plane, the load generator and
//! the modelled apps.
//!
//! - [`Body`]: the body type of requests. [`ResponseBody`]: the body type of responses.
//! - [`serve_http1`], [`accept_loop`]: HTTP/1.1 servers. [`serve_auto_until`], [`accept_auto_until`]: servers of
//!   HTTP/1.1 and HTTP/2 on one port. [`Drain`] ends them gracefully.
//! - [`Pool`]: HTTP/1.1 or HTTP/2 connections to one address, reused in Envoy's order. [`Quota`]: the resources that a
//!   circuit breaker counts across many pools.
//! - [`Upgrade`], [`tunnel`]: connections that switch from HTTP to another protocol.
//! - [`Replay`]: a body that can be sent again while it is still arriving.
//! - [`connect_h2`], [`Channel`], [`serve_h2`]: gRPC over HTTP/2, for xDS. [`Messages`], [`MessageBody`]: the messages
//!   of its streams.
//! - [`TlsClient`], [`TlsServer`]: TLS inside a connection. A pool uses TLS if its options say so.
//! - [`EnvTimer`], [`EnvExecutor`]: hyper's timer and executor, implemented on `Env`.
//!
//! This crate does not interpret requests: routes, policies and headers, including `host` and the hop-by-hop headers,
//! are the caller's business.
//!
//! Invariant: all access to clocks, sockets and tasks is through `Env`.

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

pub use self::h2::{Flood, H2Body, ResetStream};
pub use body::{Body, BodyError, CollectError, KeptBudget, Replay, ReplayBody};
pub use drain::Drain;
pub use framing::BadHead;
pub use grpc::{
    Channel, ChannelBody, H2Error, H2Options, MessageBody, Messages, connect_h2, frame_message,
    message_head, serve_h2,
};
pub use pool::{
    HttpError, LeasedBody, Permit, Pool, PoolOptions, PoolProtocol, Quota, QuotaBound, QuotaLimits,
    ResponseBody, SendError, Trace, Traffic,
};
pub use seams::{EnvExecutor, EnvTimer};
pub use server::{
    AcceptedConnection, ConnectionAddresses, HeadTimeout, ServeError, ServerBody, ServerOptions,
    ServerTls, TransportSecurity, accept_auto_until, accept_loop, accept_loop_until,
    serve_auto_until, serve_http1, serve_http1_until,
};
pub use target::{WrittenPath, path_of, set_path};
pub use tls::{
    AcceptedSession, CertificateRefusal, ClientAuth, PeerCertificate, Roots, ServerTrust,
    SessionClient, SharedTlsClient, TlsClient, TlsContext, TlsCredentials, TlsError, TlsServer,
    lacks_http2, refusal,
};
pub use upgrade::{Tunnel, TunnelBounds, TunnelEnd, Upgrade, tunnel};

#[cfg(test)]
mod scene;
