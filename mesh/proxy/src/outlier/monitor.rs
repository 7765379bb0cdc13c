//! The host monitor: the outlier detection's state of one host.

use std::net::SocketAddr;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_types::Detector;
use shakedown_xds::table::OutlierDetection;

use super::outcome::AttemptOutcome;
use super::rates::SuccessRatio;

/// The counters and the ejection of one host.
#[derive(Debug)]
pub(super) struct HostMonitor {
    address: SocketAddr,
    consecutive_5xx: u32,
    consecutive_gateway: u32,
    consecutive_local: u32,
    /// The success rate of responses.
    pub(super) external: SuccessRatio,
    /// The success rate of reaching the host, if local-origin failures are counted separately.
    pub(super) local: SuccessRatio,
    ejected: Option<Ejected>,
    returned: Option<Time>,
    /// The multiple of the base time for the next ejection, minus one.
    backoff: u32,
}

/// The ejection of a host.
#[derive(Clone, Copy, Debug)]
struct Ejected {
    since: Time,
    jitter: Duration,
}

impl HostMonitor {
    pub(super) fn new(address: SocketAddr) -> HostMonitor {
        HostMonitor {
            address,
            consecutive_5xx: 0,
            consecutive_gateway: 0,
            consecutive_local: 0,
            external: SuccessRatio::default(),
            local: SuccessRatio::default(),
            ejected: None,
            returned: None,
            backoff: 0,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejected.is_some()
    }

    /// Records an attempt, and returns the detectors that fire, in Envoy's order.
    pub(super) fn observe(
        &mut self,
        outcome: AttemptOutcome,
        settings: &OutlierDetection,
    ) -> [Option<Detector>; 2] {
        match (outcome, settings.split_local_origin) {
            (AttemptOutcome::Status(status), _) => self.status(status, settings),
            (AttemptOutcome::Connected, false) => [None, None],
            (AttemptOutcome::TimedOut, false) => self.status(504, settings),
            (AttemptOutcome::Failed, false) => self.status(503, settings),
            (AttemptOutcome::Connected, true) => {
                self.local.count(true);
                self.consecutive_local = 0;
                [None, None]
            }
            (AttemptOutcome::TimedOut | AttemptOutcome::Failed, true) => {
                self.local.count(false);
                let threshold = settings.consecutive_local_origin_failure;
                let fires = one_more(&mut self.consecutive_local, threshold);
                [
                    fires.then_some(Detector::ConsecutiveLocalOriginFailure),
                    None,
                ]
            }
        }
    }

    fn status(&mut self, status: u16, settings: &OutlierDetection) -> [Option<Detector>; 2] {
        let failed = (500..600).contains(&status);
        self.external.count(!failed);
        if !failed {
            self.consecutive_5xx = 0;
            self.consecutive_gateway = 0;
            return [None, None];
        }
        let gateway = if matches!(status, 502..=504) {
            one_more(
                &mut self.consecutive_gateway,
                settings.consecutive_gateway_failure,
            )
        } else {
            self.consecutive_gateway = 0;
            false
        };
        let server = one_more(&mut self.consecutive_5xx, settings.consecutive_5xx);
        [
            gateway.then_some(Detector::ConsecutiveGatewayFailure),
            server.then_some(Detector::Consecutive5xx),
        ]
    }

    /// Restarts a counter.
    pub(super) fn reset(&mut self, detector: Detector) {
        match detector {
            Detector::Consecutive5xx => self.consecutive_5xx = 0,
            Detector::ConsecutiveGatewayFailure => self.consecutive_gateway = 0,
            Detector::ConsecutiveLocalOriginFailure => self.consecutive_local = 0,
            Detector::SuccessRate
            | Detector::SuccessRateLocalOrigin
            | Detector::FailurePercentage
            | Detector::FailurePercentageLocalOrigin => {}
        }
    }

    /// Ejects the host. The next ejection is longer, up to the maximum.
    pub(super) fn eject(&mut self, now: Time, jitter: Duration, settings: &OutlierDetection) {
        self.ejected = Some(Ejected { since: now, jitter });
        let (base, max) = (settings.base_ejection_time, settings.max_ejection_time);
        if base.saturating_mul(self.backoff) < max.saturating_add(base) {
            self.backoff += 1;
        }
    }

    /// Returns true if the ejection time has passed.
    pub(super) fn may_return(&self, now: Time, settings: &OutlierDetection) -> bool {
        self.ejected.is_some_and(|ejected| {
            let span = settings.base_ejection_time.saturating_mul(self.backoff);
            let span = span.min(settings.max_ejection_time);
            span.saturating_add(ejected.jitter) <= now.since(ejected.since)
        })
    }

    /// Returns the host, and resets its failure counters.
    pub(super) fn uneject(&mut self, now: Time) {
        self.ejected = None;
        self.returned = Some(now);
        self.consecutive_5xx = 0;
        self.consecutive_gateway = 0;
        self.consecutive_local = 0;
    }

    /// Ends the interval of the rates.
    pub(super) fn end_interval(&mut self) {
        self.external.end_interval();
        self.local.end_interval();
    }

    /// Shortens the next ejection of a host that has been back for at least an interval.
    pub(super) fn forgive(&mut self, now: Time, interval: Duration) {
        let long_back = self
            .returned
            .is_some_and(|returned| now.since(returned) >= interval);
        if self.ejected.is_none() && long_back {
            self.backoff = self.backoff.saturating_sub(1);
        }
    }
}

/// Increments a counter, and returns true if it equals the threshold.
fn one_more(counter: &mut u32, threshold: u32) -> bool {
    *counter = counter.saturating_add(1);
    *counter == threshold
}
