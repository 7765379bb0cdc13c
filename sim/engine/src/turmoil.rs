//! A second opinion: the same [`Env`](shakedown_env::Env) on `turmoil`'s simulator, which the field knows and which shares no
//! line with ours.
//!
//! Each of our hosts is a host of turmoil's, with our address; connections are `turmoil::net`'s, sleeps are those of the
//! paused tokio clock that turmoil gives each host. Time is turmoil's tick of [`TICK`]: whatever is shorter takes one.
//!
//! What its network cannot do, and so this world neither: latency that differs by direction or is drawn from a distribution
//! of ours; loss that TCP repairs (a lost segment stays lost, so there are no partitions here); a RST on demand (a stream
//! whose drop was to be abrupt sends a FIN). A crash is silent as ours is, but takes what the host had on the wire with it.
//!
//! Invariant: nothing here reads a real clock or entropy; turmoil's own seed only shifts draws that nobody makes.

mod net;
mod sleep;
mod socket;
mod task;
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use shakedown_env::{TaskName, Time, UnixTime};

use crate::panics::{self, Note, Watch};
use crate::{HostId, SimError};

pub use net::TurmoilNet;
use net::{Command, Shared};

/// The step of turmoil's time.
pub const TICK: Duration = Duration::from_millis(1);

/// How many segments a connection, and how many connections a listener, may have waiting. Past it turmoil panics.
const CAPACITY: usize = 16_384;
/// What turmoil's own steps are called when they panic.
const NETWORK: &str = "network";

/// What a run starts from.
#[derive(Clone, Copy, Debug)]
pub struct TurmoilOptions {
    /// The seed of every random stream.
    pub seed: u64,
    /// What the wall clock shows when time is zero, unless [`TurmoilNet::set_epoch_origin`] moves it.
    pub epoch: UnixTime,
}

/// One run on turmoil's simulator. It stays on the thread that made it, which carries one at a time.
pub struct TurmoilSim {
    /// `None` only while it is being dropped.
    sim: Option<::turmoil::Sim<'static>>,
    shared: Arc<Shared>,
}

impl TurmoilSim {
    /// A world without hosts, at time zero.
    ///
    /// # Panics
    /// When this thread carries a run already.
    pub fn new(options: TurmoilOptions) -> TurmoilSim {
        panics::install();
        task::claim();
        let sim = ::turmoil::Builder::new()
            .tick_duration(TICK)
            // No clock is read, not even for what turmoil's own wall clock shows.
            .epoch(SystemTime::UNIX_EPOCH)
            .rng_seed(options.seed)
            .tcp_capacity(CAPACITY)
            .min_message_latency(TICK)
            .max_message_latency(TICK)
            .fail_rate(0.0)
            .build();
        TurmoilSim {
            sim: Some(sim),
            shared: Arc::new(Shared::new(options)),
        }
    }

    /// Adds a host, up and empty. Hosts act in the order in which they were added.
    pub fn add_host(&mut self, name: &str, address: IpAddr) -> HostId {
        let host = self.shared.add_host(name, address);
        let shared = Arc::clone(&self.shared);
        self.sim().host(address, move || {
            task::root(Arc::clone(&shared), host, shared.life(host))
        });
        host
    }

    /// The hand that chaos reaches in with. Tasks may own it; they must not own the [`TurmoilSim`].
    pub fn net(&self) -> TurmoilNet {
        TurmoilNet::new(Arc::clone(&self.shared))
    }

    /// Runs until `until` holds. It is asked after every tick.
    ///
    /// # Errors
    /// [`SimError`], but not [`SimError::Stalled`] or [`SimError::Spinning`]: turmoil's time passes with nothing to do, and
    /// does not see tasks that keep waking each other.
    pub fn run(&mut self, mut until: impl FnMut() -> bool) -> Result<(), SimError> {
        let _watch = Watch::new();
        // What was asked for before the first tick.
        self.obey()?;
        loop {
            let sim = self.sim();
            let elapsed = sim.elapsed();
            self.shared.set_now(Time::ZERO + elapsed);
            self.step()?;
            self.obey()?;
            if let Some(error) = self.shared.failure() {
                return Err(error);
            }
            if until() {
                return Ok(());
            }
        }
    }

    fn sim(&mut self) -> &mut ::turmoil::Sim<'static> {
        self.sim.as_mut().expect("it is gone only in the drop")
    }

    fn step(&mut self) -> Result<(), SimError> {
        let sim = self.sim();
        let stepped = panics::catch(|| sim.step()).map_err(|note| self.panicked("step", note))?;
        // Hosts' software never ends, so it never ends with an error either.
        stepped.map(drop).map_err(|error| {
            let (message, location) = (error.to_string(), "turmoil".to_owned());
            self.panicked("step", Note { message, location })
        })
    }

    /// Carries out what hosts were told to do to each other during the tick: turmoil can do it only between ticks.
    fn obey(&mut self) -> Result<(), SimError> {
        for command in self.shared.commands() {
            let shared = Arc::clone(&self.shared);
            let address = |host| shared.address(host);
            let sim = self.sim();
            let obeyed = panics::catch(|| match command {
                Command::Crash(host) => {
                    // Cut off first: its sockets are dropped, and nobody may hear them close.
                    for other in shared.others(host) {
                        sim.partition_oneway(address(host), other);
                    }
                    sim.crash(address(host));
                }
                Command::Restart(host) => {
                    for other in shared.others(host) {
                        sim.repair_oneway(address(host), other);
                    }
                    sim.bounce(address(host));
                }
                Command::Latency(a, b, latency) => {
                    sim.set_link_latency(address(a), address(b), ticks(latency));
                }
            });
            obeyed.map_err(|note| self.panicked("chaos", note))?;
        }
        Ok(())
    }

    fn panicked(&self, task: TaskName, note: Note) -> SimError {
        SimError::Panicked {
            host: NETWORK.to_owned(),
            task,
            born: Time::ZERO,
            at: self.shared.now(),
            message: note.message,
            location: note.location,
        }
    }
}

impl Drop for TurmoilSim {
    fn drop(&mut self) {
        let _watch = Watch::new();
        // Nobody hears the dying.
        self.shared.close();
        let sim = self.sim.take();
        let _ = panics::catch(|| {
            drop(sim);
            task::release();
        });
    }
}

impl std::fmt::Debug for TurmoilSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurmoilSim")
            .field("now", &self.shared.now())
            .finish_non_exhaustive()
    }
}

/// A span as turmoil has it: rounded up to whole ticks, at least one.
pub fn ticks(span: Duration) -> Duration {
    let ticks = span.as_nanos().div_ceil(TICK.as_nanos()).max(1);
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    TICK.saturating_mul(ticks)
}

#[cfg(test)]
mod tests;
