//! Outlier detection by rates: hosts with a success rate far below the mean, and hosts with a failure percentage above
//! a fixed threshold.
//!
//! The formulas are Envoy's, including floating-point arithmetic, because the same numbers must compare alike.
//! Source: Envoy, `DetectorImpl::processSuccessRateEjections` and `successRateEjectionThreshold`.

use shakedown_types::Detector;
use shakedown_xds::table::OutlierDetection;

use super::monitor::HostMonitor;

/// A success rate, in the current interval and in the last complete one.
#[derive(Debug, Default)]
pub(super) struct SuccessRatio {
    current: Count,
    last: Count,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    good: u64,
    all: u64,
}

impl SuccessRatio {
    pub(super) fn count(&mut self, good: bool) {
        self.current.all += 1;
        self.current.good += u64::from(good);
    }

    pub(super) fn end_interval(&mut self) {
        self.last = std::mem::take(&mut self.current);
    }

    /// The last interval's rate in percent, and its number of attempts; `None` without attempts.
    fn last(&self) -> Option<(f64, u64)> {
        let Count { good, all } = self.last;
        (all > 0).then(|| (good as f64 * 100.0 / all as f64, all))
    }
}

/// The origin of the evaluated failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureOrigin {
    /// Responses of hosts.
    External,
    /// Failures to reach hosts, if these are counted separately.
    Local,
}

/// Returns the outliers of the last interval by index, in the order of their ejection. A host that is an outlier by
/// both measures is contained twice.
pub(super) fn outliers(
    settings: &OutlierDetection,
    hosts: &[Option<HostMonitor>],
    origin: FailureOrigin,
) -> Vec<(usize, Detector)> {
    let fewest = settings
        .success_rate
        .minimum_hosts
        .min(settings.failure_percentage.minimum_hosts);
    if hosts.iter().flatten().count() < fewest as usize {
        return Vec::new();
    }
    let [by_rate, by_share] = match origin {
        FailureOrigin::External => [Detector::SuccessRate, Detector::FailurePercentage],
        FailureOrigin::Local => [
            Detector::SuccessRateLocalOrigin,
            Detector::FailurePercentageLocalOrigin,
        ],
    };
    // Hosts that are already ejected are excluded.
    let seen: Vec<(usize, f64, u64)> = hosts
        .iter()
        .enumerate()
        .filter_map(|(index, monitor)| Some((index, monitor.as_ref()?)))
        .filter(|(_, monitor)| !monitor.is_ejected())
        .filter_map(|(index, monitor)| {
            let rate = match origin {
                FailureOrigin::External => &monitor.external,
                FailureOrigin::Local => &monitor.local,
            };
            let (percent, volume) = rate.last()?;
            Some((index, percent, volume))
        })
        .collect();
    let with_volume = |least: u32| {
        let enough = move |(_, _, volume): &&(usize, f64, u64)| *volume >= u64::from(least);
        seen.iter()
            .filter(enough)
            .map(|(index, percent, _)| (*index, *percent))
            .collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    let rated = with_volume(settings.success_rate.request_volume);
    if !rated.is_empty() && rated.len() >= settings.success_rate.minimum_hosts as usize {
        let factor = f64::from(settings.success_rate.stdev_factor_thousandths) / 1000.0;
        let least = threshold(&rated, factor);
        let below = rated.iter().filter(|(_, percent)| *percent < least);
        found.extend(below.map(|(index, _)| (*index, by_rate)));
    }
    let shares = with_volume(settings.failure_percentage.request_volume);
    if !shares.is_empty() && shares.len() >= settings.failure_percentage.minimum_hosts as usize {
        let most = f64::from(settings.failure_percentage.threshold);
        let above = shares.iter().filter(|(_, percent)| 100.0 - percent >= most);
        found.extend(above.map(|(index, _)| (*index, by_share)));
    }
    found
}

/// The success rate below which a host is an outlier: the mean minus `factor` population standard deviations.
fn threshold(rates: &[(usize, f64)], factor: f64) -> f64 {
    let number = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / number;
    let variance = rates
        .iter()
        .map(|(_, rate)| (rate - mean).powi(2))
        .sum::<f64>()
        / number;
    mean - factor * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_that_of_envoys_own_example() {
        let rates = [50.0, 100.0, 100.0, 100.0, 100.0];
        let rates: Vec<_> = rates.into_iter().enumerate().collect();
        assert_eq!(threshold(&rates, 1.9), 52.0);
    }
}
