//! Evaluates the metrics of a version, and explains the verdict with the numbers used.

use std::time::Duration;

use shakedown_env::Time;
use shakedown_istio::{BuiltinMetric, CanaryMetric, MetricBound, ThresholdRange};
use shakedown_yaml::Spanned;

use super::history::{History, Quantile, WindowCounts, millis};

/// The outcome of a check, with its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CheckVerdict {
    /// All metrics are within their ranges.
    Pass(String),
    /// A metric is out of its range.
    Fail(String),
    /// Neither passed nor failed, for lack of data.
    Silent(String),
}

/// Evaluates all metrics. A metric out of range takes precedence over one without data.
pub(super) fn judge(
    metrics: &[Spanned<CanaryMetric>],
    history: &History,
    version: &str,
    now: Time,
) -> CheckVerdict {
    let mut passed = Vec::new();
    let mut silent = None;
    for metric in metrics {
        let window = history.window(now, metric.window());
        match judge_one(metric, &window) {
            Some((true, words)) => passed.push(words),
            Some((false, words)) => return CheckVerdict::Fail(words),
            None => {
                let span = seconds(metric.window());
                silent.get_or_insert(format!("no requests to {version} in the last {span}"));
            }
        }
    }
    match silent {
        Some(words) => CheckVerdict::Silent(words),
        None if passed.is_empty() => CheckVerdict::Pass("no metrics to judge".to_owned()),
        None => CheckVerdict::Pass(passed.join(", ")),
    }
}

/// Evaluates one metric: true if it is within its range. `None` without requests.
fn judge_one(metric: &CanaryMetric, window: &WindowCounts) -> Option<(bool, String)> {
    let requests = window.counts.requests;
    if requests == 0 {
        return None;
    }
    let range = &metric.threshold_range.value;
    let (holds, value, bound) = match BuiltinMetric::named(&metric.name)? {
        BuiltinMetric::SuccessRate => success_rate(window, range),
        BuiltinMetric::Duration => duration(window.p99()?, range),
    };
    let over = seconds(window.covered);
    let requests = grouped(requests);
    let words = format!(
        "{} {value} {bound} over {over} ({requests} requests)",
        metric.name.value
    );
    Some((holds, words))
}

fn success_rate(window: &WindowCounts, range: &ThresholdRange) -> (bool, String, String) {
    let requests = u128::from(window.counts.requests);
    let good = u128::from(window.counts.requests.saturating_sub(window.counts.errors));
    // In millionths of a percent, multiplied by the number of requests, which avoids a division.
    let rate = good * 100_000_000;
    let below = |bound: MetricBound| rate < u128::from(bound.micros()) * requests;
    let above = |bound: MetricBound| rate > u128::from(bound.micros()) * requests;
    let (holds, bound) = compare(range, below, above, |bound| format!("{bound}%"));
    let places = [range.min, range.max]
        .into_iter()
        .flatten()
        .map(|bound| {
            bound
                .to_string()
                .split_once('.')
                .map_or(0, |(_, fraction)| fraction.len())
        })
        .max();
    let places =
        u32::try_from(places.unwrap_or(0).max(1)).expect("a bound has at most six decimal places");
    let scale = 10_u128.pow(places);
    // Rounded down, so that a value below its bound is never shown as equal to it.
    let shown = good * 100 * scale / requests;
    let value = if shown.is_multiple_of(scale) {
        format!("{}%", shown / scale)
    } else {
        format!(
            "{}.{:0width$}%",
            shown / scale,
            shown % scale,
            width = places as usize
        )
    };
    (holds, value, bound)
}

fn duration(p99: Quantile, range: &ThresholdRange) -> (bool, String, String) {
    let (value, words) = match p99 {
        Quantile::At(value) => (value, format!("p99 {}", millis(value))),
        Quantile::Above(bound) => (u64::MAX, format!("p99 above {}", millis(bound))),
    };
    let below = |bound: MetricBound| value < bound.micros();
    let above = |bound: MetricBound| value > bound.micros();
    let (holds, bound) = compare(range, below, above, |bound| format!("{bound} ms"));
    (holds, words, bound)
}

/// True if a value is within its range, and the bounds for the explanation: `< 99%` or `>= 99%`.
fn compare(
    range: &ThresholdRange,
    below: impl Fn(MetricBound) -> bool,
    above: impl Fn(MetricBound) -> bool,
    show: impl Fn(MetricBound) -> String,
) -> (bool, String) {
    if let Some(min) = range.min.filter(|min| below(*min)) {
        return (false, format!("< {}", show(min)));
    }
    if let Some(max) = range.max.filter(|max| above(*max)) {
        return (false, format!("> {}", show(max)));
    }
    let bounds = [
        range.min.map(|min| format!(">= {}", show(min))),
        range.max.map(|max| format!("<= {}", show(max))),
    ];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    (true, bounds.join(" and "))
}

