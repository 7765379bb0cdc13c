//! The driver of outlier detection for one upstream: reports results to the detector, runs its interval, and updates
//! the load balancer at the end of the merge window.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::{Env, Owned, Rng, Time};
use shakedown_types::MeshEvent;
use shakedown_xds::table::Cluster;

use super::host_health::HostHealth;
use super::upstream::Upstream;
use crate::outlier::{
    AttemptOutcome, EjectionChange, EjectionChanges, MergeTime, MergeWindow, OutlierDetector,
};

/// The health of a cluster's hosts according to outlier detection.
#[derive(Debug)]
pub(crate) struct ClusterHealth {
    env: Env,
    cluster: Arc<str>,
    /// `None` while the cluster has no outlier detection.
    outliers: RefCell<Option<OutlierDetector>>,
    merge: RefCell<MergeWindow>,
    window: Cell<Duration>,
    /// True once the cluster has had hosts.
    settled: Cell<bool>,
    random: RefCell<Rng>,
    /// The upstream, for the tasks, which end with it.
    upstream: RefCell<Weak<Upstream>>,
    /// The start of the interval.
    began: Cell<Time>,
    /// The task that runs the interval.
    interval: RefCell<Option<Owned>>,
    /// The task that waits for the end of the merge window.
    late: RefCell<Option<Owned>>,
}

impl ClusterHealth {
    pub(super) fn new(env: &Env, cluster: &Arc<str>) -> ClusterHealth {
        ClusterHealth {
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

    /// Applies a configuration that is in force since `since`. The detector's data on hosts is kept while detection is
    /// enabled. The interval restarts if its length changes or detection is enabled.
    pub(super) fn configure(&self, cluster: &Cluster, since: Time) {
        self.window.set(cluster.update_merge_window);
        let mut outliers = self.outliers.borrow_mut();
        let before = outliers.as_ref().map(|known| known.settings().interval);
        match (&cluster.outlier, outliers.as_mut()) {
            (Some(settings), Some(known)) => known.set_settings((**settings).clone()),
            (Some(settings), None) => *outliers = Some(OutlierDetector::new((**settings).clone())),
            (None, _) => *outliers = None,
        }
        let after = cluster.outlier.as_ref().map(|settings| settings.interval);
        drop(outliers);
        if before != after {
            self.began.set(since);
            self.restart();
        }
    }

    /// Sets the upstream, and starts the interval.
    pub(super) fn begin(&self, upstream: &Rc<Upstream>) {
        self.upstream.replace(Rc::downgrade(upstream));
        self.restart();
    }

    /// Adds a host of the cluster, if it is new, and its entry in the detector. Returns true if the host is new, or
    /// returns from ejection because detection is disabled.
    pub(super) fn join(&self, host: &HostHealth, address: SocketAddr) -> bool {
        let known = host.known.replace(true);
        match self.outliers.borrow_mut().as_mut() {
            Some(outliers) if host.outlier_id.get().is_none() => {
                host.outlier_id.set(Some(outliers.add(address)));
                !known
            }
            Some(_) => false,
            None => {
                host.outlier_id.set(None);
                host.ejected.replace(false) || !known
            }
        }
    }

    /// Removes a host that was removed from the cluster.
    pub(super) fn leave(&self, host: &HostHealth) {
        host.known.set(false);
        let id = host.outlier_id.take();
        if let (Some(outliers), Some(id)) = (self.outliers.borrow_mut().as_mut(), id) {
            outliers.remove(id);
        }
    }

    /// Notes that hosts were added or removed, so that the load balancer is updated now. The first hosts of a cluster
    /// do not count as a change. Source: Envoy, `ClusterManagerImpl::onClusterInit`.
    pub(super) fn taken_in(&self, since: Time) {
        if self.settled.replace(true) {
            self.merge.borrow_mut().taken_in(since);
            self.late.take();
        }
    }

    /// Reports an attempt's outcome to the detector, and returns the resulting ejections.
    pub(super) fn observe(&self, host: &HostHealth, outcome: AttemptOutcome) -> EjectionChanges {
        let mut outliers = self.outliers.borrow_mut();
        match (outliers.as_mut(), host.outlier_id.get()) {
            (Some(outliers), Some(id)) => {
                let random = &mut *self.random.borrow_mut();
                outliers.observe(id, outcome, self.env.now(), random)
            }
            _ => EjectionChanges::new(),
        }
    }

    /// Ends an interval of the detector.
    fn tick(&self) -> EjectionChanges {
        let mut outliers = self.outliers.borrow_mut();
        let Some(outliers) = outliers.as_mut() else {
            return EjectionChanges::new();
        };
        outliers.tick(self.env.now(), &mut *self.random.borrow_mut())
    }

    /// Emits the events of changes, and schedules the load balancer's update.
    fn report(&self, upstream: &Upstream, changes: &EjectionChanges) {
        for change in changes {
            let cluster = Arc::clone(&self.cluster);
            let (address, ejected, event) = match *change {
                EjectionChange::Ejected(host, by) => {
                    (host, true, MeshEvent::Ejected { cluster, host, by })
                }
                EjectionChange::Returned(host) => {
                    (host, false, MeshEvent::Returned { cluster, host })
                }
                EjectionChange::Overflowed(host, by) => {
                    self.env
                        .emit(MeshEvent::EjectionOverflow { cluster, host, by });
                    continue;
                }
            };
            if let Some(host) = upstream.host_at(address) {
                host.health().ejected.set(ejected);
                if ejected {
                    // New connections may work better. Source: Envoy, `onHostHealthFailure`.
                    host.pool().close_idle();
                }
            }
            self.env.emit(event);
            // Per change, because the first of several in one interval may be applied at once and alone. Source: Envoy,
            // `DetectorImpl::onIntervalTimer`, `ClusterImplBase::reloadHealthyHosts`.
            self.schedule_update(upstream);
        }
    }

    /// Updates the load balancer now, or at the end of the merge window.
    fn schedule_update(&self, upstream: &Upstream) {
        let when = self
            .merge
            .borrow_mut()
            .changed(self.env.now(), self.window.get());
        match when {
            MergeTime::Now => {
                self.late.take();
                upstream.health_changed();
            }
            MergeTime::At(time) => self.wait(time),
            MergeTime::Waiting => {}
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

    /// Restarts the interval's task, aligned to `began`. Without detection there is nothing to run.
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

/// The end of the interval that contains `now`.
fn next_tick(began: Time, interval: Duration, now: Time) -> Time {
    let passed = now.since(began).as_nanos() / interval.as_nanos().max(1);
    let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
    began + interval.saturating_mul(passed + 1)
}

/// Runs the detector at each interval until the upstream is dropped.
async fn watch(env: Env, upstream: Weak<Upstream>, first: Time, interval: Duration) {
    let mut next = first;
    loop {
        env.sleep_until(next).await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        let changes = upstream.health().tick();
        if !changes.is_empty() {
            upstream.health().report(&upstream, &changes);
        }
        next = env.now() + interval;
    }
}

impl Upstream {
    /// Starts the tasks that run as long as the upstream exists.
    pub(super) fn begin(self: &Rc<Self>) {
        self.health().begin(self);
    }

    /// Reports the outcome of an attempt at one of its hosts.
    pub(crate) fn observe(&self, host: &HostHealth, outcome: AttemptOutcome) {
        let changes = self.health().observe(host, outcome);
        if !changes.is_empty() {
            self.health().report(self, &changes);
        }
    }
}
