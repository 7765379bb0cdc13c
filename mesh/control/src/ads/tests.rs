//! A test of each protocol rule, and a property test: a client that applies the responses converges to the snapshot,
//! and at no point has a route without its cluster.

mod client;
mod converge;
mod rules;
