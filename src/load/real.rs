//! Builds the results document's rows of real loads, and detects loads whose figures are the generator's own.

use std::net::SocketAddr;

use shakedown_loadgen::live::{Cause, GeneratorLatency, RequestTemplate, Tally};
use shakedown_results::{
    Asked, Bytes, Connections, FailureCount, Generator, Histogram, Latency, Load, RealLoad,
    Throughput,
};

use super::text::duration_ns;
use crate::secret::masked;

/// The resolution of the generator. Smaller delays are ignored, because a request through an event loop and two system
/// calls takes tens of microseconds on any machine.
const RESOLUTION_NS: i64 = 100_000;
/// The divisor of the generator's allowed share of a latency. A latency with a larger share does not measure the
/// server.
const OWN_PART_MAX: i64 = 5;
/// The percentiles checked for that share (parts per million), and the number of samples that each needs.
const JUDGED: [(u32, &str, u64); 2] = [(500_000, "p50", 1), (990_000, "p99", 100)];
/// The maximum CPU use of the generator, in parts per million of its core. Above it, requests may be sent late.
const CPU_PPM_MAX: u64 = 900_000;

/// The requests of one load and their destination.
pub(super) struct Asking<'a> {
    pub(super) templates: &'a [RequestTemplate],
    pub(super) address: SocketAddr,
    pub(super) http2: bool,
}

/// The results row of a load.
pub(super) fn row(load: &Load, asking: &Asking<'_>, tally: &Tally, window_ns: i64) -> RealLoad {
    let per_second = |count: u64, over_ns: u64, parts: u128| {
        let parts = u128::from(count) * parts * 1_000_000_000 / u128::from(over_ns.max(1));
        u64::try_from(parts).unwrap_or(u64::MAX)
    };
    let window_ns = window_ns.max(0).unsigned_abs();
    let answered = load.statuses.iter().map(|status| status.count).sum();
    let requests = asking.templates.iter().map(|template| Asked {
        method: template.method().to_string(),
        url: masked(&template.url()),
    });
    let failures = tally.failures.iter().map(|(failure, count)| FailureCount {
        phase: failure.phase.name().to_owned(),
        cause: failure.cause.name().to_owned(),
        detail: failure.detail.clone(),
        count: *count,
    });
    RealLoad {
        requests: requests.collect(),
        address: asking.address.to_string(),
        protocol: if asking.http2 { "HTTP/2" } else { "HTTP/1.1" }.to_owned(),
        tls: asking
            .templates
            .iter()
            .any(|template| template.server().tls),
        failures: failures.collect(),
        timed_out_unsent: tally.timed_out_unsent,
        connections: Connections {
            opened: tally.opened,
            open_max: tally.open_max,
        },
        bytes: Bytes {
            sent: tally.bytes_sent,
            received: tally.bytes_received,
        },
        throughput: Throughput {
            ok_milli_per_s: per_second(load.ok, window_ns, 1_000),
            answered_milli_per_s: per_second(answered, window_ns, 1_000),
            received_bytes_per_s: per_second(tally.bytes_received, tally.own.wall_ns, 1),
        },
        generator: generator(&tally.own),
    }
}

fn generator(own: &GeneratorLatency) -> Generator {
    let latency = |histogram: &Histogram| Latency::from_histogram(histogram.clone());
    Generator {
        late_ns: latency(&own.late),
        handling_ns: latency(&own.handling),
        own_ns: latency(&own.all),
        loop_lag_ns: latency(&own.lag),
        cpu_ppm: own.cpu_ppm(),
    }
}

/// Number of requests of a load that reached each state, including those of the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// Started by the generator.
    pub(super) started: u64,
    /// Written to a connection.
    pub(super) written: u64,
    /// Completed with success.
    pub(super) ok: u64,
}

/// Returns the reasons why a load is invalid.
pub(super) fn invalid(tally: &Tally, reached: &Reached, address: SocketAddr) -> Vec<String> {
    let mut reasons = Vec::new();
    if reached.started == 0 {
        reasons.push("no request was sent, so there are no results".to_owned());
    }
    reasons.extend(distorted(&tally.own));
    let exhausted = tally.failed_by(Cause::Exhausted);
    if exhausted > 0 {
        reasons.push(format!(
            "{exhausted} requests had no connection because this machine has no free file descriptors or ports: raise `ulimit -n`, or limit connections with --connections"
        ));
    }
    if reached.started > 0 && reached.ok == 0 {
        let most = tally.failures.iter().max_by_key(|(_, count)| **count);
        let most = most.map_or_else(
            || "no response counts as a success".to_owned(),
            |(failure, _)| failure.to_string(),
        );
        reasons.push(match reached.written {
            0 => format!("no request reached {address}: {most}"),
            _ => format!("no request succeeded: {most}"),
        });
    }
    reasons
}

/// Returns the reasons why the figures measure the generator rather than the server.
fn distorted(own: &GeneratorLatency) -> Vec<String> {
    let mut reasons = Vec::new();
    let latencies = [
        ("latency", &own.latency),
        ("uncorrected latency", &own.uncorrected),
    ];
    for (name, pair) in latencies {
        for (ppm, percentile, samples) in JUDGED {
            if pair.whole.count() < samples {
                continue;
            }
            let at = |histogram: &Histogram| histogram.percentile_ns(ppm).unwrap_or(0);
            let whole = at(&pair.whole);
            let part = whole - at(&pair.without);
            if part > RESOLUTION_NS && part.saturating_mul(OWN_PART_MAX) > whole {
                reasons.push(format!(
                    "the generator's own delay is {} of the {percentile} {name} of {} (requests started late, responses processed late); give it a core of its own, or lower the rate",
                    duration_ns(part),
                    duration_ns(whole)
                ));
            }
        }
    }
    let cpu = own.cpu_ppm();
    if cpu > CPU_PPM_MAX {
        reasons.push(format!(
            "the generator was the bottleneck: it used {}% of a core; lower the rate, or distribute it over several generators",
            cpu / 10_000
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn own(whole: i64, without: i64) -> GeneratorLatency {
        let mut own = GeneratorLatency::default();
        for _ in 0..100 {
            own.latency.whole.record(whole);
            own.latency.without.record(without);
        }
        own
    }

    #[test]
    fn a_latency_that_is_the_generators_own_is_invalid() {
        for (whole, without, invalid) in [
            (100 * MS, 95 * MS, false),
            (100 * MS, 70 * MS, true),
            // The limit is relative: the same delay is small beside a long latency and large beside a short one.
            (2 * MS, MS, true),
            (1000 * MS, 980 * MS, false),
            // Within the generator's resolution.
            (MS / 10, MS / 50, false),
        ] {
            let reasons = distorted(&own(whole, without));
            assert_eq!(
                !reasons.is_empty(),
                invalid,
                "{whole} {without}: {reasons:?}"
            );
        }
    }

    #[test]
    fn a_generator_without_time_left_is_invalid() {
        let own = GeneratorLatency {
            cpu_ns: 95,
            wall_ns: 100,
            ..GeneratorLatency::default()
        };
        assert!(distorted(&own)[0].contains("used 95% of a core"));
    }
}
