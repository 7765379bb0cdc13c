//! Istio's request metrics, per edge: `istio_requests_total` and `istio_request_duration_milliseconds`.
//!
//! A request whose series is in its edge's cache formats and allocates nothing. Series are kept sorted, so that the text of
//! a scrape is the same in each run; the library's own families are hash maps and cannot guarantee that.
//!
//! Bound: an edge has one series per calling workload, status and set of flags that occurred on it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{
    EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use shakedown_types::{ResponseFlags, Side};

use super::labels::EdgeLabels;
use crate::peers::Peer;

/// Upper bounds of the duration histogram, in ms. Source: Istio's telemetry, as SEMANTICS lists them.
const BUCKETS_MS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// All series of a proxy, and their OpenMetrics text.
pub(crate) struct Metrics {
    series: Arc<Mutex<BTreeMap<RequestLabels, MetricSeries>>>,
    copies: Counter,
    copies_failed: Counter,
    tunnels: Counter,
    tunnel_sent: Counter,
    tunnel_received: Counter,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let series = Arc::default();
        let mut registry = Registry::default();
        registry.register(
            "istio_requests",
            "Requests that the proxy has finished",
            RequestSeries(Arc::clone(&series)),
        );
        registry.register(
            "istio_request_duration_milliseconds",
            "Request durations, from the headers to the last byte of the response",
            Durations(Arc::clone(&series)),
        );
        let (copies, copies_failed) = (Counter::default(), Counter::default());
        registry.register(
            "shakedown_mirrored_requests",
            "Copies of requests that were sent to mirrors",
            copies.clone(),
        );
        registry.register(
            "shakedown_mirrored_requests_failed",
            "Copies of requests without a response",
            copies_failed.clone(),
        );
        let [tunnels, tunnel_sent, tunnel_received] = [
            ("shakedown_tunnels", "Upgraded connections that have ended"),
            (
                "shakedown_tunnel_sent_bytes",
                "Bytes that upgraded connections carried to upstreams",
            ),
            (
                "shakedown_tunnel_received_bytes",
                "Bytes that upgraded connections carried to callers",
            ),
        ]
        .map(|(name, help)| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        });
        Metrics {
            series,
            copies,
            copies_failed,
            tunnels,
            tunnel_sent,
            tunnel_received,
            registry,
        }
    }

    /// Counts a mirrored request.
    pub(crate) fn mirrored(&self) {
        self.copies.inc();
    }

    /// Counts a mirrored request that received no response.
    pub(crate) fn mirror_failed(&self) {
        self.copies_failed.inc();
    }

    /// Counts an upgraded connection that has ended, and the bytes sent to and received from the upstream.
    pub(crate) fn tunnelled(&self, sent: u64, received: u64) {
        self.tunnels.inc();
        self.tunnel_sent.inc_by(sent);
        self.tunnel_received.inc_by(received);
    }

    /// The OpenMetrics text of every series.
    pub(crate) fn scrape(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn series(&self, labels: RequestLabels) -> MetricSeries {
        locked(&self.series)
            .entry(labels)
            .or_insert_with(MetricSeries::new)
            .clone()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("series", &locked(&self.series).len())
            .finish_non_exhaustive()
    }
}

/// The number of the peer (0 if unknown), the status and the response flags.
type SeriesKey = (u32, u16, ResponseFlags);

/// The series of one edge, cached.
#[derive(Debug)]
pub(crate) struct EdgeSeries {
    labels: Arc<EdgeLabels>,
    /// Sorted by key.
    known: RefCell<Vec<(SeriesKey, MetricSeries)>>,
}

impl EdgeSeries {
    pub(crate) fn new(labels: EdgeLabels) -> EdgeSeries {
        EdgeSeries {
            labels: Arc::new(labels),
            known: RefCell::default(),
        }
    }

    /// Counts a finished request. `peer` is the calling workload, if known.
    pub(crate) fn observe(
        &self,
        metrics: &Metrics,
        peer: Option<&Peer>,
        (status, flags): (u16, ResponseFlags),
        took: Duration,
    ) {
        let mut known = self.known.borrow_mut();
        let key = (peer.map_or(0, |peer| peer.number), status, flags);
        let at = match known.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => at,
            Err(at) => {
                let edge = match peer {
                    None => Arc::clone(&self.labels),
                    Some(peer) => {
                        Arc::new(EdgeLabels::clone(&self.labels).coming_from(&peer.workload))
                    }
                };
                let labels = RequestLabels {
                    edge,
                    status,
                    flags,
                };
                known.insert(at, (key, metrics.series(labels)));
                at
            }
        };
        let series = &known[at].1;
        series.requests.inc();
        series.duration.observe(took.as_secs_f64() * 1000.0);
    }
}

#[derive(Clone, Debug)]
struct MetricSeries {
    requests: Counter,
    duration: Histogram,
}

