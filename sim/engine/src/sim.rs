//! A run, created on the thread that executes it, and stepped until a condition is true.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{Env, Time, UnixTime};

use crate::error::SimError;
use crate::executor::Executor;
use crate::kernel::Kernel;
use crate::noise::Noise;
use crate::panics::{self, PanicWatch};
use crate::shared::{Advance, SimShared};
use crate::stats::Stats;
use crate::{HostId, HostSpec, Net};

/// Options of a simulated run.
#[derive(Clone, Copy, Debug)]
pub struct SimOptions {
    /// Seed of all random streams.
    pub seed: u64,
    /// Wall-clock time at time zero, unless [`Net::set_epoch_origin`] changes it.
    pub epoch: UnixTime,
    /// Seed of real sleeps of up to 200 us between polls, which must not change any result: a check for leaks
    /// of real time.
    pub noise: Option<u64>,
}

/// A simulation. Bound to the thread that created it, which can have only one at a time. Dropping it drops all its
/// tasks.
pub struct Sim {
    shared: Arc<SimShared>,
    pub(crate) executor: Rc<Executor>,
    running: Cell<bool>,
    failed: RefCell<Option<SimError>>,
}

impl Sim {
    /// Creates a simulation without hosts, at time zero.
    ///
    /// # Panics
    /// If this thread already has a simulation.
    pub fn new(options: SimOptions) -> Sim {
        panics::install();
        let shared = SimShared::new(Kernel::new(options.seed, options.epoch));
        let executor = Executor::claim(Arc::clone(&shared), options.noise.map(Noise::new));
        Sim {
            shared,
            executor,
            running: Cell::new(false),
            failed: RefCell::new(None),
        }
    }

    /// Adds a host, which is up and empty, and returns its handle.
    ///
    /// # Panics
    /// If a host with that name or address exists.
    pub fn add_host(&self, spec: HostSpec) -> Env {
        self.net().add_host(spec)
    }

    pub fn host_id(&self, name: &str) -> Option<HostId> {
        self.net().host_id(name)
    }

    pub fn host_name(&self, host: HostId) -> String {
        self.net().host_name(host)
    }

    pub fn host_address(&self, host: HostId) -> IpAddr {
        self.net().host_address(host)
    }

    /// Returns a handle of a host, valid until its next crash. For a host that is down, the handle does
    /// nothing.
    pub fn env(&self, host: HostId) -> Env {
        self.net().env(host)
    }

    /// Returns the interface for fault injection. Tasks may own it, but they must not own the [`Sim`].
    pub fn net(&self) -> Net {
        Net::new(Arc::clone(&self.shared))
    }

    /// Current virtual time.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    pub fn stats(&self) -> Stats {
        self.net().stats()
    }

    /// Runs until `until` returns true. It is called when all ready tasks have been polled, before time
    /// advances.
    ///
    /// # Errors
    /// [`SimError`].
    pub fn run(&self, mut until: impl FnMut() -> bool) -> Result<(), SimError> {
        self.drive(Time::FAR, &mut until)
    }

    /// Processes all events up to and including `end`. The time is then `end`.
    ///
    /// # Errors
    /// [`SimError`], but not [`SimError::Stalled`].
    pub fn run_until(&self, end: Time) -> Result<(), SimError> {
        self.drive(end, &mut || false)
    }

    fn drive(&self, end: Time, until: &mut dyn FnMut() -> bool) -> Result<(), SimError> {
        assert!(
            !self.running.replace(true),
            "a run cannot be driven by its own tasks"
        );
        let _watch = PanicWatch::new();
        let result = match &*self.failed.borrow() {
            Some(error) => Err(error.clone()),
            None => self.steps(end, until),
        };
        if let Err(error) = &result {
            self.failed.replace(Some(error.clone()));
        }
        self.running.set(false);
        result
    }

    fn steps(&self, end: Time, until: &mut dyn FnMut() -> bool) -> Result<(), SimError> {
        loop {
            self.executor.run_ready()?;
            if until() {
                return Ok(());
            }
            let advance = panics::catch(|| self.shared.advance(end))
                .map_err(|note| self.network_panicked(note))?;
            match advance {
                Advance::Fired { moved: true } => self.executor.instant_over(),
                Advance::Fired { moved: false } => {}
                Advance::Idle if end == Time::FAR => {
                    return Err(SimError::Stalled { at: self.now() });
                }
                Advance::Idle | Advance::Beyond => {
                    self.shared
                        .with(|kernel| self.shared.set_now(kernel, end.max(kernel.now)));
                    self.executor.instant_over();
                    return Ok(());
                }
            }
        }
    }

    fn network_panicked(&self, note: panics::PanicNote) -> SimError {
        SimError::Panicked {
            host: "network".to_owned(),
            task: "event",
            born: Time::ZERO,
            at: self.now(),
            message: note.message,
            location: note.location,
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _watch = PanicWatch::new();
        // All hosts crash before the first destructor runs, so that its effects do not reach other hosts.
        self.shared.with(Kernel::crash_all);
        self.shared.sink.set(None);
        self.executor.release();
        // Sleeps and links may own handles of this simulation, which would keep it alive.
        let remains = self.shared.with(Kernel::clear);
        let _ = panics::catch(|| drop(remains));
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
