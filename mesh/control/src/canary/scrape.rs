//! Scrapes a pod's metrics: `http://<pod>:15020/stats/prometheus`, in the Prometheus text format or OpenMetrics.
//!
//! Only the metrics that decide about a canary are kept. A malformed line invalidates the whole text, because half a
//! scrape would look like a reset of its counters.

use std::net::IpAddr;
use std::time::Duration;

use shakedown_env::Env;
use shakedown_wire::{Body, Pool, PoolOptions};
use tonic::codegen::http::{Request, StatusCode, header};

use super::history::{PodCounts, UNBOUNDED};

const METRICS_PORT: u16 = 15_020;
const PATH: &str = "/stats/prometheus";
/// The maximum length of the text, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 20;
const REQUESTS: &str = "istio_requests_total";
const BUCKETS: &str = "istio_request_duration_milliseconds_bucket";

/// Error of a pod whose metrics could not be scraped.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    #[error("no response within {0:?}")]
    Late(Duration),
    #[error("request {PATH}: {0}")]
    Send(String),
    #[error("{PATH} responded with {0}")]
    Status(StatusCode),
    #[error("read {PATH}: {0}")]
    Body(String),
    #[error("invalid metric in line {line} of {PATH}")]
    Format {
        /// The number of the line, from 1.
        line: usize,
    },
}

/// Scrapes the counters of a pod.
pub(super) async fn scrape(
    env: &Env,
    pod: IpAddr,
    patience: Duration,
) -> Result<PodCounts, ScrapeError> {
    let fetched = env.timeout(patience, fetch(env, pod)).await;
    parse(&fetched.map_err(|_elapsed| ScrapeError::Late(patience))??)
}

async fn fetch(env: &Env, pod: IpAddr) -> Result<String, ScrapeError> {
    let to = (pod, METRICS_PORT).into();
    let options = PoolOptions {
        reuse: false,
        ..PoolOptions::default()
    };
    let pool = Pool::new(env.clone(), to, None, options);
    let request = Request::get(PATH)
        .header(header::HOST, to.to_string())
        .body(Body::empty())
        .expect("a path and an address make a request");
    let response = pool
        .send(request)
        .await
        .map_err(|error| ScrapeError::Send(error.to_string()))?;
    if response.status() != StatusCode::OK {
        return Err(ScrapeError::Status(response.status()));
    }
    let bytes = response
        .into_body()
        .collect(TEXT_BYTES_MAX)
        .await
        .map_err(|error| ScrapeError::Body(error.to_string()))?;
    String::from_utf8(bytes.to_vec()).map_err(|error| ScrapeError::Body(error.to_string()))
}

/// Sums the series that the pod's own proxy reports as the destination.
pub(super) fn parse(text: &str) -> Result<PodCounts, ScrapeError> {
    let mut counts = PodCounts::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || ScrapeError::Format { line: at + 1 };
        let sample = MetricSample::read(line).ok_or_else(wrong)?;
        if sample.label("reporter") != Some("destination") {
            continue;
        }
        match sample.name {
            REQUESTS => {
                let value = whole(sample.value).ok_or_else(wrong)?;
                counts.requests += value;
                // Code 0, a client that disconnected before the response, is not an error of the service.
                if sample
                    .label("response_code")
                    .is_some_and(|code| code.starts_with('5'))
                {
                    counts.errors += value;
                }
            }
            BUCKETS => {
                let bound = sample.label("le").and_then(parts).ok_or_else(wrong)?;
                let value = whole(sample.value).ok_or_else(wrong)?;
                *counts.buckets.entry(bound).or_default() += value;
            }
            _ => {}
        }
    }
    Ok(counts)
}

/// A line: `name{label="value",...} value [timestamp] [# exemplar]`.
struct MetricSample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: &'a str,
}

impl<'a> MetricSample<'a> {
    fn read(line: &'a str) -> Option<MetricSample<'a>> {
        let end = line.find(|letter: char| letter == '{' || letter.is_whitespace())?;
        let (name, mut rest) = line.split_at(end);
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
        if name.is_empty() || !name.bytes().all(fine) {
            return None;
        }
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                rest = rest.trim_start();
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let (label, after) = rest.split_once('=')?;
                let (value, after) = quoted(after.trim_start())?;
                labels.push((label.trim(), value));
                rest = after.trim_start();
                rest = match rest.strip_prefix(',') {
                    Some(after) => after,
                    None if rest.starts_with('}') => rest,
                    None => return None,
                };
            }
        }
        let value = rest.split_whitespace().next()?;
        value.parse::<f64>().ok()?;
        Some(MetricSample {
            name,
            labels,
            value,
        })
    }

    fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(label, _)| *label == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A label's value, and the text after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &inner[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// The value of a counter, which is a whole number in any notation (`12`, `12.0`, `1.2e1`).
fn whole(text: &str) -> Option<u64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let value: f64 = text.parse().ok()?;
    // Such a number is exact up to 2^53. Beyond that it was inexact when it was written.
    (value.is_finite() && value >= 0.0).then_some(value as u64)
}

/// A bucket's bound, converted from milliseconds to millionths of one.
fn parts(text: &str) -> Option<u64> {
    let bound: f64 = text.parse().ok()?;
    match bound {
        _ if bound.is_nan() || bound < 0.0 => None,
        _ if bound.is_infinite() => Some(UNBOUNDED),
        _ => Some((bound * 1e6).round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destinations_side_is_added_up_over_all_series() {
        let text = r#"# HELP istio_requests Requests that the proxy has finished.
# TYPE istio_requests counter
istio_requests_total{reporter="source",response_code="503"} 9
istio_requests_total{reporter="destination",response_code="200",source_app="a"} 90
istio_requests_total{reporter="destination",response_code="200",source_app="b"} 5.0
istio_requests_total{reporter="destination",response_code="503",} 4 1700000000000
istio_requests_total{reporter="destination",response_code="0"} 1e0 # {trace="x"} 1
istio_request_duration_milliseconds_sum{reporter="destination"} 12.5
istio_request_duration_milliseconds_bucket{reporter="destination",le="0.5"} 3
istio_request_duration_milliseconds_bucket{reporter="destination",le="1e+06"} 99
istio_request_duration_milliseconds_bucket{reporter="destination",le="+Inf"} 60
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="503",le="+Inf"} 40
process_up 1
# EOF
"#;
        let counts = parse(text).unwrap();
        assert_eq!((counts.requests, counts.errors), (100, 4));
        let buckets: Vec<(u64, u64)> = counts.buckets.into_iter().collect();
        assert_eq!(
            buckets,
            [(500_000, 3), (1_000_000_000_000, 99), (UNBOUNDED, 100)]
        );
    }

    #[test]
    fn a_labels_value_may_hold_anything() {
        let line = r#"istio_requests_total{a="x\"},{=\\\n y",reporter="destination"} 7"#;
        assert_eq!(parse(line).unwrap().requests, 7);
    }

    #[test]
    fn an_empty_text_has_counted_nothing() {
        assert_eq!(parse("# EOF\n").unwrap(), PodCounts::default());
    }

    #[test]
    fn a_text_that_is_none_is_refused_with_its_line() {
        for bad in [
            "<html>",
            "x{a=\"b} 1",
            "x{a=b} 1",
            "x{a=\"b\"",
            "x{a=\"b\" c=\"d\"} 1",
            "x",
            "x{} one",
            "istio_requests_total{reporter=\"destination\"} -1",
            "istio_request_duration_milliseconds_bucket{reporter=\"destination\"} 1",
        ] {
            let error = parse(&format!("good 1\n{bad}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{bad}: {error}");
        }
    }
}
