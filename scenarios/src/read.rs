//! From a tree to a [`Story`]: every key is known, refused as not supported yet, or unknown; every value is parsed once.
//!
//! Reading continues after an error, so that all errors of a file are reported at once. Each submodule reads a section.

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
