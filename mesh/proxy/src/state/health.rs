//! Outlier detection of one upstream at work: it feeds the decider, keeps its interval, and lets the balancer hear of
//! changes when the merge window says so.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::{Env, Owned, Rng, Time};
use shakedown_types::MeshEvent;
use shakedown_xds::table::Cluster;

use super::Upstream;
use crate::outlier::{Change, Changes, MergeWindow, Outcome, Outliers, Seat, When};

/// The health of a cluster's hosts, as far as their answers tell.
#[derive(Debug)]
pub(crate) struct Health {
    env: Env,
    cluster: Arc<str>,
    /// `None` while the cluster has no outlier detection.
    outliers: RefCell<Option<Outliers>>,
    merge: RefCell<MergeWindow>,
    window: Cell<Duration>,
    /// Whether there have been hosts.
    settled: Cell<bool>,
    random: RefCell<Rng>,
    /// The upstream, for the tasks to find; they end with it.
    upstream: RefCell<Weak<Upstream>>,
    /// When the interval began.
    began: Cell<Time>,
    /// The task that keeps the interval.
    interval: RefCell<Option<Owned>>,
    /// The task that waits for the merge window's end.
    late: RefCell<Option<Owned>>,
}

/// What a host knows of its own health.
#[derive(Debug, Default)]
pub(crate) struct HostHealth {
    /// Whether it is one of its cluster's hosts.
    known: Cell<bool>,
    seat: Cell<Option<Seat>>,
    /// Whether the detection has taken it out.
    ejected: Cell<bool>,
    /// Whether the balancer knows.
    out: Cell<bool>,
}

impl HostHealth {
    /// Whether the balancer takes it to be in: what outlier detection has done to it counts a merge window later.
    pub(crate) fn is_in(&self) -> bool {
        !self.out.get()
    }

    /// What the detection says now; whether that is news to the balancer.
    pub(super) fn take_in(&self) -> bool {
        self.out.replace(self.ejected.get()) != self.ejected.get()
    }
}

impl Health {
    pub(super) fn new(env: &Env, cluster: &Arc<str>) -> Health {
        Health {
            env: env.clone(),
            cluster: Arc::clone(cluster),
            outliers: RefCell::default(),
            merge: RefCell::default(),
            window: Cell::default(),
            settled: Cell::default(),
            random: RefCell::new(env.rng(&format!("proxy/outlier/{cluster}"))),
            upstream: RefCell::default(),
            began: Cell::default(),
            interval: RefCell::default(),
            late: RefCell::default(),
        }
    }

    /// Takes in a configuration, in force since a time. What is known of the hosts stays as long as there is any detection; the interval begins
    /// when the detection does, or when it changes.
    pub(super) fn configure(&self, cluster: &Cluster, since: Time) {
        self.window.set(cluster.update_merge_window);
        let mut outliers = self.outliers.borrow_mut();
        let before = outliers.as_ref().map(|known| known.settings().interval);
        match (&cluster.outlier, outliers.as_mut()) {
            (Some(settings), Some(known)) => known.set_settings((**settings).clone()),
            (Some(settings), None) => *outliers = Some(Outliers::new((**settings).clone())),
            (None, _) => *outliers = None,
        }
        let after = cluster.outlier.as_ref().map(|settings| settings.interval);
        drop(outliers);
        if before != after {
            self.began.set(since);
            self.restart();
        }
    }

    /// The upstream is in its place: its interval may begin.
    pub(super) fn begin(&self, upstream: &Rc<Upstream>) {
        self.upstream.replace(Rc::downgrade(upstream));
        self.restart();
    }

    /// A host is one of the cluster's, as it may have been before; nothing is known of a new one. Whether it is new, or is
    /// in again because there is no detection any more.
    pub(super) fn join(&self, host: &HostHealth, address: SocketAddr) -> bool {
        let known = host.known.replace(true);
        match self.outliers.borrow_mut().as_mut() {
            Some(outliers) if host.seat.get().is_none() => {
                host.seat.set(Some(outliers.add(address)));
                !known
            }
            Some(_) => false,
            None => {
                host.seat.set(None);
                host.ejected.replace(false) || !known
            }
        }
    }

    /// A host is no longer one of the cluster's.
    pub(super) fn leave(&self, host: &HostHealth) {
        host.known.set(false);
        let seat = host.seat.take();
        if let (Some(outliers), Some(seat)) = (self.outliers.borrow_mut().as_mut(), seat) {
            outliers.remove(seat);
        }
    }

