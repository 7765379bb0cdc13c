//! Reads a YAML tree into a [`ResolvedScenario`](crate::scenario::ResolvedScenario). Each key is accepted, refused as not
//! supported yet, or reported as unknown. Each value is parsed once.
//!
//! Reading continues after an error, so that all errors of a file are reported together. Each submodule reads one
//! section.

mod calls;
mod chaos;
mod deploys;
mod endpoint;
mod expect;
mod fields;
mod latency;
mod load;
mod mesh;
mod reader;
mod retries;
mod routes;
mod service;
mod settings;
mod skeleton;
mod steps;
mod target;
mod top;

pub(crate) use top::read;

#[cfg(test)]
mod tests;
