//! Routes as equal callers are to see them, where documents speak of callers: made once for all of these callers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_config::Mesh;
use shakedown_config::translate::{self, Caller};

use crate::snapshot::{Resources, Snapshot};

/// What was made for the callers that have asked. It holds the newest push, and the one before as far as nobody has asked
/// again.
#[derive(Debug, Default)]
pub(crate) struct Routed {
    known: Mutex<BTreeMap<Caller, Made>>,
}

#[derive(Clone, Debug)]
struct Made {
    push: u64,
    resources: Arc<Resources>,
}

impl Routed {
    /// The routes of a caller. As long as they stay the same they are the same [`Arc`].
    pub(crate) fn of(&self, caller: &Caller, mesh: &Mesh, shared: &Snapshot) -> Arc<Resources> {
        // What a panic in the middle leaves behind is a map that holds less.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(caller).cloned();
        if let Some(made) = &before
            && made.push == shared.push()
        {
            return Arc::clone(&made.resources);
        }
        let before = before.map(|made| made.resources).unwrap_or_default();
        let made = Resources::routed(translate::routes_for(mesh, caller));
        let resources = match made.changes_from(&before).is_empty() {
            true => before,
            false => Arc::new(made),
        };
        // Callers that have not been here for two pushes have gone, or are others now.
        known.retain(|_, made| made.push + 1 >= shared.push());
        let made = Made {
            push: shared.push(),
            resources: Arc::clone(&resources),
        };
        known.insert(caller.clone(), made);
        resources
    }
}
