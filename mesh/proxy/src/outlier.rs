//! Envoy's outlier detection: ejects hosts that fail more than the others of their cluster, for a limited time.
//!
//! A plain state machine of one cluster. Its inputs are the results of attempts and the end of each interval, and its
//! outputs are the ejected and returned hosts. The balancer's use of them and its delay ([`MergeWindow`]) are outside
//! of this module. Never more hosts are ejected than the configuration allows.
//! Source: Envoy, `source/common/upstream/outlier_detection_impl.cc`.

mod monitor;
mod outcome;
mod rates;
mod window;

use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, RngExt as _};
use shakedown_env::Time;
use shakedown_types::Detector;
use shakedown_xds::table::OutlierDetection;
use smallvec::SmallVec;

use monitor::HostMonitor;
pub use outcome::AttemptOutcome;
use rates::FailureOrigin;
pub use window::{MergeTime, MergeWindow};

/// A change or a suppressed change of a host's ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectionChange {
    /// A host was ejected.
    Ejected(SocketAddr, Detector),
    /// A host was detected but not ejected: the maximum percentage is reached.
    Overflowed(SocketAddr, Detector),
    /// An ejected host returned.
    Returned(SocketAddr),
}

/// The id of a host, valid until the host is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutlierHostId(usize);

/// The changes of one step, rarely more than two.
pub type EjectionChanges = SmallVec<[EjectionChange; 2]>;

/// The outlier detection of one cluster.
#[derive(Debug)]
pub struct OutlierDetector {
    settings: OutlierDetection,
    /// Indexed by host id. Free ids are reused.
    hosts: Vec<Option<HostMonitor>>,
    free: Vec<usize>,
    /// The number of ejected hosts.
    ejected: u32,
}

impl OutlierDetector {
    /// Creates a detection without hosts.
    pub fn new(settings: OutlierDetection) -> OutlierDetector {
        OutlierDetector {
            settings,
            hosts: Vec::new(),
            free: Vec::new(),
            ejected: 0,
        }
    }

    pub fn settings(&self) -> &OutlierDetection {
        &self.settings
    }

    /// Replaces the settings, and keeps the state of the hosts.
    pub fn set_settings(&mut self, settings: OutlierDetection) {
        self.settings = settings;
    }

    /// Adds a host without observations.
    pub fn add(&mut self, address: SocketAddr) -> OutlierHostId {
        let monitor = Some(HostMonitor::new(address));
        match self.free.pop() {
            Some(index) => {
                self.hosts[index] = monitor;
                OutlierHostId(index)
            }
            None => {
                self.hosts.push(monitor);
                OutlierHostId(self.hosts.len() - 1)
            }
        }
    }

    /// Removes a host from the cluster.
    pub fn remove(&mut self, id: OutlierHostId) {
        let Some(monitor) = self.hosts.get_mut(id.0).and_then(Option::take) else {
            return;
        };
        self.ejected -= u32::from(monitor.is_ejected());
        self.free.push(id.0);
    }

    /// The number of hosts.
    pub fn len(&self) -> usize {
        self.hosts.len() - self.free.len()
    }

    /// Returns true if the cluster has no hosts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of ejected hosts.
    pub fn ejected(&self) -> u32 {
        self.ejected
    }

    /// Returns true if a host is ejected.
    pub fn is_ejected(&self, id: OutlierHostId) -> bool {
        self.monitor(id).is_some_and(HostMonitor::is_ejected)
    }

    /// Records the result of an attempt at a host.
    pub fn observe(
        &mut self,
        id: OutlierHostId,
        outcome: AttemptOutcome,
        now: Time,
        random: &mut impl Rng,
    ) -> EjectionChanges {
        let mut changes = EjectionChanges::new();
        let Some(monitor) = self.hosts.get_mut(id.0).and_then(Option::as_mut) else {
            return changes;
        };
        for detector in monitor
            .observe(outcome, &self.settings)
            .into_iter()
            .flatten()
        {
            self.consecutive(id, detector, now, random, &mut changes);
        }
        changes
    }

