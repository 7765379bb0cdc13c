//! Core time in the Journal: recorded when the number of busy cores changes, and only for apps that count
//! cores.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::Time;
use shakedown_results::{Event, PodId};

use crate::cpu::CpuClock;
use crate::journal::Journal;

#[derive(Debug)]
pub(crate) struct Meter {
    /// The Journal and the pod; `None` for an app whose `busy` counts workers.
    to: Option<(Arc<Journal>, PodId)>,
    cpu: Rc<CpuClock>,
    since: Cell<Time>,
    /// `since` in CPU time.
    cpu_since: Cell<Time>,
}

impl Meter {
    pub(crate) fn new(cpu: Rc<CpuClock>, to: Option<(Arc<Journal>, PodId)>) -> Meter {
        Meter {
            to,
            cpu,
            since: Cell::new(Time::ZERO),
            cpu_since: Cell::new(Time::ZERO),
        }
    }

    /// The CPU clock of the metered cores.
    pub(crate) fn cpu(&self) -> &Rc<CpuClock> {
        &self.cpu
    }

    /// Records that `busy` cores have worked since the last note, except while the pod was paused.
    pub(crate) fn note(&self, now: Time, busy: u32) {
        let since = self.since.replace(now);
        let cpu_now = self.cpu.at(now);
        let cpu_since = self.cpu_since.replace(cpu_now);
        let Some((journal, pod)) = &self.to else {
            return;
        };
        if busy == 0 || cpu_since >= cpu_now {
            return;
        }
        let worked = cpu_now.since(cpu_since).as_nanos();
        let core = worked.saturating_mul(u128::from(busy));
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
