//! The xDS configuration of a proxy: the protobuf messages as received, and the tables the proxy executes.
//!
//! [`proto`] re-exports Envoy's messages. [`mod@compile`] turns them into the immutable [`table`] in which a proxy
//! looks up requests. This crate does not depend on Istio's documents. It is pure: no I/O, and the same message
//! always gives the same result.

pub mod compile;
pub mod proto;
pub mod table;