    /// Ends the interval: hosts whose ejection time has passed return, and the interval's rates are evaluated.
    pub fn tick(&mut self, now: Time, random: &mut impl Rng) -> EjectionChanges {
        let mut changes = EjectionChanges::new();
        for monitor in self.hosts.iter_mut().flatten() {
            if monitor.may_return(now, &self.settings) {
                monitor.uneject(now);
                self.ejected -= 1;
                changes.push(EjectionChange::Returned(monitor.address()));
            }
            monitor.end_interval();
        }
        for origin in [FailureOrigin::External, FailureOrigin::Local] {
            for (id, detector) in rates::outliers(&self.settings, &self.hosts, origin) {
                self.eject(OutlierHostId(id), detector, now, random, &mut changes);
            }
        }
        for monitor in self.hosts.iter_mut().flatten() {
            monitor.forgive(now, self.settings.interval);
        }
        changes
    }

    fn monitor(&self, id: OutlierHostId) -> Option<&HostMonitor> {
        self.hosts.get(id.0)?.as_ref()
    }

    /// Handles a counter that reached its threshold. The counter restarts even if the host is not ejected, except that
    /// the counter of an already ejected host continues.
    fn consecutive(
        &mut self,
        id: OutlierHostId,
        detector: Detector,
        now: Time,
        random: &mut impl Rng,
        changes: &mut EjectionChanges,
    ) {
        if self.is_ejected(id) {
            return;
        }
        self.eject(id, detector, now, random, changes);
        if let Some(monitor) = self.hosts[id.0].as_mut() {
            monitor.reset(detector);
        }
    }

    /// Ejects a host if the maximum percentage and the enforcement percentage allow it. A detection beyond the maximum
    /// is reported before enforcement is drawn.
    /// Source: Envoy, `DetectorImpl::ejectHost`.
    fn eject(
        &mut self,
        id: OutlierHostId,
        detector: Detector,
        now: Time,
        random: &mut impl Rng,
        changes: &mut EjectionChanges,
    ) {
        if self.is_ejected(id) {
            return;
        }
        if !self.has_room() {
            let host = self.monitor(id).map(HostMonitor::address);
            changes.extend(host.map(|host| EjectionChange::Overflowed(host, detector)));
            return;
        }
        if !self.enforces(detector, random) {
            return;
        }
        let jitter = draw(self.settings.max_ejection_time_jitter, random);
        if let Some(monitor) = self.hosts[id.0].as_mut() {
            monitor.eject(now, jitter, &self.settings);
            self.ejected += 1;
            changes.push(EjectionChange::Ejected(monitor.address(), detector));
        }
    }

    /// Returns true if another host may be ejected. The percentage is a strict bound, so one host of nine is too many
    /// for 10%.
    fn has_room(&self) -> bool {
        let allowed = u64::from(self.settings.max_ejection_percent.min(100)) * self.len() as u64;
        let within = 100 * (u64::from(self.ejected) + 1) <= allowed;
        within || (self.settings.always_eject_one_host && self.ejected == 0)
    }

    /// Decides enforcement, without a draw at 0% and 100%. Source: Envoy, `SnapshotImpl::featureEnabled`.
    fn enforces(&self, detector: Detector, random: &mut impl Rng) -> bool {
        let enforcing = &self.settings.enforcing;
        let percent = match detector {
            Detector::Consecutive5xx => enforcing.consecutive_5xx,
            Detector::ConsecutiveGatewayFailure => enforcing.consecutive_gateway_failure,
            Detector::ConsecutiveLocalOriginFailure => enforcing.consecutive_local_origin_failure,
            Detector::SuccessRate => enforcing.success_rate,
            Detector::SuccessRateLocalOrigin => enforcing.success_rate_local_origin,
            Detector::FailurePercentage => enforcing.failure_percentage,
            Detector::FailurePercentageLocalOrigin => enforcing.failure_percentage_local_origin,
        };
        match percent {
            0 => false,
            1..=99 => random.next_u64() % 100 < u64::from(percent),
            _ => true,
        }
    }
}

/// Draws a whole number of milliseconds from 0 to `most`.
fn draw(most: Duration, random: &mut impl Rng) -> Duration {
    match u64::try_from(most.as_millis()).unwrap_or(u64::MAX) {
        0 => Duration::ZERO,
        most => Duration::from_millis(random.random_range(0..=most)),
    }
}

#[cfg(test)]
mod tests;
