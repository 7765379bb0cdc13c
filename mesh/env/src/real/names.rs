//! Names that are resolved without the system's resolver.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A table of names that hosts of the real backend consult before the system's resolver. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct HostTable(Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>);

impl HostTable {
    pub fn new() -> HostTable {
        HostTable::default()
    }

    /// Sets the addresses of a name, in the order in which they are returned.
    pub fn set(&self, name: impl Into<String>, addresses: Vec<IpAddr>) {
        self.table().insert(name.into(), addresses);
    }

    pub fn remove(&self, name: &str) {
        self.table().remove(name);
    }

    pub fn lookup(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.table().get(name).cloned()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Vec<IpAddr>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