    /// Hosts came or went: the balancer hears of everything now. The first hosts of a cluster are not counted as a change.
    /// Source: Envoy, `ClusterManagerImpl::onClusterInit`.
    pub(super) fn taken_in(&self, since: Time) {
        if self.settled.replace(true) {
            self.merge.borrow_mut().taken_in(since);
            self.late.take();
        }
    }

    /// Takes note of how a try went; whether the balancer must hear of a change now.
    pub(super) fn observe(&self, host: &HostHealth, outcome: Outcome) -> Changes {
        let mut outliers = self.outliers.borrow_mut();
        match (outliers.as_mut(), host.seat.get()) {
            (Some(outliers), Some(seat)) => {
                let random = &mut *self.random.borrow_mut();
                outliers.observe(seat, outcome, self.env.now(), random)
            }
            _ => Changes::new(),
        }
    }

    /// The interval is over.
    fn tick(&self) -> Changes {
        let mut outliers = self.outliers.borrow_mut();
        let Some(outliers) = outliers.as_mut() else {
            return Changes::new();
        };
        outliers.tick(self.env.now(), &mut *self.random.borrow_mut())
    }

    /// Tells the world of changes, and the balancer when it is time.
    fn tell(&self, upstream: &Upstream, changes: &Changes) {
        for change in changes {
            let cluster = Arc::clone(&self.cluster);
            let (address, ejected, event) = match *change {
                Change::Ejected(host, by) => (host, true, MeshEvent::Ejected { cluster, host, by }),
                Change::Returned(host) => (host, false, MeshEvent::Returned { cluster, host }),
                Change::Overflowed(host, by) => {
                    self.env
                        .emit(MeshEvent::EjectionOverflow { cluster, host, by });
                    continue;
                }
            };
            if let Some(host) = upstream.host_at(address) {
                host.health().ejected.set(ejected);
                if ejected {
                    // A new set of connections may do better. Source: Envoy, `onHostHealthFailure`.
                    host.pool().close_idle();
                }
            }
            self.env.emit(event);
            // Each change by itself: of several at one tick the first may be taken in at once, and alone. Source: Envoy,
            // `DetectorImpl::onIntervalTimer`, `ClusterImplBase::reloadHealthyHosts`.
            self.hear(upstream);
        }
    }

    /// The balancer hears of a change, now or when it is time.
    fn hear(&self, upstream: &Upstream) {
        let when = self
            .merge
            .borrow_mut()
            .changed(self.env.now(), self.window.get());
        match when {
            When::Now => {
                self.late.take();
                upstream.health_changed();
            }
            When::At(time) => self.wait(time),
            When::Waiting => {}
        }
    }

    fn wait(&self, until: Time) {
        let (env, upstream) = (self.env.clone(), self.upstream.borrow().clone());
        let task = self.env.spawn_owned("outlier-update", async move {
            env.sleep_until(until).await;
            if let Some(upstream) = upstream.upgrade() {
                upstream.health().merge.borrow_mut().taken_in(env.now());
                upstream.health_changed();
            }
        });
        self.late.replace(Some(task));
    }

    /// Keeps the interval anew, counted from when it began; no task where there is nothing to look at.
    fn restart(&self) {
        let settings = self.outliers.borrow();
        let interval = settings.as_ref().map(|known| known.settings().interval);
        let upstream = self.upstream.borrow().clone();
        let task = interval
            .filter(|_| upstream.strong_count() > 0)
            .map(|span| {
                let next = next_tick(self.began.get(), span, self.env.now());
                let watch = watch(self.env.clone(), upstream, next, span);
                self.env.spawn_owned("outlier-detection", watch)
            });
        self.interval.replace(task);
    }
}

/// The first tick after now.
fn next_tick(began: Time, interval: Duration, now: Time) -> Time {
    let passed = now.since(began).as_nanos() / interval.as_nanos().max(1);
    let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
    began + interval.saturating_mul(passed + 1)
}

/// Looks at all hosts, interval after interval, for as long as the upstream is there.
async fn watch(env: Env, upstream: Weak<Upstream>, first: Time, interval: Duration) {
    let mut next = first;
    loop {
        env.sleep_until(next).await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        let changes = upstream.health().tick();
        if !changes.is_empty() {
            upstream.health().tell(&upstream, &changes);
        }
        next = env.now() + interval;
    }
}

impl Upstream {
    /// It is in its place: what runs as long as it lives may begin.
    pub(super) fn begin(self: &Rc<Self>) {
        self.health().begin(self);
    }

    /// Takes note of how a try at one of its hosts went.
    pub(crate) fn observe(&self, host: &HostHealth, outcome: Outcome) {
        let changes = self.health().observe(host, outcome);
        if !changes.is_empty() {
            self.health().tell(self, &changes);
        }
    }
}
