//! Core time, as the Journal has it: told whenever the number of busy cores changes, and only of apps that count cores.

use std::cell::Cell;
use std::sync::Arc;

use shakedown_env::Time;
use shakedown_results::{Event, PodId};

use crate::journal::Journal;

/// The core time of one pod.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Where to tell; `None` for an app whose `busy` counts workers.
    to: Option<(Arc<Journal>, PodId)>,
    since: Cell<Time>,
}

impl Meter {
    pub(crate) fn new(to: Option<(Arc<Journal>, PodId)>) -> Meter {
        Meter {
            to,
            since: Cell::new(Time::ZERO),
        }
    }

    /// Since the last note, `busy` cores have worked.
    pub(crate) fn note(&self, now: Time, busy: u32) {
        let since = self.since.replace(now);
        let Some((journal, pod)) = &self.to else {
            return;
        };
        if busy == 0 || since >= now {
            return;
        }
        let core = now.since(since).as_nanos().saturating_mul(u128::from(busy));
        let core_ns = i64::try_from(core).unwrap_or(i64::MAX);
        journal.record(
            now,
            Event::Worked {
                pod: *pod,
                since_ns: journal.nanos(since),
                core_ns,
            },
        );
    }
}
