//! The text form: a request's way in its order, each line with the line of YAML that decided it at its right.

use std::fmt::Write as _;

use shakedown_config::explain::{
    ClusterPolicies, Decision, EndpointTold, Explanation, FaultTold, LimitsTold, OutlierTold,
    Rejection, RetriesTold, Target,
};
use shakedown_config::translate::{CONNECT_TIMEOUT, PASSTHROUGH};

/// Endpoints past so many are counted, not listed.
const LISTED: usize = 8;
/// Places stand from this column on, unless a line is longer.
const PLACES: usize = 72;

/// The whole walk.
pub(super) fn render(told: &Explanation) -> String {
    let mut walk = Walk {
        told,
        cluster: None,
        rows: Vec::new(),
    };
    walk.way();
    walk.write()
}

struct Walk<'a> {
    told: &'a Explanation,
    /// The one that lines are about.
    cluster: Option<&'a str>,
    rows: Vec<Row>,
}

struct Row {
    what: String,
    value: String,
    place: String,
}

impl<'a> Walk<'a> {
    fn way(&mut self) {
        let told = self.told;
        self.row("listener", &told.listener, None);
        self.some("virtual host", told.virtual_host.as_deref(), "virtual_host");
        self.some("route", told.route.as_deref(), "route");
        let policies = &told.policies;
        if let Some(fault) = &policies.fault {
            self.decided("fault", &fault_words(fault), "fault");
        }
        if let Some(cors) = &policies.cors {
            let words = format!(
                "{} allowed origins; preflights of these are answered here",
                cors.allowed_origins
            );
            self.decided("cors", &words, "cors");
        }
        if let Some(redirect) = &told.redirect {
            let words = format!("{} to {}", redirect.status, redirect.location);
            self.decided("redirect", &words, "redirect");
        }
        if let Some(answer) = &told.direct_response {
            let words = format!("{} {:?}", answer.status, answer.body);
            self.decided("answer", &words, "direct_response");
        }
        self.some("host", told.host.as_deref(), "host");
        self.some("path", told.path.as_deref(), "path");
        self.cluster = told.cluster.as_deref();
        for line in &policies.request_headers {
            self.decided("request header", line, "headers");
        }
        for line in &policies.response_headers {
            self.decided("response header", line, "headers");
        }
        self.clusters();
        self.cluster = None;
        if told.path.is_some() {
            let timeout = told.timeout_ms.map_or_else(|| "none".into(), time);
            self.decided("timeout", &timeout, "timeout");
            let retries = told.retries.as_ref().map_or_else(|| "none".into(), retries);
            self.decided("retries", &retries, "retries");
        }
        for mirror in &policies.mirrors {
            let words = format!(
                "{} of requests to {}",
                percent(mirror.share_ppm),
                mirror.clusters.join(", ")
            );
            self.decided("mirror", &words, "mirrors");
        }
    }

    fn clusters(&mut self) {
        let told = self.told;
        if let Some(cluster) = &told.cluster {
            self.decided("cluster", cluster, "cluster");
            if cluster == PASSTHROUGH {
                let words = "no service has this host: it goes where the name leads";
                return self.row("  endpoints", words, None);
            }
            self.upstream(told.policies.cluster.as_ref(), told.endpoints.as_deref());
            return;
        }
        let Some(targets) = &told.weighted_clusters else {
            return;
        };
        if let Some(header) = &told.split_by {
            self.row(
                "split by",
                &format!("the number in the header {header}, else by chance"),
                None,
            );
        }
        let total: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
        for target in targets {
            self.target(target, total);
        }
    }

    fn target(&mut self, target: &'a Target, total: u64) {
        self.cluster = Some(&target.cluster);
        let millionths = u64::from(target.weight) * 1_000_000 / total.max(1);
        let share = percent(u32::try_from(millionths).unwrap_or(u32::MAX));
        self.decided("cluster", &format!("{share} {}", target.cluster), "cluster");
        if self.told.host.is_none() {
            self.row("  host", &target.host, None);
        }
        for line in &target.request_headers {
            self.decided("  request header", line, "headers");
        }
        for line in &target.response_headers {
            self.decided("  response header", line, "headers");
        }
        self.upstream(target.policies.as_ref(), target.endpoints.as_deref());
        if let Some(rejection) = &target.rejected_by {
            self.row("  refused", &rejected(rejection), None);
        }
    }

