//! What is known of one host.

use std::net::SocketAddr;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_types::Detector;
use shakedown_xds::table::OutlierDetection;

use super::Outcome;
use super::rates::Rate;

/// One host: its counters, and since when it is out.
#[derive(Debug)]
pub(super) struct Monitor {
    address: SocketAddr,
    consecutive_5xx: u32,
    consecutive_gateway: u32,
    consecutive_local: u32,
    /// Of what it answered.
    pub(super) external: Rate,
    /// Of reaching it, where that is counted apart.
    pub(super) local: Rate,
    ejected: Option<Ejected>,
    returned: Option<Time>,
    /// How many times the base time its next ejection lasts, less one.
    backoff: u32,
}

/// A host that is out.
#[derive(Clone, Copy, Debug)]
struct Ejected {
    since: Time,
    jitter: Duration,
}

impl Monitor {
    pub(super) fn new(address: SocketAddr) -> Monitor {
        Monitor {
            address,
            consecutive_5xx: 0,
            consecutive_gateway: 0,
            consecutive_local: 0,
            external: Rate::default(),
            local: Rate::default(),
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

    /// Takes note of a try; the detectors that fire, in Envoy's order.
    pub(super) fn observe(
        &mut self,
        outcome: Outcome,
        settings: &OutlierDetection,
    ) -> [Option<Detector>; 2] {
        match (outcome, settings.split_local_origin) {
            (Outcome::Status(status), _) => self.status(status, settings),
            (Outcome::Connected, false) => [None, None],
            (Outcome::TimedOut, false) => self.status(504, settings),
            (Outcome::Failed, false) => self.status(503, settings),
            (Outcome::Connected, true) => {
                self.local.count(true);
                self.consecutive_local = 0;
                [None, None]
            }
            (Outcome::TimedOut | Outcome::Failed, true) => {
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

    /// Starts a counter again.
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

    /// Takes it out; the next time will be longer, up to the maximum.
    pub(super) fn eject(&mut self, now: Time, jitter: Duration, settings: &OutlierDetection) {
        self.ejected = Some(Ejected { since: now, jitter });
        let (base, max) = (settings.base_ejection_time, settings.max_ejection_time);
        if base.saturating_mul(self.backoff) < max.saturating_add(base) {
            self.backoff += 1;
        }
    }

    /// Whether it has been out for its time.
    pub(super) fn may_return(&self, now: Time, settings: &OutlierDetection) -> bool {
        self.ejected.is_some_and(|ejected| {
            let span = settings.base_ejection_time.saturating_mul(self.backoff);
            let span = span.min(settings.max_ejection_time);
            span.saturating_add(ejected.jitter) <= now.since(ejected.since)
        })
    }

    /// It is back, and starts with no failures.
    pub(super) fn uneject(&mut self, now: Time) {
        self.ejected = None;
        self.returned = Some(now);
        self.consecutive_5xx = 0;
        self.consecutive_gateway = 0;
        self.consecutive_local = 0;
    }

    /// Closes the interval's counts.
    pub(super) fn end_interval(&mut self) {
        self.external.end_interval();
        self.local.end_interval();
    }

    /// A host that is in, and has been back for an interval, is out for less the next time.
    pub(super) fn forgive(&mut self, now: Time, interval: Duration) {
        let long_back = self
            .returned
            .is_some_and(|returned| now.since(returned) >= interval);
        if self.ejected.is_none() && long_back {
            self.backoff = self.backoff.saturating_sub(1);
        }
    }
}

/// Counts one more; whether that is exactly the threshold.
fn one_more(counter: &mut u32, threshold: u32) -> bool {
    *counter = counter.saturating_add(1);
    *counter == threshold
}
