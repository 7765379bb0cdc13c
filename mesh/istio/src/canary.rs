//! `Canary`: the rollout of a new version of a service. Source: Flagger, flagger.app/v1beta1.
//!
//! Supports the rollout by weight (`stepWeight`, `stepWeights`) and the A/B test (`match` with `iterations`), judged by
//! the two built-in metrics. Flagger's other fields are ignored.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_yaml::{Raw, Spanned};

use super::decimal::MetricBound;
use super::destination_rule::TrafficPolicy;
use super::duration::GoDuration;
use super::virtual_service::{HttpMatch, HttpRetry};

/// The default maximum time between two steps of a rollout. Source: Flagger, `ProgressDeadlineSeconds`.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);
/// The default interval between two checks of the metrics. Source: Flagger, `AnalysisInterval`.
const ANALYSIS_INTERVAL: Duration = Duration::from_secs(60);
/// The default time window of a metric. Source: Flagger, `MetricInterval`.
const METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// A service whose new versions are rolled out step by step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The mesh: `istio`, which is also the default.
    pub provider: Option<Spanned<String>>,
    /// The workload whose versions are rolled out. Its name is also the service's name if `service` has none.
    pub target_ref: TargetRef,
    pub service: CanaryService,
    /// The criteria and steps by which a new version is judged.
    #[serde(alias = "canaryAnalysis")]
    pub analysis: Spanned<Analysis>,
    /// The maximum time without a step, in seconds, after which the rollout fails. `None`: 600.
    pub progress_deadline_seconds: Option<Spanned<u32>>,
    /// True if a new version is promoted as soon as it is ready.
    #[serde(default)]
    pub skip_analysis: bool,
}

/// A reference to a workload.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// For example `apps/v1`.
    pub api_version: Option<String>,
    /// For example `Deployment`.
    pub kind: Spanned<String>,
    pub name: Spanned<String>,
}

/// The service of a workload, and the settings of requests to it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryService {
    /// The name of the service. `None`: the name of the workload.
    pub name: Option<Spanned<String>>,
    pub port: Spanned<u16>,
    /// Further hosts that lead to the service.
    #[serde(default)]
    pub hosts: Vec<Spanned<String>>,
    /// The gateways to which the routes apply. Only `mesh`, which is also the default, is supported.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// The timeout of a request, including all of its attempts. `None`: no timeout.
    pub timeout: Option<Spanned<GoDuration>>,
    /// The retry policy. `None`: Istio's default.
    pub retries: Option<Spanned<HttpRetry>>,
    pub traffic_policy: Option<TrafficPolicy>,
}

/// The criteria by which a new version is judged, and the steps in which it receives traffic.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The time between two checks. `None`: one minute.
    pub interval: Option<Spanned<GoDuration>>,
    /// The number of failed checks that ends the rollout. `None` and 0 mean 1.
    pub threshold: Option<u32>,
    /// The maximum share of the new version before it is promoted, in percent. `None`: 100.
    pub max_weight: Option<Spanned<i64>>,
    /// The increase of the share after each passed check, in percent.
    pub step_weight: Option<Spanned<i64>>,
    /// The successive shares, in percent. They replace `step_weight` and `max_weight`.
    #[serde(default)]
    pub step_weights: Vec<Spanned<i64>>,
    /// The increase of the share per interval during the promotion, in percent. `None`: the whole remainder at once.
    pub step_weight_promotion: Option<Spanned<i64>>,
    /// The number of checks that must pass in an A/B test.
    pub iterations: Option<Spanned<u32>>,
    /// The matches of an A/B test. The new version receives a request if any of them applies.
    #[serde(default)]
    pub r#match: Vec<Spanned<HttpMatch>>,
    /// The metrics to check. All must be within their bounds.
    #[serde(default)]
    pub metrics: Vec<Spanned<CanaryMetric>>,
}

/// A metric and its bounds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "MetricForm")]
pub struct CanaryMetric {
    pub name: Spanned<String>,
    /// The accepted values.
    pub threshold_range: Spanned<ThresholdRange>,
    /// The time window of the metric. `None`: one minute.
    pub interval: Option<Spanned<GoDuration>>,
    /// The field that makes this a custom metric instead of a built-in one: `templateRef` or `query`.
    pub custom: Option<Spanned<&'static str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename = "CanaryMetric")]
struct MetricForm {
    name: Spanned<String>,
    threshold_range: Option<Spanned<ThresholdRange>>,
    /// The older form of `thresholdRange`, used if that is missing: the minimum of the success rate, or the maximum of
    /// the duration. Source: Flagger, `runBuiltinMetricChecks`.
    threshold: Option<Spanned<MetricBound>>,
    interval: Option<Spanned<GoDuration>>,
    template_ref: Option<Raw>,
    /// The parameters of the template. Templates are not supported.
    #[serde(rename = "templateVariables")]
    _template_variables: Option<IgnoredAny>,
    query: Option<Raw>,
}

impl From<MetricForm> for CanaryMetric {
    fn from(written: MetricForm) -> Self {
        let threshold = written.threshold.map(|bound| {
            let bounds = match BuiltinMetric::named(&written.name) {
                Some(BuiltinMetric::Duration) => (None, Some(bound.value)),
                _ => (Some(bound.value), None),
            };
            let (min, max) = bounds;
            Spanned::new(ThresholdRange { min, max }, bound.place)
        });
        let range = written.threshold_range.or(threshold);
        let none = || Spanned::new(ThresholdRange::default(), written.name.place.clone());
        let custom = |field, raw: Option<Raw>| Some(Spanned::new(field, raw?.0.place));
        CanaryMetric {
            threshold_range: range.unwrap_or_else(none),
            interval: written.interval,
            custom: custom("templateRef", written.template_ref)
                .or_else(|| custom("query", written.query)),
            name: written.name,
        }
    }
}

/// Inclusive bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdRange {
    pub min: Option<MetricBound>,
    pub max: Option<MetricBound>,
}

