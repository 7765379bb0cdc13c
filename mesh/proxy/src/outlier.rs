//! Finds hosts that fail more than their neighbours, and takes them out for a time: Envoy's outlier detection.
//!
//! A plain state machine of one cluster: it sees how tries end and when its interval is over, and says who is out. What the
//! balancer makes of that, and when it hears of it ([`MergeWindow`]), is not its business. It never takes out more than the
//! configuration allows, whatever happens.
//! Source: Envoy, `source/common/upstream/outlier_detection_impl.cc`.

mod monitor;
mod rates;
mod window;

use std::net::SocketAddr;
use std::time::Duration;

use rand_core::Rng;
use shakedown_env::Time;
use shakedown_types::Detector;
use shakedown_xds::table::OutlierDetection;
use smallvec::SmallVec;

use monitor::Monitor;
use rates::Origin;
pub use window::{MergeWindow, When};

/// How a try ended, as far as its host's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was a connection for it. Told before the answer.
    Connected,
    /// With this status.
    Status(u16),
    /// It took too long: 504 where failures to reach a host are not counted apart.
    TimedOut,
    /// It was reset, or there was no connection: 503 where these are not counted apart.
    Failed,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A host was taken out.
    Ejected(SocketAddr, Detector),
    /// A host was detected and not ejected, because no more hosts may be out.
    Overflowed(SocketAddr, Detector),
    /// A host is back.
    Returned(SocketAddr),
}

/// What a host is known by; good until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat(usize);

/// The changes of one step; more than two are rare.
pub type Changes = SmallVec<[Change; 2]>;

/// The hosts of one cluster as the detection sees them.
#[derive(Debug)]
pub struct Outliers {
    settings: OutlierDetection,
    /// By seat; those left free are taken again.
    hosts: Vec<Option<Monitor>>,
    free: Vec<usize>,
    /// How many hosts are out.
    ejected: u32,
}

impl Outliers {
    /// No hosts yet.
    pub fn new(settings: OutlierDetection) -> Outliers {
        Outliers {
            settings,
            hosts: Vec::new(),
            free: Vec::new(),
            ejected: 0,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &OutlierDetection {
        &self.settings
    }

    /// Other settings; what is known of the hosts stays.
    pub fn set_settings(&mut self, settings: OutlierDetection) {
        self.settings = settings;
    }

    /// A new host, of which nothing is known.
    pub fn add(&mut self, address: SocketAddr) -> Seat {
        let monitor = Some(Monitor::new(address));
        match self.free.pop() {
            Some(index) => {
                self.hosts[index] = monitor;
                Seat(index)
            }
            None => {
                self.hosts.push(monitor);
                Seat(self.hosts.len() - 1)
            }
        }
    }

    /// The host is no longer one of the cluster's.
    pub fn remove(&mut self, seat: Seat) {
        let Some(monitor) = self.hosts.get_mut(seat.0).and_then(Option::take) else {
            return;
        };
        self.ejected -= u32::from(monitor.is_ejected());
        self.free.push(seat.0);
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many hosts are out.
    pub fn ejected(&self) -> u32 {
        self.ejected
    }

    /// Whether a host is out.
    pub fn is_ejected(&self, seat: Seat) -> bool {
        self.monitor(seat).is_some_and(Monitor::is_ejected)
    }

    /// Takes note of how a try at a host went.
    pub fn observe(
        &mut self,
        seat: Seat,
        outcome: Outcome,
        now: Time,
        random: &mut impl Rng,
    ) -> Changes {
        let mut changes = Changes::new();
        let Some(monitor) = self.hosts.get_mut(seat.0).and_then(Option::as_mut) else {
            return changes;
        };
        for detector in monitor
            .observe(outcome, &self.settings)
            .into_iter()
            .flatten()
        {
            self.consecutive(seat, detector, now, random, &mut changes);
        }
        changes
    }

    /// The interval is over: hosts whose time has come return, and the interval's rates are looked at.
    pub fn tick(&mut self, now: Time, random: &mut impl Rng) -> Changes {
        let mut changes = Changes::new();
        for monitor in self.hosts.iter_mut().flatten() {
            if monitor.may_return(now, &self.settings) {
                monitor.uneject(now);
                self.ejected -= 1;
                changes.push(Change::Returned(monitor.address()));
            }
            monitor.end_interval();
        }
        for origin in [Origin::External, Origin::Local] {
            for (seat, detector) in rates::outliers(&self.settings, &self.hosts, origin) {
                self.eject(Seat(seat), detector, now, random, &mut changes);
            }
        }
        for monitor in self.hosts.iter_mut().flatten() {
            monitor.forgive(now, self.settings.interval);
        }
        changes
    }

    fn monitor(&self, seat: Seat) -> Option<&Monitor> {
        self.hosts.get(seat.0)?.as_ref()
    }

    /// A counter has come to its threshold. It starts again whether or not the host is taken out; that of a host which is
    /// out already goes on.
    fn consecutive(
        &mut self,
        seat: Seat,
        detector: Detector,
        now: Time,
        random: &mut impl Rng,
        changes: &mut Changes,
    ) {
        if self.is_ejected(seat) {
            return;
        }
        self.eject(seat, detector, now, random, changes);
        if let Some(monitor) = self.hosts[seat.0].as_mut() {
            monitor.reset(detector);
        }
    }

    /// Ejects a host if the maximum percentage and the share of enforcement allow it. A detection beyond the maximum is
    /// reported before enforcement is drawn. Source: Envoy, `DetectorImpl::ejectHost`.
    fn eject(
        &mut self,
        seat: Seat,
        detector: Detector,
        now: Time,
        random: &mut impl Rng,
        changes: &mut Changes,
    ) {
        if self.is_ejected(seat) {
            return;
        }
        if !self.has_room() {
            let host = self.monitor(seat).map(Monitor::address);
            changes.extend(host.map(|host| Change::Overflowed(host, detector)));
            return;
        }
        if !self.enforces(detector, random) {
            return;
        }
        let jitter = draw(self.settings.max_ejection_time_jitter, random);
        if let Some(monitor) = self.hosts[seat.0].as_mut() {
            monitor.eject(now, jitter, &self.settings);
            self.ejected += 1;
            changes.push(Change::Ejected(monitor.address(), detector));
        }
    }

    /// Whether one more may be out: strictly no more than the share, so that one of nine is too many for 10%.
    fn has_room(&self) -> bool {
        let allowed = u64::from(self.settings.max_ejection_percent.min(100)) * self.len() as u64;
        let within = 100 * (u64::from(self.ejected) + 1) <= allowed;
        within || (self.settings.always_eject_one_host && self.ejected == 0)
    }

    /// Source: Envoy, `SnapshotImpl::featureEnabled`: no draw where there is nothing to decide.
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

/// A whole number of milliseconds from 0 to `most`.
fn draw(most: Duration, random: &mut impl Rng) -> Duration {
    match u64::try_from(most.as_millis()).unwrap_or(u64::MAX) {
        0 => Duration::ZERO,
        most => Duration::from_millis(random.next_u64() % most.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests;
