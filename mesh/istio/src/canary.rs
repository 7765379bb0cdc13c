//! `Canary`: how a new version of a service is rolled out. Source: Flagger, flagger.app/v1beta1.
//!
//! Supported is the rollout by weight (`stepWeight`, `stepWeights`) and the A/B test (`match` with `iterations`), judged by
//! the two built-in metrics. The rest of Flagger's fields are passed over.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_yaml::{Raw, Spanned};

use super::decimal::Decimal;
use super::destination_rule::TrafficPolicy;
use super::duration::GoDuration;
use super::virtual_service::{HttpMatch, HttpRetry};

/// How long a rollout may go without a step. Source: Flagger, `ProgressDeadlineSeconds`.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);
/// How often metrics are judged. Source: Flagger, `AnalysisInterval`.
const ANALYSIS_INTERVAL: Duration = Duration::from_secs(60);
/// How far back a metric looks. Source: Flagger, `MetricInterval`.
const METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// A service that is rolled out step by step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The mesh: `istio`, which is also the default.
    pub provider: Option<Spanned<String>>,
    /// The workload whose versions are rolled out; a service's name where `service` gives none.
    pub target_ref: TargetRef,
    /// The service.
    pub service: CanaryService,
    /// How a new version is judged.
    #[serde(alias = "canaryAnalysis")]
    pub analysis: Spanned<Analysis>,
    /// The rollout fails when it has made no step for so many seconds; none: 600.
    pub progress_deadline_seconds: Option<Spanned<u32>>,
    /// A new version is promoted as soon as it is ready.
    #[serde(default)]
    pub skip_analysis: bool,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// `apps/v1`.
    pub api_version: Option<String>,
    /// `Deployment`.
    pub kind: Spanned<String>,
    /// Its name.
    pub name: Spanned<String>,
}

/// The service of a workload, and how it is reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryService {
    /// Its name; none: the workload's.
    pub name: Option<Spanned<String>>,
    /// Its port.
    pub port: Spanned<u16>,
    /// Other hosts that mean it.
    #[serde(default)]
    pub hosts: Vec<Spanned<String>>,
    /// Where the routes hold. Only `mesh`, which is also the default, is supported.
    #[serde(default)]
    pub gateways: Vec<Spanned<String>>,
    /// How long all tries of a request together may take; none: no bound.
    pub timeout: Option<Spanned<GoDuration>>,
    /// When a request is tried again; none: Istio's default.
    pub retries: Option<Spanned<HttpRetry>>,
    /// How it is reached.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How a new version is judged, and by which steps it comes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// How often; none: every minute.
    pub interval: Option<Spanned<GoDuration>>,
    /// So many failed checks end the rollout; none or 0: 1.
    pub threshold: Option<u32>,
    /// The new version's greatest share before it is promoted, in percent; none: 100.
    pub max_weight: Option<Spanned<i64>>,
    /// What a passed check adds to its share.
    pub step_weight: Option<Spanned<i64>>,
    /// Its shares, one after the other.
    #[serde(default)]
    pub step_weights: Vec<Spanned<i64>>,
    /// What each interval adds while it is promoted; none: all at once.
    pub step_weight_promotion: Option<Spanned<i64>>,
    /// How many checks must pass, in an A/B test.
    pub iterations: Option<Spanned<u32>>,
    /// The requests that go to the new version, in an A/B test: any of these.
    #[serde(default)]
    pub r#match: Vec<Spanned<HttpMatch>>,
    /// What is judged; all must hold.
    #[serde(default)]
    pub metrics: Vec<Spanned<CanaryMetric>>,
}

/// A metric and its bounds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "WrittenMetric")]
pub struct CanaryMetric {
    /// Which.
    pub name: Spanned<String>,
    /// What it may be.
    pub threshold_range: Spanned<ThresholdRange>,
    /// How far back it looks; none: a minute.
    pub interval: Option<Spanned<GoDuration>>,
    /// The field that makes it a metric of its own, not a built-in one: `templateRef` or `query`.
    pub custom: Option<Spanned<&'static str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename = "CanaryMetric")]
struct WrittenMetric {
    name: Spanned<String>,
    threshold_range: Option<Spanned<ThresholdRange>>,
    /// The older form: the least success rate, the longest duration. Source: Flagger, `runBuiltinMetricChecks`.
    threshold: Option<Spanned<Decimal>>,
    interval: Option<Spanned<GoDuration>>,
    template_ref: Option<Raw>,
    /// What the template is filled in with.
    #[serde(rename = "templateVariables")]
    _template_variables: Option<IgnoredAny>,
    query: Option<Raw>,
}

impl From<WrittenMetric> for CanaryMetric {
    fn from(written: WrittenMetric) -> Self {
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

/// Bounds, inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdRange {
    /// The least.
    pub min: Option<Decimal>,
    /// The most.
    pub max: Option<Decimal>,
}

/// The metrics that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuiltinMetric {
    /// The share of responses that are no 5xx, in percent.
    SuccessRate,
    /// The 99th percentile of durations, in milliseconds.
    Duration,
}

impl BuiltinMetric {
    /// Their names.
    pub const NAMES: &'static [&'static str] = &["request-success-rate", "request-duration"];

    /// The metric of a name.
    pub fn named(name: &str) -> Option<BuiltinMetric> {
        match name {
            "request-success-rate" => Some(BuiltinMetric::SuccessRate),
            "request-duration" => Some(BuiltinMetric::Duration),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            BuiltinMetric::SuccessRate => "request-success-rate",
            BuiltinMetric::Duration => "request-duration",
        }
    }
}

impl Canary {
    /// The service that is rolled out, a name of the document's namespace.
    pub fn service_name(&self) -> &Spanned<String> {
        self.service.name.as_ref().unwrap_or(&self.target_ref.name)
    }

    /// How long it may go without a step.
    pub fn progress_deadline(&self) -> Duration {
        let seconds = self.progress_deadline_seconds.as_ref();
        seconds.map_or(PROGRESS_DEADLINE, |seconds| {
            Duration::from_secs(seconds.value.into())
        })
    }
}

impl Analysis {
    /// How often metrics are judged.
    pub fn every(&self) -> Duration {
        self.interval
            .as_ref()
            .map_or(ANALYSIS_INTERVAL, |interval| interval.value.0)
    }

    /// How many failed checks end the rollout; at least 1.
    pub fn failures_max(&self) -> u32 {
        self.threshold.unwrap_or(1).max(1)
    }

    /// The new version's shares before it is promoted, rising, in percent; empty for an A/B test.
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

    /// What each interval adds while it is promoted, in percent; at least 1.
    pub fn promotion_step(&self) -> u32 {
        self.step_weight_promotion
            .as_ref()
            .map_or(100, percent)
            .max(1)
    }

    /// How many checks must pass in an A/B test.
    pub fn rounds(&self) -> u32 {
        self.iterations.as_ref().map_or(0, |rounds| rounds.value)
    }
}

impl CanaryMetric {
    /// How far back it looks.
    pub fn window(&self) -> Duration {
        self.interval
            .as_ref()
            .map_or(METRIC_INTERVAL, |interval| interval.value.0)
    }
}

/// A weight that has been validated.
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