/// The built-in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuiltinMetric {
    /// The share of responses with a status other than 5xx, in percent.
    SuccessRate,
    /// The 99th percentile of durations, in milliseconds.
    Duration,
}

impl BuiltinMetric {
    pub const NAMES: &'static [&'static str] = &["request-success-rate", "request-duration"];

    pub fn named(name: &str) -> Option<BuiltinMetric> {
        match name {
            "request-success-rate" => Some(BuiltinMetric::SuccessRate),
            "request-duration" => Some(BuiltinMetric::Duration),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            BuiltinMetric::SuccessRate => "request-success-rate",
            BuiltinMetric::Duration => "request-duration",
        }
    }
}

impl Canary {
    /// Returns the name of the service to roll out, which belongs to the document's namespace.
    pub fn service_name(&self) -> &Spanned<String> {
        self.service.name.as_ref().unwrap_or(&self.target_ref.name)
    }

    /// Returns the maximum time between two steps.
    pub fn progress_deadline(&self) -> Duration {
        let seconds = self.progress_deadline_seconds.as_ref();
        seconds.map_or(PROGRESS_DEADLINE, |seconds| {
            Duration::from_secs(seconds.value.into())
        })
    }
}

impl Analysis {
    /// Returns the time between two checks.
    pub fn every(&self) -> Duration {
        self.interval
            .as_ref()
            .map_or(ANALYSIS_INTERVAL, |interval| interval.value.0)
    }

    /// Returns the number of failed checks that ends the rollout, at least 1.
    pub fn failures_max(&self) -> u32 {
        self.threshold.unwrap_or(1).max(1)
    }

    /// Returns the ascending shares of the new version before it is promoted, in percent. Empty for an A/B test.
    pub fn steps(&self) -> Vec<u32> {
        if !self.step_weights.is_empty() {
            return self.step_weights.iter().map(percent).collect();
        }
        let Some(step) = self.step_weight.as_ref().map(percent) else {
            return Vec::new();
        };
        let max = self.max_weight.as_ref().map_or(100, percent).max(1);
        let mut steps: Vec<u32> = (1..)
            .map(|n| step.max(1) * n)
            .take_while(|weight| *weight < max)
            .collect();
        steps.push(max);
        steps
    }

    /// Returns the increase of the share per interval during the promotion, in percent, at least 1.
    pub fn promotion_step(&self) -> u32 {
        self.step_weight_promotion
            .as_ref()
            .map_or(100, percent)
            .max(1)
    }

    /// Returns the number of checks that must pass in an A/B test.
    pub fn rounds(&self) -> u32 {
        self.iterations.as_ref().map_or(0, |rounds| rounds.value)
    }
}

impl CanaryMetric {
    /// Returns the time window of the metric.
    pub fn window(&self) -> Duration {
        self.interval
            .as_ref()
            .map_or(METRIC_INTERVAL, |interval| interval.value.0)
    }
}

/// Converts a validated weight. Values outside of 0 to 100 are clamped.
fn percent(written: &Spanned<i64>) -> u32 {
    u32::try_from(written.value.clamp(0, 100)).expect("0 to 100 is in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(weight: i64) -> Option<Spanned<i64>> {
        Some(Spanned::from(weight))
    }

    #[test]
    fn steps_rise_to_the_greatest_weight_and_no_further() {
        let analysis = |step, max| Analysis {
            step_weight: written(step),
            max_weight: max,
            ..Analysis::default()
        };
        assert_eq!(analysis(10, written(50)).steps(), [10, 20, 30, 40, 50]);
        assert_eq!(analysis(20, written(50)).steps(), [20, 40, 50]);
        assert_eq!(analysis(50, None).steps(), [50, 100]);
        assert_eq!(analysis(60, written(30)).steps(), [30]);
    }

    #[test]
    fn a_list_of_steps_is_taken_as_it_stands() {
        let analysis = Analysis {
            step_weights: vec![Spanned::from(1), Spanned::from(25)],
            ..Analysis::default()
        };
        assert_eq!(analysis.steps(), [1, 25]);
    }
}
