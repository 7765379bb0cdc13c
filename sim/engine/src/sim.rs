//! One run: made on the thread that carries it, stepped until its condition holds.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{Env, TaskName, Time, UnixTime};

use crate::executor::Executor;
use crate::kernel::Kernel;
use crate::noise::Noise;
use crate::panics::{self, Watch};
use crate::shared::{Advance, Shared};
use crate::{HostId, HostSpec, Net};

/// What a run starts from.
#[derive(Clone, Copy, Debug)]
pub struct SimOptions {
    /// The seed of every random stream.
    pub seed: u64,
    /// What the wall clock shows when time is zero, unless [`Net::set_epoch_origin`] moves it.
    pub epoch: UnixTime,
    /// The seed of real sleeps of up to 200 us between polls. They must change nothing: a check for leaks of real time.
    pub noise: Option<u64>,
}

/// Why a run cannot go on. Once one has come, every later step gives it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// Every task waits and nothing is left to happen.
    #[error("nothing is left to happen at {at}, and the run is not over")]
    Stalled {
        /// When.
        at: Time,
    },
    /// A task panicked, in a poll or when it was dropped.
    #[error(
        "task {task} of host {host}, born at {born}, panicked at {at} in {location}: {message}"
    )]
    Panicked {
        /// The name of the task's host; `network` for the simulated kernel's own work.
        host: String,
        /// The task's name.
        task: TaskName,
        /// When the task was spawned.
        born: Time,
        /// When it panicked.
        at: Time,
        /// The panic's message.
        message: String,
        /// `file:line:column` of the panic.
        location: String,
    },
    /// Turmoil has no port left for another connection of a host: it has 16,384, and closes none for want of them.
    #[error(
        "turmoil has no port left for {host} at {at}: 16,384 of its connections are open at once, as when requests arrive \
         faster than they are answered; lower the rate, or use the native engine"
    )]
    PortsExhausted {
        /// The name of the host.
        host: String,
        /// When.
        at: Time,
    },
    /// Tasks keep waking each other without time moving on.
    #[error("tasks spin without end at {at}; the last was {task} of host {host}")]
    Spinning {
        /// The host of the last task polled.
        host: String,
        /// The last task polled.
        task: TaskName,
        /// When.
        at: Time,
    },
}

/// Counts of a run so far, for benches and tests of leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Polls of tasks.
    pub polls: u64,
    /// Things that happened: timers, packets, acknowledgements that somebody waited for, retransmissions.
    pub events: u64,
    /// Packets sent between hosts, acknowledgements and lost ones included.
    pub packets: u64,
    /// Things that are still to happen.
    pub live_timers: usize,
    /// Tasks that have not ended.
    pub tasks: u64,
    /// Ends of connections that the simulated kernels know.
    pub connections: usize,
}

/// A simulated world. It stays on the thread that made it, which carries one at a time; dropping it drops all its tasks.
pub struct Sim {
    shared: Arc<Shared>,
    pub(crate) executor: Rc<Executor>,
    running: Cell<bool>,
    failed: RefCell<Option<SimError>>,
}

impl Sim {
    /// A world without hosts, at time zero.
    ///
    /// # Panics
    /// When this thread carries a run already.
    pub fn new(options: SimOptions) -> Sim {
        panics::install();
        let shared = Shared::new(Kernel::new(options.seed, options.epoch));
        let executor = Executor::claim(Arc::clone(&shared), options.noise.map(Noise::new));
        Sim {
            shared,
            executor,
            running: Cell::new(false),
            failed: RefCell::new(None),
        }
    }

    /// Adds a host, up and empty, and gives its handle.
    ///
    /// # Panics
    /// When a host has that name or address already.
    pub fn add_host(&self, spec: HostSpec) -> Env {
        self.net().add_host(spec)
    }

    /// The host of a name.
    pub fn host_id(&self, name: &str) -> Option<HostId> {
        self.net().host_id(name)
    }

    /// The name of a host.
    pub fn host_name(&self, host: HostId) -> String {
        self.net().host_name(host)
    }

    /// The address of a host.
    pub fn host_address(&self, host: HostId) -> IpAddr {
        self.net().host_address(host)
    }

    /// A handle of a host, valid until its next crash. While it is down, one that does nothing.
    pub fn env(&self, host: HostId) -> Env {
        self.net().env(host)
    }

    /// The hand that chaos reaches in with. Tasks may own it; they must not own the [`Sim`].
    pub fn net(&self) -> Net {
        Net::new(Arc::clone(&self.shared))
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    /// Counts so far.
    pub fn stats(&self) -> Stats {
        self.net().stats()
    }

    /// Runs until `until` holds. It is asked whenever all ready tasks have been polled, before time moves on.
    ///
    /// # Errors
    /// [`SimError`].
    pub fn run(&self, mut until: impl FnMut() -> bool) -> Result<(), SimError> {
        self.drive(Time::FAR, &mut until)
    }

    /// Runs all that happens up to `end`, that instant included; time is then `end`.
    ///
    /// # Errors
    /// [`SimError`], but not [`SimError::Stalled`].
    pub fn run_until(&self, end: Time) -> Result<(), SimError> {
        self.drive(end, &mut || false)
    }

    fn drive(&self, end: Time, until: &mut dyn FnMut() -> bool) -> Result<(), SimError> {
        assert!(
            !self.running.replace(true),
            "a run is not driven from inside"
        );
        let _watch = Watch::new();
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

    fn network_panicked(&self, note: panics::Note) -> SimError {
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
        let _watch = Watch::new();
        // Nobody hears the dying: all hosts go down before the first destructor runs.
        self.shared.with(Kernel::crash_all);
        self.shared.sink.set(None);
        self.executor.release();
        // Sleeps and links may own handles into this world, which would keep it alive.
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
