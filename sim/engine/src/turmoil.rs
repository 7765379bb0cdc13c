//! Verifies the native engine: the same [`Env`](shakedown_env::Env) on the `turmoil` simulator, which is
//! widely used and shares no code with ours.
//!
//! Each of our hosts is a turmoil host with our address. Connections are those of `turmoil::net`, sleeps are
//! those of the paused tokio clock that turmoil gives each host. Time advances in turmoil's tick of [`TICK`],
//! to which shorter times are rounded up.
//!
//! Turmoil's network has limits, which this environment shares:
//! - Latency cannot differ by direction, and cannot be drawn from our distributions.
//! - A lost segment stays lost, so neither loss that TCP repairs nor partitions are available.
//! - A RST cannot be sent on demand: a stream that should be reset on drop sends a FIN.
//! - A crash is silent as in the native engine, but also drops the host's packets in flight.
//!
//! Invariant: nothing here reads a real clock or entropy. Turmoil's own seed has no effect, because none of
//! its draws are used.

mod net;
mod shared;
mod sleep;
mod socket;
mod task;
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use shakedown_env::{TaskName, Time, UnixTime};

use crate::panics::{self, PanicNote, PanicWatch};
use crate::{HostId, SimError};

pub use net::TurmoilNet;
use shared::{TurmoilCommand, TurmoilShared};

/// The step of turmoil's time.
pub const TICK: Duration = Duration::from_millis(1);

/// Maximum number of waiting segments per connection, and of waiting connections per listener. Beyond it
/// turmoil panics.
const CAPACITY: usize = 16_384;
/// Name of turmoil's own steps in the report of a panic.
const NETWORK: &str = "network";

/// Options of a run on turmoil.
#[derive(Clone, Copy, Debug)]
pub struct TurmoilOptions {
    /// Seed of all random streams.
    pub seed: u64,
    /// Wall-clock time at time zero, unless [`TurmoilNet::set_epoch_origin`] changes it.
    pub epoch: UnixTime,
}

/// A run on turmoil's simulator. It stays on the thread that created it, and a thread can have one at a time.
pub struct TurmoilSim {
    /// `None` only during the drop.
    sim: Option<::turmoil::Sim<'static>>,
    shared: Arc<TurmoilShared>,
}

impl TurmoilSim {
    /// Creates a simulation without hosts, at time zero.
    ///
    /// # Panics
    /// If this thread already has a simulation.
    pub fn new(options: TurmoilOptions) -> TurmoilSim {
        panics::install();
        task::claim();
        let sim = ::turmoil::Builder::new()
            .tick_duration(TICK)
            // No real clock is read, not even for turmoil's own wall clock.
            .epoch(SystemTime::UNIX_EPOCH)
            .rng_seed(options.seed)
            .tcp_capacity(CAPACITY)
            .min_message_latency(TICK)
            .max_message_latency(TICK)
            .fail_rate(0.0)
            .build();
        TurmoilSim {
            sim: Some(sim),
            shared: Arc::new(TurmoilShared::new(options.seed, options.epoch)),
        }
    }

    /// Adds a host, which is up and empty. Hosts run in the order of addition.
    pub fn add_host(&mut self, name: &str, address: IpAddr) -> HostId {
        let host = self.shared.add_host(name, address);
        let shared = Arc::clone(&self.shared);
        self.sim().host(address, move || {
            task::root(Arc::clone(&shared), host, shared.life(host))
        });
        host
    }

    /// Returns the interface for fault injection. Tasks may own it, but they must not own the [`TurmoilSim`].
    pub fn net(&self) -> TurmoilNet {
        TurmoilNet::new(Arc::clone(&self.shared))
    }

    /// Runs until `until` returns true. It is called after every tick.
    ///
    /// # Errors
    /// [`SimError`], but not [`SimError::Stalled`] or [`SimError::Spinning`], because turmoil's time advances
    /// without events, and turmoil does not detect tasks that keep waking each other.
    pub fn run(&mut self, mut until: impl FnMut() -> bool) -> Result<(), SimError> {
        let _watch = PanicWatch::new();
        // Commands issued before the first tick.
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
        self.sim
            .as_mut()
            .expect("the simulation is taken only by `drop`")
    }

    fn step(&mut self) -> Result<(), SimError> {
        let sim = self.sim();
        let stepped = panics::catch(|| sim.step()).map_err(|note| self.panicked("step", note))?;
        // Hosts' software never ends, so it cannot end with an error either.
        stepped.map(drop).map_err(|error| {
            let (message, location) = (error.to_string(), "turmoil".to_owned());
            self.panicked("step", PanicNote { message, location })
        })
    }

    /// Executes the commands that were issued during the tick, because turmoil can apply them only between
    /// ticks.
    fn obey(&mut self) -> Result<(), SimError> {
        for command in self.shared.commands() {
            let shared = Arc::clone(&self.shared);
            let address = |host| shared.address(host);
            let sim = self.sim();
            let obeyed = panics::catch(|| match command {
                TurmoilCommand::Crash(host) => {
                    // Partitioned first, because the crash drops its sockets, and other hosts must not see
                    // them close.
                    for other in shared.others(host) {
                        sim.partition_oneway(address(host), other);
                    }
                    sim.crash(address(host));
                }
                TurmoilCommand::Restart(host) => {
                    for other in shared.others(host) {
                        sim.repair_oneway(address(host), other);
                    }
                    sim.bounce(address(host));
                }
                TurmoilCommand::Latency(a, b, latency) => {
                    sim.set_link_latency(address(a), address(b), ticks(latency));
                }
            });
            obeyed.map_err(|note| self.panicked("chaos", note))?;
        }
        Ok(())
    }

    fn panicked(&self, task: TaskName, note: PanicNote) -> SimError {
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
        let _watch = PanicWatch::new();
        // Other hosts must not see the effects of destructors.
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

/// Rounds a duration up to whole ticks, at least one.
pub fn ticks(span: Duration) -> Duration {
    let ticks = span.as_nanos().div_ceil(TICK.as_nanos()).max(1);
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    TICK.saturating_mul(ticks)
}

#[cfg(test)]
mod tests;
