//! The digest of a run: SHA-256 over schema, version, the expanded scenario, seed and the ordered events.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{JOURNAL_VERSION, Participants, Record, SCHEMA};

/// Computes the [`Digest`] of a run incrementally. Its memory does not grow with the run.
#[derive(Clone, Debug)]
pub struct Digester {
    hash: Sha256,
    buffer: Vec<u8>,
}

/// The identity of a run: equal digests mean equal runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digester {
    /// Starts the digest of a run of `scenario` (expanded, with the included files) under `seed`.
    pub fn new(
        package_version: &str,
        scenario: &str,
        seed: u64,
        participants: &Participants,
    ) -> Digester {
        let mut digester = Digester {
            hash: Sha256::new(),
            buffer: Vec::with_capacity(256),
        };
        digester.add(&(SCHEMA, package_version, JOURNAL_VERSION, scenario, seed));
        digester.add(participants);
        digester
    }

    /// Adds the next event.
    pub fn record(&mut self, record: &Record) {
        self.add(record);
    }

    /// Returns the digest of all added values.
    pub fn finish(self) -> Digest {
        Digest(format!("{:x}", self.hash.finalize()))
    }

    /// Prefixes each value with its length, because Postcard is not self-delimiting between values.
    fn add<T: Serialize>(&mut self, value: &T) {
        self.buffer.clear();
        let bytes = postcard::to_extend(value, std::mem::take(&mut self.buffer))
            .expect("records serialize to Postcard");
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(&bytes);
        self.buffer = bytes;
    }
}

impl Digest {
    /// Returns the SHA-256 of some bytes.
    pub fn of_bytes(bytes: &[u8]) -> Digest {
        Digest(format!("{:x}", Sha256::digest(bytes)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
