//! The vocabulary of checks: metrics, measures, gauges and response flags. Names that are not implemented yet are
//! distinguished from unknown names.

use shakedown_types::ResponseFlags;
use shakedown_yaml::suggest;

use super::{Figure, Gauge, Happening, Reduction, RequestMeasure, Statistic};
use crate::value::{Decimal, Unit};

const FIGURES: [(&str, Figure); 27] = [
    ("success", Figure::Success),
    ("errors", Figure::Errors),
    ("count", Figure::Count),
    ("share", Figure::Share),
    ("offered", Figure::Offered),
    ("rate", Figure::Rate),
    ("goodput", Figure::Goodput),
    ("attempts", Figure::Attempts),
    ("retries", Figure::Retries),
    ("hedges", Figure::Hedges),
    ("amplification", Figure::Amplification),
    ("busy", Figure::Busy),
    ("in-flight", Figure::Gauge(Gauge::InFlight, None)),
    ("queued", Figure::Gauge(Gauge::Queued, None)),
    ("replicas", Figure::Gauge(Gauge::Replicas, None)),
    ("ready", Figure::Gauge(Gauge::Ready, None)),
    ("canary", Figure::Gauge(Gauge::Canary, None)),
    ("weight", Figure::Gauge(Gauge::Weight, None)),
    ("ejected", Figure::Gauge(Gauge::Ejected, None)),
    ("breaker", Figure::Gauge(Gauge::Breaker, None)),
    ("crashes", Figure::Events(Happening::Crash)),
    ("restarts", Figure::Events(Happening::Restart)),
    ("pushes", Figure::Events(Happening::Push)),
    ("nacks", Figure::Events(Happening::Nack)),
    ("refused", Figure::Events(Happening::Refusal)),
    ("ejections", Figure::Events(Happening::Ejection)),
    ("hits", Figure::Hits),
];

const MEASURES: [(&str, RequestMeasure); 7] = [
    ("latency", RequestMeasure::Latency),
    ("uncorrected", RequestMeasure::Uncorrected),
    ("send-lag", RequestMeasure::SendLag),
    ("queue-wait", RequestMeasure::QueueWait),
    ("service-time", RequestMeasure::ServiceTime),
    ("pool-wait", RequestMeasure::PoolWait),
    ("proxy-time", RequestMeasure::ProxyTime),
];

const UNSUPPORTED_FIGURES: [&str; 1] = ["hit-ratio"];
const UNSUPPORTED_MEASURES: [&str; 1] = ["push"];
const UNSUPPORTED_GAUGES: [&str; 4] = ["connections", "memory", "stale", "unsynced"];
const STATISTICS: [&str; 5] = ["mean", "min", "max", "p50", "p99"];

/// The meaning of a metric's name.
pub(super) enum MetricMeaning {
    Figure(Figure),
    /// A gauge that is not implemented yet.
    UnsupportedGauge(String),
    /// Another figure or measure that is not implemented yet.
    Unsupported(String),
}

/// Looks up the figure of a name.
///
/// # Errors
/// A message with the known names, if the name is unknown.
pub(super) fn named(measure: Option<&str>, name: &str) -> Result<MetricMeaning, String> {
    match measure {
        Some(measure) => reduced(measure, name),
        None => plain(name),
    }
}

/// Looks up a name without a measure: `success`, or `p99`, which is a percentile of latency.
fn plain(name: &str) -> Result<MetricMeaning, String> {
    if let Some((_, figure)) = FIGURES.iter().find(|(known, _)| *known == name) {
        return Ok(MetricMeaning::Figure(*figure));
    }
    if let Some(statistic) = statistic(name)? {
        let figure = Figure::Statistic(RequestMeasure::Latency, statistic);
        return Ok(MetricMeaning::Figure(figure));
    }
    if UNSUPPORTED_GAUGES.contains(&name) {
        return Ok(MetricMeaning::UnsupportedGauge(name.to_owned()));
    }
    if UNSUPPORTED_FIGURES.contains(&name) {
        return Ok(MetricMeaning::Unsupported(name.to_owned()));
    }
    let known = FIGURES
        .iter()
        .map(|(name, _)| *name)
        .chain(STATISTICS)
        .chain(UNSUPPORTED_FIGURES)
        .chain(UNSUPPORTED_GAUGES);
    Err(format!(
        "unknown metric `{name}`: {}",
        suggest::hint(name, known)
    ))
}

