//! Occupies a core for the length of a work step, under either CPU scheduling policy.

use std::rc::Rc;
use std::time::Duration;

use shakedown_env::Env;
use shakedown_scenarios::scenario::{CpuScheduling, Version};

use super::meter::Meter;
use super::queue::{CallerGone, QueueAdmission, ServerGuard, Servers};
use super::sharing::CoreSharing;
use super::visit::VisitGuard;
use crate::cpu::CpuClock;

#[derive(Debug)]
pub(crate) struct Cores {
    env: Env,
    cpu: Rc<CpuClock>,
    kind: CoreKind,
    /// True if the app has no workers: requests wait for cores instead, and that wait is their queue wait.
    is_queue: bool,
}

#[derive(Debug)]
enum CoreKind {
    Unlimited,
    InOrder(Rc<Servers>, Meter),
    Shared(Rc<CoreSharing>),
}

/// The reason why work was refused a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCore {
    /// The queue is full.
    Full,
    /// The caller had disconnected before a core was free.
    Shed,
}

impl Cores {
    /// Creates the cores that a version declares. For processor sharing, spawns a task.
    pub(crate) fn new(env: &Env, version: &Version, meter: Meter, drops_gone: bool) -> Cores {
        let is_queue = version.workers.is_none();
        let cpu = Rc::clone(meter.cpu());
        let kind = match (version.cores, version.cpu) {
            (None, _) => CoreKind::Unlimited,
            (Some(cores), CpuScheduling::Fifo) => {
                // With workers, the number of workers already bounds this queue.
                let limit = version.queue.limit.filter(|_| is_queue);
                let servers =
                    Servers::new(cores, limit, version.queue.order, drops_gone && is_queue);
                CoreKind::InOrder(servers, meter)
            }
            (Some(cores), CpuScheduling::Ps) => {
                let sharing = CoreSharing::new(env.clone(), cores, meter);
                env.spawn("app-cores", Rc::clone(&sharing).drive());
                CoreKind::Shared(sharing)
            }
        };
        Cores {
            env: env.clone(),
            cpu,
            kind,
            is_queue,
        }
    }

    /// Occupies a core for the CPU time that `span` returns. `span` is called when the core is granted,
    /// because a service time is drawn when service begins.
    pub(crate) async fn work(
        &self,
        span: impl FnOnce() -> Duration,
        visit: &VisitGuard,
    ) -> Result<(), NoCore> {
        match &self.kind {
            CoreKind::Unlimited => self.cpu.spend(&self.env, span()).await,
            CoreKind::InOrder(servers, meter) => {
                let guard = self.acquire(servers, visit, meter).await?;
                self.cpu.spend(&self.env, span()).await;
                drop(guard);
            }
            // Processor sharing starts all work at once.
            CoreKind::Shared(sharing) => {
                sharing.work(span()).await;
            }
        }
        Ok(())
    }

    async fn acquire<'a>(
        &self,
        servers: &Rc<Servers>,
        visit: &VisitGuard,
        meter: &'a Meter,
    ) -> Result<Metered<'a>, NoCore> {
        let start = self.env.now();
        meter.note(start, servers.busy());
        let guard = match servers.enter(visit.gone()) {
            QueueAdmission::Admitted(guard) => guard,
            QueueAdmission::Full => return Err(NoCore::Full),
            QueueAdmission::Queued(wait) => {
                let waiting = self.is_queue.then(|| visit.waits());
                let turn = wait.await;
                drop(waiting);
                turn.map_err(|CallerGone| NoCore::Shed)?
            }
        };
        Ok(Metered {
            env: self.env.clone(),
            servers: Rc::clone(servers),
            meter,
            _guard: guard,
        })
    }
}

/// A core in use, metered until it is dropped.
struct Metered<'a> {
    env: Env,
    servers: Rc<Servers>,
    meter: &'a Meter,
    /// Dropped after the meter has recorded the use.
    _guard: ServerGuard,
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        self.meter.note(self.env.now(), self.servers.busy());
    }
}