impl MetricSeries {
    fn new() -> MetricSeries {
        MetricSeries {
            requests: Counter::default(),
            duration: Histogram::new(BUCKETS_MS),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RequestLabels {
    edge: Arc<EdgeLabels>,
    status: u16,
    flags: ResponseFlags,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let edge = &*self.edge;
        let reporter = match edge.reporter {
            Side::Outbound => "source",
            Side::Inbound => "destination",
        };
        let mut put = |name: &str, value: &str| (name, value).encode(encoder.encode_label());
        put("reporter", reporter)?;
        put("source_workload", &edge.source.name)?;
        put("source_workload_namespace", &edge.source.namespace)?;
        put("source_principal", &edge.source.principal)?;
        put("source_app", &edge.source.app)?;
        put("source_version", &edge.source.version)?;
        put("source_cluster", &edge.source.cluster)?;
        put("source_canonical_service", &edge.source.app)?;
        put("source_canonical_revision", &edge.source.version)?;
        put("destination_workload", &edge.destination.name)?;
        put(
            "destination_workload_namespace",
            &edge.destination.namespace,
        )?;
        put("destination_principal", &edge.destination.principal)?;
        put("destination_app", &edge.destination.app)?;
        put("destination_version", &edge.destination.version)?;
        put("destination_cluster", &edge.destination.cluster)?;
        put("destination_canonical_service", &edge.destination.app)?;
        put("destination_canonical_revision", &edge.destination.version)?;
        put("destination_service", &edge.service)?;
        put("destination_service_name", &edge.service_name)?;
        put("destination_service_namespace", &edge.service_namespace)?;
        put("request_protocol", "http")?;
        put("response_code", &self.status.to_string())?;
        put("grpc_response_status", "")?;
        put("response_flags", &self.flags.to_string())?;
        put(
            "connection_security_policy",
            match edge.reporter {
                // The source cannot know how the connection was received. Source: Istio, `connection_security_policy`.
                Side::Outbound => "unknown",
                Side::Inbound => "none",
            },
        )
    }
}

type SharedLabels = Arc<Mutex<BTreeMap<RequestLabels, MetricSeries>>>;

#[derive(Debug)]
struct RequestSeries(SharedLabels);

impl EncodeMetric for RequestSeries {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, series) in &*locked(&self.0) {
            series.requests.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

#[derive(Debug)]
struct Durations(SharedLabels);

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, series) in &*locked(&self.0) {
            series.duration.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Ignores poisoning, because every change to the map is one call: a panic under the lock leaves the map consistent.
fn locked(
    series: &Mutex<BTreeMap<RequestLabels, MetricSeries>>,
) -> MutexGuard<'_, BTreeMap<RequestLabels, MetricSeries>> {
    series.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::MetricWorkload;

    fn edge(reporter: Side, service: &str) -> EdgeSeries {
        EdgeSeries::new(EdgeLabels {
            reporter,
            source: MetricWorkload {
                app: "pages".into(),
                ..MetricWorkload::unknown()
            },
            destination: MetricWorkload::unknown(),
            service: service.into(),
            service_name: service.split('.').next().unwrap().into(),
            service_namespace: "default".into(),
        })
    }

    fn line<'a>(text: &'a str, parts: &[&str]) -> &'a str {
        text.lines()
            .find(|line| parts.iter().all(|part| line.contains(part)))
            .unwrap_or_else(|| panic!("no line with {parts:?} in\n{text}"))
    }

    #[test]
    fn a_request_counts_under_its_status_and_flags() {
        let metrics = Metrics::new();
        let edge = edge(Side::Outbound, "reviews.default.svc.cluster.local");
        for _ in 0..2 {
            edge.observe(
                &metrics,
                None,
                (200, ResponseFlags::empty()),
                Duration::from_millis(7),
            );
        }
        edge.observe(
            &metrics,
            None,
            (503, ResponseFlags::UF | ResponseFlags::URX),
            Duration::from_millis(7),
        );
        let text = metrics.scrape().unwrap();
        let ok = [
            "istio_requests_total{reporter=\"source\"",
            "response_code=\"200\"",
        ];
        assert!(line(&text, &ok).ends_with("} 2"));
        let failed = ["istio_requests_total{", "response_flags=\"URX,UF\""];
        assert!(line(&text, &failed).ends_with("} 1"));
        assert!(line(&text, &failed).contains("destination_service_name=\"reviews\""));
    }

    #[test]
    fn durations_fall_into_istios_buckets_in_milliseconds() {
        let metrics = Metrics::new();
        let edge = edge(Side::Inbound, "a.default");
        edge.observe(
            &metrics,
            None,
            (200, ResponseFlags::empty()),
            Duration::from_micros(700),
        );
        edge.observe(
            &metrics,
            None,
            (200, ResponseFlags::empty()),
            Duration::from_millis(30),
        );
        let text = metrics.scrape().unwrap();
        let bucket = |le: &str| line(&text, &["istio_request_duration_milliseconds_bucket", le]);
        assert!(bucket("le=\"0.5\"").ends_with("} 0"));
        assert!(bucket("le=\"1.0\"").ends_with("} 1"));
        assert!(bucket("le=\"50.0\"").ends_with("} 2"));
        assert!(bucket("le=\"3600000.0\"").ends_with("} 2"));
    }

    #[test]
    fn two_edges_with_the_same_ends_share_their_series() {
        let metrics = Metrics::new();
        for _ in 0..2 {
            edge(Side::Outbound, "a.b").observe(
                &metrics,
                None,
                (200, ResponseFlags::empty()),
                Duration::ZERO,
            );
        }
        assert!(line(&metrics.scrape().unwrap(), &["istio_requests_total{"]).ends_with("} 2"));
    }
}