/// Looks up a name after a measure or a gauge: `queue-wait.p99`, `ready.min`.
fn reduced(measure: &str, name: &str) -> Result<MetricMeaning, String> {
    if let Some((_, Figure::Gauge(gauge, _))) = FIGURES.iter().find(|(known, _)| *known == measure)
    {
        return Ok(MetricMeaning::Figure(reduced_gauge(*gauge, measure, name)?));
    }
    if UNSUPPORTED_GAUGES.contains(&measure) || UNSUPPORTED_MEASURES.contains(&measure) {
        return Ok(MetricMeaning::Unsupported(measure.to_owned()));
    }
    let known = MEASURES.iter().map(|(name, _)| *name).chain([
        "in-flight",
        "queued",
        "replicas",
        "ready",
        "weight",
        "ejected",
    ]);
    let Some((_, of)) = MEASURES.iter().find(|(known, _)| *known == measure) else {
        return Err(format!(
            "unknown measure `{measure}`: {}",
            suggest::hint(measure, known)
        ));
    };
    match statistic(name)? {
        Some(statistic) => Ok(MetricMeaning::Figure(Figure::Statistic(*of, statistic))),
        None => Err(format!(
            "unknown statistic `{name}`: expected `mean`, `min`, `max` or a percentile such as `p99`"
        )),
    }
}

fn reduced_gauge(gauge: Gauge, written: &str, name: &str) -> Result<Figure, String> {
    if matches!(gauge, Gauge::Canary | Gauge::Breaker) {
        return Err(format!(
            "`{written}` is a state, which has no `{name}`: use `always`, `never`, `eventually` or `within`"
        ));
    }
    let reduction = match name {
        "mean" => Reduction::Mean,
        "max" => Reduction::Max,
        "min" => Reduction::Min,
        _ => {
            return Err(format!(
                "`{written}` supports `mean`, `max` and `min`, but not `{name}`"
            ));
        }
    };
    Ok(Figure::Gauge(gauge, Some(reduction)))
}

/// Looks up a measure in a condition.
///
/// # Errors
/// A message with the known names, if the name is unknown.
pub(super) fn measure(name: &str) -> Result<RequestMeasure, String> {
    if let Some((_, measure)) = MEASURES.iter().find(|(known, _)| *known == name) {
        return Ok(*measure);
    }
    if UNSUPPORTED_MEASURES.contains(&name) {
        return Err(format!("not supported yet: `{name}`"));
    }
    Err(format!(
        "unknown measure `{name}`: {}",
        suggest::hint(name, MEASURES.iter().map(|(name, _)| *name))
    ))
}

/// Looks up a response flag.
///
/// # Errors
/// A message with Envoy's flags, if the name is unknown.
pub(super) fn flag(name: &str) -> Result<ResponseFlags, String> {
    ResponseFlags::from_name(name).ok_or_else(|| {
        format!(
            "unknown response flag `{name}`: {}",
            suggest::hint(name, ResponseFlags::names())
        )
    })
}

/// Looks up a statistic. `None` if the name does not look like one.
fn statistic(name: &str) -> Result<Option<Statistic>, String> {
    match name {
        "mean" => return Ok(Some(Statistic::Mean)),
        "min" => return Ok(Some(Statistic::Min)),
        "max" => return Ok(Some(Statistic::Max)),
        _ => {}
    }
    let Some(number) = name.strip_prefix('p').and_then(Decimal::parse) else {
        return Ok(None);
    };
    match number.times(10_000).and_then(|ppm| u32::try_from(ppm).ok()) {
        Some(ppm) if ppm <= 1_000_000 => Ok(Some(Statistic::Percentile(ppm))),
        _ => Err(format!(
            "invalid percentile `{name}`: expected p0 to p100, with at most four decimals"
        )),
    }
}

impl Figure {
    pub const fn unit(self) -> Unit {
        match self {
            Figure::Success
            | Figure::Errors
            | Figure::Share
            | Figure::Busy
            | Figure::Gauge(Gauge::Weight, _) => Unit::Share,
            Figure::Gauge(Gauge::Canary | Gauge::Breaker, _) => Unit::State,
            Figure::Count
            | Figure::Events(_)
            | Figure::Hits
            | Figure::Attempts
            | Figure::Retries
            | Figure::Hedges
            | Figure::Amplification
            | Figure::Gauge(..) => Unit::Count,
            Figure::Offered | Figure::Rate | Figure::Goodput => Unit::Rate,
            Figure::Statistic(..) => Unit::Duration,
        }
    }

    /// Returns true if the figure has a value at every instant rather than over a window.
    pub const fn is_instant(self) -> bool {
        matches!(self, Figure::Gauge(_, None))
    }
}

#[cfg(test)]
mod tests {
    use super::statistic;
    use crate::check::Statistic;

    #[test]
    fn percentiles_are_exact_parts_per_million() {
        assert_eq!(statistic("p99.9"), Ok(Some(Statistic::Percentile(999_000))));
        assert_eq!(statistic("p50"), Ok(Some(Statistic::Percentile(500_000))));
        assert_eq!(
            statistic("p99.9999"),
            Ok(Some(Statistic::Percentile(999_999)))
        );
        assert!(statistic("p101").is_err());
        assert!(statistic("p99.99999").is_err());
        assert_eq!(statistic("pods"), Ok(None));
    }
}
