//! Phrases for the parts of an explanation.

use shakedown_analysis::explain::{
    ClusterPolicies, CorsView, EndpointView, FaultView, HedgeView, LimitsView,
    OutlierDetectionView, RateLimitView, RejectionView, RetriesView, SlowStartView,
};

/// Source: Envoy, `HttpProtocolOptions.idle_timeout`.
const DEFAULT_IDLE_TIMEOUT_MS: u64 = 3_600_000;

pub(super) fn rejected(rejection: &RejectionView) -> String {
    let flags = rejection.flags.unwrap_or("-");
    format!(
        "{} {flags} {}: {}",
        rejection.status, rejection.details, rejection.because
    )
}

pub(super) fn endpoint_words(endpoint: &EndpointView) -> String {
    let mut words = endpoint.address.clone();
    for (name, value) in [("", &endpoint.workload), ("zone ", &endpoint.zone)] {
        if !value.is_empty() {
            words.push_str(&format!(" {name}{value}"));
        }
    }
    if endpoint.priority > 0 {
        words.push_str(&format!(" priority {}", endpoint.priority));
    }
    words
}

pub(super) fn fault_words(fault: &FaultView) -> String {
    let mut words = Vec::new();
    if let (Some(delay), Some(share)) = (fault.delay_ms, fault.delay_ppm) {
        words.push(format!("{} delayed by {}", percent(share), time(delay)));
    }
    if let Some(share) = fault.abort_ppm {
        let status = match (fault.abort_status, fault.abort_grpc_status) {
            (Some(status), _) => status.to_string(),
            (None, grpc) => format!("gRPC status {}", grpc.unwrap_or(0)),
        };
        words.push(format!("{} aborted with {status}", percent(share)));
    }
    words.join(", ")
}

pub(super) fn cors_words(cors: &CorsView) -> String {
    let origin = match cors.allowed {
        None => "no Origin header",
        Some(true) => "origin allowed",
        Some(false) => "origin not allowed",
    };
    let preflight = match cors.answered {
        None => "",
        Some(true) => "; preflight, answered by the proxy",
        Some(false) => "; preflight, forwarded",
    };
    let s = if cors.allowed_origins == 1 { "" } else { "s" };
    format!(
        "{origin} ({} allowed origin{s}){preflight}",
        cors.allowed_origins
    )
}

pub(super) fn rate_words(limit: &RateLimitView) -> String {
    let mut words = match (limit.requests, limit.per_ms) {
        (Some(requests), Some(per)) => format!("{requests} in {}", time(per)),
        _ => "no limit".to_owned(),
    };
    if let Some(burst) = limit.burst.filter(|burst| Some(*burst) != limit.requests) {
        words.push_str(&format!(", in bursts of up to {burst}"));
    }
    let whose = if limit.per_connection {
        "connection"
    } else {
        "proxy"
    };
    format!("{words} per {whose}; excess requests get {}", limit.status)
}

pub(super) fn hedge_words(hedge: &HedgeView) -> String {
    let mut words = Vec::new();
    if let Some(after) = hedge.after_ms {
        words.push(format!("{} more after {}", hedge.times, time(after)));
    }
    if hedge.on_per_try_timeout {
        words.push("one more when an attempt reaches its per-try timeout".to_owned());
    }
    if let Some(budget) = hedge.budget_ppm {
        words.push(format!("for at most {} of requests", percent(budget)));
    }
    words.join(", ")
}

/// Formats thousandths: `2`, `1.5`.
pub(super) fn thousandths(number: u32) -> String {
    let (whole, rest) = (number / 1000, number % 1000);
    if rest == 0 {
        return whole.to_string();
    }
    let rest = format!("{rest:03}");
    format!("{whole}.{}", rest.trim_end_matches('0'))
}