/// Formats a duration: `60 s`, `1.5 s`, `250 ms`; whole seconds from ten on.
pub(super) fn seconds(span: Duration) -> String {
    let millis = span.as_millis();
    match (millis, millis / 100 % 10) {
        (..1_000, _) => format!("{millis} ms"),
        (10_000.., _) => format!("{} s", (millis + 500) / 1_000),
        (_, 0) => format!("{} s", millis / 1_000),
        (_, tenth) => format!("{}.{tenth} s", millis / 1_000),
    }
}

/// Formats a number with separators: `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::history::{PodCounts, UNBOUNDED};
    use super::*;

    const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1));

    fn metric(name: &str, min: Option<&str>, max: Option<&str>) -> Spanned<CanaryMetric> {
        let bound = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        Spanned::from(CanaryMetric {
            name: Spanned::from(name.to_owned()),
            threshold_range: Spanned::from(ThresholdRange {
                min: bound(min),
                max: bound(max),
            }),
            interval: None,
            custom: None,
        })
    }

    fn history(requests: u64, errors: u64, buckets: &[(u64, u64)]) -> History {
        let mut history = History::default();
        let keep = Duration::from_secs(60);
        history.add(POD, Time::ZERO, PodCounts::default(), keep);
        let counts = PodCounts {
            requests,
            errors,
            buckets: buckets.iter().copied().collect(),
        };
        history.add(POD, Time::ZERO + keep, counts, keep);
        history
    }

    fn verdict(metrics: &[Spanned<CanaryMetric>], history: &History) -> CheckVerdict {
        judge(metrics, history, "v2", Time::ZERO + Duration::from_secs(60))
    }

    #[test]
    fn a_success_rate_below_its_bound_fails_with_its_numbers() {
        let metrics = [metric("request-success-rate", Some("99"), None)];
        let words = "request-success-rate 94.6% < 99% over 60 s (1,204 requests)";
        assert_eq!(
            verdict(&metrics, &history(1_204, 64, &[])),
            CheckVerdict::Fail(words.to_owned())
        );
    }

    #[test]
    fn a_rate_on_its_bound_holds_and_one_request_less_does_not() {
        let metrics = [metric("request-success-rate", Some("99"), None)];
        assert!(matches!(
            verdict(&metrics, &history(1_000, 10, &[])),
            CheckVerdict::Pass(_)
        ));
        let words = "request-success-rate 98.9% < 99% over 60 s (1,000 requests)";
        assert_eq!(
            verdict(&metrics, &history(1_000, 11, &[])),
            CheckVerdict::Fail(words.to_owned())
        );
    }

    #[test]
    fn a_rate_has_as_many_places_as_its_bound() {
        let metrics = [metric("request-success-rate", Some("99.95"), None)];
        let words = "request-success-rate 99.96% >= 99.95% over 60 s (10,000 requests)";
        assert_eq!(
            verdict(&metrics, &history(10_000, 4, &[])),
            CheckVerdict::Pass(words.to_owned())
        );
    }

    #[test]
    fn a_duration_above_its_bound_fails() {
        let metrics = [metric("request-duration", None, Some("500"))];
        let buckets = [(500_000_000, 90), (1_000_000_000, 100), (UNBOUNDED, 100)];
        let words = "request-duration p99 950 ms > 500 ms over 60 s (100 requests)";
        assert_eq!(
            verdict(&metrics, &history(100, 0, &buckets)),
            CheckVerdict::Fail(words.to_owned())
        );
    }

    #[test]
    fn without_requests_there_is_no_verdict() {
        let metrics = [metric("request-success-rate", Some("99"), None)];
        let words = "no requests to v2 in the last 60 s";
        assert_eq!(
            verdict(&metrics, &history(0, 0, &[])),
            CheckVerdict::Silent(words.to_owned())
        );
        assert_eq!(
            verdict(&metrics, &History::default()),
            CheckVerdict::Silent(words.to_owned())
        );
    }

    #[test]
    fn one_metric_that_fails_decides() {
        let metrics = [
            metric("request-success-rate", Some("99"), None),
            metric("request-duration", None, Some("100")),
        ];
        let buckets = [(500_000_000, 100), (UNBOUNDED, 100)];
        let CheckVerdict::Fail(words) = verdict(&metrics, &history(100, 0, &buckets)) else {
            panic!("it passed");
        };
        assert!(
            words.starts_with("request-duration p99 495 ms > 100 ms"),
            "{words}"
        );
    }
}
