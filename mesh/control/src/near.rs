//! Endpoints as clients at one place are to see them, made once for all of these clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_config::Mesh;
use shakedown_config::translate::{self, Client};

use crate::snapshot::{Resources, Snapshot};

/// What was made for the clients that have asked. It holds the newest push, and the one before as far as nobody has asked
/// again.
#[derive(Debug, Default)]
pub(crate) struct Near {
    known: Mutex<BTreeMap<Client, Made>>,
}

#[derive(Clone, Debug)]
struct Made {
    push: u64,
    resources: Arc<Resources>,
}

impl Near {
    /// The endpoints of a client, as far as they are not those of all. As long as they stay the same they are the same
    /// [`Arc`].
    pub(crate) fn of(&self, client: &Client, mesh: &Mesh, shared: &Snapshot) -> Arc<Resources> {
        // What a panic in the middle leaves behind is a map that holds less.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(client).cloned();
        if let Some(made) = &before
            && made.push == shared.push()
        {
            return Arc::clone(&made.resources);
        }
        let before = before.map(|made| made.resources).unwrap_or_default();
        let endpoints = translate::nearby(mesh, client);
        let made = Resources::nearby(endpoints, shared.resources(), &before);
        let resources = match made.changes_from(&before).is_empty() {
            true => before,
            false => Arc::new(made),
        };
        // Clients that have not been here for two pushes have gone, or moved.
        known.retain(|_, made| made.push + 1 >= shared.push());
        let made = Made {
            push: shared.push(),
            resources: Arc::clone(&resources),
        };
        known.insert(client.clone(), made);
        resources
    }
}