pub(super) fn retries(retries: &RetriesView) -> String {
    let mut words = format!("{} on {}", retries.attempts, retries.on.join(","));
    if !retries.status_codes.is_empty() {
        let codes: Vec<String> = retries.status_codes.iter().map(u16::to_string).collect();
        words.push_str(&format!(" ({})", codes.join(",")));
    }
    if let Some(timeout) = retries.per_try_timeout_ms {
        words.push_str(&format!(", {} per attempt", time(timeout)));
    }
    words.push_str(&format!(
        ", backoff up to {}, doubling to {}",
        time(retries.base_interval_ms),
        time(retries.max_interval_ms)
    ));
    if !retries.avoid_previous_hosts {
        words.push_str(", possibly to the same endpoint");
    }
    words
}

pub(super) fn limit_words(limits: &LimitsView) -> String {
    let all = [
        ("connections", limits.connections),
        ("pending", limits.pending),
        ("requests", limits.requests),
        ("retries", limits.retries),
    ];
    let words = all
        .into_iter()
        .filter_map(|(name, limit)| Some(format!("{} {name}", limit?)));
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn outlier_words(outlier: &OutlierDetectionView) -> String {
    let mut words = Vec::new();
    if let Some(number) = outlier.consecutive_5xx {
        words.push(format!("{number} x 5xx"));
    }
    if let Some(number) = outlier.consecutive_gateway_errors {
        words.push(format!("{number} gateway errors"));
    }
    if let Some(number) = outlier.consecutive_local_origin_failures {
        words.push(format!("{number} local-origin failures"));
    }
    if outlier.split_local_origin {
        words.push("local-origin failures counted separately".to_owned());
    }
    words.push(format!(
        "ejected for {}, at most {}% of endpoints, checked every {}",
        time(outlier.base_ejection_time_ms),
        outlier.max_ejection_percent,
        time(outlier.interval_ms)
    ));
    words.join(", ")
}

pub(super) fn protocol_words(policies: &ClusterPolicies) -> String {
    match policies.max_concurrent_streams {
        Some(streams) => format!("{}, {streams} streams per connection", policies.protocol),
        None => policies.protocol.to_owned(),
    }
}

pub(super) fn slow_start_words(slow: &SlowStartView) -> String {
    format!(
        "from {}% over {}, aggression {}",
        slow.min_weight_percent,
        time(slow.window_ms),
        slow.aggression
    )
}

pub(super) fn locality_words(locality: &str) -> &'static str {
    match locality {
        "distribute" => "weighted by locality",
        _ => "nearest endpoints first, with failover to the next nearest",
    }
}

/// The limits of a connection's lifetime. `None` if only Istio's default idle timeout is set.
pub(super) fn connection_words(policies: &ClusterPolicies) -> Option<String> {
    let idle = match policies.idle_timeout_ms {
        Some(DEFAULT_IDLE_TIMEOUT_MS) => None,
        Some(idle) => Some(format!("closed after {} without requests", time(idle))),
        None => Some("no idle timeout".to_owned()),
    };
    let age = policies
        .max_connection_duration_ms
        .map(|age| format!("closed {} after opening", time(age)));
    let requests = policies
        .max_requests_per_connection
        .map(|requests| format!("closed after {requests} requests"));
    let words: Vec<String> = [idle, age, requests].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Formats milliseconds: `2s`, `250ms`.
pub(super) fn time(millis: u64) -> String {
    match millis {
        _ if millis > 0 && millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// Formats parts per million: `12.5%`.
pub(super) fn percent(ppm: u32) -> String {
    let (whole, rest) = (ppm / 10_000, ppm % 10_000);
    if rest == 0 {
        return format!("{whole}%");
    }
    let rest = format!("{rest:04}");
    format!("{whole}.{}%", rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_times_are_written_short() {
        assert_eq!(percent(125_000), "12.5%");
        assert_eq!(percent(1_000_000), "100%");
        assert_eq!(percent(1), "0.0001%");
        assert_eq!(
            (thousandths(1500), thousandths(2000)),
            ("1.5".into(), "2".into())
        );
        assert_eq!(
            (time(0), time(1500), time(2000)),
            ("0ms".into(), "1500ms".into(), "2s".into())
        );
    }
}
