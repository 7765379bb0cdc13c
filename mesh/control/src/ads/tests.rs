//! A test for each rule, and a property: a client that applies the responses ends with the snapshot, and on the way
//! there never has a route without its cluster.

mod client;
mod converge;
mod rules;