    fn upstream(&mut self, policies: Option<&ClusterPolicies>, endpoints: Option<&[EndpointTold]>) {
        let Some(policies) = policies else { return };
        match endpoints {
            Some(endpoints) => self.endpoints(endpoints),
            None => self.decided("  endpoints", "not known here", "subset"),
        }
        let hash = policies.hash_by.join(", ");
        let by = if hash.is_empty() {
            hash
        } else {
            format!(" by {hash}")
        };
        self.decided(
            "  balancer",
            &format!("{}{by}", policies.balancer),
            "balancer",
        );
        let connect = time(policies.connect_timeout_ms);
        // Istio's default stands in no line.
        if u128::from(policies.connect_timeout_ms) == CONNECT_TIMEOUT.as_millis() {
            self.row("  connect timeout", &connect, None);
        } else {
            self.decided("  connect timeout", &connect, "connection_pool");
        }
        if let Some(limits) = &policies.limits {
            self.decided("  limits", &limit_words(limits), "connection_pool");
        }
        if let Some(budget) = &policies.retry_budget {
            let words = format!(
                "{} of requests in hand, at least {}",
                percent(budget.share_ppm),
                budget.min_concurrency
            );
            self.decided("  retry budget", &words, "retry_budget");
        }
        if let Some(outlier) = &policies.outlier_detection {
            self.decided(
                "  outlier detection",
                &outlier_words(outlier),
                "outlier_detection",
            );
        }
        if let Some(after) = policies.hedge.as_ref().and_then(|hedge| hedge.after_ms) {
            self.decided("  hedge", &format!("after {}", time(after)), "hedge");
        }
        if let Some(throttle) = &policies.adaptive_throttle {
            let words = format!("looks back {}", time(throttle.window_ms));
            self.decided("  adaptive throttle", &words, "adaptive_throttle");
        }
    }

    fn endpoints(&mut self, endpoints: &[EndpointTold]) {
        if endpoints.is_empty() {
            self.decided("  endpoints", "none", "subset");
        }
        for (index, endpoint) in endpoints.iter().take(LISTED).enumerate() {
            let words = endpoint_words(endpoint);
            match index {
                0 => self.decided("  endpoints", &words, "subset"),
                _ => self.row("", &words, None),
            }
        }
        if endpoints.len() > LISTED {
            self.row("", &format!("and {} more", endpoints.len() - LISTED), None);
        }
    }

    /// A line that some YAML may have decided.
    fn decided(&mut self, what: &str, value: &str, by: &str) {
        let decision = self.told.decision(by, self.cluster);
        self.row(what, value, decision);
    }

    fn some(&mut self, what: &str, value: Option<&str>, by: &str) {
        if let Some(value) = value {
            self.decided(what, value, by);
        }
    }

    fn row(&mut self, what: &str, value: &str, decision: Option<&Decision>) {
        self.rows.push(Row {
            what: what.to_owned(),
            value: value.to_owned(),
            place: decision.map_or_else(String::new, |it| format!("{}:{}", it.file, it.line)),
        });
    }

    fn write(&self) -> String {
        let width = self
            .rows
            .iter()
            .map(|row| row.what.len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        // Writing to a string cannot fail.
        for row in &self.rows {
            let line = format!("{:width$}  {}", row.what, row.value);
            let _ = match row.place.as_str() {
                "" => writeln!(text, "{}", line.trim_end()),
                place => writeln!(text, "{line:PLACES$}  {place}"),
            };
        }
        let _ = match &self.told.rejected_by {
            Some(rejection) => writeln!(text, "\nRefused: {}", rejected(rejection)),
            None if self.told.path.is_some() => writeln!(text, "\nSent on."),
            None => writeln!(text, "\nAnswered by the proxy, as configured."),
        };
        text
    }
}

fn rejected(rejection: &Rejection) -> String {
    let flags = rejection.flags.unwrap_or("-");
    format!(
        "{} {flags} {}: {}",
        rejection.status, rejection.details, rejection.because
    )
}

fn endpoint_words(endpoint: &EndpointTold) -> String {
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

fn fault_words(fault: &FaultTold) -> String {
    let mut words = Vec::new();
    if let (Some(delay), Some(share)) = (fault.delay_ms, fault.delay_ppm) {
        words.push(format!("{} held back {}", percent(share), time(delay)));
    }
    if let Some(share) = fault.abort_ppm {
        let status = match (fault.abort_status, fault.abort_grpc_status) {
            (Some(status), _) => status.to_string(),
            (None, grpc) => format!("gRPC status {}", grpc.unwrap_or(0)),
        };
        words.push(format!("{} answered {status}", percent(share)));
    }
    words.join(", ")
}

fn retries(retries: &RetriesTold) -> String {
    let mut words = format!("{} on {}", retries.attempts, retries.on.join(","));
    if !retries.status_codes.is_empty() {
        let codes: Vec<String> = retries.status_codes.iter().map(u16::to_string).collect();
        words.push_str(&format!(" ({})", codes.join(",")));
    }
    if let Some(timeout) = retries.per_try_timeout_ms {
        words.push_str(&format!(", {} a try", time(timeout)));
    }
    words
}

fn limit_words(limits: &LimitsTold) -> String {
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

fn outlier_words(outlier: &OutlierTold) -> String {
    let mut words = Vec::new();
    if let Some(number) = outlier.consecutive_5xx {
        words.push(format!("{number} x 5xx"));
    }
    if let Some(number) = outlier.consecutive_gateway_errors {
        words.push(format!("{number} gateway errors"));
    }
    words.push(format!(
        "out for {}, at most {}%",
        time(outlier.base_ejection_time_ms),
        outlier.max_ejection_percent
    ));
    words.join(", ")
}

/// `2s`, `250ms`.
fn time(millis: u64) -> String {
    match millis {
        _ if millis > 0 && millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// `12.5%`, of parts per million.
fn percent(ppm: u32) -> String {
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
            (time(0), time(1500), time(2000)),
            ("0ms".into(), "1500ms".into(), "2s".into())
        );
    }
}
