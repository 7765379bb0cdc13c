//! The interface for fault injection into the hosts and links of a run on turmoil.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use shakedown_env::{Env, Time};
use shakedown_types::MeshEvent;

use super::shared::{TurmoilCommand, TurmoilShared};
use super::task;
use super::world::TurmoilWorld;
use crate::HostId;

/// A handle to the hosts and links of a run, used for fault injection. Cheap to clone.
#[derive(Clone)]
pub struct TurmoilNet {
    shared: Arc<TurmoilShared>,
}

impl TurmoilNet {
    pub(super) fn new(shared: Arc<TurmoilShared>) -> TurmoilNet {
        TurmoilNet { shared }
    }

    /// Returns a handle of a host, valid until its next crash.
    pub fn env(&self, host: HostId) -> Env {
        Env::new(Arc::new(TurmoilWorld::new(Arc::clone(&self.shared), host)))
    }

    /// Crashes a host: its peers are not notified, and its tasks end with the tick.
    pub fn crash(&self, host: HostId) {
        {
            let mut state = self.shared.lock();
            let gone = state.host_mut(host);
            if !gone.up {
                return;
            }
            gone.up = false;
            gone.life += 1;
            gone.paused = false;
            gone.ports.clear();
            gone.held.clear();
            state.commands.push(TurmoilCommand::Crash(host));
        }
        task::forget(host);
    }

    /// Restarts a host, which keeps its store only. A host that is up crashes first.
    pub fn restart(&self, host: HostId) -> Env {
        self.crash(host);
        {
            let mut state = self.shared.lock();
            state.host_mut(host).up = true;
            state.commands.push(TurmoilCommand::Restart(host));
        }
        self.env(host)
    }

    /// Stops the tasks of a host. Its sockets stay open.
    pub fn pause(&self, host: HostId) {
        self.shared.lock().host_mut(host).paused = true;
    }

    /// Ends a pause, and wakes the tasks that were woken during it.
    pub fn resume(&self, host: HostId) {
        let held = {
            let mut state = self.shared.lock();
            let host = state.host_mut(host);
            host.paused = false;
            std::mem::take(&mut host.held)
        };
        held.into_iter().for_each(Waker::wake);
    }

    /// Renames a host. Nothing may have run on it yet, because its random streams are named after it.
    pub fn rename(&self, host: HostId, name: &str) {
        self.shared.lock().host_mut(host).name = name.into();
    }

    /// Sets the latency between two hosts, in both directions, from the next tick on. Rounded up to whole
    /// [ticks](super::TICK), at least one.
    pub fn set_latency(&self, a: HostId, b: HostId, latency: Duration) {
        let command = TurmoilCommand::Latency(a, b, latency);
        self.shared.lock().commands.push(command);
    }

    /// Sets the addresses of a name.
    pub fn set_name(&self, name: String, addresses: Vec<IpAddr>) {
        self.shared.lock().names.insert(name, addresses);
    }

    /// Makes every wall clock show the run's epoch at `zero`.
    pub fn set_epoch_origin(&self, zero: Time) {
        self.shared.lock().origin = zero;
    }

    /// Sends the events that hosts emit to `sink`.
    pub fn set_event_sink(&self, sink: Box<dyn FnMut(Time, HostId, MeshEvent) + Send>) {
        self.shared.sink.set(Some(sink));
    }
}
